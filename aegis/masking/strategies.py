"""The strategies: what is written over a value, and how a masked value is recognised.

Each one says what it is (anonymous or pseudonymous, deterministic, idempotent, injective, whether
it needs a key, what columns it takes, how long its output is) and compiles to ONE expression and
one predicate; where databases differ, `aegis.db` knows how. Another strategy is another class here
and another line in `STRATEGIES`.

A policy writes a strategy as its name (`null`, `surrogate`) or as a name with its argument
(`{"constant": "removed"}`).
"""

import abc
import datetime as dt
import decimal
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Literal

import sqlalchemy as sa

from aegis.db.readings import exactly
from aegis.db.surrogates import LENGTH, is_surrogate, surrogate
from aegis.errors import InvalidPolicy
from aegis.masking.kinds import Kind, kind_of, longest, whole_digits

_LARGEST: Final = 2**63 - 1


class Strategy(abc.ABC):
    """One way to mask a value."""

    name: ClassVar[str]
    #: `pseudonymous`: somebody with a key could still tell whose it was.
    outcome: ClassVar[Literal["anonymous", "pseudonymous"]]
    #: The kinds of columns that it can write to.
    takes: ClassVar[frozenset[Kind]]
    #: The same value gives the same output.
    deterministic: ClassVar[bool]
    #: Masking twice is masking once.
    idempotent: ClassVar[bool]
    #: Different values, or rows, give different outputs.
    injective: ClassVar[bool]
    needs_key: ClassVar[bool]

    @property
    def spec(self) -> Any:
        """How a policy writes it, in its one canonical form."""
        return self.name

    @property
    def label(self) -> str:
        """How people read it."""
        return self.name

    @property
    def longest(self) -> int | None:
        """The most characters that it writes; None: it writes no text."""
        return None

    def unfit(self, column: sa.Column[Any]) -> str | None:
        """Say why it cannot mask this column, and what would; None when it can."""
        if kind_of(column) not in self.takes:
            wanted = " or ".join(sorted(kind.value for kind in self.takes))
            return f"the column is {column.type.__visit_name__}, and {self.name} masks {wanted}; use null"
        room = longest(column)
        if room is not None and self.longest is not None and self.longest > room:
            return f"it writes {self.longest} characters and the column takes {room}; use null or widen it"
        return None

    @abc.abstractmethod
    def expression(self, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        """Return what is written, for a value that is there and is not masked."""

    @abc.abstractmethod
    def recognises(self, column: sa.Column[Any]) -> sa.ColumnElement[bool] | None:
        """Return the condition that a value is masked already; None: nobody can tell by looking."""


class Null(Strategy):
    """Nothing is left."""

    name = "null"
    outcome = "anonymous"
    takes = frozenset(Kind)
    deterministic = True
    idempotent = True
    injective = False
    needs_key = False

    def unfit(self, column: sa.Column[Any]) -> str | None:
        """Refuse a column that must have a value."""
        if not column.nullable:
            return "the column is NOT NULL; use a constant or a surrogate, or allow NULL"
        return super().unfit(column)

    def expression(self, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        """Write NULL."""
        del column
        return sa.null()

    def recognises(self, column: sa.Column[Any]) -> sa.ColumnElement[bool]:
        """Recognise NULL."""
        return column.is_(None)


class Constant(Strategy):
    """Every row has the same value."""

    name = "constant"
    outcome = "anonymous"
    takes = frozenset({Kind.TEXT, Kind.ENUM, Kind.INTEGER, Kind.DECIMAL, Kind.BOOLEAN, Kind.DATE})
    deterministic = True
    idempotent = True
    injective = False
    needs_key = False

    def __init__(self, value: Any) -> None:
        if not isinstance(value, str | int):
            message = "a constant is written as text, a whole number, or true or false"
            raise InvalidPolicy(message)
        self._value = value

    @property
    def spec(self) -> Any:
        """The name with its value."""
        return {self.name: self._value}

    @property
    def label(self) -> str:
        """The name with its value."""
        return f"{self.name}:{self._value}"

    @property
    def longest(self) -> int | None:
        """As long as its value."""
        return len(str(self._value))

    def unfit(self, column: sa.Column[Any]) -> str | None:
        """Refuse a value that the column would not give back as it was written."""
        if complaint := super().unfit(column):
            return complaint
        kind = kind_of(column)
        if kind is Kind.TEXT and str(self._value).endswith(" "):
            return "the constant ends with a blank, which databases do not compare alike; leave it out"
        if kind is Kind.ENUM and self._value not in column.type.enums:  # type: ignore[attr-defined]
            return "the constant is none of the column's words; use one of them"
        if self._read(column) is None:
            return f"the column holds {kind.value}, and the constant is no such value that fits into it"
        return None

    def expression(self, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        """Write the value."""
        kind = kind_of(column)
        # The column's own type would cut a longer text to its length.
        written = sa.String() if kind is Kind.TEXT else column.type
        value = self._read(column)
        if value is None:
            message = f"column {column.name} does not take the constant any more; register the policy again"
            raise InvalidPolicy(message)
        return sa.bindparam(None, value, written, unique=True)

    def _read(self, column: sa.Column[Any]) -> Any:
        """Return the value as the column's own; None when it is not one."""
        read = _READERS.get(kind_of(column))
        return read and read(self._value, column)

    def recognises(self, column: sa.Column[Any]) -> sa.ColumnElement[bool]:
        """Recognise the value, letter by letter."""
        if kind_of(column) is Kind.TEXT:
            return exactly(column, str(self._value))
        same: sa.ColumnElement[bool] = column == self.expression(column)
        return same


class Surrogate(Strategy):
    """A random token for each row, which nobody can link to anything."""

    name = "surrogate"
    outcome = "anonymous"
    takes = frozenset({Kind.TEXT})
    deterministic = False
    idempotent = False
    injective = True
    needs_key = False

    @property
    def longest(self) -> int | None:
        """Always the same length."""
        return LENGTH

    def expression(self, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        """Write a new token."""
        del column
        return surrogate()

    def recognises(self, column: sa.Column[Any]) -> sa.ColumnElement[bool]:
        """Recognise the token's form."""
        return is_surrogate(column)


#: Strategies that are written as their name alone.
PLAIN: Final[Mapping[str, Callable[[], Strategy]]] = {Null.name: Null, Surrogate.name: Surrogate}
#: Strategies that are written with an argument.
WITH_ARGUMENT: Final[Mapping[str, Callable[[Any], Strategy]]] = {Constant.name: Constant}


def strategy_of(spec: Any) -> Strategy:
    """Return the strategy that a policy writes so.

    Raises:
        InvalidPolicy: there is no such strategy, or its argument is missing or wrong.

    """
    if spec is None:
        return Null()
    if isinstance(spec, str) and spec in PLAIN:
        return PLAIN[spec]()
    if isinstance(spec, Mapping) and len(spec) == 1:
        ((name, argument),) = spec.items()
        if name in WITH_ARGUMENT:
            return WITH_ARGUMENT[name](argument)
    known = ", ".join([*PLAIN, *(f"{name}: VALUE" for name in WITH_ARGUMENT)])
    shown = f" {spec!r}" if isinstance(spec, str) and len(spec) < len(known) else ""
    message = f"there is no strategy{shown}; a column is masked with one of: {known}"
    raise InvalidPolicy(message)


def _text(value: Any, column: sa.Column[Any]) -> str | None:
    del column
    return value if isinstance(value, str) else None


def _integer(value: Any, column: sa.Column[Any]) -> int | None:
    del column
    try:
        number = int(str(value)) if not isinstance(value, bool) else int(value)
    except ValueError:
        return None
    return number if abs(number) <= _LARGEST else None


def _decimal(value: Any, column: sa.Column[Any]) -> decimal.Decimal | None:
    try:
        number = decimal.Decimal(str(value))
    except decimal.InvalidOperation:
        return None
    before, behind = whole_digits(column)
    if not number.is_finite() or (behind is not None and number != round(number, behind)):
        return None
    return number if before is None or abs(number) < decimal.Decimal(10) ** before else None


def _boolean(value: Any, column: sa.Column[Any]) -> bool | None:
    del column
    words = {"true": True, "false": False}
    return value if isinstance(value, bool) else words.get(str(value).lower())


def _date(value: Any, column: sa.Column[Any]) -> dt.date | None:
    del column
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError:
        return None


_READERS: Final[Mapping[Kind, Callable[[Any, sa.Column[Any]], Any]]] = {
    Kind.TEXT: _text,
    Kind.ENUM: _text,
    Kind.INTEGER: _integer,
    Kind.DECIMAL: _decimal,
    Kind.BOOLEAN: _boolean,
    Kind.DATE: _date,
}
