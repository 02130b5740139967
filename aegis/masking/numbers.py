"""Strategies that make numbers less exact: generalize, noise."""

import decimal
from typing import Any, Final

import sqlalchemy as sa

from aegis.db.numbers import exact, floor, moved
from aegis.db.randomness import random_number
from aegis.errors import InvalidPolicy
from aegis.masking.keys import MaskKey
from aegis.masking.kinds import Kind, kind_of, whole_digits
from aegis.masking.strategy import Strategy

_NUMBERS: Final = frozenset({Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT})
#: Digits behind the point of noise in a column that says nothing of its own.
_DIGITS: Final = 6
#: Of the random number that noise is made of, far below its 2^48.
_MOST_STEPS: Final = 2**40


class Generalize(Strategy):
    """A number becomes the lower bound of the band that it lies in.

    The bands are as wide as a step, or begin at the bounds that are listed; what lies below the first of
    those becomes the first.
    """

    name = "generalize"
    outcome = "anonymous"
    takes = _NUMBERS
    deterministic = True
    idempotent = True
    injective = False

    def __init__(self, argument: Any) -> None:
        bounds = argument if isinstance(argument, list | tuple) else None
        self._bounds = None if bounds is None else [_number(bound, self.name) for bound in bounds]
        self._step = _number(argument, self.name) if bounds is None else decimal.Decimal(0)
        if self._bounds is None and self._step <= 0:
            message = "generalize takes a step above 0, or a list of bounds: {generalize: [0, 18, 65]}"
            raise InvalidPolicy(message)
        if self._bounds is not None and (not self._bounds or sorted(set(self._bounds)) != self._bounds):
            message = "generalize: the bounds ascend, each once: {generalize: [0, 18, 65]}"
            raise InvalidPolicy(message)

    @property
    def spec(self) -> Any:
        """The name with the step or the bounds."""
        return {
            self.name: _written(self._step) if self._bounds is None else [_written(b) for b in self._bounds]
        }

    @property
    def label(self) -> str:
        """The name with the step or the bounds."""
        numbers = [self._step] if self._bounds is None else self._bounds
        return f"{self.name}:{','.join(f'{number:f}' for number in numbers)}"

    def unfit(self, column: sa.Column[Any]) -> str | None:
        """Refuse bounds that the column would round."""
        if complaint := super().unfit(column):
            return complaint
        digits = _scale(column)
        rounded = [n for n in (self._bounds or [self._step]) if n != round(n, digits)]
        return f"the column keeps {digits} digits behind the point; give no more" if rounded else None

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write the lower bound."""
        del key
        number = exact(column)
        if self._bounds is None:
            return floor(number, self._step)
        first, *others = (sa.literal(bound, sa.Numeric()) for bound in self._bounds)
        return sa.case(*((number >= bound, bound) for bound in reversed(others)), else_=first)

    def recognises(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Recognise a lower bound."""
        return exact(column).is_not_distinct_from(self.expression(column))


class Noise(Strategy):
    """A random number is added, each as likely from the bound below zero to the bound above.

    The values do not show that it was added: it needs a marker column.
    """

    name = "noise"
    outcome = "pseudonymous"
    takes = _NUMBERS
    deterministic = False
    idempotent = False
    injective = False

    def __init__(self, argument: Any) -> None:
        self._bound = _number(argument, self.name)
        if self._bound <= 0:
            message = "noise takes the most that is added or taken away: {noise: 5}"
            raise InvalidPolicy(message)

    @property
    def spec(self) -> Any:
        """The name with the bound."""
        return {self.name: _written(self._bound)}

    @property
    def label(self) -> str:
        """The name with the bound."""
        return f"{self.name}:{self._bound:f}"

    def unfit(self, column: sa.Column[Any]) -> str | None:
        """Refuse noise that the column would round to nothing, and noise of too many digits."""
        if complaint := super().unfit(column):
            return complaint
        steps = self._bound.scaleb(_scale(column))
        if steps != int(steps):
            return f"the column keeps {_scale(column)} digits behind the point; give the noise no more"
        if steps > _MOST_STEPS:
            return "so much noise cannot be made to the column's last digit; give less, or use null"
        return None

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write the number with noise."""
        del key
        steps = int(self._bound.scaleb(_scale(column)))
        drawn = random_number() % sa.literal(2 * steps + 1, sa.BigInteger()) - sa.literal(
            steps, sa.BigInteger()
        )
        return moved(exact(column), drawn, decimal.Decimal(1).scaleb(-_scale(column)))

    def recognises(self, column: sa.ColumnElement[Any]) -> None:
        """Tell nothing."""
        del column


def _scale(column: sa.ColumnElement[Any]) -> int:
    """Return the digits behind the point that a column keeps."""
    if kind_of(column) is Kind.INTEGER:
        return 0
    if isinstance(column.type, sa.Float):
        return _DIGITS
    _, behind = whole_digits(column)
    return _DIGITS if behind is None else behind


def _number(value: Any, strategy: str) -> decimal.Decimal:
    if not isinstance(value, bool) and isinstance(value, int | float | str):
        try:
            number = decimal.Decimal(str(value))
        except decimal.InvalidOperation:
            number = decimal.Decimal("NaN")
        if number.is_finite():
            return number.normalize()
    message = f"{strategy} takes numbers, for example {{{strategy}: 10}}"
    raise InvalidPolicy(message)


def _written(number: decimal.Decimal) -> int | str:
    """Return a number as a policy's canonical form has it, in which there are no floats."""
    return int(number) if number == int(number) else f"{number:f}"
