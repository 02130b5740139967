"""Engines: made lazily, one per database and process, and dropped after a fork.

A connection that two processes share returns the rows of one to the other, so no connection
crosses a fork.
"""

import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event

from aegis.db import dialects, faults, functions, transactions
from aegis.db.faults import Fault
from aegis.db.lacking import lacking
from aegis.db.passwords import read_password
from aegis.errors import (
    AegisError,
    NotPrepared,
    OperationFailed,
    Passing,
    Refused,
    SettingsError,
    TooLong,
    Unreachable,
    UnsafeTable,
)
from aegis.settings import Settings, SourceSettings

#: What errors call the control database.
CONTROL: Final = "control database"

_READ = "aegis_read"
#: When the statement at work is ended (SQLite).
_UNTIL: Final = "aegis_until"
#: Steps of SQLite's machine between two looks at the clock: well under a millisecond.
_STEPS: Final = 10_000


class Databases:
    """The control database, the key store and the data sources of one process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._process = os.getpid()
        self._engines: dict[str, sa.Engine] = {}

    @property
    def control(self) -> sa.Engine:
        """The control database."""
        return self._engine("control", self.settings.control, own=True)

    @property
    def keys(self) -> sa.Engine:
        """The key store."""
        return self._engine("keys", self.settings.keys, own=True)

    def source(self, name: str) -> sa.Engine:
        """Return the engine of a data source; unknown names are refused."""
        source = self.settings.source(name)
        if source == self.settings.control:
            return self.control
        return self._engine(f"source:{name}", source, own=False)

    def verifier(self, name: str) -> sa.Engine:
        """Return the engine of what only looks at a data source; its own, unless it names another."""
        source = self.settings.source(name)
        if source.verify is None:
            return self.source(name)
        return self._engine(f"verify:{name}", source.verifier, own=False)

    def after_fork(self) -> None:
        """Forget the parent's connections without closing them."""
        self._process = os.getpid()
        for engine in self._engines.values():
            engine.dispose(close=False)
        self._engines = {}

    def close(self) -> None:
        """Close every connection."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines = {}

    def _engine(self, label: str, source: SourceSettings, *, own: bool) -> sa.Engine:
        if self._process != os.getpid():
            self.after_fork()
        try:
            # Of two threads that make one at once both get the same: the other's has no connection yet.
            return self._engines.get(label) or self._engines.setdefault(label, make_engine(source, own=own))
        except SettingsError as error:
            message = f"setting {_setting(label)}: {error}"
            raise SettingsError(message) from None


def _setting(label: str) -> str:
    """Return the setting that has the URL of a database."""
    kind, _, name = label.partition(":")
    own = {"control": "database_url", "keys": "keys_url", "source": f"datasources.{name}.url"}
    return own.get(kind, f"datasources.{name}.verify.url")


def make_engine(source: SourceSettings, *, own: bool) -> sa.Engine:
    """Build an engine that hides parameters and reads its password on every connect.

    Args:
        source: where the database is.
        own: it is Aegis's own, so an SQLite file may be created and set to WAL.

    """
    url = dialects.engine_url(source.url)
    name = url.get_backend_name()
    if name == dialects.SQLITE and not own and not Path(str(url.database)).exists():
        message = f"the data source's SQLite file {url.database} does not exist; nothing was created"
        raise Unreachable(message)
    engine = sa.create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=name != dialects.SQLITE,
        pool_size=2,
        connect_args=dialects.connect_arguments(url),
    )
    _listen(engine, source, own=own)
    return engine


def _listen(engine: sa.Engine, source: SourceSettings, *, own: bool) -> None:
    name = engine.dialect.name

    @event.listens_for(engine, "do_connect")
    def _password(_dialect: Any, _record: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        password = read_password(source)
        if password is not None:
            kwargs["password"] = password

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        if name == dialects.SQLITE:
            connection.isolation_level = None
            functions.register(connection)
        cursor = connection.cursor()
        for statement in dialects.session_statements(name, own=own):
            cursor.execute(statement)
        cursor.close()
        if name == dialects.POSTGRESQL:
            connection.commit()

    if name != dialects.POSTGRESQL:
        event.listen(engine, "begin", transactions.lift_limits)

    if name == dialects.SQLITE:

        @event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            reads = connection.get_execution_options().get(_READ)
            connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

        _watch_statements(engine)


def _watch_statements(engine: sa.Engine) -> None:
    """End a statement of SQLite that takes longer than its limit; SQLite itself has none."""

    @event.listens_for(engine, "connect")
    def _look_at_the_clock(connection: Any, record: Any) -> None:
        def late() -> bool:
            until: float = record.info.get(_UNTIL, math.inf)
            return time.monotonic() > until

        connection.set_progress_handler(late, _STEPS)

    @event.listens_for(engine, "before_cursor_execute")
    def _start_the_clock(connection: sa.Connection, *_: Any) -> None:
        limit = connection.info.get(transactions.STATEMENT_SECONDS, math.inf)
        connection.info[_UNTIL] = time.monotonic() + limit

    @event.listens_for(engine, "commit")
    @event.listens_for(engine, "rollback")
    def _stop_the_clock(connection: sa.Connection) -> None:
        connection.info[_UNTIL] = math.inf


@contextmanager
def writing(engine: sa.Engine, label: str) -> Iterator[sa.Connection]:
    """Open one writing transaction; commit at the end, roll back on any error.

    Args:
        engine: the database.
        label: what to call the database in an error.

    Raises:
        AegisError: a database error, translated and without the data that it quotes.

    """
    with translated(label, engine), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: sa.Engine, label: str) -> Iterator[sa.Connection]:
    """Open one reading transaction."""
    with translated(label, engine), engine.connect() as plain:
        connection = plain.execution_options(**{_READ: True})
        with connection.begin():
            yield connection


@contextmanager
def snapshot(engine: sa.Engine, label: str) -> Iterator[sa.Connection]:
    """Open one reading transaction in which every query sees the same state of the database."""
    with reading(engine, label) as connection:
        transactions.begin_snapshot(connection)
        yield connection


@contextmanager
def looking(engine: sa.Engine, label: str, *, lock_ms: int, statement_ms: int) -> Iterator[sa.Connection]:
    """Open one reading transaction that can write nothing, with limits; a hidden row is an error.

    Args:
        engine: the database.
        label: what to call it in an error.
        lock_ms: how long a lock is waited for.
        statement_ms: how long a statement may take.

    """
    with snapshot(engine, label) as connection, transactions.unwritable(connection):
        transactions.begin_work(connection, lock_ms=lock_ms, statement_ms=statement_ms)
        yield connection


@contextmanager
def attempt(connection: sa.Connection, label: str) -> Iterator[None]:
    """Try something in an open transaction, which goes on as before when a database error ends it."""
    with translated(label, connection.engine), connection.begin_nested():
        yield


@contextmanager
def translated(label: str, engine: sa.Engine | None = None) -> Iterator[None]:
    """Turn a database error into Aegis's own, without the data that its text quotes.

    Args:
        label: what to call the database.
        engine: names the server where none could be connected to.

    """
    try:
        yield
    except sa.exc.StatementError as error:
        at = f"{label}{_server(engine)}" if engine is not None and error.statement is None else label
        raise _translate(error, at, engine) from None


def _server(engine: sa.Engine) -> str:
    """Return where a database is, without whoever connects to it."""
    url = engine.url
    place = f"{url.host}:{url.port}" if url.host and url.port else url.host or url.database
    return f" at {place}" if place else ""


def _translate(error: sa.exc.StatementError, label: str, engine: sa.Engine | None) -> AegisError:
    if not isinstance(error, sa.exc.DBAPIError):
        # It never came to the database; SQLAlchemy's own text quotes the value.
        found = type(error.orig).__name__
        return OperationFailed(f"{label}: a value is not of its column's type ({found}); nothing was done")
    fault = faults.fault_of(error)
    if fault is Fault.RIGHTS:
        return _refused(error, label, engine)
    if error.statement is None and fault is Fault.GONE:
        # There was no statement: it was never connected, or not any more when it was to commit.
        return Unreachable(f"{label} does not answer ({type(error.orig).__name__}); check that it runs there")
    kind, cure = _CURES[fault]
    source = _SOURCE.search(label)
    migrate = f"aegis migrate --datasource {source[1]}" if source else "aegis migrate"
    return kind(f"{label}: {faults.describe(error)}; {cure.format(migrate=migrate)}")


def _refused(error: sa.exc.DBAPIError, label: str, engine: sa.Engine | None) -> Refused:
    """Return the error for a right that is missing; it names the right where anybody can tell which."""
    lacks = lacking(engine, error) if engine is not None else []
    source = _SOURCE.search(label)
    command = f"`aegis grants {source[1]}` prints" if source else "`aegis grants DATASOURCE` prints"
    cure = f"as the owner: GRANT {'; '.join(lacks)}" if lacks else "grant the right to Aegis's role"
    return Refused(f"{label}: {faults.describe(error)}; {cure} ({command} all that Aegis needs)")


#: What a data source is called in an error.
_SOURCE: Final = re.compile(r"data source ([\w.-]*\w)")
_CURES: Final[Mapping[Fault, tuple[type[AegisError], str]]] = {
    Fault.LOCKED: (Passing, "another session holds it: try again when it has ended"),
    Fault.DEADLOCK: (Passing, "try again"),
    Fault.TOO_LONG: (
        TooLong,
        "raise retention.statement_timeout_milliseconds (for a count, retention.count_seconds)",
    ),
    Fault.GONE: (Unreachable, "check that it runs and is reachable"),
    Fault.LOGIN: (Unreachable, "check its user and password"),
    Fault.FULL: (Unreachable, "make room there, it goes on by itself"),
    Fault.HIDDEN: (UnsafeTable, "use a role that sees every row (the owner, or one with BYPASSRLS)"),
    Fault.CONSTRAINT: (Refused, "change the policy, or the constraint or trigger of the table"),
    Fault.REFERENCED: (UnsafeTable, "a policy for the referring table must run first"),
    Fault.MISSING: (NotPrepared, "if the table is Aegis's own, run `{migrate}`"),
    Fault.OTHER: (OperationFailed, "its words may quote a row and are not shown: look in the database's log"),
}
