"""Rows out of PostgreSQL and back by COPY: lines of its text format, in UTF-8, many at a time.

A value is the text that its type's own output function writes, for the type's input function to
read; nothing in between knows the types, or looks at a row.
"""

import contextlib
from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa

from aegis.db.compiling import driver_errors

#: Rows that are handed on together: few enough for wide ones, enough to be quick with narrow ones.
_TOGETHER: Final = 100
#: Whatever the session's own encoding is.
_ENCODED: Final = "(ENCODING 'UTF8')"


def copy_out(connection: sa.Connection, statement: sa.ClauseElement) -> Generator[bytes]:
    """Run a statement that returns rows and yield them as lines, whole ones with their newlines.

    Close it before the transaction ends: until then the connection can do nothing else.
    """
    compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    text = f"COPY ({compiled}) TO STDOUT {_ENCODED}"
    with _cursor(connection, text) as cursor, cursor.copy(*_given(text, compiled.params)) as copy:
        while lines := b"".join(islice(copy, _TOGETHER)):
            yield lines


def copy_in(connection: sa.Connection, into: str, lines: Iterable[bytes]) -> int:
    """Load lines, each without its newline, and return how many rows they were.

    Args:
        connection: in the transaction of the caller.
        into: the table with its columns, quoted.
        lines: what `copy_out` wrote.

    """
    text, rest = f"COPY {into} FROM STDIN {_ENCODED}", iter(lines)
    with _cursor(connection, text) as cursor:
        with cursor.copy(*_given(text, {})) as copy:
            while some := b"".join(line + b"\n" for line in islice(rest, _TOGETHER)):
                copy.write(some)
        return int(cursor.rowcount)


def _given(text: str, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return what the driver takes: where it gets no value it does not read `%%` as a percent sign."""
    return (text, values) if values else (text.replace("%%", "%"), {})


@contextlib.contextmanager
def _cursor(connection: sa.Connection, text: str) -> Iterator[Any]:
    driver: Any = connection.connection.cursor()
    with driver_errors(connection, text), contextlib.closing(driver) as cursor:
        yield cursor
