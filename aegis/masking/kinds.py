"""What kinds of columns a strategy can write to."""

import enum
from typing import Any, Final

import sqlalchemy as sa

from aegis.db.documents import IS_DOCUMENT


class Kind(enum.Enum):
    """What a column holds, as far as masks are concerned."""

    TEXT = "text"
    ENUM = "one of a list of words"
    INTEGER = "whole numbers"
    DECIMAL = "decimal numbers"
    FLOAT = "floating numbers"
    BOOLEAN = "true or false"
    DATE = "dates"
    MOMENT = "times"
    DOCUMENT = "JSON"
    ADDRESS = "internet addresses"
    OTHER = "something that only `null` can mask"


#: Tried in this order: Enum is a String, and Float may be a Numeric.
_KINDS: Final[tuple[tuple[type[Any], Kind], ...]] = (
    (sa.Enum, Kind.ENUM),
    (sa.JSON, Kind.DOCUMENT),
    (sa.Float, Kind.FLOAT),
    (sa.String, Kind.TEXT),
    (sa.Boolean, Kind.BOOLEAN),
    (sa.Integer, Kind.INTEGER),
    (sa.Numeric, Kind.DECIMAL),
    (sa.DateTime, Kind.MOMENT),
    (sa.Date, Kind.DATE),
)
_BY_NAME: Final = {
    "CITEXT": Kind.TEXT,
    "SET": Kind.OTHER,
    "INET": Kind.ADDRESS,
    "CIDR": Kind.ADDRESS,
}


def kind_of(column: sa.ColumnElement[Any]) -> Kind:
    """Return what a reflected column, or an expression, holds."""
    if getattr(column, "info", {}).get(IS_DOCUMENT):
        return Kind.DOCUMENT
    kind = column.type
    if kind.__visit_name__ in _BY_NAME:
        return _BY_NAME[kind.__visit_name__]
    return next((found for python, found in _KINDS if isinstance(kind, python)), Kind.OTHER)


def longest(column: sa.ColumnElement[Any]) -> int | None:
    """Return how many characters a column takes; None when it does not say."""
    return getattr(column.type, "length", None) if kind_of(column) is Kind.TEXT else None


def whole_digits(column: sa.ColumnElement[Any]) -> tuple[int | None, int | None]:
    """Return the digits before and behind the point that a decimal column takes; None: any."""
    kind = column.type
    precision, scale = getattr(kind, "precision", None), getattr(kind, "scale", None)
    if precision is None:
        return None, scale
    return precision - (scale or 0), scale or 0
