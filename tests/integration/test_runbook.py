"""The runbook's entries, tried: a real fault fires its alert, and the entry's cure ends it.

A real Prometheus asks for what beat tells of real databases. The faults that need worker, beat and Redis are
in `test_dashboards.py`.
"""

import datetime as dt
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

from aegis.audit.tlog import notes
from aegis.audit.tlog.notes import FileSigner
from aegis.embedded.redis import EmbeddedRedis
from aegis.embedded.server import free_port
from aegis.errors import Refused, Unreachable
from aegis.settings import SourceSettings
from api import audit, budgets, federated, log, privacy
from tests.monitoring import Prometheus, prometheus
from tests.repeats import LONG
from tests.starter import starter
from tests.unit.test_alerts import entries
from tests.workerkit import ROOT, client
from tests.worlds import ACTOR, SQLITE_TWO, World, on
from worker.endpoint import Endpoint
from worker.gauges.registry import registry_of

WITNESS: Final = notes.Verifier(
    name="away",
    public=FileSigner(name="w", seed=bytes(32)).verifier.public,
    algorithm=notes.COSIGNATURE,
).vkey
pytestmark = pytest.mark.skipif(not LONG, reason="half a minute: make test-long tries every entry")
NOWHERE: Final = "redis://127.0.0.1:1/0"


@pytest.fixture(scope="module")
def place() -> int:
    """The port on which beat would serve."""
    return free_port()


@pytest.fixture(scope="module")
def watching(place: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that asks there."""
    targets = {"aegis-beat": f"127.0.0.1:{place}"}
    with prometheus(tmp_path_factory.mktemp("watching") / "prometheus", targets) as running:
        yield running


class Beat:
    """What beat serves."""

    last_tick = 1e12

    def __init__(self, port: int) -> None:
        self.endpoint: Endpoint | None = None
        self.port = port

    def start(self) -> None:
        """Serve."""
        self.endpoint = Endpoint("127.0.0.1", self.port, registry_of(self))
        self.endpoint.start()

    def stop(self) -> None:
        """Serve no more."""
        if self.endpoint is not None:
            self.endpoint.stop()
            self.endpoint = None


@pytest.fixture
def beat(place: int, world: World) -> Iterator[Beat]:
    """Beat's endpoint over the world."""
    del world
    made = Beat(place)
    made.start()
    yield made
    made.stop()


def follow(world: World, alert: str, *, codes: tuple[int, ...] = (0, 1, 5), **names: str) -> None:
    """Run the commands of an entry, with its capital letters filled in."""
    block = re.search(r"```console\n(.*?)```", entries()[alert], re.DOTALL)
    assert block
    (source,) = world.settings.sources.items()
    environment = {name: text for name, text in os.environ.items() if not name.startswith("AEGIS_")}
    environment |= {
        "AEGIS_HOME": str(world.settings.home),
        "AEGIS_BROKER_URL": world.settings.broker_url,
        "AEGIS_RETENTION__SOFT_LANDING_HOURS": "0",
    }
    if world.settings.datasources:
        environment[f"AEGIS_DATASOURCES__{source[0].upper()}__URL"] = source[1].url
    for line in block[1].splitlines():
        words = shlex.split(line.removeprefix("$ aegis "))
        filled = [{"YOU": ACTOR, "D": source[0], **names}.get(word, word) for word in words]
        code, out, err = starter().run(filled, folder=ROOT, environment=environment)
        assert code in codes, f"aegis {filled}: {code}\n{out}{err}"


def change(world: World, statement: str, **values: object) -> None:
    """Change something in the control database, as time would."""
    with world.control.begin() as connection:
        connection.execute(sa.text(statement), values)


@on("sqlite-one")
@pytest.mark.usefixtures("beat")
class TestRetention:
    """Runs and policies."""

    def test_a_run_that_a_guard_stopped(self, world: World, watching: Prometheus) -> None:
        """It is stuck until somebody approves it."""
        world.safety_events()
        world.events(range(9), 60)
        world.policy(guards={"max_rows": 5})
        run = world.enforce()["run"]
        watching.fires("AegisRunStuck")
        follow(world, "AegisRunStuck", codes=(0,), RUN=run, NAME="p")
        assert world.finish(run)["outcome"] == "done"
        watching.ends("AegisRunStuck")

    def test_a_run_that_somebody_paused(self, world: World, watching: Prometheus) -> None:
        """Its rows are overdue; that it waits keeps that quiet, until it is resumed and through."""
        world.safety_events()
        world.events(range(9), 60)
        world.policy()
        run = world.start()
        world.batches_of(2)
        privacy.advance_run(run, 0.0)
        watching.fires("AegisRowsOverdue")
        follow(world, "AegisRowsOverdue")
        privacy.pause_run(run, ACTOR)
        privacy.advance_run(run)
        watching.fires("AegisPolicyWaits")
        follow(world, "AegisPolicyWaits")
        privacy.resume_run(run, ACTOR)
        world.finish(run)
        watching.ends("AegisPolicyWaits")
        watching.ends("AegisRowsOverdue")

    def test_an_instant_that_nobody_began(self, world: World, watching: Prometheus) -> None:
        """Forty minutes late, for no beat runs: the entry's command makes it up."""
        world.safety_events()
        world.events(range(9), 60)
        late = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=40)
        world.policy(cron=f"{late.minute} * * * *")
        before = late - dt.timedelta(minutes=5)
        change(
            world,
            "UPDATE data_retention_policies SET planned_until = :at, created_at = :at",
            at=f"{before:%Y-%m-%d %H:%M:%S.%f}",
        )
        watching.fires("AegisPolicyMissed")
        follow(world, "AegisPolicyMissed")
        watching.ends("AegisPolicyMissed")
        assert world.count("safety_events") == 0


@on("sqlite-one")
@pytest.mark.usefixtures("beat")
class TestSources:
    """Stops and holds."""

    def test_a_stop(self, world: World, watching: Prometheus) -> None:
        """It is told until somebody starts the source again."""
        privacy.stop_operations("a look", ACTOR)
        watching.fires("AegisStopped")
        follow(world, "AegisStopped")
        watching.ends("AegisStopped")

    def test_a_hold_past_its_review(self, world: World, watching: Prometheus) -> None:
        """It is told until somebody releases it."""
        words = {"matter": "case 7", "owner": ACTOR, "review_by": dt.date(2020, 1, 1)}
        hold = privacy.place_hold(**words)  # type: ignore[arg-type] # spelled out above
        watching.fires("AegisHoldPastReview")
        follow(world, "AegisHoldPastReview", ID=hold)
        watching.ends("AegisHoldPastReview")


@on(SQLITE_TWO)
@pytest.mark.usefixtures("beat")
def test_a_hold_that_its_source_has_not_heard_of(world: World, watching: Prometheus) -> None:
    """The source is away when the hold is placed; once it is back the next run puts it in force."""
    world.safety_events()
    world.policy()
    reachable = world.settings.datasources
    world.configure(datasources={"app": SourceSettings(url="postgresql://aegis:x@127.0.0.1:1/nowhere")})
    with pytest.raises(Unreachable, match="NOT yet in force"):
        privacy.place_hold(matter="case 7", owner=ACTOR, review_by=dt.date(2040, 1, 1), datasource="app")
    watching.fires("AegisHoldNotInForce")
    world.configure(datasources=reachable)
    follow(world, "AegisHoldNotInForce")
    world.enforce()
    watching.ends("AegisHoldNotInForce")


@on("sqlite-one")
@pytest.mark.usefixtures("beat")
class TestProof:
    """The log, its witnesses, and budgets."""

    def test_a_log_that_was_cut_off(self, world: World, watching: Prometheus) -> None:
        """Nothing is signed until the right database is back."""
        audit.record_audit("custom:note", ACTOR, "thing", "1")
        audit.seal_audit_log()
        path = world.system.published.folder / "checkpoint"
        right = path.read_text("utf-8")
        seen = notes.checkpoint(notes.parse(right))
        ahead = notes.Checkpoint(origin=seen.origin, size=10_000, root=bytes(32))
        path.write_text(str(notes.Note(text=ahead.text, signatures=notes.parse(right).signatures)), "utf-8")
        with pytest.raises(Refused):
            audit.seal_audit_log()
        watching.fires("AegisAuditHalted")
        follow(world, "AegisAuditHalted")
        path.write_text(right, "utf-8")
        audit.seal_audit_log()
        watching.ends("AegisAuditHalted")

    def test_events_that_nobody_seals(self, world: World, watching: Prometheus) -> None:
        """They wait until somebody seals them."""
        audit.record_audit("custom:note", ACTOR, "thing", "1")
        watching.fires("AegisAuditBehind")
        follow(world, "AegisAuditBehind")
        watching.ends("AegisAuditBehind")

    def test_a_witness_that_is_away(self, world: World, watching: Prometheus) -> None:
        """It is behind until it has cosigned, or is no witness any more."""
        audit.record_audit("custom:note", ACTOR, "thing", "1")
        audit.seal_audit_log()
        log.add_witness("away", WITNESS, "http://127.0.0.1:1/", ACTOR)
        watching.fires("AegisWitnessBehind")
        follow(world, "AegisWitnessBehind", codes=(0, 1, 3, 4, 5))
        log.remove_witness("away", ACTOR)
        watching.ends("AegisWitnessBehind")

    def test_a_budget_that_is_nearly_spent(self, world: World, watching: Prometheus) -> None:
        """It is told until the limit is raised."""
        budgets.create_budget("usage", epsilon=1.0, actor=ACTOR)
        federated.federated_aggregation_protect(
            1.0, 20, dp_epsilon=0.9, budget="usage", idempotency_key="r", actor=ACTOR
        )
        watching.fires("AegisBudgetNearlySpent")
        follow(world, "AegisBudgetNearlySpent", NAME="usage")
        budgets.set_budget("usage", epsilon=9.0, actor=ACTOR)
        watching.ends("AegisBudgetNearlySpent")


@on("sqlite-one")
def test_beat_redis_and_a_queue(world: World, beat: Beat, watching: Prometheus, tmp_path: Path) -> None:
    """Beat is away, and Redis is: each is told until it is back; then a queue that nobody serves."""
    world.configure(broker_url=NOWHERE)
    watching.fires("AegisBrokerDown")
    follow(world, "AegisBrokerDown")
    beat.stop()
    watching.fires("AegisBeatSilent")
    beat.start()
    watching.ends("AegisBeatSilent")
    with EmbeddedRedis(tmp_path / "redis") as server:
        world.configure(broker_url=server.url)
        watching.ends("AegisBrokerDown")
        broker = client(server.url)
        broker.lpush("erasure", "x")
        watching.fires("AegisQueueWaits")
        follow(world, "AegisQueueWaits")
        broker.delete("erasure")
        watching.ends("AegisQueueWaits")
        broker.close()
        world.configure(broker_url=NOWHERE)
