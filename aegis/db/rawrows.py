"""Rows as the driver has them, thousands at a time: for who reads a whole table against the clock."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from aegis.db import dialects

#: Runs a query with the values of its parameters.
Fetch = Callable[[Mapping[str, Any]], Sequence[Sequence[Any]]]


def fetcher(connection: sa.Connection, query: sa.Select[*tuple[Any, ...]]) -> Fetch:
    """Return how to run a query again and again over this connection.

    On PostgreSQL rows come in the binary format and as plain tuples, in half the time. Instants may then
    come in the session's time zone.
    """
    if connection.dialect.name != dialects.POSTGRESQL:
        return lambda values: connection.execute(query, values).all()
    compiled = query.compile(dialect=connection.dialect)
    text, dbapi = str(compiled), connection.dialect.loaded_dbapi
    cursor = connection.connection.cursor(binary=True)

    def fetch(values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        try:
            cursor.execute(text, compiled.construct_params(values))
            rows: Sequence[Sequence[Any]] = cursor.fetchall()
        except dbapi.Error as error:
            raise _wrapped(error, text, connection) from error
        return rows

    return fetch


def _wrapped(error: Any, text: str, connection: sa.Connection) -> BaseException:
    """Return the error as SQLAlchemy would raise it, without values."""
    wrapped: BaseException = sa.exc.DBAPIError.instance(
        text, None, error, connection.dialect.loaded_dbapi.Error, hide_parameters=True
    )
    return wrapped
