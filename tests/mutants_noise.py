"""Ways to make noise that look right and are not, and the check that must catch each.

Every one of these was a fault of some library or of a program that somebody ran; `numpy's noise` is what a
search for "differential privacy in Python" finds first.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aegis.federated import mechanism
from aegis.federated.calibration import gaussian_noise, laplace_scale, up
from aegis.federated.mechanism import Plan
from tests.noiseaudit import Floats
from tests.noisechecks import Real


def classical_sigma(epsilon: float, delta: float, sensitivity: float) -> float:
    """Return √(2 ln(1.25/δ))·Δ/ε (Dwork and Roth 2014, theorem A.1), which is proven for ε below 1 alone."""
    return math.sqrt(2 * math.log(1.25 / delta)) * sensitivity / epsilon


def _scaled(plan: Plan, factor: Fraction) -> Plan:
    """Return a plan with another scale."""

    def scaled(old: float | None) -> float | None:
        return None if old is None else up(Fraction(old) * factor)

    return replace(
        plan,
        scale=up(Fraction(plan.scale) * factor),
        grid_steps=scaled(plan.grid_steps),
        whole_steps=scaled(plan.whole_steps),
    )


class HalfTheNoise(Real):
    """b = Δ/2ε: a factor of two that got lost."""

    def plan(self, value: Any, **terms: Any) -> Plan:
        """Choose half the scale."""
        return _scaled(super().plan(value, **terms), Fraction(1, 2))


class EpsilonForEachField(Real):
    """ε is spent on every field, as if each were the only one."""

    def plan(self, value: Any, **terms: Any) -> Plan:
        """Choose the scale of one field."""
        return super().plan(value, **{**terms, "per_field": False})


class FreshNoiseOnRedelivery(Real):
    """A task that is delivered again draws again."""

    def deliver(self, values: Floats, plan: Plan, seed: bytes, time: int) -> Floats:
        """Draw from another seed each time."""
        return self.draw(values, plan, hashlib.sha256(seed + bytes([time])).digest())


class NumpysNoise(Real):
    """`value + rng.laplace(0, b)`: the right distribution, in doubles."""

    def draw(self, values: NDArray[Any], plan: Plan, seed: bytes) -> NDArray[Any]:
        """Add numpy's noise."""
        generator = np.random.default_rng(list(seed))
        draw = generator.laplace if plan.mechanism == "laplace" else generator.normal
        return np.asarray(values + draw(0.0, plan.scale, len(values)))


class NumpysNoiseRounded(NumpysNoise):
    """Rounded to six decimals afterwards, which hides most bits and leaves a grid that is none of doubles."""

    def draw(self, values: NDArray[Any], plan: Plan, seed: bytes) -> NDArray[Any]:
        """Round what numpy made."""
        return np.round(super().draw(values, plan, seed), 6)


class NoiseOnTheGridAlone(Real):
    """Noise from the grid, added to a value that was not rounded to it."""

    def draw(self, values: NDArray[Any], plan: Plan, seed: bytes) -> NDArray[Any]:
        """Add exact noise to inexact values."""
        return np.asarray(values + super().draw(np.zeros(len(values)), plan, seed))


class GridOfTheValue(Real):
    """A grid that follows the size of the value, as a number of significant digits does."""

    def draw(self, values: NDArray[Any], plan: Plan, seed: bytes) -> NDArray[Any]:
        """Choose the grid by the first value."""
        finer = max(0, -math.frexp(float(values[0]))[1])
        steps = up(Fraction(plan.grid_steps or 0.0) * 2**finer)
        moved = replace(plan, exponent=(plan.exponent or 0) - finer, grid_steps=steps)
        return super().draw(values, moved, seed)


class NoRoundingAllowance(Real):
    """The sensitivity before rounding to the grid."""

    def plan(self, value: Any, **terms: Any) -> Plan:
        """Choose the scale as if nothing were rounded."""
        plan = super().plan(value, **terms)
        exact = Fraction(plan.ratio) * Fraction(plan.sensitivity)
        return replace(plan, scale=up(exact), grid_steps=up(exact / Fraction(2) ** (plan.exponent or 0)))


class ClassicalCalibration(Real):
    """The formula of the textbooks, beyond the ε for which it holds."""

    def plan(self, value: Any, **terms: Any) -> Plan:
        """Choose the classical scale."""
        plan = super().plan(value, **terms)
        epsilon, delta = terms["epsilon"], terms["delta"]
        ratio = classical_sigma(epsilon, delta, 1.0) / gaussian_noise(epsilon, delta)
        return _scaled(plan, Fraction(ratio))


class LaplaceScaleForGaussian(Real):
    """Δ/ε: the scale of the other mechanism."""

    def plan(self, value: Any, **terms: Any) -> Plan:
        """Choose Δ/ε."""
        plan = super().plan(value, **terms)
        if terms["mechanism"] == "laplace":
            return plan
        ratio = laplace_scale(terms["epsilon"], 1.0) / gaussian_noise(terms["epsilon"], terms["delta"])
        return _scaled(plan, Fraction(ratio))


class OneStreamForAllParts(Real):
    """The same bits for whole and for real numbers."""

    def draw(self, values: NDArray[Any], plan: Plan, seed: bytes) -> NDArray[Any]:
        """Use the seed itself as the key of every part."""
        steps = (plan.whole_steps if values.dtype.kind == "i" else plan.grid_steps) or 1.0
        key = mechanism.subkey(seed, "noise")
        drawn = next(mechanism._PORTIONS[plan.mechanism](key, steps, len(values))).steps  # noqa: SLF001
        return np.asarray(values + drawn)


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A wrong way, and the check that catches it."""

    way: Real
    caught_by: str


MUTANTS: Final[Mapping[str, Mutant]] = {
    "half the noise": Mutant(way=HalfTheNoise(), caught_by="keeps_epsilon"),
    "epsilon for each field": Mutant(way=EpsilonForEachField(), caught_by="counts_all_fields"),
    "fresh noise on redelivery": Mutant(way=FreshNoiseOnRedelivery(), caught_by="is_drawn_once"),
    "numpy's noise": Mutant(way=NumpysNoise(), caught_by="keeps_epsilon"),
    "numpy's noise, by its grid": Mutant(way=NumpysNoise(), caught_by="lies_on_one_grid"),
    "numpy's noise, rounded": Mutant(way=NumpysNoiseRounded(), caught_by="lies_on_one_grid"),
    "values beside the grid": Mutant(way=NoiseOnTheGridAlone(), caught_by="lies_on_one_grid"),
    "a grid by the value's size": Mutant(way=GridOfTheValue(), caught_by="lies_on_one_grid"),
    "no rounding allowance": Mutant(way=NoRoundingAllowance(), caught_by="pays_for_rounding"),
    "classical calibration": Mutant(way=ClassicalCalibration(), caught_by="keeps_delta"),
    "Laplace's scale for a Gaussian": Mutant(
        way=LaplaceScaleForGaussian(), caught_by="keeps_epsilon_and_delta"
    ),
    "one stream for all parts": Mutant(way=OneStreamForAllParts(), caught_by="uses_parts_apart"),
}
