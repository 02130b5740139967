"""Everything in which the databases differ: sessions, clocks, locks and error codes.

Tested: PostgreSQL 15 to 18, MariaDB from 10.11, SQLite from 3.40. MySQL 8 is written for, untested.
"""

import datetime as dt
import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url

from aegis.db.compiling import spelled
from aegis.errors import SettingsError

POSTGRESQL: Final = "postgresql"
SQLITE: Final = "sqlite"
MARIADB: Final = frozenset({"mariadb", "mysql"})

DRIVERS: Final[Mapping[str, str]] = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mariadb": "mariadb+pymysql",
    "mysql": "mysql+pymysql",
    "sqlite": "sqlite",
}

_DUPLICATE: Final = "1062"

#: Seconds that SQLite waits for another writer.
SQLITE_BUSY_SECONDS: Final = 10
#: Pages that SQLite may hold for one connection; it takes what a transaction touches, no more.
SQLITE_CACHE_KIB: Final = 65_536
#: Where a connection keeps how long a statement of its transaction may take.
STATEMENT_SECONDS: Final = "aegis_statement_seconds"


class Fault(enum.Enum):
    """What a database error means to the rooms above."""

    LOCKED = "a lock was not granted in time"
    DEADLOCK = "a deadlock or a serialization failure"
    TOO_LONG = "a statement took longer than its limit"
    GONE = "the connection was lost"
    HIDDEN = "row-level security would hide rows"
    RIGHTS = "a right is missing"
    LOGIN = "the login was refused"
    FULL = "the server has no disk, memory or connection left"
    REFERENCED = "rows of another table still refer to these"
    CONSTRAINT = "a constraint of the table objects"
    MISSING = "a table or column does not exist"
    OTHER = "the database refused a statement"

    @property
    def passes(self) -> bool:
        """Whether trying again later, or with fewer rows, can help."""
        return self in {Fault.LOCKED, Fault.DEADLOCK, Fault.TOO_LONG, Fault.GONE, Fault.FULL}


_CODES: Final[Mapping[str, Fault]] = {
    # PostgreSQL names an error by its SQLSTATE,
    "55P03": Fault.LOCKED,
    "40P01": Fault.DEADLOCK,
    "40001": Fault.DEADLOCK,
    "57014": Fault.TOO_LONG,
    "57P01": Fault.GONE,
    "57P02": Fault.GONE,
    "57P03": Fault.GONE,
    "25006": Fault.GONE,
    "53100": Fault.FULL,
    "53200": Fault.FULL,
    "53300": Fault.FULL,
    "53400": Fault.FULL,
    "58030": Fault.FULL,
    "28P01": Fault.LOGIN,
    "28000": Fault.LOGIN,
    "42501": Fault.RIGHTS,
    "23503": Fault.REFERENCED,
    "23001": Fault.REFERENCED,
    "23502": Fault.CONSTRAINT,
    "23505": Fault.CONSTRAINT,
    "23514": Fault.CONSTRAINT,
    "22001": Fault.CONSTRAINT,
    "22003": Fault.CONSTRAINT,
    "42P01": Fault.MISSING,
    "42703": Fault.MISSING,
    "3F000": Fault.MISSING,
    # MariaDB by a number,
    "1205": Fault.LOCKED,
    "1213": Fault.DEADLOCK,
    "1020": Fault.DEADLOCK,
    "1969": Fault.TOO_LONG,
    "3024": Fault.TOO_LONG,
    "2006": Fault.GONE,
    "2013": Fault.GONE,
    "2003": Fault.GONE,
    "1927": Fault.GONE,
    "1290": Fault.GONE,
    "1021": Fault.FULL,
    "1026": Fault.FULL,
    "1037": Fault.FULL,
    "1040": Fault.FULL,
    "1041": Fault.FULL,
    "1114": Fault.FULL,
    "1203": Fault.FULL,
    "1045": Fault.LOGIN,
    "1044": Fault.RIGHTS,
    "1142": Fault.RIGHTS,
    "1143": Fault.RIGHTS,
    "1227": Fault.RIGHTS,
    "1370": Fault.RIGHTS,
    "1451": Fault.REFERENCED,
    "1452": Fault.REFERENCED,
    "1048": Fault.CONSTRAINT,
    "1062": Fault.CONSTRAINT,
    "4025": Fault.CONSTRAINT,
    "3819": Fault.CONSTRAINT,
    "1264": Fault.CONSTRAINT,
    "1366": Fault.CONSTRAINT,
    "1406": Fault.CONSTRAINT,
    "1146": Fault.MISSING,
    "1054": Fault.MISSING,
    # SQLite by the name of its extended result code.
    "SQLITE_BUSY": Fault.LOCKED,
    "SQLITE_BUSY_SNAPSHOT": Fault.LOCKED,
    "SQLITE_LOCKED": Fault.LOCKED,
    "SQLITE_INTERRUPT": Fault.TOO_LONG,
    "SQLITE_CANTOPEN": Fault.GONE,
    "SQLITE_READONLY": Fault.RIGHTS,
    "SQLITE_CONSTRAINT_FOREIGNKEY": Fault.REFERENCED,
    "SQLITE_CONSTRAINT_TRIGGER": Fault.CONSTRAINT,
    "SQLITE_CONSTRAINT_NOTNULL": Fault.CONSTRAINT,
    "SQLITE_CONSTRAINT_UNIQUE": Fault.CONSTRAINT,
    "SQLITE_CONSTRAINT_CHECK": Fault.CONSTRAINT,
}


def engine_url(url: str) -> URL:
    """Return the URL with the driver that Aegis brings for its database.

    Raises:
        SettingsError: the URL cannot be read, or names a database that Aegis does not know.

    """
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError:
        message = "a database URL cannot be read; expected for example postgresql://user@host/name"
        raise SettingsError(message) from None
    name = parsed.drivername.partition("+")[0]
    if name not in DRIVERS:
        known = ", ".join(sorted({"postgresql", "mariadb", "mysql", "sqlite"}))
        message = f"a database URL begins with {name}://, which Aegis does not know; known: {known}"
        raise SettingsError(message)
    if name == SQLITE and (not parsed.database or parsed.database == ":memory:"):
        message = "an SQLite URL must name a file: sqlite:////path/to/file.db"
        raise SettingsError(message)
    return parsed.set(drivername=DRIVERS[name])


def connect_arguments(url: URL) -> dict[str, Any]:
    """Return the driver's arguments: names, time-outs, no server-side prepared statements.

    Without prepared statements every batch is planned with its real bounds, and a pooler in
    transaction mode works.
    """
    name = url.get_backend_name()
    if name == POSTGRESQL:
        return {"connect_timeout": 10, "prepare_threshold": None, "application_name": "aegis"}
    if name in MARIADB:
        return {"connect_timeout": 10, "charset": "utf8mb4", "program_name": "aegis"}
    return {"timeout": SQLITE_BUSY_SECONDS}


#: A role named like the journal's schema would find, and create, unqualified names in there.
_NOT_OUR_SCHEMA: Final = (
    "SELECT set_config('search_path', replace(current_setting('search_path'), '\"$user\"', 'public'), false)"
    " WHERE current_user = 'aegis'"
)


def session_statements(name: str, *, own: bool) -> list[str]:
    """Return the statements that prepare a new connection.

    Args:
        name: the dialect.
        own: the database is Aegis's own, so that its journal mode is ours to choose.

    """
    if name == POSTGRESQL:
        return [_NOT_OUR_SCHEMA]
    if name in MARIADB:
        return [
            "SET SESSION time_zone = '+00:00'",
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
            "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
        ]
    pragmas = [
        "PRAGMA foreign_keys = ON",
        "PRAGMA secure_delete = ON",
        # What does not fit is written and synced in mid-batch, and shuts readers out until its end.
        f"PRAGMA cache_size = -{SQLITE_CACHE_KIB}",
    ]
    if own:
        pragmas += ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"]
    return pragmas


def session_of_others(connection: sa.Connection, seen_by: "SeenBy | None") -> list[str]:
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


def now(connection: sa.Connection) -> dt.datetime:
    """Return the database's own clock as an aware datetime in UTC."""
    name = connection.dialect.name
    if name == POSTGRESQL:
        stamp = connection.scalar(sa.select(sa.func.clock_timestamp()))
        return _aware(stamp)
    if name in MARIADB:
        return _aware(connection.scalar(sa.select(sa.func.utc_timestamp(6))))
    text = connection.scalar(sa.select(sa.func.strftime("%Y-%m-%d %H:%M:%f", "now")))
    return dt.datetime.fromisoformat(str(text)).replace(tzinfo=dt.UTC)


def _aware(stamp: Any) -> dt.datetime:
    moment: dt.datetime = stamp
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def insert_missing(connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless one of its unique keys is taken; return whether it was inserted."""
    name = connection.dialect.name
    if name in MARIADB:
        return _insert_or_duplicate(connection, table, values)
    insert = postgresql.insert(table) if name == POSTGRESQL else sqlite.insert(table)
    statement = insert.values(**values).on_conflict_do_nothing()
    counted = connection.execute(statement, execution_options={"preserve_rowcount": True})
    return counted.rowcount == 1


def insert_all_missing(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, all with the same columns, but for those of which a unique key is taken."""
    if not rows:
        return
    name = connection.dialect.name
    if name in MARIADB:
        for values in rows:
            _insert_or_duplicate(connection, table, values)
        return
    insert = postgresql.insert(table) if name == POSTGRESQL else sqlite.insert(table)
    connection.execute(insert.on_conflict_do_nothing(), [dict(values) for values in rows])


def _insert_or_duplicate(connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> bool:
    # INSERT IGNORE would also let wrong data pass with a warning.
    try:
        connection.execute(table.insert().values(**values))
    except sa.exc.IntegrityError as error:
        if _code(error) == _DUPLICATE:
            return False
        raise
    return True


def default_of(connection: sa.Connection, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """Return what ON DELETE SET DEFAULT puts into a column."""
    if connection.dialect.name == POSTGRESQL:
        return sa.literal_column("DEFAULT")
    default = column.server_default
    written = getattr(default, "arg", None)
    return sa.null() if written is None else sa.literal_column(f"({written})")


def default_schema(connection: sa.Connection) -> str | None:
    """Return the schema in which this session finds a table that is named without one."""
    if connection.dialect.name == POSTGRESQL:
        # Not what the driver found when it connected: the session's path may have been set since.
        found = connection.scalar(sa.select(sa.func.current_schema()))
        return None if found is None else str(found)
    return connection.dialect.default_schema_name


def as_text(connection: sa.Connection, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the column as what JSON can hold, from which `as_value` gets exactly the same value again."""
    name = connection.dialect.name
    if name == POSTGRESQL:
        return sa.cast(column, sa.Text)
    if name in MARIADB and not isinstance(column.type, sa.Integer):
        return sa.cast(column, sa.CHAR)
    # SQLite: as it is stored, whatever the type that was declared.
    return sa.type_coerce(column, sa.types.NullType())


def as_value(connection: sa.Connection, text: Any, kind: sa.types.TypeEngine[Any]) -> sa.ColumnElement[Any]:
    """Return a value that was read by `as_text`, to compare a column of its type with."""
    if connection.dialect.name == POSTGRESQL:
        return sa.cast(sa.literal(text, sa.Text), kind)
    return sa.literal(text)


#: SQLite names an error by a word, with others behind it.
_SQLITE: Final[Mapping[str, Fault]] = {
    "SQLITE_BUSY": Fault.LOCKED,
    "SQLITE_FULL": Fault.FULL,
    "SQLITE_IOERR": Fault.FULL,
}
#: What PostgreSQL says to a role that may not connect, in whichever language: the privilege keeps its name.
_NO_CONNECT: Final = re.compile(r"FATAL:[^\n]*\n\s*\w+:[^\n]*\bCONNECT\b")


def fault_of(error: sa.exc.DBAPIError) -> Fault:
    """Return what a database error means."""
    if error.connection_invalidated:
        return Fault.GONE
    code = _code(error)
    if code == "42501" and "row-level security" in str(error.orig):
        return Fault.HIDDEN
    if code in _CODES:
        return _CODES[code]
    for family, fault in _SQLITE.items():
        if code.startswith(family):
            return fault
    if code.startswith("08") or (not code and isinstance(error, sa.exc.OperationalError)):
        return Fault.LOGIN if "password" in str(error.orig) else Fault.GONE
    return Fault.MISSING if "no such table" in str(error.orig) else Fault.OTHER


def describe(error: sa.exc.DBAPIError) -> str:
    """Return a sentence about a database error without the data that its text quotes."""
    diagnosis = getattr(error.orig, "diag", None)
    named = getattr(diagnosis, "constraint_name", None) or getattr(diagnosis, "table_name", None)
    parts = [type(error.orig).__name__, _code(error), f"on {named}" if named else ""]
    return f"{fault_of(error).value} ({' '.join(part for part in parts if part)})"


def _code(error: sa.exc.DBAPIError) -> str:
    cause = error.orig
    arguments = getattr(cause, "args", ())
    # MariaDB's number first: its driver also has an SQLSTATE, which is one for many errors.
    if arguments and isinstance(arguments[0], int):
        return str(arguments[0])
    known = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    if known is None and _NO_CONNECT.search(str(cause)):
        # The driver has no SQLSTATE of a connection that was refused.
        return "42501"
    return str(known or "")
