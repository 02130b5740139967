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


def spelled(connection: sa.Connection, query: sa.Select[Any]) -> str:
    """Return a query as a person would type it, its values written out; it is shown and never executed.

    Raises:
        sqlalchemy.exc.CompileError: a value has no literal form.

    """
    text = str(query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
    # For a driver that formats, each per cent sign was doubled.
    return text.replace("%%", "%") if connection.dialect.paramstyle in {"format", "pyformat"} else text
