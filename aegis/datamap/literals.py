"""Literals of a condition, read as the column they are compared with would read them.

A literal that does not fit its column is refused here, with the column's name, instead of
failing in the database or comparing what cannot be compared.
"""

import dataclasses
import datetime as dt
import decimal
import enum
import re
import uuid
from typing import Any, Literal

import sqlalchemy as sa

from aegis.db import readings
from aegis.errors import InvalidCondition

_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?(?P<offset>Z|[+-]\d{2}:\d{2})?", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_LARGEST = 2**63 - 1
_MOST_DIGITS = 38


class Family(enum.Enum):
    """What kinds of columns compare with each other, and what literal each wants."""

    INTEGER = "a whole number of at most 64 bits"
    DECIMAL = "a number"
    BOOLEAN = "TRUE or FALSE"
    TEXT = "a string"
    ENUM = "one of its values, as a string"
    UUID = "a UUID, as a string"
    DATE = "a date such as '2024-12-31'"
    WALL = "a time without a zone such as '2024-12-31 23:59:59'"
    INSTANT = "a time with its offset such as '2024-12-31T23:59:59+00:00'"

    @property
    def ordered(self) -> bool:
        """Whether < and > mean the same on every database."""
        return self not in {Family.BOOLEAN, Family.ENUM, Family.UUID}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Raw:
    """A literal as it was written."""

    kind: Literal["string", "number", "boolean", "null"]
    #: Its text, unquoted; `TRUE` or `FALSE` for a boolean.
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Operand:
    """A column, as conditions compare it."""

    column: sa.Column[Any]
    family: Family

    @property
    def expression(self) -> sa.ColumnElement[Any]:
        """The column, with one reading on every database."""
        if self.family is Family.DATE:
            return readings.day(self.column)
        if self.family in {Family.WALL, Family.INSTANT}:
            return readings.moment(self.column)
        return self.column

    def same_kind(self, other: "Operand") -> bool:
        """Say whether the two columns compare with each other."""
        numbers = {Family.INTEGER, Family.DECIMAL}
        alike = self.family is other.family or {self.family, other.family} == numbers
        return alike and self.family is not Family.ENUM

    def read(self, raw: Raw) -> "Value":
        """Return a literal as a value of this column.

        Raises:
            InvalidCondition: it does not fit the column's type.

        """
        if raw.kind == "null":
            message = f"condition refused: {self.column.name} is compared with NULL, which is never true; "
            message += "write IS NULL or IS NOT NULL"
            raise InvalidCondition(message)
        value = _READERS[self.family](self.column.type, raw)
        if value is None:
            message = f"condition refused: {self.column.name} is {type(self.column.type).__name__}: "
            message += f"compare it with {self.family.value}"
            raise InvalidCondition(message)
        return value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Value:
    """A literal that fits its column."""

    #: Stable text: the same value has the same.
    canonical: str
    value: Any
    type: sa.types.TypeEngine[Any]

    @property
    def bound(self) -> sa.BindParameter[Any]:
        """The value as a parameter."""
        return sa.bindparam(None, self.value, self.type, unique=True)


def operand(column: sa.Column[Any]) -> Operand:
    """Return a column as conditions compare it.

    Raises:
        InvalidCondition: its type has no one comparison on all databases.

    """
    family = family_of(column.type)
    if family is None:
        message = f"condition refused: {column.name} is {type(column.type).__name__}, which a condition "
        message += "cannot compare; only IS NULL and IS NOT NULL are possible"
        raise InvalidCondition(message)
    return Operand(column=column, family=family)


def family_of(kind: sa.types.TypeEngine[Any]) -> Family | None:
    """Return what a reflected type compares as; none for JSON, arrays, binary and the like."""
    if isinstance(kind, sa.DateTime):
        return Family.INSTANT if kind.timezone else Family.WALL
    if kind.__visit_name__ in {"CITEXT", "SET"}:
        return None
    for python, family in _FAMILIES:
        if isinstance(kind, python):
            return family
    return None


def is_flag(column: sa.Column[Any]) -> bool:
    """Say whether a column holds booleans; MariaDB keeps them in TINYINT."""
    return isinstance(column.type, sa.Boolean) or column.type.__visit_name__ == "TINYINT"


def quoted(text: str) -> str:
    """Return text as an SQL string, for canonical texts only."""
    return "'" + text.replace("'", "''") + "'"


def _number(kind: sa.types.TypeEngine[Any], raw: Raw) -> Value | None:
    if raw.kind == "boolean" and kind.__visit_name__ == "TINYINT":
        return Value(canonical=raw.text, value=int(raw.text == "TRUE"), type=sa.BigInteger())
    if raw.kind != "number" or len(raw.text) > _MOST_DIGITS:
        return None
    text = raw.text.lstrip("-")
    whole, _, fraction = text.partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    sign = "-" if raw.text.startswith("-") and (whole, fraction) != ("0", "") else ""
    canonical = f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"
    if not fraction and -_LARGEST <= int(canonical) <= _LARGEST:
        return Value(canonical=canonical, value=int(canonical), type=sa.BigInteger())
    return Value(canonical=canonical, value=decimal.Decimal(canonical), type=sa.Numeric())


def _integer(kind: sa.types.TypeEngine[Any], raw: Raw) -> Value | None:
    value = _number(kind, raw)
    return value if value is not None and isinstance(value.value, int) and "." not in raw.text else None


def _boolean(_: sa.types.TypeEngine[Any], raw: Raw) -> Value | None:
    if raw.kind != "boolean":
        return None
    return Value(canonical=raw.text, value=raw.text == "TRUE", type=sa.Boolean())


def _string(_: sa.types.TypeEngine[Any], raw: Raw) -> Value | None:
    if raw.kind != "string":
        return None
    # The column's own type would cut a longer text to its length.
    return Value(canonical=quoted(raw.text), value=raw.text, type=sa.String())


def _enum(kind: sa.types.TypeEngine[Any], raw: Raw) -> Value | None:
    if raw.kind != "string" or raw.text not in getattr(kind, "enums", ()):
        return None
    return Value(canonical=quoted(raw.text), value=raw.text, type=kind)


def _uuid(kind: sa.types.TypeEngine[Any], raw: Raw) -> Value | None:
    try:
        value = uuid.UUID(raw.text if raw.kind == "string" else "")
    except ValueError:
        return None
    bare = value if getattr(kind, "as_uuid", True) else str(value)
    return Value(canonical=quoted(str(value)), value=bare, type=kind)


def _date(_: sa.types.TypeEngine[Any], raw: Raw) -> Value | None:
    if raw.kind != "string" or not _DATE.fullmatch(raw.text):
        return None
    try:
        value = dt.date.fromisoformat(raw.text)
    except ValueError:
        return None
    return Value(canonical=quoted(raw.text), value=value, type=sa.Date())


def _moment(kind: sa.types.TypeEngine[Any], raw: Raw) -> Value | None:
    aware = bool(getattr(kind, "timezone", False))
    match = _MOMENT.fullmatch(raw.text) if raw.kind == "string" else None
    if match is None or (match["offset"] is not None) != aware:
        return None
    try:
        value = dt.datetime.fromisoformat(raw.text)
        value = value.astimezone(dt.UTC) if aware else value
    except (ValueError, OverflowError):
        return None
    return Value(canonical=quoted(value.isoformat(sep=" ")), value=value, type=sa.DateTime(timezone=aware))


#: Tried in this order: Enum is a String, and Float may be a Numeric.
_FAMILIES: tuple[tuple[type[Any], Family], ...] = (
    (sa.Boolean, Family.BOOLEAN),
    (sa.Enum, Family.ENUM),
    (sa.String, Family.TEXT),
    (sa.Uuid, Family.UUID),
    (sa.Integer, Family.INTEGER),
    (sa.Numeric, Family.DECIMAL),
    (sa.Float, Family.DECIMAL),
    (sa.Date, Family.DATE),
)
_READERS = {
    Family.INTEGER: _integer,
    Family.DECIMAL: _number,
    Family.BOOLEAN: _boolean,
    Family.TEXT: _string,
    Family.ENUM: _enum,
    Family.UUID: _uuid,
    Family.DATE: _date,
    Family.WALL: _moment,
    Family.INSTANT: _moment,
}
