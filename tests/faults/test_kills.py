"""SIGKILL of the worker's child, the worker, Redis and the database in the middle of a large run."""

import contextlib
import dataclasses
import functools
import os
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
from celery import Celery

from aegis.embedded.postgres import EmbeddedPostgres
from aegis.embedded.server import free_port
from aegis.operations import system
from aegis.settings import Settings, load_settings
from api import archives, audit, privacy
from cli.stack import Stack
from tests import account, mariadb, worlds
from tests.workerkit import parse, wait_until

LONG = bool(os.environ.get("LONG_TESTS"))
ROWS = 1_000_000 if LONG else 60_000
KILLS = 30 if LONG else 3
#: Longest wait for the run to go on after a kill; nothing waits this long unless it is broken.
PATIENCE = 120.0
SEED = int(os.environ.get("KILLS_SEED", "1"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scenario:
    """Where the rows are, and what happens to them."""

    database: str = "postgresql"
    #: Control database and application share one database.
    together: bool = False
    #: What the policy says beyond the usual.
    policy: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    #: What a row is like while nothing has happened to it.
    untouched: str = "1 = 1"


_ARCHIVE: Mapping[str, Any] = {"archive": {"keep_days": 14}, "parallel": 2}
_MASKS: Mapping[str, Any] = {"action": "anonymize", "masks": {"body": "surrogate"}, "parallel": 2}
#: Masked when due, deleted when older still: each row is archived before either.
_BOTH: Mapping[str, Any] = {**_MASKS, **_ARCHIVE, "delete_after_days": 45}
_UNMASKED = "body LIKE 'xxxx%'"

SCENARIOS = {
    "two databases": Scenario(),
    "one database": Scenario(together=True),
    "MariaDB": Scenario(database="mariadb"),
    "SQLite": Scenario(database="sqlite"),
    "ranges": Scenario(policy={"parallel": 3}),
    "MariaDB ranges": Scenario(database="mariadb", policy={"parallel": 3}),
    "archive": Scenario(policy=_ARCHIVE),
    "masks": Scenario(policy=_MASKS, untouched=_UNMASKED),
    "MariaDB archive": Scenario(database="mariadb", policy=_ARCHIVE),
    "SQLite archive": Scenario(database="sqlite", policy=_ARCHIVE),
    "MariaDB masks": Scenario(database="mariadb", policy=_MASKS, untouched=_UNMASKED),
    "SQLite masks": Scenario(database="sqlite", policy=_MASKS, untouched=_UNMASKED),
    "everything": Scenario(policy=_BOTH, untouched=_UNMASKED),
    "MariaDB everything": Scenario(database="mariadb", policy=_BOTH, untouched=_UNMASKED),
    "SQLite everything": Scenario(database="sqlite", policy=_BOTH, untouched=_UNMASKED),
}


@dataclasses.dataclass(kw_only=True)
class World:
    """The system under test."""

    stack: Stack
    scenario: Scenario
    #: None: the database is a file.
    server: EmbeddedPostgres | mariadb.MariaDb | None
    app: sa.Engine
    sender: Celery
    #: What happens here, the same in every run with the same KILLS_SEED.
    chance: random.Random
    #: What had been done to rows before they came back from an archive; None: they did not.
    returned: Mapping[str, int] | None = None

    @property
    def victims(self) -> list[Callable[[], None]]:
        """Everything that can be killed, the database server first and the others in random order."""
        others = [self.kill_child, self.kill_worker, self.kill_redis]
        self.chance.shuffle(others)
        return [self.kill_server, *others] if self.server else others

    def rows(self) -> int:
        """Count the rows to which nothing has happened."""
        query = f"SELECT count(*) FROM safety_events WHERE {self.scenario.untouched}"  # noqa: S608
        with self.app.connect() as connection:
            return int(connection.scalar(sa.text(query)) or 0)

    def effects(self) -> Mapping[str, int]:
        """Count what was done to rows: one that was masked and then deleted counts under both."""
        with self.app.connect() as connection:
            there = int(connection.scalar(sa.text("SELECT count(*) FROM safety_events")) or 0)
        masks = "masks" in self.scenario.policy
        return {"gone": ROWS - there, "masked": ROWS - self.rows() if masks else 0}

    def changed(self) -> int:
        """Count what was done to rows."""
        return sum(self.effects().values())

    @property
    def due(self) -> int:
        """What has to be done to rows."""
        return ROWS // 2 + (ROWS // 4 if "delete_after_days" in self.scenario.policy else 0)

    def kill_child(self) -> None:
        """Kill one process of the worker's pool; the worker replaces it."""
        children = psutil.Process(self.stack.pid("worker")).children()
        self.chance.choice(children).kill()

    def kill_worker(self) -> None:
        """Kill the worker and its pool, and start another, as an orchestrator would."""
        worker = psutil.Process(self.stack.pid("worker"))
        worker.suspend()  # so that it starts no other child meanwhile
        everybody = [worker, *worker.children()]
        for process in everybody:
            process.kill()
        psutil.wait_procs(everybody)
        self.stack.start("worker")

    def kill_redis(self) -> None:
        """Kill Redis and start it again on its data."""
        self.stack.redis.kill()
        self.stack.redis.start()

    def kill_server(self) -> None:
        """Kill the database server and let it recover."""
        if self.server:
            self.server.kill()
            self.server.start()

    def check(self, settings: Settings) -> None:
        """Assert the account by the tests' own look at it; nothing is at work any more."""
        audit.relay_journals()
        done = self.effects() if self.returned is None else self.returned
        control = worlds.engine(settings.control.url)
        account.check(
            control=control,
            sources={"app": self.app},
            home=settings.home,
            gone={"safety_events": done["gone"]},
            masked={"safety_events": done["masked"]},
            restored={"safety_events": 0 if self.returned is None else sum(done.values())},
        )
        control.dispose()


@contextlib.contextmanager
def database_of(
    scenario: Scenario, folder: Path
) -> Iterator[tuple[str, EmbeddedPostgres | mariadb.MariaDb | None]]:
    """Start the application's database; return its URL and its server."""
    if scenario.database == "sqlite":
        worlds.engine(f"sqlite:///{folder / 'app.db'}").connect().close()
        yield f"sqlite:///{folder / 'app.db'}", None
        return
    if scenario.database == "mariadb" and not mariadb.found():
        pytest.skip("no mariadbd on this machine (Debian: mariadb-server-core)")
    kind = EmbeddedPostgres if scenario.database == "postgresql" else mariadb.MariaDb
    with kind(folder / "server") as server:
        yield server.create_database("app"), server


def configure(scenario: Scenario, url: str, folder: Path) -> Path:
    """Write the settings, with short leases, and small batches so that kills hit a transaction."""
    place = f'database_url = "{url}"' if scenario.together else ""
    config = folder / "aegis.toml"
    config.write_text(
        f'home = "{folder / "home"}"\n{place}\n[datasources.app]\nurl = "{url}"\n'
        "[retention]\nbatch_milliseconds = 5\npause_share = 0.1\nslice_seconds = 2.0\n"
        "first_batch_rows = 200\nlargest_batch_rows = 250\ncount_seconds = 10\n"
        "[throttle]\nlongest_pause_seconds = 1.0\n"
        "[operations]\nlease_seconds = 3.0\nresend_seconds = 2.0\nmax_attempts = 50\n"
        f"[worker]\nmetrics_port = {free_port()}\nbeat_metrics_port = {free_port()}\n"
        "visibility_timeout_seconds = 60\nhard_time_limit_seconds = 30\n",
        encoding="utf-8",
    )
    return config


#: Without the full numbers each database is killed once with all that can happen to a row.
SHORT = ("one database", "MariaDB ranges", "everything", "MariaDB everything", "SQLite everything")


@pytest.fixture(params=SCENARIOS if LONG else SHORT)
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Start everything."""
    scenario = SCENARIOS[request.param]
    with database_of(scenario, tmp_path) as (url, server):
        monkeypatch.setenv("AEGIS_CONFIG", str(configure(scenario, url, tmp_path)))
        settings = load_settings()
        if scenario.together:
            fresh = system.System(settings)
            fresh.init_keys()
            fresh.migrate()
            fresh.close()
        aegis = system.use(settings)
        aegis.migrate_source("app")
        app = worlds.engine(url)
        _fill(app)
        stack = Stack(settings, log=tmp_path / "processes.log", environment=os.environ)
        try:
            with stack:
                sender = Celery("sender", broker=stack.redis.url)
                chance = random.Random(f"{SEED} {request.param}")  # noqa: S311 - repeatable
                made = World(
                    stack=stack, scenario=scenario, server=server, app=app, sender=sender, chance=chance
                )
                yield made
                sender.close()
            made.check(settings)
        finally:
            app.dispose()
            aegis.close()


#: One row every 180 days / ROWS, the oldest first; `{n}` is the row's number, `{start}` the first clock.
SERIES: Mapping[str, str] = {
    "postgresql": "SELECT 't' || mod(i, 3), now() - interval '180 days' + i * interval '180 days' / :rows,"
    " repeat('x', 40) FROM generate_series(1, :rows) i",
    "mariadb": "SELECT CONCAT('t', MOD(seq, 3)), UTC_TIMESTAMP(6) - INTERVAL 180 DAY"
    " + INTERVAL (seq * 15552000000000 DIV :rows) MICROSECOND, REPEAT('x', 40) FROM seq_1_to_{rows}",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)"
    " SELECT 't' || (i % 3), strftime('%Y-%m-%d %H:%M:%f', 'now', '-180 days',"
    " (i * 15552000.0 / :rows) || ' seconds') || '000', printf('%.40c', 'x') FROM n",
}
IDENTITY: Mapping[str, str] = {
    "postgresql": "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "mariadb": "bigint AUTO_INCREMENT PRIMARY KEY",
    "sqlite": "INTEGER PRIMARY KEY",
}


def _fill(app: sa.Engine) -> None:
    kind = app.dialect.name
    columns = f"id {IDENTITY[kind]}, tenant varchar(20) NOT NULL, created_at {worlds.TYPES[kind]['instant']}"
    with app.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE safety_events ({columns}, body varchar(100))")
        rows = SERIES[kind].replace("{rows}", str(ROWS))
        insert = f"INSERT INTO safety_events (tenant, created_at, body) {rows}"
        connection.execute(sa.text(insert), {"rows": ROWS})
        connection.exec_driver_sql("CREATE INDEX safety_events_by_time ON safety_events (created_at)")
        connection.exec_driver_sql("ANALYZE TABLE safety_events" if kind == "mariadb" else "ANALYZE")


@pytest.mark.timeout(1800 if LONG else 240)
def test_account_stays_exact_through_kills_at_random_moments(world: World) -> None:
    """After every kill the run goes on by itself; rows gone = journal = log = report = ledger."""
    before = world.rows()
    words = {"tenant_column": "tenant", "datasource": "app", **world.scenario.policy}
    privacy.register_retention_policy("safety_90", "safety_events", **words)
    privacy.approve_retention_policy("safety_90", actor="legal@example.com")
    wanted = {"dry_run": False, "request_id": "one-request", "policies": ["safety_90"]}
    world.sender.send_task("aegis.retention.enforce", kwargs=wanted, queue="retention")
    wait_until(_progress, "the first batch", PATIENCE)

    kills = _kill_at_random(world)
    run = wait_until(_done, "the run completes by itself", PATIENCE * 3)
    assert run is not None
    assert kills == KILLS, f"the run was over after {kills} kills: make it longer"

    wait_until(lambda: audit.account_of("safety_90").balances, "the account balances", PATIENCE)
    gone, told = world.changed(), audit.account_of("safety_90")
    assert gone == told.journal == told.log == told.reports == told.ledger == run["rows"]
    assert abs(gone - world.due) <= ROWS // 1000
    assert _sum(world.stack.metrics("beat"), "aegis_ledger_rows_total") == gone
    counted = world.stack.metrics("worker")
    assert _sum(counted, "aegis_rows_deleted_total") + _sum(counted, "aegis_rows_anonymized_total") <= gone
    print(f"{kills} kills, {gone} rows gone, account exact")  # noqa: T201 - the figure for the reader
    if "archive" in world.scenario.policy:
        # Every row comes back once: a double would be refused by the key, and a gap would be missing.
        world.returned = world.effects()
        privacy.disable_retention_policy("safety_90", actor="legal@example.com")
        archives.restore_archive(run["run"], actor="legal@example.com", dry_run=False)
        assert world.rows() == before


@pytest.mark.parametrize("world", ["two databases", "ranges"], indirect=True)
def test_worker_counters_are_equal_to_the_ledger_while_nobody_dies(world: World) -> None:
    """Without a kill the worker's own counter, the ledger and the rows gone are the same."""
    before = world.rows()
    privacy.register_retention_policy(
        "young", "safety_events", retention_days=170, tenant_column="tenant", datasource="app"
    )
    privacy.approve_retention_policy("young", actor="legal@example.com")
    wanted = {"dry_run": False, "request_id": "one-request"}
    for _ in range(2):  # the second is a redelivery: it changes nothing
        world.sender.send_task("aegis.retention.enforce", kwargs=wanted, queue="retention")
    wait_until(lambda: _runs("young") and audit.account_of("young").balances, "the account", PATIENCE)
    gone = before - world.rows()
    assert gone > 0
    assert len(_runs("young")) == 1

    def counted() -> float:
        return _sum(world.stack.metrics("worker"), "aegis_rows_deleted_total")

    wait_until(lambda: counted() == gone, "the worker's counter", PATIENCE)
    assert audit.account_of("young").ledger == gone


def _kill_at_random(world: World) -> int:
    """Kill everything in turn, each after some more rows, as long as the run goes on."""
    victims = world.victims
    order = [victims[number % len(victims)] for number in range(KILLS)]
    world.chance.shuffle(order)
    for kills, kill in enumerate(order):
        seen = _rows_so_far()
        share = (ROWS // 2 - seen) // ((KILLS - kills) * 3)
        ahead = world.chance.randint(1, max(2, share))
        wait_until(functools.partial(_advanced, seen + ahead), "progress", PATIENCE)
        if _done():
            return kills
        kill()
    return KILLS


def _runs(policy: str = "safety_90") -> list[dict[str, Any]]:
    return privacy.retention_progress(policy)


def _rows_so_far() -> int:
    runs = _runs()
    return int(runs[0]["rows"]) if runs else 0


def _progress() -> bool:
    return _rows_so_far() > 0


def _advanced(rows: int) -> bool:
    return bool(_done()) or _rows_so_far() >= rows


def _done() -> dict[str, Any] | None:
    run = _runs()[0]
    assert run["state"] not in {"failed", "blocked", "quarantined"}, run["reason"]
    return run if run["state"] == "done" else None


def _sum(text: str, name: str) -> float:
    return sum(value for key, value in parse(text).items() if key.startswith(name + "{"))
