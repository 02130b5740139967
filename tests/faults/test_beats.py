"""Several beats and a CronJob at once, killed at random: each instant of each policy is told exactly once."""

import dataclasses
import datetime as dt
import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.embedded.redis import EmbeddedRedis
from api.audit import get_audit_events
from tests.repeats import LONG
from tests.workerkit import ROOT, WorkerProcess, wait_until, worker
from tests.worlds import Builder, World

MINUTE: Final = dt.timedelta(minutes=1)
ALWAYS: Final = dt.datetime.max.replace(tzinfo=dt.UTC)
BEATS: Final = 3
#: How long the long test goes on.
SECONDS: Final = 600.0
SEED: Final = int(os.environ.get("KILLS_SEED", "1"))


@dataclasses.dataclass(kw_only=True)
class Site:
    """A world on PostgreSQL, its broker, and beats that come and go."""

    world: World
    redis: EmbeddedRedis
    folder: Path
    beats: list[WorkerProcess] = dataclasses.field(default_factory=list)
    numbers: Iterator[int] = dataclasses.field(default_factory=itertools.count)

    @property
    def environ(self) -> dict[str, str]:
        """The settings of every process of this world."""
        settings = self.world.settings
        return {
            "AEGIS_HOME": str(settings.home),
            "AEGIS_DATABASE_URL": str(settings.database_url),
            "AEGIS_RETENTION__SOFT_LANDING_HOURS": "0",
            "AEGIS_WORKER__TICK_SECONDS": "0.1",
            "AEGIS_OPERATIONS__RESEND_SECONDS": "3",
        }

    def start_beats(self) -> None:
        """Start as many as are missing, and wait until they are at work."""
        while len(self.beats) < BEATS:
            made = WorkerProcess(
                self.folder / f"beat-{next(self.numbers)}",
                self.redis.url,
                command=("beat", "--loglevel", "INFO"),
                environ=self.environ,
                application="worker.app",
            )
            self.beats.append(made)
        for beat in self.beats:
            beat.wait_for("beat: Starting")

    def kill_beat(self) -> None:
        """Kill the one that has lived longest."""
        gone = self.beats.pop(0)
        gone.process.kill()
        gone.stop()

    def cron_job(self) -> subprocess.Popen[str]:
        """Start what a CronJob runs."""
        words = ("retention", "run", "--execute", "--scheduled", "--json")
        return subprocess.Popen(
            [sys.executable, "-m", "aegis.home", *words],
            cwd=ROOT,
            env={**os.environ, **self.environ, "AEGIS_BROKER_URL": self.redis.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def policies(self, count: int) -> list[str]:
        """Approve policies that run every minute, and are due to nobody yet."""
        names = [f"p{number}" for number in range(count)]
        for name in names:
            self.world.policy(name, cron="* * * * *")
        far = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
        self.tell("UPDATE data_retention_policies SET planned_until = :at", at=far)
        return names

    def due(self, names: list[str], since: dt.datetime) -> None:
        """Let policies be due for every minute after an instant, all at once."""
        change = "UPDATE data_retention_policies SET planned_until = :at WHERE name = ANY(:names)"
        self.tell(change, at=since, names=names)

    def tell(self, statement: str, **values: Any) -> None:
        """Change something in the control database."""
        with self.world.control.begin() as connection:
            connection.execute(sa.text(statement), values)

    def ran(self, name: str) -> list[dt.datetime]:
        """Return the instants of a policy that became runs."""
        query = "SELECT scheduled_for FROM aegis_runs WHERE policy = :name AND origin = 'schedule'"
        with self.world.control.connect() as connection:
            return list(connection.scalars(sa.text(query), {"name": name}))

    def told(self, name: str, since: dt.datetime = ALWAYS) -> Counter[dt.datetime]:
        """Return how often each instant of a policy was told: as a run, or in an event as missed.

        From `since` on it runs every other minute only.
        """
        found = Counter(self.ran(name))
        for event in get_audit_events(10_000, action="retention:missed"):
            if event["target_id"] == name:
                first, last = (
                    dt.datetime.fromisoformat(event["details"][word]) for word in ("first", "last")
                )
                minutes = [at for at in minutes_between(first - MINUTE, last) if at <= since or even(at)]
                assert len(minutes) == event["details"]["count"]
                found.update(minutes)
        return found


def minutes_between(after: dt.datetime, until: dt.datetime) -> list[dt.datetime]:
    """Return every whole minute after an instant, up to another one."""
    first = after.replace(second=0, microsecond=0) + MINUTE
    return [first + count * MINUTE for count in range(max(0, (until - first) // MINUTE + 1))]


def even(instant: dt.datetime) -> bool:
    """Whether a job of every other minute runs then."""
    return instant.minute % 2 == 0


@pytest.fixture
def site(builder: Builder, tmp_path: Path) -> Iterator[Site]:
    """Build the world and start its broker; every beat that is left ends with it."""
    world = builder.build("postgresql-one", tmp_path)
    world.safety_events()
    with EmbeddedRedis(tmp_path / "redis") as redis:
        made = Site(world=world, redis=redis, folder=tmp_path)
        try:
            yield made
        finally:
            for beat in made.beats:
                beat.process.kill()
                beat.stop()
            world.close()


def test_beats_and_a_cron_job_race_for_the_same_instants(site: Site) -> None:
    """Three beats and a CronJob find the same policies due at once; a beat and Redis are killed meanwhile."""
    names = site.policies(15)
    site.start_beats()
    since = dt.datetime.now(dt.UTC) - 4 * MINUTE
    job = site.cron_job()
    for start in range(0, len(names), 5):
        group = names[start : start + 5]
        if start == 5:
            site.redis.kill()
        site.due(group, since)
        wait_until(lambda group=group: site.ran(group[0]), "the first policy has its run")  # type: ignore[misc]
        if start == 0:
            site.kill_beat()
        wait_until(lambda group=group: all(map(site.ran, group)), "all have")  # type: ignore[misc]
    site.redis.start()
    said, _ = job.communicate(timeout=60)
    assert job.returncode in {0, 3}, said
    assert [beat.alive for beat in site.beats] == [True] * (BEATS - 1)
    # Nobody plans any more: what was told stands still.
    while site.beats:
        site.kill_beat()
    for name in names:
        told = site.told(name)
        assert told == Counter(minutes_between(since, max(told)))


def _misfortune(site: Site, chance: random.Random, kills: Counter[str]) -> None:
    """Kill one beat or all of them, and start them again after a while."""
    # The pace of what happens, and no wait for anything.
    time.sleep(chance.uniform(2, 12))
    everybody = chance.random() < 0.2
    kills["all beats" if everybody else "one beat"] += 1
    for _ in range(BEATS if everybody else 1):
        site.kill_beat()
    time.sleep(chance.uniform(0, 90 if everybody else 5))
    site.start_beats()


def _minute_without_redis(site: Site) -> None:
    site.redis.kill()
    time.sleep(60)
    site.redis.start()
    assert [beat.alive for beat in site.beats] == [True] * BEATS


if LONG:  # cron's finest grain is a minute

    @pytest.mark.timeout(1200)
    def test_ten_minutes_of_kills(site: Site) -> None:
        """A worker does what three beats start; one or all die, and Redis is away for a minute."""
        names = [f"p{number}" for number in range(6)]
        for name in names:
            site.world.policy(name, cron="* * * * *")
        chance = random.Random(SEED)  # noqa: S311 - repeatable
        begin, edited = dt.datetime.now(dt.UTC), ALWAYS
        kills, number = Counter[str](), itertools.count(1)
        words: Any = {"application": "worker.app", **site.environ}
        with worker(site.folder / "worker", site.redis.url, "--concurrency", "1", **words) as running:
            site.start_beats()
            started = time.monotonic()
            while (passed := time.monotonic() - started) < SECONDS:
                site.world.events([next(number) for _ in range(3)], 40)
                now = dt.datetime.now(dt.UTC)
                # Not at the turn of a minute: nobody could say by which cron that one was meant.
                if edited is ALWAYS and passed > SECONDS / 2 and 10 < now.second < 50:
                    site.world.policy("p0", cron="*/2 * * * *")
                    edited = now
                if passed > SECONDS / 3 and not kills["a minute without Redis"]:
                    kills["a minute without Redis"] += 1
                    _minute_without_redis(site)
                _misfortune(site, chance, kills)
            wait_until(lambda: _ended(site), "every run ends", 120)
            assert running.alive
        while site.beats:
            site.kill_beat()
        total = Counter[str]()
        for name in names:
            told = site.told(name, edited if name == "p0" else ALWAYS)
            due = minutes_between(begin, max(told))
            assert told == Counter(at for at in due if name != "p0" or at <= edited or even(at)), name
            total += Counter(instants=len(told), runs=len(site.ran(name)))
        print(json.dumps({**kills, **total}))  # noqa: T201 - the figures for the reader


def _ended(site: Site) -> bool:
    query = "SELECT count(*) FROM aegis_runs WHERE state <> 'done'"
    with site.world.control.connect() as connection:
        return connection.scalar(sa.text(query)) == 0 and site.world.count("safety_events") == 0
