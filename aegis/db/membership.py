"""A column's value among many, in one parameter where that can be.

PostgreSQL takes a list as one array, so that a statement is as short for thousands of values as for one, and
is read by driver and server in no time. Elsewhere, and for types that nobody should make arrays of, each
value has a parameter of its own.
"""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

#: Types of texts that compare as they are; CHAR(n) does not.
_TEXTS: Final = (sa.String, sa.Text, sa.Unicode, sa.VARCHAR, sa.TEXT)


class _Among(FunctionElement[Any]):
    # Without a type: where a database has no booleans, `= 1` would stand behind one, and no index be found.
    inherit_cache = True


def among(column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that a column has one of these values, none of which is NULL."""
    # Given so, and not as a list, the values are looked at once, by the driver.
    listed = column.in_(sa.bindparam(None, list(values), column.type, expanding=True, unique=True))
    kind = _of_array(column.type)
    if kind is None:
        return listed
    array = sa.bindparam(None, list(values), sa.ARRAY(kind), unique=True)
    return _Among(listed, column == sa.any_(array))


def _of_array(kind: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any] | None:
    if isinstance(kind, sa.Integer):
        return kind
    if type(kind) in {sa.Uuid, sa.UUID}:
        return kind
    # Without its length: a cast to that would cut what is longer, and then it is equal.
    return sa.String() if type(kind) in _TEXTS else None


@compiles(_Among)
def _by_list(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    listed, _ = element.clauses
    return f"({compiler.process(listed, **options)})"


@compiles(_Among, "postgresql")
def _by_array(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    _, array = element.clauses
    return f"({compiler.process(array, **options)})"
