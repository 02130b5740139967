"""Noise for an aggregate: how much its guarantee takes, on which grid, and adding it.

Real numbers are rounded to a grid of 2^k that does not depend on them, whole numbers stay on their
own. With n the input in steps and Z ideal noise, n + round(Z) = round(n + Z): what leaves is computed
from the input on the grid plus ideal continuous noise, so it has that noise's guarantee (`noise` makes
the rounding exact). Rounding changes a coordinate by half a step at most, so two neighbours are up
to d·2^k (L1) or √d·2^k (L2) further apart than before, d being the real coordinates: the
sensitivity is enlarged by it. The grid is so fine that this is at most one part in 2^14.

Saturation (inputs at ±2^61 steps, outputs at the ends of their type) happens before noise as a map
that brings nobody further apart, and after it as post-processing.
"""

import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from aegis.errors import UsageError
from aegis.federated import noise, selftest
from aegis.federated.calibration import gaussian_noise, root_up, up
from aegis.federated.clipped import Clipped
from aegis.federated.composition import Spend, said
from aegis.federated.values import LARGEST, Flat, Leaf

Mechanism = Literal["laplace", "gaussian"]

#: The grid enlarges the noise by less than this part of it.
_INFLATION: Final = 1 << 14
_PORTIONS: Final[Mapping[str, Callable[[bytes, float, int], Iterator[noise.Portion]]]] = {
    "laplace": noise.laplace_portions,
    "gaussian": noise.gaussian_portions,
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is added to an aggregate; everything but the seed, and nothing of the values."""

    mechanism: Mechanism
    epsilon: float
    delta: float | None
    #: Of the whole release, as the caller states or clipping enforces it, in L1 or L2.
    sensitivity: float
    coordinates: int
    #: Real numbers lie on multiples of 2^exponent; None where there are none.
    exponent: int | None
    #: b or sigma of the continuous noise, in the aggregate's unit.
    scale: float
    #: The same in steps of the grid, and for whole numbers; None where there are none.
    grid_steps: float | None
    whole_steps: float | None
    #: b or sigma over the enlarged sensitivity.
    ratio: float

    @property
    def spend(self) -> Spend:
        """What it costs a budget."""
        return Spend(mechanism=self.mechanism, epsilon=self.epsilon, delta=self.delta, noise=self.ratio)


def plan(
    flat: Flat,
    *,
    mechanism: Mechanism,
    epsilon: float,
    delta: float | None,
    sensitivity: float,
    per_field: bool = False,
) -> Plan:
    """Choose grid and scale for an aggregate's numbers.

    Args:
        flat: the numbers; only how many there are of each kind is looked at.
        mechanism: laplace (pure ε) or gaussian ((ε, δ)).
        epsilon: of the whole release.
        delta: of the whole release; None for laplace.
        sensitivity: what one participant changes, in L1 (laplace) or L2 (gaussian).
        per_field: it is that of each number: all together are d or √d times it.

    """
    selftest.check()
    return _plan(flat.real, flat.whole, mechanism, (epsilon, delta), sensitivity, per_field=per_field)


@lru_cache(maxsize=256)
def _plan(
    real: int,
    whole: int,
    mechanism: Mechanism,
    guarantee: tuple[float, float | None],
    sensitivity: float,
    *,
    per_field: bool,
) -> Plan:
    """Do what `plan` says; a service releases the same shape on the same terms again and again."""
    epsilon, delta = guarantee
    coordinates = real + whole
    total = Fraction(sensitivity)
    if per_field:
        total *= _together(mechanism, coordinates)
    ratio = _ratio(mechanism, epsilon, delta)
    exponent = _finest(total, ratio, mechanism, real) if real else None
    step = Fraction(2) ** exponent if exponent is not None else Fraction(0)
    scale = (total + _together(mechanism, real) * step) * ratio
    return Plan(
        mechanism=mechanism,
        epsilon=epsilon,
        delta=delta,
        sensitivity=float(total),
        coordinates=coordinates,
        exponent=exponent,
        scale=up(scale),
        grid_steps=_grid_steps(scale / step) if real else None,
        whole_steps=_whole_steps(scale) if whole else None,
        ratio=up(ratio),
    )


def plan_sum(clipped: Clipped, *, mechanism: Mechanism, epsilon: float, delta: float | None) -> Plan:
    """Choose the scale for a sum of clipped contributions, which lies on its grid already.

    Raises:
        UsageError: it was clipped in the norm of the other mechanism, or on too fine a grid for so
            much noise.

    """
    selftest.check()
    norm = "l1" if mechanism == "laplace" else "l2"
    if clipped.norm != norm:
        message = f"contributions were clipped in {clipped.norm}, and {mechanism} noise is for {norm}"
        raise UsageError(message)
    ratio = _ratio(mechanism, epsilon, delta)
    scale = Fraction(clipped.sensitivity) * ratio
    steps = up(scale / Fraction(2) ** clipped.exponent)
    if steps > noise.LARGEST_SCALE:
        message = "the noise would be more than 2^54 steps: clip on a larger exponent, or spend more epsilon"
        raise UsageError(message)
    return Plan(
        mechanism=mechanism,
        epsilon=epsilon,
        delta=delta,
        sensitivity=clipped.sensitivity,
        coordinates=clipped.steps.size,
        exponent=clipped.exponent,
        scale=up(scale),
        grid_steps=steps,
        whole_steps=None,
        ratio=up(ratio),
    )


def draw(flat: Flat, chosen: Plan, seed: bytes) -> Any:
    """Return the aggregate with noise; the same seed gives the same bytes, on every machine."""
    selftest.check()
    kinds = ((True, "whole", chosen.whole_steps, flat.whole), (False, "grid", chosen.grid_steps, flat.real))
    supplies = {
        kind: _Supply(chosen, steps, subkey(seed, name), count)
        for kind, name, steps, count in kinds
        if steps is not None
    }
    return flat.around_these([_noisy(leaf, chosen, supplies[leaf.whole]) for leaf in flat.leaves])


def draw_sum(clipped: Clipped, chosen: Plan, seed: bytes) -> NDArray[np.float64]:
    """Return a sum of clipped contributions, or their mean, with noise."""
    selftest.check()
    supply = _Supply(chosen, chosen.grid_steps or 0.0, subkey(seed, "grid"), clipped.steps.size)
    steps = clipped.steps.reshape(-1)
    made = np.empty(steps.size)
    for at, added in supply.take(steps.size):
        made[at : at + len(added)] = (steps[at : at + len(added)] + added) * 2.0**clipped.exponent
    return (made / clipped.divisor).reshape(clipped.steps.shape)


def subkey(seed: bytes, purpose: str) -> bytes:
    """Return the key of one use of a release's seed."""
    return hmac.digest(seed, b"aegis/release/" + purpose.encode(), "sha256")


class _Supply:
    """The noise of one kind, handed out in order."""

    def __init__(self, chosen: Plan, steps: float, key: bytes, count: int) -> None:
        drawn = _PORTIONS[chosen.mechanism](key, steps, count)
        self._portions = (portion.steps for portion in drawn)
        self._rest: noise.Steps = np.empty(0, dtype=np.int64)

    def take(self, count: int) -> Iterator[tuple[int, noise.Steps]]:
        """Yield the next `count` draws: where each part begins, and the part."""
        at = 0
        while at < count:
            if not len(self._rest):
                self._rest = next(self._portions)
            part, self._rest = self._rest[: count - at], self._rest[count - at :]
            yield at, part
            at += len(part)


def _noisy(leaf: Leaf, chosen: Plan, supply: _Supply) -> NDArray[Any]:
    made = np.empty_like(leaf.numbers)
    exponent = None if leaf.whole else chosen.exponent
    for at, added in supply.take(len(leaf.numbers)):
        part = leaf.numbers[at : at + len(added)]
        made[at : at + len(added)] = _within(_steps(part, exponent) + added, exponent, leaf.numbers.dtype)
    return made


def _steps(numbers: NDArray[Any], exponent: int | None) -> noise.Steps:
    if exponent is None:
        top = min(LARGEST, int(np.iinfo(numbers.dtype).max))
        low = max(-LARGEST, int(np.iinfo(numbers.dtype).min))
        clipped: noise.Steps = np.clip(numbers, low, top).astype(np.int64)
        return clipped
    with np.errstate(over="ignore", under="ignore"):
        # A power of two is exact: the sensitivity's range keeps it a double.
        scaled = numbers * np.float64(2.0**-exponent)
    np.clip(scaled, -float(LARGEST), float(LARGEST), out=scaled)
    np.rint(scaled, out=scaled)
    whole: noise.Steps = scaled.astype(np.int64)
    return whole


def _within(steps: noise.Steps, exponent: int | None, kind: np.dtype[Any]) -> NDArray[Any]:
    """Return steps as numbers of a type; what it cannot hold becomes its nearest end."""
    if exponent is None:
        ends = np.iinfo(kind)
        low, top = max(int(ends.min), -(1 << 62)), min(int(ends.max), 1 << 62)
        return np.clip(steps, low, top)
    with np.errstate(over="ignore", under="ignore"):
        real = steps * np.float64(2.0**exponent)
    if kind.itemsize < real.itemsize:
        np.clip(real, -float(np.finfo(kind).max), float(np.finfo(kind).max), out=real)
    return real


def _ratio(mechanism: Mechanism, epsilon: float, delta: float | None) -> Fraction:
    if mechanism == "gaussian":
        return Fraction(gaussian_noise(epsilon, delta or 0.0))
    return 1 / said(epsilon)


def _together(mechanism: Mechanism, coordinates: int) -> Fraction:
    return root_up(coordinates) if mechanism == "gaussian" else Fraction(coordinates)


def _finest(total: Fraction, ratio: Fraction, mechanism: Mechanism, real: int) -> int:
    """Return the exponent of the coarsest grid that enlarges the sensitivity by at most 2^-14 of it."""
    step = total / (_together(mechanism, real) * _INFLATION)
    exponent = step.numerator.bit_length() - step.denominator.bit_length()
    if Fraction(2) ** exponent > step:
        exponent -= 1
    # Where the noise is a great many steps, a coarser grid serves as well.
    while total * ratio / Fraction(2) ** exponent > noise.LARGEST_SCALE / 2:
        exponent += 1
    return exponent


def _grid_steps(scale: Fraction) -> float:
    steps = up(scale)
    if steps > noise.LARGEST_SCALE:
        message = "the noise would be more than 2^54 steps of any grid: spend more epsilon"
        raise UsageError(message)
    return steps


def _whole_steps(scale: Fraction) -> float:
    steps = up(scale)
    if steps > noise.LARGEST_SCALE:
        message = (
            "the noise would be larger than whole numbers can be: give floats, or a smaller sensitivity "
            "for the epsilon"
        )
        raise UsageError(message)
    return steps
