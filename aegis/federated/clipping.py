"""Contributions cut to a norm and summed in whole numbers, so that a sum's sensitivity is enforced.

A sum of doubles does not have the sensitivity that its terms promise: every addition rounds, so one
contribution more or less also changes the rounding of all that is added after it, and these changes can add
up to far more than the contribution itself (Casacuberta, Shoemate, Vadhan and Wagaman 2022, “Widespread
Underestimation of Sensitivity in Differentially Private Libraries and How to Fix It”, arXiv 2207.10635).
Whole numbers add without rounding, in any order, as long as nothing overflows.

What holds, for the sum `steps` of a `Clipped` with grid 2^e and limit L = ⌊bound / 2^e⌋:

1. Each contribution x becomes whole steps q(x), which depend on x alone: neither on its place, nor on
   what it came together with. (Each row's norm is summed in the same order in a batch of any size.)
2. ‖q(x)‖ ≤ L, whatever x is: `within` computes the norm in whole numbers and repeats, with a smaller
   factor, until it holds. L1 sums |q|, L2 compares the sum of q² with L². Neither overflows: with d
   coordinates the norm that was computed in doubles is at most (d + 6)·2^-53 too small, relatively
   (Higham 2002, chapter 4), and L < 2^31, so that for d ≤ 2^40 the sum of q² stays below
   L²·(1 + 2^-11) < 2^63, and that of |q| as well.
3. The sum of n contributions has no coordinate outside ±n·L, and n·L ≤ 2^61 or it is refused.

Hence the sum with x and the sum without it differ by exactly q(x), whose norm in the unit of the
contributions is at most L·2^e ≤ bound; with another in x's place, by at most twice that.

Truncation is towards zero, and it is what makes 2 nearly always true at the first try: the norm in doubles
decides how much of a contribution is kept, never what the sensitivity is. It costs up to a step for each
coordinate and contribution, always towards zero; a step is bound·2^-30 or less unless chosen otherwise.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aegis.errors import UsageError
from aegis.federated.clipped import Clipped, Grid, Neighbours, Norm, check_room, check_terms

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]

#: Coordinates that are worked on at a time, where a contribution has no more: what a cache holds.
BLOCK: Final = 1 << 15
#: The part that a contribution loses when its steps have too large a norm; twice that the next time.
_LESS: Final = 2.0**-20
#: Powers of two that a contribution's largest coordinate is brought near to 1 by; none is subnormal.
_LOWEST, _HIGHEST = -1000, 1022
#: More steps than any bound has; and a norm below that of every contribution with a whole step.
_ENOUGH, _TINY = 64, 2.0**-100


def clip_contributions(
    contributions: NDArray[Any] | Iterable[ArrayLike],
    *,
    norm: Norm,
    bound: float,
    batches: bool = False,
    exponent: int | None = None,
    neighbours: Neighbours = "add-or-remove",
) -> Clipped:
    """Cut each participant's contribution to a norm and sum them in whole steps.

    A contribution with a NaN or an infinity counts as zero and is counted in `rejected`. Memory is a few
    times that of one contribution, however many come.

    Args:
        contributions: an array whose first axis is the participants; or an iterable, read once, of
            contributions of one shape, each of doubles or smaller floats, or all of integers.
        norm: "l1" for Laplace noise, "l2" for Gaussian; of all coordinates of a contribution together.
        bound: what the norm is cut to, public and chosen without a look at the contributions.
        batches: the iterable's elements are arrays whose first axis is the participants.
        exponent: a step is 2^exponent; by default 2^30 to 2^31 steps make the bound.
        neighbours: what must not be told from the release: that one participant took part at all, or
            what one contributed whose taking part is known. The second doubles the sensitivity.

    Raises:
        UsageError: nothing came, or a contribution is of another shape or type than the first one.
        Refused: more participants than a sum has room for.

    """
    check_terms(norm, neighbours)
    adder = _Adder(norm, Grid.of(bound, exponent))
    if isinstance(contributions, np.ndarray):
        contributions, batches = [contributions], True
    for rows in _batched(contributions, adder) if batches else _gathered(contributions, adder):
        adder.add(rows)
    return Clipped(
        steps=adder.total(),
        exponent=adder.grid.exponent,
        bound=float(bound),
        norm=norm,
        participants=adder.participants,
        rejected=adder.rejected,
        neighbours=neighbours,
        enforced=True,
    )


@dataclass
class _Adder:
    """The sum so far, and what the contributions look like."""

    norm: Norm
    grid: Grid
    participants: int = 0
    rejected: int = 0
    _form: tuple[tuple[int, ...], str] | None = None
    _total: Steps = field(default_factory=lambda: np.zeros(0, np.int64))

    def check(self, shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> int:
        """Return how many coordinates a contribution has; refuse one that differs from the first."""
        form = (shape, _kind(dtype, where))
        if self._form is None:
            self._form = form
            self._total = np.zeros(int(np.prod(shape)), np.int64)
        if form != self._form:
            message = (
                f"{where} has shape {shape} and {form[1]} numbers, "
                f"expected shape {self._form[0]} and {self._form[1]} numbers as the first has"
            )
            raise UsageError(message)
        if not self._total.size:
            message = f"{where} has shape {shape}: no coordinate at all"
            raise UsageError(message)
        return self._total.size

    def expect(self, count: int) -> None:
        """Count participants before they are summed; refuse more than there is room for."""
        check_room(self.participants + count, self.grid)
        self.participants += count

    def add(self, rows: Floats) -> None:
        """Add rows, one for each participant; what is in them is lost."""
        self.rejected += _drop_unusable(rows)
        self._total += _clip(rows, self.norm, self.grid).sum(axis=0)

    def total(self) -> Steps:
        """Return the sum in the shape of a contribution."""
        if self._form is None or not self.participants:
            message = "no contribution came, so there is nothing to sum"
            raise UsageError(message)
        return self._total.reshape(self._form[0])


def _kind(dtype: np.dtype[Any], where: str) -> str:
    if dtype.kind in "iu":
        return "whole"
    if dtype.kind == "f" and dtype.itemsize <= np.dtype(np.float64).itemsize:
        return "floating"
    message = f"{where} has numbers of type {dtype}; expected integers, or floats of at most 64 bits"
    raise UsageError(message)


def _batched(batches: Iterable[ArrayLike], adder: _Adder) -> Iterator[Floats]:
    for position, given in enumerate(batches):
        batch = np.asarray(given)
        if not batch.ndim:
            message = f"batch {position} is a single number; its first axis is to be the participants"
            raise UsageError(message)
        width = adder.check(batch.shape[1:], batch.dtype, f"batch {position}")
        adder.expect(len(batch))
        height = max(1, BLOCK // width)
        for start in range(0, len(batch), height):
            rows = np.array(batch[start : start + height], dtype=np.float64, order="C")
            yield rows.reshape(-1, width)


def _gathered(contributions: Iterable[ArrayLike], adder: _Adder) -> Iterator[Floats]:
    block, filled = np.empty((0, 0)), 0
    for position, given in enumerate(contributions):
        contribution = np.asarray(given)
        width = adder.check(contribution.shape, contribution.dtype, f"contribution {position}")
        adder.expect(1)
        if not block.size:
            block = np.empty((max(1, BLOCK // width), width))
        block[filled] = contribution.reshape(-1)
        filled += 1
        if filled == len(block):
            yield block
            filled = 0
    if filled:
        yield block[:filled]


def _drop_unusable(rows: Floats) -> int:
    """Make rows with a NaN or an infinity zero; return how many there were."""
    unusable = ~np.isfinite(_largest(rows))
    rows[unusable] = 0.0
    return int(np.count_nonzero(unusable))


def _clip(rows: Floats, norm: Norm, grid: Grid) -> Steps:
    """Return each finite row in whole steps, its norm at most the grid's limit; `rows` is overwritten.

    A row is first brought near to 1 by a power of two, which rounds nothing that a step could show, so that
    no square overflows.
    """
    shift = np.clip(np.frexp(_largest(rows))[1], _LOWEST, _HIGHEST)
    rows *= np.ldexp(1.0, -shift)[:, None]
    size = np.abs(rows).sum(axis=1) if norm == "l1" else np.sqrt(_squares(rows))
    whole = np.ldexp(1.0, np.clip(shift - grid.exponent, -1, _ENOUGH))
    factors = np.minimum(whole, grid.limit / np.maximum(size, _TINY))
    return within(rows, factors, norm, grid.limit)


def within(rows: Floats, factors: Floats, norm: Norm, limit: int) -> Steps:
    """Return rows · factors, truncated towards zero; with smaller factors where the norm is too large."""
    steps = np.empty(rows.shape, np.int64)
    # The cast of each product to a whole number truncates; no array of products is made.
    np.multiply(rows, factors[:, None], out=steps, dtype=np.float64, casting="unsafe")
    less = _LESS
    while (over := _exceeds(steps, norm, limit)).any():
        factors[over] *= 1.0 - less
        steps[over] = (rows[over] * factors[over, None]).astype(np.int64)
        less = min(2.0 * less, 0.5)
    return steps


def _exceeds(steps: Steps, norm: Norm, limit: int) -> NDArray[np.bool_]:
    if norm == "l1":
        return np.asarray(np.abs(steps).sum(axis=1) > limit)
    return np.asarray(_squares(steps) > limit * limit)


def _squares(rows: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.einsum("ij,ij->i", rows, rows))


def _largest(rows: Floats) -> Floats:
    return np.asarray(np.maximum(rows.max(axis=1), -rows.min(axis=1)))
