"""The scale of the noise, against the guarantee's closed form by another program."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aegis.errors import UsageError
from aegis.federated import calibration, mechanism
from aegis.federated.values import flatten
from tests.chances import gaussian_delta
from tests.mutants_noise import classical_sigma

EPSILONS: Final = st.floats(-4, 1.3).map(lambda power: 10.0**power)
DELTAS: Final = st.floats(-15, -0.5).map(lambda power: 10.0**power)
SENSITIVITIES: Final = st.floats(-6, 9).map(lambda power: 10.0**power)


@given(epsilon=EPSILONS, delta=DELTAS)
def test_sigma_is_enough_and_hardly_more(epsilon: float, delta: float) -> None:
    """The exact δ of sigma is at most δ, and that of a sigma smaller by a millionth is above it."""
    sigma = calibration.gaussian_sigma(epsilon, delta, 1.0)
    assert gaussian_delta(epsilon, sigma) <= Decimal(delta)
    assert gaussian_delta(epsilon, sigma * (1 - 1e-6)) > Decimal(delta)


@given(epsilon=st.floats(-4, 0.4).map(lambda power: 10.0**power), noise=st.floats(0.1, 5))
@example(epsilon=1000.0, noise=0.0224)
def test_delta_is_rounded_up(epsilon: float, noise: float) -> None:
    """It is above the exact δ by 1e-48, also where e^ε lifts the tail most: its digits lose far less."""
    above = calibration.gaussian_delta(epsilon, noise) - gaussian_delta(epsilon, noise)
    assert abs(above - Decimal("1e-48")) < Decimal("1e-52")


@pytest.mark.parametrize(("point", "tail"), [("100.1", 0), ("-100.1", 1)])
def test_the_tail_beyond_a_hundred_is_known(point: str, tail: int) -> None:
    """Nothing is above it, or everything; at a hundred itself there is still a little."""
    assert calibration.normal_tail(Decimal(point)) == tail
    assert 0 < calibration.normal_tail(Decimal(100)) < Decimal("1e-2173")


@given(epsilon=EPSILONS, delta=DELTAS, sensitivity=SENSITIVITIES)
def test_sigma_grows_with_the_sensitivity_and_is_rounded_up(
    epsilon: float, delta: float, sensitivity: float
) -> None:
    """Sigma over the sensitivity is never less than sigma at 1, as fractions."""
    ratio = Fraction(calibration.gaussian_sigma(epsilon, delta, sensitivity)) / Fraction(sensitivity)
    least = Fraction(calibration.gaussian_sigma(epsilon, delta, 1.0))
    assert least <= ratio <= least * (1 + Fraction(1, 1 << 52))


@given(epsilon=EPSILONS, sensitivity=SENSITIVITIES)
def test_laplace_is_rounded_up(epsilon: float, sensitivity: float) -> None:
    """b·ε is at least the sensitivity, as fractions, and the double below b is too small."""
    scale = calibration.laplace_scale(epsilon, sensitivity)
    assert Fraction(scale) * Fraction(epsilon) >= Fraction(sensitivity)
    assert Fraction(math.nextafter(scale, 0)) * Fraction(epsilon) < Fraction(sensitivity)


@given(st.integers(1, 10**12))
def test_a_root_is_rounded_up(value: int) -> None:
    """Its square is never below the value, and that of a root smaller by 2^-60 never above it."""
    root = calibration.root_up(value)
    assert (root - Fraction(1, 1 << 60)) ** 2 <= value < root**2


@pytest.mark.parametrize(
    ("epsilon", "delta", "noise"), [(0.5, 1e-5, 7.0), (8.0, 1e-5, 0.6), (1.0, 1e-2, 1.5)]
)
def test_the_closed_form_is_the_divergence(epsilon: float, delta: float, noise: float) -> None:
    """∫ max(0, p(x) - e^ε·p(x - 1)) dx, summed, is what the closed form says: it is the right formula."""
    del delta
    at = np.linspace(-15 * noise - 2, 15 * noise + 2, 2_000_001)
    p, q = (np.exp(-((at - middle) ** 2) / (2 * noise**2)) for middle in (1.0, 0.0))
    area = np.maximum(0, p - math.exp(epsilon) * q).sum() * (at[1] - at[0]) / (noise * math.sqrt(2 * math.pi))
    assert float(area) == pytest.approx(float(gaussian_delta(epsilon, noise)), rel=1e-6)


def test_the_classical_calibration_is_caught() -> None:
    """√(2 ln(1.25/δ))/ε has more than δ at ε = 8, and is wasteful below 1; the real one neither."""
    for epsilon in (8.0, 16.0):
        assert gaussian_delta(epsilon, classical_sigma(epsilon, 1e-3, 1.0)) > Decimal("1.3e-3")
        assert gaussian_delta(epsilon, calibration.gaussian_sigma(epsilon, 1e-3, 1.0)) <= Decimal("1e-3")
    assert classical_sigma(0.5, 1e-5, 1.0) > 1.25 * calibration.gaussian_sigma(0.5, 1e-5, 1.0)


@pytest.mark.parametrize("value", [0.0, [0.0] * 10, 1, [1] * 10])
def test_noise_that_is_too_wide_is_refused_by_the_plan(value: Any) -> None:
    """What could not be drawn is refused before a budget is charged for it."""
    with pytest.raises(UsageError, match="the noise would be"):
        mechanism.plan(flatten(value), mechanism="laplace", epsilon=1e-17, delta=None, sensitivity=1.0)
