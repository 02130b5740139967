"""A lower bound of the ε that a mechanism really has, from its outputs alone.

Two neighbouring inputs, many outputs of each. One half chooses the set of outputs that tells them apart best,
the other half, which had no say in that, measures how often each input falls in it; Clopper and Pearson bound
both shares. The bound is above the true ε with probability ≤ ALPHA, so what exceeds a claim refutes it; what
does not exceed it proves nothing (Jagielski, Ullman and Oprea 2020; Gilbert and McMillan 2018).
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tests.chances import clopper_pearson
from tests.repeats import LONG

Floats = NDArray[np.float64]
#: What each output is told apart by: as many numbers as outputs. NaN is in no set.
Feature = Callable[[Floats], Floats]

ALPHA: Final = 1e-9
#: Outputs of each input.
OUTPUTS: Final = 2_000_000 if LONG else 300_000
_THRESHOLDS: Final = 200
_WIDE: Final = 6.5


def epsilon_at_least(one: Floats, other: Floats, *, delta: float = 0.0) -> float:
    """Return a bound of ε from a number for each output, of two neighbouring inputs.

    The sets are all that lie on one side of a threshold, for both inputs in both roles.
    """
    half = len(one) // 2
    choices = [
        (*_best(first[:half] * sign, second[:half] * sign, delta), sign, swapped)
        for swapped, (first, second) in enumerate(((one, other), (other, one)))
        for sign in (1.0, -1.0)
    ]
    _, at, sign, swapped = max(choices)
    first, second = (other, one) if swapped else (one, other)
    return _measured(first[half:] * sign >= at, second[half:] * sign >= at, delta)


def sharpest(one: Floats, other: Floats, features: Sequence[Feature], *, delta: float = 0.0) -> float:
    """Return the largest bound that any of some features gives."""
    return max(epsilon_at_least(feature(one), feature(other), delta=delta) for feature in features)


def itself(outputs: Floats) -> Floats:
    """Tell outputs apart by size."""
    return outputs


def fineness(low: float, high: float) -> Feature:
    """Tell outputs between two bounds apart by their last bit, as Mironov (2012) did.

    Above a sum's larger part no bit is left below that part's own: x + noise near 0 is a multiple of x's last
    bits, and noise alone is not.
    """

    def feature(outputs: Floats) -> Floats:
        fraction, exponent = np.frexp(outputs)
        whole = (np.abs(fraction) * 2.0**53).astype(np.int64)
        last = np.log2(np.maximum(whole & -whole, 1).astype(np.float64)) + exponent - 53
        return np.where((outputs > low) & (outputs < high), last, np.nan)

    return feature


def _best(first: Floats, second: Floats, delta: float) -> tuple[float, float]:
    """Return about what the best threshold would show, and it; the half that is measured decides."""
    one, other = np.sort(first[~np.isnan(first)]), np.sort(second[~np.isnan(second)])
    if not len(one):
        return -math.inf, math.inf
    at = np.unique(np.quantile(one, np.linspace(0, 0.999, _THRESHOLDS), method="nearest"))
    many = len(first)
    hit, miss = (1 - (np.searchsorted(it, at) + many - len(it)) / many for it in (one, other))
    low = hit - _WIDE * np.sqrt(hit * (1 - hit) / many) - delta
    high = miss + _WIDE * np.sqrt(miss * (1 - miss) / many) + 20 / many
    ratio = np.log(np.maximum(low, 1e-300) / high)
    return float(np.max(ratio)), float(at[np.argmax(ratio)])


def _measured(first: NDArray[np.bool_], second: NDArray[np.bool_], delta: float) -> float:
    low, _ = clopper_pearson(int(first.sum()), len(first), ALPHA / 2)
    _, high = clopper_pearson(int(second.sum()), len(second), ALPHA / 2)
    return max(0.0, math.log((low - delta) / high)) if low > delta else 0.0
