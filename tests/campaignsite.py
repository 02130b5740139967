"""The system of the fault campaign: two workers and two beats as processes, behind a proxy that meddles.

The application notes the rows that it inserts and removes in the same transaction (`births`), so that what
is gone besides can be told exactly although its own connections are cut.
"""

import contextlib
import dataclasses
import itertools
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psutil
import sqlalchemy as sa

from aegis.client import Client
from aegis.embedded import EmbeddedPostgres, EmbeddedRedis
from aegis.envelopes import workers_public_key
from aegis.errors import AegisError
from aegis.keys import new_client_key
from aegis.operations.system import System, use
from aegis.operations.table import ROUTES
from aegis.settings import load_settings
from api import budgets, privacy
from tests import worlds
from tests.canary import Person
from tests.meddler import Meddler
from tests.workerkit import DEADLINE, WorkerProcess

#: Stands in every row of a member, in every actor and in what is told to the log.
PERSON: Final = Person(role="camp", number=7)
BUDGET: Final = "campaign"
#: Releases of a tenth that the budget lets through.
RELEASES: Final = 30
CONFIG: Final = """
home = "{home}"
database_url = "{control}"
[datasources.app]
url = "{app}"
datamap = "{datamap}"
[retention]
soft_landing_hours = 0
batch_milliseconds = 5
first_batch_rows = 20
largest_batch_rows = 40
slice_seconds = 2.0
count_seconds = 3
[throttle]
lock_waits = 0
active_sessions = 0
longest_pause_seconds = 1.0
[operations]
lease_seconds = 3.0
resend_seconds = 2.0
[worker]
visibility_timeout_seconds = 20
hard_time_limit_seconds = 18
"""
MAP: Final = """
subjects:
  user: {table: members, key: id, tenant: tenant, identifiers: {email: email, name: name}}
tables:
  members: {row: delete}
  visits: {row: delete, via: member}
  letters: {row: delete, via: member}
  notes: {row: delete, via: letter}
"""
TABLES: Final = """
CREATE TABLE births (table_name TEXT, rows BIGINT);
CREATE TABLE members (id BIGINT PRIMARY KEY, tenant TEXT, email TEXT, name TEXT);
CREATE TABLE visits (id BIGINT PRIMARY KEY, member BIGINT REFERENCES members, created_at TIMESTAMPTZ);
CREATE TABLE letters (id BIGINT PRIMARY KEY, member BIGINT REFERENCES members, created_at TIMESTAMPTZ);
CREATE TABLE notes (id BIGINT PRIMARY KEY, letter BIGINT REFERENCES letters ON DELETE CASCADE, body TEXT);
CREATE TABLE probes (id BIGINT PRIMARY KEY, body TEXT, created_at TIMESTAMPTZ);
CREATE INDEX ON visits (created_at);
CREATE INDEX ON visits (member);
CREATE INDEX ON letters (member);
CREATE INDEX ON letters (created_at);
CREATE INDEX ON notes (letter);
CREATE INDEX ON probes (created_at)
"""
#: The rows of a member with a number; half of those with a time are due.
_AGE: Final = "now() - (CASE WHEN i % 2 = 0 THEN 90 ELSE 1 END) * interval '1 day' + i * interval '1 second'"
FILL: Final = (
    ("members", "SELECT i, 't' || i % 3, i || '.' || :email, :name FROM generate_series({n}, {n}) i"),
    ("visits", "SELECT {n}000 + i, {n}, {age} FROM generate_series(1, {rows}) i"),
    ("letters", "SELECT {n}000 + i, {n}, {age} FROM generate_series(1, {rows} / 4) i"),
    ("notes", "SELECT {n}000 + i, {n}001 + i % ({rows} / 4), :name FROM generate_series(1, {rows} / 2) i"),
    ("probes", "SELECT {n}000 + i, 'raw ' || i, {age} FROM generate_series(1, {rows} / 2) i"),
)
POLICIES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "visits_30": ("visits", {"parallel": 3}),
    "letters_30": ("letters", {"cascades": ("notes",)}),
    "probes_30": ("probes", {"action": "anonymize", "masks": {"body": "surrogate"}, "parallel": 2}),
}
WORKERS: Final = {"worker-0": set(ROUTES.values()) - {"seal"}, "worker-1": set(ROUTES.values())}
BEATS: Final = ("beat-0", "beat-1")
#: The only one that seals.
SEALER: Final = "worker-1"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """A request; sent again with the same id it is the same."""

    kind: str
    id: str
    send: Callable[[], Any]
    #: Whose erasure it is.
    member: int | None = None


@dataclasses.dataclass(kw_only=True)
class Site:
    """Everything that runs, and what was asked of it."""

    folder: Path
    postgres: EmbeddedPostgres
    redis: EmbeddedRedis
    meddler: Meddler
    client: Client
    #: Past the proxy.
    app: sa.Engine
    control: sa.Engine
    processes: dict[str, WorkerProcess] = dataclasses.field(default_factory=dict)
    asked: list[Asked] = dataclasses.field(default_factory=list)
    #: Members that can still be erased.
    members: list[int] = dataclasses.field(default_factory=list)
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    #: What went wrong with processes.
    findings: list[str] = dataclasses.field(default_factory=list)
    _numbers: Iterator[int] = dataclasses.field(default_factory=lambda: itertools.count(1))
    _lives: Iterator[int] = dataclasses.field(default_factory=lambda: itertools.count(1))

    # -- processes -----------------------------------------------------------------------

    def start(self) -> None:
        """Start every process that does not run; one that had been ready and ended by itself is a finding."""
        for name in (*WORKERS, *BEATS):
            earlier = self.processes.get(name)
            if earlier is not None and earlier.alive:
                continue
            if earlier is not None:
                ready = " ready." in earlier.log or "beat: Starting" in earlier.log
                self.counts["ended before it was ready"] += not ready
                if ready:
                    self.findings.append(f"{name} ended by itself, see {earlier.log_path}")
                earlier.stop()
            self.processes[name] = self._process(name)

    def wait_until_ready(self) -> None:
        """Wait until all are at work."""
        for name, process in self.processes.items():
            process.wait_for(" ready." if name in WORKERS else "beat: Starting")

    def kill(self, name: str) -> None:
        """Kill a process and its children; the next `start` replaces it."""
        gone = self.processes.pop(name, None)
        if gone is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            main = psutil.Process(gone.process.pid)
            main.suspend()
            everybody = [main, *main.children()]
            for process in everybody:
                process.kill()
        gone.stop()

    def kill_all(self) -> None:
        """Kill every process."""
        for name in [*self.processes]:
            self.kill(name)

    def children(self, name: str) -> list[psutil.Process]:
        """Return a worker's pool."""
        process = self.processes.get(name)
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(process.process.pid).children() if process else []
        return []

    def leave(self) -> None:
        """Tell everybody to end, and see that they do so in peace."""
        for process in self.processes.values():
            if process.alive:
                process.process.terminate()
        for name, process in self.processes.items():
            # A second signal would be a harder one.
            process.process.wait(DEADLINE)
            if code := process.stop():
                self.findings.append(f"{name} ended with {code} when it was told to, see {process.log_path}")
        self.processes.clear()

    def _process(self, name: str) -> WorkerProcess:
        words = ("--loglevel", "INFO")
        command: tuple[str, ...] = ("beat", *words)
        if queues := WORKERS.get(name):
            quiet = ("--without-mingle", "--without-gossip", "--concurrency", "2", "-n", f"{name}@here")
            command = ("worker", *words, *quiet, "--queues", ",".join(sorted(queues)))
        return WorkerProcess(
            self.folder / "processes" / f"{next(self._lives):04}-{name}",
            self.redis.url,
            command=command,
            environ={
                "AEGIS_CONFIG": str(self.folder / "aegis.toml"),
                "AEGIS_HOME": str(self.folder / "home"),
                "AEGIS_WORKER__TICK_SECONDS": "0.2",
            },
            application="worker.app",
        )

    # -- the application and its services ------------------------------------------------

    def born(self, rows: int) -> None:
        """Let a new member come, with rows; its number is only used when all is committed."""
        number = next(self._numbers)
        with self.app.begin() as connection:
            words = {"email": PERSON.email, "name": PERSON.name}
            for table, query in FILL:
                insert = sa.text(f"INSERT INTO {table} {query.format(n=number, rows=rows, age=_AGE)}")
                _noted(connection, table, connection.execute(insert, words).rowcount)
        self.members.append(number)
        self.counts["rows born"] += int(rows * 2.25) + 1

    def remove(self, chance: random.Random) -> None:
        """Remove some rows as the application does, beside everything else, and change others."""
        with self.app.begin() as connection:
            remainder = chance.randrange(97)
            gone = connection.execute(sa.text("DELETE FROM visits WHERE id % 97 = :r"), {"r": remainder})
            _noted(connection, "visits", -gone.rowcount)
            connection.execute(
                sa.text("UPDATE letters SET created_at = created_at WHERE id % 97 = :r"), {"r": remainder}
            )

    def changed(self) -> tuple[Counter[str], Counter[str]]:
        """Return the rows gone and the rows masked that were not the application's doing, by table."""
        with self.app.connect() as connection:
            rows = connection.execute(sa.text("SELECT table_name, sum(rows) FROM births GROUP BY 1"))
            gone = Counter({str(table): int(born) for table, born in rows})
            for table, _ in FILL:
                gone[table] -= int(connection.scalar(sa.text(f"SELECT count(*) FROM {table}")) or 0)  # noqa: S608
            masked = connection.scalar(sa.text("SELECT count(*) FROM probes WHERE body NOT LIKE 'raw %'"))
        return +gone, Counter(probes=int(masked or 0))

    def ask(self, chance: random.Random) -> None:
        """Let a service ask for something; what the broker does not take is sent when all is calm."""
        number, actor = next(self._numbers), PERSON.email
        kind = chance.choices(("enforce", "erase", "note", "protect"), (4, 3, 3, 2))[0]
        name = f"{kind}-{number}"
        words: dict[str, Any] = {"request_id": name, "actor": actor}
        member: int | None = None
        send: Callable[..., str] = self.client.enforce_retention
        if kind == "erase" and self.members:
            member = self.members.pop(chance.randrange(len(self.members)))
            words |= {"user_id": member}
            send = self.client.anonymize_user
        elif kind == "note":
            words |= {"action": "note", "target_type": "user", "target_id": PERSON.email}
            words |= {"details": {"why": PERSON.text}}
            send = self.client.record_audit
        elif kind == "protect":
            words |= {"value": 7.5, "participant_count": 20, "dp_epsilon": 0.1, "budget": BUDGET}
            send = self.client.protect
        else:
            kind = "enforce"
            words |= {"dry_run": False, "policies": chance.sample(sorted(POLICIES), 2)}
        self.asked.append(Asked(kind=kind, id=name, member=member, send=lambda: send(**words)))
        self.counts[f"asked: {kind}"] += 1
        with contextlib.suppress(AegisError):
            self.asked[-1].send()

    @contextlib.contextmanager
    def busy(self, chance: random.Random, rows: int) -> Iterator[None]:
        """Let the application and its services do one thing after the other while the block runs."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(chance.uniform(0.1, 0.6)):
                # Its own connections are cut too; `births` knows what was committed.
                with contextlib.suppress(sa.exc.OperationalError, sa.exc.InterfaceError):
                    chance.choices(
                        (lambda: self.ask(chance), lambda: self.born(rows), lambda: self.remove(chance)),
                        (5, 2, 1),
                    )[0]()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _noted(connection: sa.Connection, table: str, rows: int) -> None:
    connection.execute(sa.text("INSERT INTO births VALUES (:table, :rows)"), {"table": table, "rows": rows})


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Site]:
    """Prepare the databases, policies and the budget in an empty folder; processes are started later."""
    with contextlib.ExitStack() as undo:
        postgres = undo.enter_context(EmbeddedPostgres(folder / "postgres"))
        redis = undo.enter_context(EmbeddedRedis(folder / "redis"))
        meddler = undo.enter_context(Meddler(postgres.port))
        direct = {name: postgres.create_database(name) for name in ("control", "app")}
        behind = {
            name: url.replace(f":{postgres.port}/", f":{meddler.port}/") for name, url in direct.items()
        }
        (folder / "app.datamap.yaml").write_text(MAP, "utf-8")
        places = {"home": folder / "home", "datamap": folder / "app.datamap.yaml"}
        (folder / "aegis.toml").write_text(CONFIG.format(**places, **behind), "utf-8")
        app, control = worlds.engine(direct["app"]), worlds.engine(direct["control"])
        with app.begin() as connection:
            connection.exec_driver_sql(TABLES)
        aegis = _prepared(folder)
        undo.callback(aegis.close)
        new_client_key(folder / "service.key")
        client = Client(
            redis.url,
            workers_key=workers_public_key(aegis.worker_key),
            key_file=folder / "service.key",
            database_url=direct["control"],
        )
        undo.callback(client.close)
        site = Site(
            folder=folder,
            postgres=postgres,
            redis=redis,
            meddler=meddler,
            client=client,
            app=app,
            control=control,
        )
        undo.callback(site.kill_all)
        yield site


def _prepared(folder: Path) -> System:
    os.environ["AEGIS_CONFIG"] = str(folder / "aegis.toml")
    with contextlib.closing(System(load_settings())) as fresh:
        fresh.init_keys()
        fresh.migrate()
        fresh.signing_keys.begin("logs.example.com/campaign", actor="tests")
        fresh.migrate_source("app")
    aegis = use(load_settings())
    for name, (table, words) in POLICIES.items():
        privacy.register_retention_policy(name, table, retention_days=30, datasource="app", **words)
        privacy.approve_retention_policy(name, PERSON.email)
    budgets.create_budget(BUDGET, epsilon=RELEASES / 10, actor=PERSON.email)
    return aegis
