"""The key of one row, as a legal hold names it: a text for each column of the table's primary key."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from aegis.datamap.literals import Family, Raw, operand
from aegis.db.readings import exactly
from aegis.db.reflection import Layout
from aegis.errors import InvalidCondition, UnknownName, UsageError

_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_GROUP: Final = 200


def spell(key: Mapping[str, Any]) -> dict[str, str]:
    """Return a key as text, the way the command line gives it.

    Raises:
        UsageError: a value that no row can be told by.

    """
    return {name: _text(name, value) for name, value in key.items()}


def check(connection: sa.Connection, layout: Layout, key: Mapping[str, str]) -> None:
    """Refuse a key that would hold nothing: of other columns, of another type, or of no row.

    Raises:
        UsageError: it does not fit the table's primary key.
        UnknownName: no row has it.

    """
    expected = [column.name for column in layout.key]
    if sorted(key) != sorted(expected):
        message = (
            f"the primary key of table {layout.label} is ({', '.join(expected)}), and the hold names "
            f"({', '.join(sorted(key))}); give a value for each column of it. Nothing was placed"
        )
        raise UsageError(message)
    row = sa.exists(sa.literal(1)).where(_among(layout.table, [key])).select_from(layout.table)
    if not connection.scalar(sa.select(row)):
        message = (
            f"no row of table {layout.label} has that key, letter by letter; it would hold nothing. "
            "Nothing was placed"
        )
        raise UnknownName(message)


def held_rows(table: sa.Table, keys: Sequence[Mapping[str, str]]) -> sa.ColumnElement[bool]:
    """Return the rows that have one of these keys; every row when a key does not fit the table any more."""
    try:
        return _among(table, keys)
    except UsageError:
        return sa.true()


def _among(table: sa.Table, keys: Sequence[Mapping[str, str]]) -> sa.ColumnElement[bool]:
    alone: dict[str, list[str]] = {}
    parts = []
    for key in keys:
        if len(key) == 1:
            ((name, text),) = key.items()
            alone.setdefault(name, []).append(text)
        else:
            parts.append(sa.and_(*[_is_one_of(table, name, [text]) for name, text in key.items()]))
    parts += [_is_one_of(table, name, texts) for name, texts in alone.items()]
    # SQLite takes an OR of at most a thousand; what is inside a function is an OR of its own.
    groups = [sa.or_(*parts[start : start + _GROUP]) for start in range(0, len(parts), _GROUP)]
    return (
        groups[0] if len(groups) == 1 else sa.or_(*[sa.func.coalesce(group, sa.true()) for group in groups])
    )


def _is_one_of(table: sa.Table, name: str, texts: Sequence[str]) -> sa.ColumnElement[bool]:
    if name not in table.c:
        message = f"table {table.name} has no column {name}"
        raise UnknownName(message)
    column = table.c[name]
    if isinstance(column.type, sa.types._Binary):  # noqa: SLF001 - what every type of bytes derives from
        return column.in_([_bytes(column, text) for text in texts])
    try:
        compared = operand(column)
    except InvalidCondition:
        message = f"key column {name} is {type(column.type).__name__}, by which a hold cannot tell a row"
        raise UsageError(message) from None
    if compared.family is Family.TEXT:
        return exactly(column, *texts)
    try:
        return compared.expression.in_([compared.read(_raw(compared.family, text)).bound for text in texts])
    except InvalidCondition:
        raise _misfit(column, compared.family.value) from None


def _raw(family: Family, text: str) -> Raw:
    if family in {Family.INTEGER, Family.DECIMAL} and _NUMBER.fullmatch(text):
        return Raw(kind="number", text=text)
    if family is Family.BOOLEAN and text.upper() in {"TRUE", "FALSE"}:
        return Raw(kind="boolean", text=text.upper())
    return Raw(kind="string", text=text)


def _bytes(column: sa.Column[Any], text: str) -> bytes:
    try:
        # A UUID that an application keeps as bytes may be written as one.
        return bytes.fromhex(text.replace("-", ""))
    except ValueError:
        raise _misfit(column, "hexadecimal digits") from None


def _misfit(column: sa.Column[Any], expected: str) -> UsageError:
    kind = type(column.type).__name__
    message = f"the value given for key column {column.name} does not fit {kind}: expected {expected}"
    return UsageError(message)


def _text(name: str, value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dt.date):
        return value.isoformat()
    if value is None or isinstance(value, float | Mapping | list | tuple):
        message = f"key column {name}: a row cannot be told by a value of type {type(value).__name__}"
        raise UsageError(message)
    return str(value)
