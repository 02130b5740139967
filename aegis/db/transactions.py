"""What a transaction is begun with: limits, row security, one view, and how values are written."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from aegis.db.compiling import spelled
from aegis.db.dialects import MARIADB, POSTGRESQL, SQLITE, SQLITE_BUSY_SECONDS

#: Where a connection keeps how long a statement of its transaction may take.
STATEMENT_SECONDS: Final = "aegis_statement_seconds"
#: How long a transaction may stand still at least, before PostgreSQL ends its session.
_IDLE_MS: Final = 10_000
#: What makes every statement of a transaction see the same rows, or fail and be tried again.
_ONE_VIEW: Final[Mapping[str, str]] = {
    POSTGRESQL: "REPEATABLE READ",
    # InnoDB's repeatable read would let its deletes see newer rows than its looks.
    "mariadb": "SERIALIZABLE",
    "mysql": "SERIALIZABLE",
}


@dataclass(frozen=True, kw_only=True)
class SeenBy:
    """A tenant through whose session a database is looked at (PostgreSQL)."""

    #: What the row policies of the application read.
    setting: str
    tenant: str


def begin_work(
    connection: sa.Connection,
    *,
    lock_ms: int,
    statement_ms: int,
    one_view: bool = False,
    seen_by: SeenBy | None = None,
) -> None:
    """Prepare the open transaction for one batch: limits, UTC, and row security off.

    With row security off, a row that a policy would hide is an error and never a zero.

    Args:
        connection: with a transaction that has done nothing yet.
        lock_ms: how long a lock is waited for.
        statement_ms: how long a statement may take.
        one_view: all statements see the same rows. SQLite lets nobody else write anyhow.
        seen_by: row security stays on, and shows what this tenant's session sees.

    """
    name = connection.dialect.name
    if one_view and name in _ONE_VIEW:
        connection.exec_driver_sql(f"SET TRANSACTION ISOLATION LEVEL {_ONE_VIEW[name]}")
    if name == POSTGRESQL:
        limits = {
            "row_security": "on" if seen_by else "off",
            **({seen_by.setting: seen_by.tenant} if seen_by else {}),
            "lock_timeout": f"{lock_ms}ms",
            "statement_timeout": f"{statement_ms}ms",
            # On a busy machine nothing happens for a while between two statements, however short they are.
            "idle_in_transaction_session_timeout": f"{max(statement_ms * 4, _IDLE_MS)}ms",
            "TimeZone": "UTC",
            "DateStyle": "ISO, YMD",
        }
        columns = [sa.func.set_config(key, value, sa.true()) for key, value in limits.items()]
        connection.execute(sa.select(*columns))
    elif name in MARIADB:
        connection.exec_driver_sql(f"SET innodb_lock_wait_timeout = {max(1, lock_ms // 1000)}")
        limit_statements(connection, statement_ms)
    else:
        # The transaction has begun; from here on it is readers of a file without WAL that are waited for.
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {lock_ms}")
        limit_statements(connection, statement_ms)


def limit_statements(connection: sa.Connection, milliseconds: int) -> None:
    """Let no further statement of the open transaction take longer than this; MySQL limits SELECTs only."""
    name = connection.dialect.name
    if name == POSTGRESQL:
        limit = sa.func.set_config("statement_timeout", f"{milliseconds}ms", sa.true())
        connection.execute(sa.select(limit))
        return
    if name in MARIADB:
        connection.exec_driver_sql(_statement_limit(connection, str(milliseconds / 1000), str(milliseconds)))
    connection.info[STATEMENT_SECONDS] = milliseconds / 1000


def lift_limits(connection: sa.Connection) -> None:
    """Take away the limits of an earlier transaction; PostgreSQL's end with it."""
    if connection.info.pop(STATEMENT_SECONDS, None) is None:
        return
    if connection.dialect.name == SQLITE:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {1000 * SQLITE_BUSY_SECONDS}")
    else:
        connection.exec_driver_sql(_statement_limit(connection, "DEFAULT", "DEFAULT"))


def _statement_limit(connection: sa.Connection, seconds: str, milliseconds: str) -> str:
    if getattr(connection.dialect, "is_mariadb", False):
        return f"SET max_statement_time = {seconds}"
    return f"SET max_execution_time = {milliseconds}"


def see_every_row(connection: sa.Connection) -> None:
    """Make it an error, until the transaction ends, that row security would hide a row; no limits are set."""
    if connection.dialect.name == POSTGRESQL:
        connection.execute(sa.select(sa.func.set_config("row_security", "off", sa.true())))


def begin_snapshot(connection: sa.Connection) -> None:
    """Make the transaction that was just begun read one state of the database, and write nothing.

    It takes no lock that another session could wait for. SQLite's transactions are snapshots anyway.
    """
    if connection.dialect.name != SQLITE:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


@contextmanager
def unwritable(connection: sa.Connection) -> Iterator[None]:
    """Let SQLite refuse to write; the transactions that `begin_snapshot` begins elsewhere do so anyway.

    MariaDB's refuses to write rows; what defines a table ends it.
    """
    if connection.dialect.name != SQLITE:
        yield
        return
    connection.exec_driver_sql("PRAGMA query_only = ON")
    try:
        yield
    finally:
        connection.exec_driver_sql("PRAGMA query_only = OFF")


def count_among_the_dead(connection: sa.Connection, *, indexed: bool) -> None:
    """Make the open transaction count, without writing, where nearly every row was just deleted.

    PostgreSQL's plain index scan marks each dead entry that it meets. With data checksums every page
    that it marks goes to the WAL: a tenth of what the deletion itself had written. A bitmap marks none.

    Args:
        connection: a reading transaction.
        indexed: an index answers what is counted, so that the table need not be read for it.

    """
    if connection.dialect.name == POSTGRESQL:
        ways = ["enable_indexscan", "enable_indexonlyscan", *["enable_seqscan"] * indexed]
        off = [sa.func.set_config(way, "off", sa.true()) for way in ways]
        alone = sa.func.set_config("max_parallel_workers_per_gather", "0", sa.true())
        connection.execute(sa.select(*off, alone))


def write_exactly(connection: sa.Connection) -> None:
    """Make PostgreSQL write, and read, every value as text without losing anything, until the commit."""
    exact = {
        "extra_float_digits": "3",
        "bytea_output": "hex",
        "IntervalStyle": "postgres",
        "lc_monetary": "C",
        "xmloption": "content",
    }
    if connection.dialect.name == POSTGRESQL:
        connection.execute(sa.select(*[sa.func.set_config(key, exact[key], sa.true()) for key in exact]))


@contextmanager
def values_as_given(connection: sa.Connection) -> Iterator[None]:
    """Let MariaDB take every value that a table of it can hold: a key of 0, dates that are none."""
    if connection.dialect.name not in MARIADB:
        yield
        return
    usual = connection.scalar(sa.text("SELECT @@SESSION.sql_mode"))
    given = "STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO"
    connection.execute(sa.text("SET SESSION sql_mode = :mode"), {"mode": given})
    try:
        yield
    finally:
        # A connection that is lost takes its mode along.
        with suppress(sa.exc.DBAPIError):
            connection.execute(sa.text("SET SESSION sql_mode = :mode"), {"mode": usual})


def session_of_others(connection: sa.Connection, seen_by: SeenBy | None) -> list[str]:
    """Return the statements that let a session of somebody else read values and rows as ours does."""
    name = connection.dialect.name
    if name == POSTGRESQL:
        if seen_by is None:
            return ["SET row_security = off", "SET TimeZone = 'UTC'"]
        tenant = sa.select(sa.func.set_config(seen_by.setting, seen_by.tenant, sa.false()))
        return ["SET row_security = on", "SET TimeZone = 'UTC'", spelled(connection, tenant)]
    if name in MARIADB:
        mode = connection.scalar(sa.text("SELECT @@SESSION.sql_mode"))
        return ["SET NAMES utf8mb4", "SET time_zone = '+00:00'", f"SET sql_mode = '{mode}'"]
    return []
