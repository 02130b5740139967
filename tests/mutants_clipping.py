"""Ways to clip and sum that look right and are not; each must be caught by the checks of the right one.

Every one takes rows, a norm and a bound, and returns the sum of the cut rows as exact numbers.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aegis.federated.clipped import Grid, Norm
from aegis.federated.clipping import clip_contributions

Row = NDArray[Any]
Summed = Callable[[Sequence[Row], Norm, float], list[Fraction]]


def right(rows: Sequence[Row], norm: Norm, bound: float) -> list[Fraction]:
    """The real thing."""
    clipped = clip_contributions(iter(rows), norm=norm, bound=bound)
    return [int(step) * Fraction(2) ** clipped.exponent for step in clipped.steps.reshape(-1)]


def in_doubles(rows: Sequence[Row], norm: Norm, bound: float) -> list[Fraction]:
    """Cut and summed in doubles: every multiplication and every addition rounds."""
    total = np.zeros(rows[0].size) if rows else np.zeros(1)
    for row in rows:
        total += _cut(row, norm, bound)
    return [Fraction(float(number)) for number in total]


def to_nearest(rows: Sequence[Row], norm: Norm, bound: float) -> list[Fraction]:
    """Cut in doubles, rounded to the nearest step: up to half a step too much for each coordinate."""
    grid = Grid.of(bound)
    total = [0] * (rows[0].size if rows else 1)
    for row in rows:
        steps = np.rint(np.ldexp(_cut(row, norm, bound), -grid.exponent)).astype(np.int64)
        total = [before + int(step) for before, step in zip(total, steps, strict=True)]
    return [number * Fraction(2) ** grid.exponent for number in total]


def each_coordinate(rows: Sequence[Row], norm: Norm, bound: float) -> list[Fraction]:
    """Cut coordinate by coordinate, which bounds no norm of the whole."""
    del norm
    return right([np.clip(row, -bound, bound) for row in rows], "l1", bound * max(1, rows[0].size))


def by_the_batch(rows: Sequence[Row], norm: Norm, bound: float) -> list[Fraction]:
    """Made smaller by the largest norm of the batch, so that a row depends on the others."""
    largest = max(_norm(row, norm) for row in rows)
    return right([row * min(1.0, bound / largest) for row in rows], norm, bound)


MUTANTS: Final[dict[str, Summed]] = {
    "in doubles": in_doubles,
    "to nearest": to_nearest,
    "each coordinate": each_coordinate,
    "by the batch": by_the_batch,
}


def _norm(row: Row, norm: Norm) -> float:
    return float(np.linalg.norm(row, 1 if norm == "l1" else 2))


def _cut(row: Row, norm: Norm, bound: float) -> NDArray[np.float64]:
    return np.asarray(row * min(1.0, bound / _norm(row, norm)), np.float64)
