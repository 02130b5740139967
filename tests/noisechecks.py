"""What noise must stand up to. Each check takes a way to make it, and fails for one that breaks its word.

The real way passes every check; each mutant of `mutants_noise` fails the one that is made for it. Keys are
pinned, so both stay so.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aegis.federated import mechanism
from aegis.federated.composition import said
from aegis.federated.mechanism import Plan
from aegis.federated.values import flatten
from tests.chances import gaussian_delta
from tests.noiseaudit import OUTPUTS, Floats, epsilon_at_least, fineness, itself, sharpest

EPSILON: Final = 0.5
DELTA: Final = 1e-3
#: Releases of several numbers.
_RELEASES: Final = OUTPUTS // 4
_DELIVERIES: Final = 8


class Real:
    """Aegis's own way: a plan from the shape and the terms, and draws that seed and plan decide."""

    def plan(self, value: Any, **terms: Any) -> Plan:
        """Choose grid and scale."""
        return mechanism.plan(flatten(value), **terms)

    def draw(self, values: NDArray[Any], plan: Plan, seed: bytes) -> NDArray[Any]:
        """Return an array with noise."""
        return np.asarray(mechanism.draw(flatten(values), plan, seed))

    def deliver(self, values: Floats, plan: Plan, seed: bytes, time: int) -> Floats:
        """Return what the `time`th delivery of one release holds."""
        del time
        return self.draw(values, plan, seed)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Of one release."""

    mechanism: mechanism.Mechanism
    epsilon: float
    delta: float | None

    def planned(self, way: Real, value: Any, *, sensitivity: float = 1.0, per_field: bool = False) -> Plan:
        """Return the plan for a value."""
        return way.plan(
            value,
            mechanism=self.mechanism,
            epsilon=self.epsilon,
            delta=self.delta,
            sensitivity=sensitivity,
            per_field=per_field,
        )


LAPLACE: Final = Terms(mechanism="laplace", epsilon=EPSILON, delta=None)
GAUSSIAN: Final = Terms(mechanism="gaussian", epsilon=EPSILON, delta=DELTA)
#: Where the classical calibration gives too little noise.
GENEROUS: Final = Terms(mechanism="gaussian", epsilon=8.0, delta=DELTA)


def seed_of(*words: object) -> bytes:
    """Return a seed that is pinned by what it is for."""
    return hashlib.sha256(repr(words).encode()).digest()


def keeps_epsilon(way: Real) -> None:
    """One number, two neighbours: no set of outputs tells them apart by more than ε, and some by nearly ε."""
    plan = LAPLACE.planned(way, 0.0)
    one, other = (way.draw(np.full(OUTPUTS, x), plan, seed_of("epsilon", x)) for x in (0.0, 1.0))
    found = sharpest(one, other, [itself, fineness(0, 0.5), fineness(-0.5, 0)])
    assert found <= EPSILON, f"epsilon is at least {found:.3f}, {EPSILON} was promised"
    assert found >= 0.85 * EPSILON, f"only {found:.3f} of {EPSILON} was seen: this check is too weak"


def keeps_epsilon_and_delta(way: Real) -> None:
    """The same with Gaussian noise, where a set may differ by δ besides."""
    plan = GAUSSIAN.planned(way, 0.0)
    one, other = (way.draw(np.full(OUTPUTS, x), plan, seed_of("delta", x)) for x in (0.0, 1.0))
    found = sharpest(one, other, [itself, fineness(0, 0.5), fineness(-0.5, 0)], delta=DELTA)
    assert found <= EPSILON, f"epsilon is at least {found:.3f}, {EPSILON} was promised"


def counts_all_fields(way: Real) -> None:
    """Four fields, each of which one person changes: ε is that of all of them together."""
    fields = 4
    for terms in (LAPLACE, GAUSSIAN):
        plan = terms.planned(way, [0.0] * fields, sensitivity=1.0, per_field=True)
        releases = [
            way.draw(np.full(_RELEASES * fields, x), plan, seed_of("fields", x)).reshape(-1, fields)
            for x in (0.0, 1.0)
        ]
        # The likelihood of one neighbour against the other, coordinate by coordinate.
        told = [np.clip(2 * drawn - 1, -1, 1) if terms is LAPLACE else drawn for drawn in releases]
        found = epsilon_at_least(*(each.sum(axis=1) for each in told), delta=terms.delta or 0.0)
        assert found <= EPSILON, (
            f"epsilon is at least {found:.3f} for {fields} fields, {EPSILON} was promised"
        )


def lies_on_one_grid(way: Real) -> None:
    """Whatever the input, each output is a multiple of one number: the attack of Mironov (2012) sees nothing.

    And the grid is so for inputs that are no multiples themselves, of any size up to where doubles end.
    """
    for terms in (LAPLACE, GAUSSIAN):
        plan = terms.planned(way, 0.0)
        assert plan.exponent is not None, "there is no grid"
        inputs = [0.0, 1.0, 0.1, 1 / 3, 5e-324, 1e-9, math.pi, 1e4 / 7, 2.0**30 + 0.1, -1e15 / 3, 1e300]
        for x in inputs:
            outputs = way.draw(np.full(1000, x), plan, seed_of("grid", x))
            steps = outputs * 2.0**-plan.exponent
            assert (steps == np.rint(steps)).all(), f"outputs of {terms.mechanism} noise lie between the grid"
        for x, near in ((0.1, 1.1), (0.0, 1.0), (0.3, -0.7)):
            one, other = (way.draw(np.full(OUTPUTS // 4, v), plan, seed_of("bits", v)) for v in (x, near))
            low, high = sorted((x, near))
            found = sharpest(one, other, [fineness(low, (low + high) / 2), fineness((low + high) / 2, high)])
            assert found <= EPSILON, f"the last bits alone show an epsilon of at least {found:.1f}"


def pays_for_rounding(way: Real) -> None:
    """Neighbours that the grid pushes apart: their distance in steps, over the scale, is still at most ε.

    The same seed for both shows the distance of the rounded inputs without noise. The probabilities of
    integers n and n' under rounded noise differ by a factor of e^(|n - n'| / scale), exactly, in the tails.
    """
    fields = 7
    for terms in (LAPLACE, GAUSSIAN):
        plan = terms.planned(way, [0.0] * fields)
        assert plan.exponent is not None, "there is no grid"
        step = Fraction(2) ** plan.exponent
        share = Fraction(1, fields) if terms is LAPLACE else 1 / Fraction(math.sqrt(fields) * (1 + 2**-50))
        # As many steps and a little more than half of one up to the next boundary, on both sides.
        whole = share // step
        little = (share - whole * step) / 2
        low = Fraction(1, 2) * step - min(little, step / 4)
        one, other = (np.full(fields, float(x)) for x in (low, low + share))
        apart = _distance(one, other, terms)
        assert apart <= 1 + 2**-40, "these are no neighbours"
        first, second = (way.draw(values, plan, seed_of("rounding")) for values in (one, other))
        reached = _distance(first, second, terms)
        assert reached > apart, "rounding pushes nothing apart here: this check is too weak"
        if terms is LAPLACE:
            loss = reached / Fraction(plan.grid_steps or 0) / step
            assert loss <= said(EPSILON), f"a loss of {float(loss):.7f}, {EPSILON} was promised"
        else:
            least = reached * Fraction(plan.ratio)
            got = Fraction(plan.grid_steps or 0) * step
            assert got >= least, f"sigma is {float(got):.7f}, this distance takes {float(least):.7f}"


def keeps_delta(way: Real) -> None:
    """The closed form, in a hundred decimals: at ε the Gaussian that is drawn has at most δ."""
    for terms in (GENEROUS, GAUSSIAN):
        plan = terms.planned(way, 0.0)
        assert plan.grid_steps is not None, "there is no grid"
        assert plan.exponent is not None, "there is no grid"
        noise = plan.grid_steps * 2.0**plan.exponent
        found = gaussian_delta(terms.epsilon, noise)
        assert found <= (terms.delta or 0.0), (
            f"delta is {found:.2e} at epsilon {terms.epsilon}, not {terms.delta:.0e}"
        )


def is_drawn_once(way: Real) -> None:
    """Eight deliveries of one release tell no more than one."""
    plan = LAPLACE.planned(way, 0.0)
    means = []
    for x in (0.0, 1.0):
        values, seed = np.full(OUTPUTS, x), seed_of("once", x)
        means.append(np.mean([way.deliver(values, plan, seed, time) for time in range(_DELIVERIES)], axis=0))
    found = epsilon_at_least(*means)
    assert found <= EPSILON, f"epsilon is at least {found:.3f} after {_DELIVERIES} deliveries"


def uses_parts_apart(way: Real) -> None:
    """Whole and real numbers of one release have noise of their own: no difference of the two is without."""
    many = 4000
    plan = LAPLACE.planned(way, {"count": 0, "sum": 0.0}, sensitivity=1000.0)
    seed = seed_of("parts")
    counts = way.draw(np.zeros(many, dtype=np.int64), plan, seed)
    sums = way.draw(np.zeros(many), plan, seed)
    shared = float(np.corrcoef(counts, sums)[0, 1])
    assert abs(shared) < 6 / math.sqrt(many), (
        f"counts and sums share their noise: a correlation of {shared:.2f}"
    )


def _distance(one: NDArray[Any], other: NDArray[Any], terms: Terms) -> Fraction:
    """Return the distance in the mechanism's norm, exactly or rounded up."""
    parts = [abs(Fraction(float(a)) - Fraction(float(b))) for a, b in zip(one, other, strict=True)]
    if terms is LAPLACE:
        return sum(parts, Fraction(0))
    square = sum((part * part for part in parts), Fraction(0))
    return Fraction(math.isqrt(int(square * 2**200)) + 1, 2**100)


Check = Callable[[Real], None]
CHECKS: Final[Mapping[str, Check]] = {
    check.__name__: check
    for check in (
        keeps_epsilon,
        keeps_epsilon_and_delta,
        counts_all_fields,
        lies_on_one_grid,
        pays_for_rounding,
        keeps_delta,
        is_drawn_once,
        uses_parts_apart,
    )
}
