"""Everything in which the databases differ: here drivers, sessions, clocks and upserts.

What a transaction is begun with stands in `transactions`, what an error means in `faults`.

Tested: PostgreSQL 15 to 18, MariaDB from 10.11, SQLite from 3.40. MySQL 8 is written for, untested.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url

from aegis.db import faults
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


#: Seconds that SQLite waits for another writer.
SQLITE_BUSY_SECONDS: Final = 10
#: Pages that SQLite may hold for one connection; it takes what a transaction touches, no more.
SQLITE_CACHE_KIB: Final = 65_536


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
        if faults.duplicate(error):
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
