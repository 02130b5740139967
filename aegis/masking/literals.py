"""Values as a policy or a column's default writes them, read as the column's own."""

import datetime as dt
import decimal
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from aegis.masking.kinds import Kind, kind_of, whole_digits

_LARGEST: Final = 2**63 - 1
#: A quoted text or a word, with the cast that PostgreSQL writes behind it, in brackets or not.
_DEFAULT: Final = re.compile(
    r"\(*\s*(?:'(?P<text>(?:[^'\\]|'')*)'|(?P<word>[+-]?\d+(?:\.\d*)?|true|false))\s*\)*"
    r"(?:::[\w \".]+(?:\(\d+(?:,\d+)?\))?(?:\[\])?)*\s*\)*",
    re.IGNORECASE,
)


def read_literal(value: Any, column: sa.ColumnElement[Any]) -> Any:
    """Return a value as the column's own; None when it is none that fits into it."""
    read = _READERS.get(kind_of(column))
    return read and read(value, column)


def default_literal(column: sa.Column[Any]) -> str | None:
    """Return a column's default as text; None when it has none, or one that is computed."""
    written = getattr(column.server_default, "arg", None)
    found = None if written is None else _DEFAULT.fullmatch(str(written).strip())
    if found is None:
        return None
    text = found["text"]
    return found["word"] if text is None else text.replace("''", "'")


def _text(value: Any, column: sa.ColumnElement[Any]) -> str | None:
    del column
    return value if isinstance(value, str) else None


def _integer(value: Any, column: sa.ColumnElement[Any]) -> int | None:
    del column
    try:
        number = int(str(value)) if not isinstance(value, bool) else int(value)
    except ValueError:
        return None
    return number if abs(number) <= _LARGEST else None


def _decimal(value: Any, column: sa.ColumnElement[Any]) -> decimal.Decimal | None:
    try:
        number = decimal.Decimal(str(value))
    except decimal.InvalidOperation:
        return None
    before, behind = whole_digits(column)
    if not number.is_finite() or (behind is not None and number != round(number, behind)):
        return None
    return number if before is None or abs(number) < decimal.Decimal(10) ** before else None


def _boolean(value: Any, column: sa.ColumnElement[Any]) -> bool | None:
    del column
    words = {"true": True, "false": False}
    return value if isinstance(value, bool) else words.get(str(value).lower())


def _date(value: Any, column: sa.ColumnElement[Any]) -> dt.date | None:
    del column
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError:
        return None


_READERS: Final[Mapping[Kind, Callable[[Any, sa.ColumnElement[Any]], Any]]] = {
    Kind.TEXT: _text,
    Kind.ENUM: _text,
    Kind.INTEGER: _integer,
    Kind.DECIMAL: _decimal,
    Kind.BOOLEAN: _boolean,
    Kind.DATE: _date,
}
