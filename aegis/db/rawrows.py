"""Rows as the driver has them, thousands at a time: for who reads a whole table against the clock."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.compiling import driver_errors

Rows = Sequence[Sequence[Any]]


class Fetcher:
    """Runs a query again and again.

    What was asked is answered when it is taken: on PostgreSQL, within `pipelined`, the server works
    on it meanwhile, and rows come in the binary format, in half the time.
    """

    def __init__(self, connection: sa.Connection, query: sa.Select[*tuple[Any, ...]]) -> None:
        self._connection = connection
        self._query = query
        self._asked: Mapping[str, Any] = {}
        self._cursor: Any = None
        if connection.dialect.name == dialects.POSTGRESQL:
            self._compiled = query.compile(dialect=connection.dialect)
            self._text = str(self._compiled)
            self._cursor = connection.connection.cursor(binary=True)

    def ask(self, values: Mapping[str, Any]) -> None:
        """Run the query with these values of its parameters."""
        self._asked = values
        if self._cursor:
            with driver_errors(self._connection, self._text):
                self._cursor.execute(self._text, self._compiled.construct_params(values))

    def take(self) -> Rows:
        """Return the rows that were asked for."""
        if self._cursor:
            with driver_errors(self._connection, self._text):
                rows: Rows = self._cursor.fetchall()
            return rows
        return self._connection.execute(self._query, self._asked).all()

    def __call__(self, values: Mapping[str, Any]) -> Rows:
        """Return the rows for these values."""
        self.ask(values)
        return self.take()


@contextmanager
def pipelined(connection: sa.Connection) -> Iterator[None]:
    """Let the server work on what is asked while something else is done here."""
    if connection.dialect.name != dialects.POSTGRESQL:
        yield
        return
    driver: Any = connection.connection.driver_connection
    with driver.pipeline():
        yield
