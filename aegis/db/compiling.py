"""What goes to the driver: the parts of expressions of our own, and statements that take another way."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


def parts(element: FunctionElement[Any], compiler: SQLCompiler, options: dict[str, Any]) -> list[str]:
    """Return the SQL of each argument of an expression."""
    return [compiler.process(part, **options) for part in element.clauses]


@contextmanager
def driver_errors(connection: sa.Connection, text: str) -> Iterator[None]:
    """Raise an error of the driver as SQLAlchemy does, without values."""
    base = connection.dialect.loaded_dbapi.Error
    try:
        yield
    except base as error:
        raise sa.exc.DBAPIError.instance(text, None, error, base, hide_parameters=True) from error
