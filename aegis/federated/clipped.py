"""A sum of contributions in whole steps of a grid, and what one participant can change of it."""

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from aegis.errors import Refused, UsageError

Norm = Literal["l1", "l2"]
Neighbours = Literal["add-or-remove", "replace"]

#: A bound has fewer steps than 2^31: its square, with room for the rounding of doubles, has 63 bits.
BITS: Final = 31
#: No sum has more steps than this, in either direction; the noise saturates nowhere below it.
ROOM: Final = 1 << 61
#: A bound lies between 2^-500 and 2^500, so that no power of two that is needed leaves a double.
_SPAN: Final = 500


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Steps of 2^`exponent`; `limit` of them are no more than a bound, one more would be."""

    exponent: int
    limit: int

    @classmethod
    def of(cls, bound: float, exponent: int | None = None) -> "Grid":
        """Return the grid for a bound: 2^30 to 2^31 steps, or those of the `exponent` that was chosen.

        Raises:
            UsageError: the bound is no positive number of ordinary size, or has no step or too many.

        """
        if not 2.0**-_SPAN <= bound <= 2.0**_SPAN:
            message = f"a bound is a number above 0, between 2^-{_SPAN} and 2^{_SPAN}; got {bound!r}"
            raise UsageError(message)
        finest = math.frexp(bound)[1] - BITS
        chosen = finest if exponent is None else exponent
        if not finest <= chosen <= finest + BITS - 1:
            message = (
                f"a grid of 2^{chosen} does not fit the bound {bound!r}: "
                f"the exponent is between {finest} and {finest + BITS - 1}"
            )
            raise UsageError(message)
        return cls(exponent=chosen, limit=math.floor(Fraction(bound) / Fraction(2) ** chosen))

    @property
    def most(self) -> int:
        """How many participants can be summed without leaving the room of a sum."""
        return ROOM // self.limit


@dataclass(frozen=True, kw_only=True, eq=False)
class Clipped:
    """A sum of contributions, each of a norm that is at most `bound`.

    `steps` · 2^`exponent` is the sum, and noise for `sensitivity` covers it. Counts and steps describe
    people until there is noise on them: neither is to be shown, and `repr` shows neither.
    """

    #: The sum, in whole steps, with the shape of a contribution; read-only.
    steps: NDArray[np.int64] = field(repr=False)
    #: A step is 2^exponent.
    exponent: int
    #: The norm that no contribution exceeds.
    bound: float
    norm: Norm
    #: How many contributions came, those that count as zero too.
    participants: int = field(repr=False)
    #: How many of them had a NaN or an infinity, and count as zero.
    rejected: int = field(default=0, repr=False)
    #: What two data sets that must look alike differ by: one participant more, or another in one's place.
    neighbours: Neighbours = "add-or-remove"
    #: True where Aegis cut every contribution itself; False where the participants declare that they did.
    enforced: bool
    #: What the released sum is divided by, a number that is public and fixed before.
    divisor: int = 1

    def __post_init__(self) -> None:
        """Keep anybody from changing the sum after it was bounded."""
        self.steps.setflags(write=False)

    @property
    def sensitivity(self) -> float:
        """The most, in `norm`, that one participant changes of the sum in `steps`, before any division."""
        return self.bound if self.neighbours == "add-or-remove" else 2.0 * self.bound

    @property
    def value(self) -> NDArray[np.float64]:
        """The sum, or the mean where there is a divisor, as doubles: to look at, never to add noise to.

        It is exact up to 2^53 steps; the rounding beyond is why noise belongs on `steps`.
        """
        return np.asarray(np.ldexp(self.steps.astype(np.float64), self.exponent) / self.divisor)

    def mean(self, expected: int) -> "Clipped":
        """Return the sum that is to be divided by `expected` after noise was added.

        `expected` is public and fixed before anybody takes part, so the division is post-processing: one
        participant changes the mean by at most sensitivity / expected. The number of those who came is
        not offered: it is itself private, one participant changes it, and a mean over it can change by
        far more than bound / count where few came. Who wants it releases sum and count, noise on each.

        Raises:
            UsageError: `expected` is no whole number above 0.

        """
        if isinstance(expected, bool) or not isinstance(expected, int) or expected < 1:
            message = f"a mean is over a whole number of participants that was fixed before; got {expected!r}"
            raise UsageError(message)
        return replace(self, divisor=expected)


def check_terms(norm: Norm, neighbours: Neighbours) -> None:
    """Refuse a norm or a relation of neighbours that does not exist.

    Raises:
        UsageError: it is none of those that are.

    """
    for what, given, known in (("norm", norm, Norm), ("neighbours", neighbours, Neighbours)):
        if given not in get_args(known):
            message = f"{what} is one of {', '.join(get_args(known))}; got {given!r}"
            raise UsageError(message)


def check_room(participants: int, grid: Grid) -> None:
    """Refuse more participants than can be summed in whole steps.

    Raises:
        Refused: the sum could leave its room.

    """
    if participants > grid.most:
        message = (
            f"more than {grid.most} participants do not fit into one sum with a grid of 2^{grid.exponent}: "
            "choose a larger exponent, or sum in parts that are released apart"
        )
        raise Refused(message)
