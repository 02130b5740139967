"""Random tokens that stand in for a value, made by the database itself, one for each row.

A surrogate says nothing of the value that it replaced, and nobody can link two of them. It has a
form of its own, so that a masked value is recognised and never masked again.
"""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

#: Begins every surrogate; the digit is the version of its form.
PREFIX: Final = "s1_"
_DIGITS: Final = 32
#: Characters of a surrogate.
LENGTH: Final = len(PREFIX) + _DIGITS


class _Surrogate(FunctionElement[str]):
    # Not deterministic: the database makes another one for each row.
    inherit_cache = True
    type = sa.String()


class _IsSurrogate(FunctionElement[bool]):
    inherit_cache = True
    type = sa.Boolean()


def surrogate() -> sa.ColumnElement[str]:
    """Return the expression that makes a new surrogate in each row."""
    return _Surrogate()


def is_surrogate(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that a text is a surrogate, and nothing before or behind it."""
    return _IsSurrogate(column)


@compiles(_Surrogate, "postgresql")
def _of_uuid(element: _Surrogate, compiler: SQLCompiler, **options: Any) -> str:
    del element, compiler, options
    # A hundred random bits through a hash: a call of the cryptographic generator for each row costs more
    # than the row's change, and whoever could foresee a surrogate would know nothing of what it replaced.
    bits = "float8send(random()) || float8send(random())"
    return f"('{PREFIX}' || encode(substr(sha256({bits}), 1, {_DIGITS // 2}), 'hex'))"


@compiles(_Surrogate, "mysql", "mariadb")
def _of_bytes(element: _Surrogate, compiler: SQLCompiler, **options: Any) -> str:
    del element, compiler, options
    return f"CONCAT('{PREFIX}', LOWER(HEX(RANDOM_BYTES(16))))"


@compiles(_Surrogate, "sqlite")
def _of_blob(element: _Surrogate, compiler: SQLCompiler, **options: Any) -> str:
    del element, compiler, options
    return f"('{PREFIX}' || lower(hex(randomblob(16))))"


@compiles(_IsSurrogate, "postgresql")
def _by_expression(element: _IsSurrogate, compiler: SQLCompiler, **options: Any) -> str:
    # The cast takes the padding off a CHAR and the indifference to case off a CITEXT.
    text = f"CAST({_column(element, compiler, options)} AS TEXT)"
    # Most values do not begin so, which costs a fraction of the pattern.
    return f"(starts_with({text}, '{PREFIX}') AND {text} ~ '^{PREFIX}[0-9a-f]{{{_DIGITS}}}$')"


@compiles(_IsSurrogate, "mysql", "mariadb")
def _by_letters(element: _IsSurrogate, compiler: SQLCompiler, **options: Any) -> str:
    # The length too: `$` also matches before a line's end.
    column = _column(element, compiler, options)
    exact = f"CONVERT({column} USING utf8mb4) COLLATE utf8mb4_bin"
    return f"(CHAR_LENGTH({column}) = {LENGTH} AND {exact} REGEXP '^{PREFIX}[0-9a-f]{{{_DIGITS}}}$')"


@compiles(_IsSurrogate, "sqlite")
def _by_glob(element: _IsSurrogate, compiler: SQLCompiler, **options: Any) -> str:
    return f"({_column(element, compiler, options)} GLOB '{PREFIX}{'[0-9a-f]' * _DIGITS}')"


def _column(element: _IsSurrogate, compiler: SQLCompiler, options: dict[str, Any]) -> str:
    (column,) = element.clauses
    return compiler.process(column, **options)
