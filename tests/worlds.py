"""A world: real databases in one of the supported layouts, an application's tables, and its rows."""

import datetime as dt
import hashlib
import json
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
import sqlalchemy as sa

from aegis.operations import claims
from aegis.operations.states import State
from aegis.operations.system import System, use
from aegis.settings import RetentionSettings, Settings, SourceSettings, ThrottleSettings
from api import privacy

#: Every layout that is promised: where the control database is, and where the application's tables are.
LAYOUTS: Final = ("sqlite-one", "sqlite+postgresql", "postgresql-one", "sqlite+mariadb", "mariadb-one")
#: Two SQLite files: each side can be restored alone by copying one.
SQLITE_TWO: Final = "sqlite+sqlite"
#: One layout for each kind of application database.
EACH_DATABASE: Final = ("sqlite-one", "postgresql-one", "mariadb-one")
#: Stands in every row and every name of a person; the log must never contain it.
CANARY: Final = "canary-7f3a"
ACTOR: Final = f"legal-{CANARY}@example.com"
DRIVERS: Final = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "mariadb": "mariadb+pymysql",
}
#: What an instant without a zone of its own, and so on, is called in each database.
TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "sqlite": {"instant": "TIMESTAMP", "wall": "DATETIME", "uuid": "CHAR(36)", "text": "VARCHAR(100)"},
    "postgresql": {
        "instant": "TIMESTAMPTZ",
        "wall": "TIMESTAMP",
        "uuid": "UUID",
        "text": "VARCHAR(100)",
    },
    "mariadb": {
        "instant": "TIMESTAMP(6) NULL",
        "wall": "DATETIME(6) NULL",
        "uuid": "UUID",
        "text": "VARCHAR(100)",
    },
}
#: Aegis's own tables that a look may write to: the log, and the first use of a name.
FIRST_USE: Final = frozenset({"audit_logs", "audit_pending", "aegis_actors", "aegis_sources"})
DAY: Final = dt.timedelta(days=1)
#: What other tests do on the same server must not hold back a run of this one.
UNTHROTTLED: Final = ThrottleSettings(
    lock_waits=0,
    active_sessions=0,
    replica_lag_seconds=0,
    wal_megabytes_per_second=0,
    slot_megabytes=0,
    longest_pause_seconds=0.1,
    look_milliseconds=0,
)


class Server(Protocol):
    """A database server of the tests."""

    def create_database(self, name: str) -> str:
        """Create a database and return its URL."""

    def drop_database(self, name: str) -> None:
        """Drop it."""


def on(*layouts: str) -> pytest.MarkDecorator:
    """Run a test in these layouts only."""
    return pytest.mark.parametrize("world", layouts, indirect=True)


def engine(url: str, *, keep: bool = False) -> sa.Engine:
    """Return an engine of the test's own, which keeps no connection, or those that cost much to make."""
    # Aegis's role may be named like the schema of its journal; the application keeps out of there.
    public = {"options": "-csearch_path=public"} if url.startswith("postgresql") else {}
    if keep and not url.startswith("sqlite"):
        return sa.create_engine(with_driver(url), pool_pre_ping=True, connect_args=public)
    made = sa.create_engine(with_driver(url), poolclass=sa.NullPool, connect_args=public)
    if made.dialect.name == "sqlite":

        @sa.event.listens_for(made, "connect")
        def _prepare(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA busy_timeout = 10000")
            connection.execute("PRAGMA foreign_keys = ON")

    return made


def with_driver(url: str) -> sa.URL:
    """Return the URL with the driver that is installed."""
    parsed = sa.make_url(url)
    return parsed.set(drivername=DRIVERS[parsed.get_backend_name()])


_WAITS: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@dataclass(kw_only=True)
class World:
    """Settings, a system, and the application's side of the same databases."""

    layout: str
    settings: Settings
    system: System
    #: The application's engine; none of Aegis's.
    app: sa.Engine
    #: The tests' own look at the control database.
    control: sa.Engine
    #: Why the account cannot balance in this test, if it cannot.
    unbalanced: str | None = None
    #: Rows that the test saw anonymized, and rows that lost a reference, by table.
    masked: Counter[str] = field(default_factory=Counter)
    nullified: Counter[str] = field(default_factory=Counter)
    #: Rows that the test saw come back from an archive, by table.
    restored: Counter[str] = field(default_factory=Counter)
    #: Further data sources by name, and the tables that are in one of them.
    others: dict[str, sa.Engine] = field(default_factory=dict)
    _places: dict[str, sa.Engine] = field(default_factory=dict)
    _born: Counter[str] = field(default_factory=Counter)
    _removed: Counter[str] = field(default_factory=Counter)
    _open: list[System] = field(default_factory=list)

    @property
    def dialect(self) -> str:
        """The application database's kind."""
        return self.app.dialect.name

    @property
    def datasource(self) -> str:
        """The name of the only data source."""
        return next(iter(self.settings.sources))

    @property
    def journal(self) -> str:
        """The journal's name in SQL."""
        return "aegis.aegis_journal" if self.dialect == "postgresql" else "aegis_journal"

    # -- the application -----------------------------------------------------------------

    def create(self, name: str, columns: str, after: str = "") -> None:
        """Create a table; `{instant}`, `{wall}`, `{uuid}` and `{text}` are types."""
        self.execute(f"CREATE TABLE {name} ({columns.format_map(TYPES[self.dialect])}) {after}")
        self.watch(name)

    def watch(self, name: str) -> None:
        """Account for the rows of a table that was created otherwise."""
        self._born[name] += 0

    def add_source(self, name: str, source: SourceSettings, tables: Mapping[str, str]) -> sa.Engine:
        """Add a data source with some tables, by name and columns; their rows are accounted for too."""
        made = self.others[name] = engine(source.url, keep=True)
        with made.begin() as connection:
            for table, columns in tables.items():
                connection.execute(sa.text(f"CREATE TABLE {table} ({columns})"))
                self._places[table] = made
                self.watch(table)
        self.configure(datasources={**self.settings.sources, name: source})
        self.system.migrate_source(name)
        return made

    def execute(self, statement: str, **values: Any) -> int:
        """Do one statement as the application, committed; return the rows it touched."""
        with self.app.begin() as connection:
            return connection.execute(sa.text(statement), values).rowcount

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows as the application; times become what the database keeps."""
        if not rows:
            return
        names = list(rows[0])
        values = ", ".join(f":{name}" for name in names)
        statement = sa.text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})")  # noqa: S608
        with self._places.get(table, self.app).begin() as connection:
            connection.execute(statement, [{k: self.value(v) for k, v in row.items()} for row in rows])
        self._born[table] += len(rows)

    def born(self, table: str, rows: int) -> None:
        """Account for rows that were inserted otherwise."""
        self._born[table] += rows

    def remove(self, table: str, where: str = "1 = 1", **values: Any) -> int:
        """Delete rows as the application, so that they are not Aegis's to account for."""
        with self._places.get(table, self.app).begin() as connection:
            gone = connection.execute(sa.text(f"DELETE FROM {table} WHERE {where}"), values).rowcount  # noqa: S608
        self._removed[table] += gone
        return gone

    def came_back(self, table: str, rows: int, *, inserted: bool = True) -> None:
        """Account for rows that a restore brought back: those that it inserted were born again."""
        self.restored[table] += rows
        if inserted:
            self._born[table] += rows

    def value(self, value: Any) -> Any:
        """Return what the database keeps for a value."""
        if isinstance(value, dt.datetime):
            return self._moment(value)
        if isinstance(value, dt.date):
            return value.isoformat() if self.dialect == "sqlite" else value
        if isinstance(value, uuid.UUID) and self.dialect != "postgresql":
            return str(value)
        return value

    def _moment(self, value: dt.datetime) -> Any:
        if self.dialect == "sqlite":
            return value.isoformat(sep=" ", timespec="microseconds")
        return value.replace(tzinfo=None) if self.dialect == "mariadb" else value

    def all(self, query: str, **values: Any) -> list[Any]:
        """Return the first column of every row."""
        with self.app.connect() as connection:
            return list(connection.execute(sa.text(query), values).scalars())

    def count(self, table: str, where: str = "1 = 1", **values: Any) -> int:
        """Count rows, in whichever source the table is."""
        query = sa.text(f"SELECT count(*) FROM {table} WHERE {where}")  # noqa: S608
        with self._places.get(table, self.app).connect() as connection:
            return int(connection.scalar(query, values) or 0)

    def lock_waits(self) -> int:
        """Count the sessions that wait for a row's lock."""
        if self.dialect == "postgresql":
            return int(self.all(_WAITS)[0])
        # Whoever asks again within a tenth of a second is shown what was shown before.
        time.sleep(0.15)
        return self.count("information_schema.innodb_trx", "trx_state = 'LOCK WAIT'")

    def gone(self) -> Counter[str]:
        """Return how many rows of each table are gone that the application did not delete."""
        return Counter(
            {name: born - self._removed[name] - self.count(name) for name, born in self._born.items()}
        )

    # -- the usual table -----------------------------------------------------------------

    def safety_events(self, *, index: bool = True) -> None:
        """Create the table that most tests use."""
        self.create(
            "safety_events",
            "id BIGINT PRIMARY KEY, tenant {text} NOT NULL, email {text}, kind {text}, created_at {instant}",
        )
        if index:
            self.execute("CREATE INDEX safety_events_by_time ON safety_events (created_at)")

    def events(
        self, ids: Sequence[int], age: float | None, *, tenant: str = "acme", kind: str = "low"
    ) -> None:
        """Insert safety events that are `age` days old, one second apart; None: without a time."""
        now = dt.datetime.now(dt.UTC)
        self.insert(
            "safety_events",
            [
                {
                    "id": number,
                    "tenant": tenant,
                    "email": f"{CANARY}.{number}@example.com",
                    "kind": kind,
                    "created_at": None if age is None else now - age * DAY + dt.timedelta(seconds=place),
                }
                for place, number in enumerate(ids)
            ],
        )

    def ids(self, table: str = "safety_events") -> list[Any]:
        """Return the ids that are there."""
        return self.all(f"SELECT id FROM {table} ORDER BY id")  # noqa: S608

    # -- hashes --------------------------------------------------------------------------

    def content(self, table: str, where: str = "1 = 1") -> str:
        """Return a hash of a table's content."""
        return content(self.app, table, where)

    def everything(self) -> dict[str, str]:
        """Return a hash of every table of the application and, but for first uses, of Aegis."""
        hashes = {f"app.{name}": content(self.app, name) for name in names(self.app)}
        hashes |= {f"own.{name}": content(self.control, name) for name in names(self.control)}
        hashes["journal"] = content(self.app, self.journal)
        return {name: text for name, text in hashes.items() if name.partition(".")[2] not in FIRST_USE}

    # -- policies and runs ---------------------------------------------------------------

    def policy(
        self, name: str = "p", table: str = "safety_events", *, approve: bool = True, **words: Any
    ) -> Any:
        """Register a policy of 30 days, and approve it."""
        words = {"retention_days": 30, **words}
        policy = privacy.register_retention_policy(name, table, **words)
        return privacy.approve_retention_policy(name, ACTOR) if approve else policy

    def enforce(self, *policies: str, **words: Any) -> dict[str, Any]:
        """Enforce one policy for real and return its report."""
        (report,) = privacy.enforce_retention_policies(
            dry_run=False, policies=policies or ["p"], actor=ACTOR, **words
        )
        return report

    def start(self, policy: str = "p", **words: Any) -> str:
        """Create a run and return its id; nobody works on it yet."""
        (run,) = privacy.create_retention_runs(str(uuid.uuid4()), policies=[policy], actor=ACTOR, **words)
        return run

    def begin(self, run: str) -> dt.datetime:
        """Fix the cutoff of a run, to the microsecond, before its first batch; return it."""
        cutoff = dt.datetime.now(dt.UTC).replace(microsecond=123_457) - 30 * DAY
        claimed = claims.claim(self.system, run)
        claims.note(self.system, claimed, moment=cutoff + 30 * DAY, cutoff=cutoff, rows_expected=0)
        claims.settle(self.system, claimed, State.RUNNING)
        return cutoff

    def finish(self, run: str) -> dict[str, Any]:
        """Advance a run until there is no more to do; return the last report."""
        for _ in range(1000):
            report = privacy.advance_run(run)
            if not report["more"]:
                return report
        message = f"run {run} does not end"
        raise AssertionError(message)

    def run_row(self, run: str) -> dict[str, Any]:
        """Return a run as the control database has it."""
        with self.control.connect() as connection:
            query = sa.text("SELECT * FROM aegis_runs WHERE id = :id")
            return dict(connection.execute(query, {"id": run}).mappings().one())

    def cutoff(self, run: str) -> dt.datetime:
        """Return the cutoff of a run that has begun."""
        stored = self.run_row(run)["cutoff"]
        moment = dt.datetime.fromisoformat(stored) if isinstance(stored, str) else stored
        return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)

    # -- systems -------------------------------------------------------------------------

    def another(self, **changes: Any) -> System:
        """Return a second system, as another process would have; closed after the test."""
        system = System(replace(self.settings, **changes))
        system.prepare()
        self._open.append(system)
        return system

    def configure(self, **changes: Any) -> System:
        """Go on with other settings."""
        self.settings = replace(self.settings, **changes)
        self.system = use(self.settings)
        return self.system

    def leave(self) -> None:
        """Have no connection open, so that a database can be copied or dropped."""
        self.system.close()
        self.app.dispose()
        self.control.dispose()

    def batches_of(self, rows: int) -> None:
        """Go on with batches that never take more rows."""
        limits = replace(self.settings.retention, first_batch_rows=rows, largest_batch_rows=rows)
        self.configure(retention=limits)

    def close(self) -> None:
        """Close every connection."""
        for system in (*self._open, self.system):
            system.close()
        for each in (self.app, self.control, *self.others.values()):
            each.dispose()


def names(database: sa.Engine) -> list[str]:
    """Return the names of a database's tables."""
    found = sa.inspect(database).get_table_names()
    return sorted(name for name in found if not name.startswith("aegis_journal"))


def content(database: sa.Engine, table: str, where: str = "1 = 1") -> str:
    """Return a hash of a table's rows in any order."""
    with database.connect() as connection:
        rows = connection.execute(sa.text(f"SELECT * FROM {table} WHERE {where}"))  # noqa: S608
        lines = sorted(json.dumps([*row], default=repr) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Builder:
    """Builds worlds from prepared homes and template databases."""

    home_template: Path
    #: Clones a prepared database: kind of server, `one` or `source`; returns its URL.
    clone: Callable[[str, str], str]

    def settings(self, layout: str, folder: Path) -> Settings:
        """Return the settings of a fresh world under a folder."""
        home = folder / "home"
        shutil.copytree(self.home_template, home, copy_function=shutil.copy2)
        gentle = RetentionSettings(
            pause_share=0.0, first_batch_rows=50, lock_timeout_milliseconds=1000, soft_landing_hours=0.0
        )
        plain = Settings(home=home, retention=gentle, throttle=UNTHROTTLED)
        control, plus, kind = layout.partition("+")
        if plus and kind == "sqlite":
            engine(f"sqlite:///{folder / 'app.db'}").connect().close()
            return replace(plain, datasources={"app": SourceSettings(url=f"sqlite:///{folder / 'app.db'}")})
        if plus:
            return replace(plain, datasources={"app": SourceSettings(url=self.clone(kind, "source"))})
        if control == "sqlite-one":
            return plain
        return replace(plain, database_url=self.clone(control.removesuffix("-one"), "one"))

    def build(self, layout: str, folder: Path) -> World:
        """Build a world and make its system the process's."""
        settings = self.settings(layout, folder)
        system = use(settings)
        if not layout.endswith("-one"):
            system.migrate_source("app")
        source = next(iter(settings.sources.values()))
        return World(
            layout=layout,
            settings=settings,
            system=system,
            app=engine(source.url, keep=True),
            control=engine(settings.control.url, keep=True),
        )
