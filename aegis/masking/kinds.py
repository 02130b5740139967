"""What kinds of columns a strategy can write to."""

import enum
from typing import Any, Final

import sqlalchemy as sa


class Kind(enum.Enum):
    """What a column holds, as far as masks are concerned."""

    TEXT = "text"
    ENUM = "one of a list of words"
    INTEGER = "whole numbers"
    DECIMAL = "decimal numbers"
    BOOLEAN = "true or false"
    DATE = "dates"
    MOMENT = "times"
    OTHER = "something that only `null` can mask"


#: Tried in this order: Enum is a String, and Float may be a Numeric.
_KINDS: Final[tuple[tuple[type[Any], Kind], ...]] = (
    (sa.Enum, Kind.ENUM),
    (sa.Float, Kind.OTHER),
    (sa.String, Kind.TEXT),
    (sa.Boolean, Kind.BOOLEAN),
    (sa.Integer, Kind.INTEGER),
    (sa.Numeric, Kind.DECIMAL),
    (sa.DateTime, Kind.MOMENT),
    (sa.Date, Kind.DATE),
)


def kind_of(column: sa.Column[Any]) -> Kind:
    """Return what a reflected column holds."""
    name = column.type.__visit_name__
    if name == "CITEXT":
        return Kind.TEXT
    if name == "SET":
        return Kind.OTHER
    return next((kind for python, kind in _KINDS if isinstance(column.type, python)), Kind.OTHER)


def longest(column: sa.Column[Any]) -> int | None:
    """Return how many characters a column takes; None when it does not say."""
    return getattr(column.type, "length", None) if kind_of(column) is Kind.TEXT else None


def whole_digits(column: sa.Column[Any]) -> tuple[int | None, int | None]:
    """Return the digits before and behind the point that a decimal column takes; None: any."""
    precision, scale = getattr(column.type, "precision", None), getattr(column.type, "scale", None)
    if precision is None:
        return None, scale
    return precision - (scale or 0), scale or 0
