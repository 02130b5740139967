"""The application's rows that everybody deletes from: the same for each contender of a scenario."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from aegis.settings import Settings

#: Rows of this age and older go, if nothing else is said; it is the middle of the table.
DAYS: Final = 90
#: Days between the oldest row and the newest.
SPAN: Final = 180
TENANTS: Final = 51
TABLE: Final = "safety_events"
_NUMBERS: Final = {
    "postgresql": "SELECT i FROM generate_series(1, :rows) AS g(i)",
    "mariadb": "SELECT seq AS i FROM seq_1_to_{rows}",
    "sqlite": "WITH RECURSIVE g(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM g WHERE i < :rows)"
    " SELECT i FROM g",
}
# No row is near the end of a day: whoever looks a minute later deletes the same rows.
_OFFSET: Final = "(floor(i * 180.0 / :rows) + 0.25 + 0.5 * (i * 180.0 / :rows - floor(i * 180.0 / :rows)))"
_MOMENT: Final = {
    "postgresql": f"CAST(:begin AS timestamptz) + {_OFFSET} * interval '1 day'",
    "mariadb": f"CAST(:begin AS DATETIME(6)) + INTERVAL ({_OFFSET} * 86400) SECOND",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%S', :begin,"
    f" '+' || CAST({_OFFSET} * 86400 AS INTEGER) || ' seconds')",
}
_TYPES: Final = {"postgresql": "timestamptz", "mariadb": "datetime(6)", "sqlite": "datetime"}
_TENANT: Final = {"mariadb": "concat('t', mod(i, {n}))"}
_SHUFFLED: Final = {"mariadb": "rand()"}


@dataclass(frozen=True, kw_only=True)
class Copy:
    """One table with its rows, for one contender."""

    app: sa.Engine
    table: str
    rows: int
    settings: Settings
    layout: str = "appended"
    #: Rows of this age and older go.
    days: int = DAYS
    #: The instant from which ages count.
    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC).replace(microsecond=0))

    @property
    def dialect(self) -> str:
        """The database's kind."""
        return self.app.dialect.name

    @property
    def cutoff(self) -> str:
        """The instant before which rows go, as every database reads it."""
        return self.moment(self.days)

    def moment(self, days: int) -> str:
        """Return the instant so many days ago."""
        zone = "+00:00" if self.dialect == "postgresql" else ""
        return f"{self.now - dt.timedelta(days=days):%Y-%m-%d %H:%M:%S}{zone}"

    def fill(self) -> None:
        """Create the table, its rows and its indexes."""
        with self.app.begin() as connection:
            for statement in self._tables():
                connection.exec_driver_sql(statement)
            connection.execute(sa.text(self._insert()), {"rows": self.rows, "begin": self.moment(SPAN)})
            for column in ("created_at", "tenant", "user_id"):
                connection.exec_driver_sql(f"CREATE INDEX {self.table}_{column} ON {self.table} ({column})")
        vacuum = {"postgresql": f"VACUUM ANALYZE {self.table}", "mariadb": f"ANALYZE TABLE {self.table}"}
        self.maintain(vacuum.get(self.dialect, "ANALYZE"))

    @property
    def due(self) -> int:
        """How many rows go, or nearly so many."""
        return self.rows * (SPAN - self.days) // SPAN

    def maintain(self, statement: str) -> None:
        """Do a statement outside every transaction."""
        with self.app.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql(statement)

    def left(self) -> tuple[int, ...]:
        """Return what tells the rows that are left: their number, their ids, and what is not masked."""
        query = f"SELECT count(*), coalesce(sum(id), 0), count(body) FROM {self.table}"  # noqa: S608
        with self.app.connect() as connection:
            return tuple(int(value) for value in connection.execute(sa.text(query)).one())

    def _tables(self) -> list[str]:
        clock = _TYPES[self.dialect]
        columns = f"id bigint NOT NULL, tenant varchar(20) NOT NULL, user_id int NOT NULL, created_at {clock}"
        if self.layout == "partitioned":
            whole = f"({columns} NOT NULL, body text, PRIMARY KEY (id, created_at))"
            parent = f"CREATE TABLE {self.table} {whole} PARTITION BY RANGE (created_at)"
            return [parent, *(self._partition(number) for number in range(6))]
        # Cleaning up after the one must not run while the other is measured.
        quiet = " WITH (autovacuum_enabled = false)" if self.dialect == "postgresql" else ""
        key = "INTEGER PRIMARY KEY" if self.dialect == "sqlite" else "bigint NOT NULL PRIMARY KEY"
        columns = columns.replace("bigint NOT NULL", key)
        return [f"CREATE TABLE {self.table} ({columns} NOT NULL, body text){quiet}"]

    def _partition(self, number: int) -> str:
        since, until = self.moment(181 - 30 * number), self.moment(151 - 30 * number)
        until = until if number < 5 else self.moment(-1)  # noqa: PLR2004 - the last of six
        bounds = f"FROM ('{since}') TO ('{until}')"
        quiet = "WITH (autovacuum_enabled = false)"
        return f"CREATE TABLE {self.table}_{number} PARTITION OF {self.table} FOR VALUES {bounds} {quiet}"

    def _insert(self) -> str:
        tenant = _TENANT.get(self.dialect, "'t' || (i % {n})").format(n=TENANTS)
        order = _SHUFFLED.get(self.dialect, "random()") if self.layout == "scattered" else "i"
        numbers = _NUMBERS[self.dialect].format(rows=self.rows)
        return (
            f"INSERT INTO {self.table} (id, tenant, user_id, created_at, body)"  # noqa: S608 - our own names
            f" SELECT i, {tenant}, i % 5000, {_MOMENT[self.dialect]}, '{'x' * 100}'"
            f" FROM ({numbers}) AS numbers ORDER BY {order}"
        )
