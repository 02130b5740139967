"""What a release costs, and what a limit means: exactly, in whole nano-units, rounded to the safe side."""

import decimal
import math
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aegis.errors import UsageError
from aegis.federated.composition import MOST, NANO, ORDERS, Composition, Spend, check_order, cost, said
from aegis.federated.conversion import check_delta, epsilon_of, limit_of, shown

#: Four times as many digits as are computed with.
MANY = decimal.Context(prec=440)
EPSILONS = st.floats(1e-6, 50.0)
NOISES = st.floats(1e-2, 1e6)
DELTAS = st.floats(1e-12, 0.5)
ORDER = st.integers(ORDERS[0], 64)


def laplace(epsilon: float, noise: float | None = None) -> Spend:
    """Return Laplace noise of an epsilon, drawn as wide as that needs or as given."""
    return Spend(mechanism="laplace", epsilon=epsilon, delta=None, noise=noise or 1 / epsilon)


def gaussian(noise: float) -> Spend:
    """Return Gaussian noise."""
    return Spend(mechanism="gaussian", epsilon=1.0, delta=1e-6, noise=noise)


def just_above(nano: int, exact: Fraction) -> bool:
    """Whether a cost is the least whole number that is not below the exact one."""
    return nano - 1 < exact * NANO <= nano


def digits(number: Fraction) -> Decimal:
    """Return a fraction in many digits."""
    return MANY.divide(Decimal(number.numerator), Decimal(number.denominator))


@given(EPSILONS, NOISES)
def test_a_cost_is_exact_and_rounded_up(epsilon: float, noise: float) -> None:
    """By Bun and Steinke, and by Mironov for Gaussian noise: each is a fraction, and known exactly."""
    loss = max(Fraction(repr(epsilon)), 1 / Fraction(noise))
    assert just_above(cost("pure", None, laplace(epsilon, noise)), loss)
    assert just_above(cost("zcdp", None, laplace(epsilon, noise)), loss**2 / 2)
    assert just_above(cost("zcdp", None, gaussian(noise)), 1 / (2 * Fraction(noise) ** 2))
    assert just_above(cost("rdp", 7, gaussian(noise)), 7 / (2 * Fraction(noise) ** 2))


@given(EPSILONS, ORDER)
@example(1e-6, 2)
@example(50.0, 64)
def test_the_rdp_of_laplace_noise(epsilon: float, order: int) -> None:
    """Mironov's proposition 6 as he wrote it, in many more digits."""
    with decimal.localcontext(MANY):
        x, a = digits(laplace(epsilon).loss), Decimal(order)
        powers = a / (2 * a - 1) * ((a - 1) * x).exp() + (a - 1) / (2 * a - 1) * (-a * x).exp()
        exact = Fraction(powers.ln() / (a - 1))
    assert just_above(cost("rdp", order, laplace(epsilon)), exact)


@given(EPSILONS, ORDER)
def test_compositions_agree_on_what_is_known_of_them(epsilon: float, order: int) -> None:
    """RDP is at most pure epsilon, at most order times rho, and grows with the order."""
    spend = laplace(epsilon)
    rdp = cost("rdp", order, spend)
    assert rdp <= cost("pure", None, spend)
    assert rdp <= order * cost("zcdp", None, spend)
    assert rdp <= cost("rdp", order + 1, spend)


@given(st.floats(1e-3, 100.0), DELTAS)
def test_a_limit_of_zcdp_is_the_most_that_keeps_its_word(epsilon: float, delta: float) -> None:
    """One nano-unit more of rho would mean more epsilon than was said."""
    try:
        limit = limit_of("zcdp", epsilon, delta, None)
    except UsageError:
        limit = 0
    with decimal.localcontext(MANY):
        log = -digits(said(delta)).ln()
        means = [rho + 2 * (rho * log).sqrt() for rho in (Decimal(limit) / NANO, Decimal(limit + 1) / NANO)]
    assert means[0] <= digits(said(epsilon)) < means[1]
    assert limit == 0 or epsilon_of(limit, delta, None) >= float(means[0]) * (1 - 1e-15)


@given(st.floats(1e-3, 100.0), DELTAS, ORDER)
def test_a_limit_of_rdp_is_the_most_that_keeps_its_word(epsilon: float, delta: float, order: int) -> None:
    """The same; where the order is too low for the delta there is nothing to spend."""
    try:
        limit = limit_of("rdp", epsilon, delta, order)
    except UsageError:
        limit = 0
    with decimal.localcontext(MANY):
        more = -digits(said(delta)).ln() / (order - 1)
        exact = digits(said(epsilon))
        assert limit == 0 or Decimal(limit) / NANO + more <= exact
        assert exact < Decimal(limit + 1) / NANO + more


@given(st.integers(1, 10**13), DELTAS, ORDER)
@example(1, 1e-6, 2)
@example(1, 0.5, 64)
def test_what_an_amount_means_is_rounded_up(nano: int, delta: float, order: int) -> None:
    """By Bun and Steinke's proposition 1.3 and Mironov's proposition 3, to the nano-unit."""
    with decimal.localcontext(MANY):
        amount, log = Decimal(nano) / NANO, -digits(said(delta)).ln()
        zcdp, rdp = (Fraction(amount + more) for more in (2 * (amount * log).sqrt(), log / (order - 1)))
    assert just_above(round(epsilon_of(nano, delta, None) * NANO), zcdp)
    assert just_above(round(epsilon_of(nano, delta, order) * NANO), rdp)


def test_nothing_means_nothing() -> None:
    """In every composition, which order and delta tell; and a pure amount means itself."""
    assert epsilon_of(0, None, None) == epsilon_of(0, 1e-6, None) == 0.0
    assert epsilon_of(0, 1e-6, 32) == 0.0
    assert epsilon_of(1_500_000_000, None, None) == 1.5


def test_the_bounds_of_a_limit() -> None:
    """The least is one nano-unit, the most a billion."""
    assert limit_of("pure", 1e-9, None, None) == 1
    assert limit_of("pure", 1e9, None, None) == MOST
    with pytest.raises(UsageError, match=r"nothing could be spent; raise it$"):
        limit_of("pure", 9e-10, None, None)
    with pytest.raises(UsageError, match="at most 1,000,000,000"):
        limit_of("pure", math.nextafter(1e9, math.inf), None, None)
    with pytest.raises(UsageError, match=r"^epsilon of a budget must be"):
        limit_of("pure", 0.0, None, None)


def test_an_order_that_is_too_low_is_told() -> None:
    """With the one above which something is left: 1 + ln(1/delta)/epsilon."""
    with pytest.raises(UsageError, match=r"raise it, or the order above 28\.6$"):
        limit_of("rdp", 0.5, 1e-6, 28)
    assert limit_of("rdp", 0.5, 1e-6, 29) > 0


@pytest.mark.parametrize("composition", ["zcdp", "rdp"])
def test_a_delta_is_a_probability(composition: str) -> None:
    """Above 0 and below 1, and needed by what means nothing without it; a pure budget has none."""
    check_delta(composition, math.nextafter(1.0, 0.0))
    for delta in (None, 1.0, 1.5):
        with pytest.raises(UsageError, match=f"a budget of {composition} needs the delta"):
            check_delta(composition, delta)
    for delta in (0.0, math.nan, -1e-6):
        with pytest.raises(UsageError, match=r"^delta of a budget must be"):
            check_delta(composition, delta)
    check_delta("pure", None)
    with pytest.raises(UsageError, match="has no delta"):
        check_delta("pure", 1e-6)


@given(st.integers(1, 1000), st.sampled_from([0.1, 0.3, 0.7, 1.1, 1e-9]))
def test_what_people_write_adds_up(times: int, epsilon: float) -> None:
    """A tenth is a tenth: so many of them are the limit that a person would write for them."""
    each = cost("pure", None, laplace(epsilon, math.nextafter(1 / epsilon, math.inf)))
    total = float(Decimal(repr(epsilon)) * times)
    assert each * times == limit_of("pure", total, None, None)


@pytest.mark.parametrize("order", [2, 32, ORDERS[-1]])
@pytest.mark.parametrize("epsilon", [5e-324, 1e-300, 1e-9, 1e6, 1e9])
def test_nothing_is_too_small_or_too_large(epsilon: float, order: int) -> None:
    """The least noise there is costs something, and the most costs no more than its epsilon."""
    spend = laplace(epsilon, min(1e308, 1 / max(epsilon, 1e-308)) * 1.001)
    assert 1 <= cost("rdp", order, spend) <= cost("pure", None, spend)
    assert cost("zcdp", None, gaussian(1e300)) == 1
    with pytest.raises(UsageError, match="protects nobody"):
        cost("rdp", order, gaussian(1e-300))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mechanism": "none"}, "mechanism must be one of laplace, gaussian"),
        ({"epsilon": 0.0}, "epsilon of a release must be"),
        ({"epsilon": math.inf}, "epsilon of a release must be"),
        ({"epsilon": "1"}, "epsilon of a release must be"),
        ({"noise": 0.0}, "noise of a release must be"),
        ({"noise": math.nan}, "noise of a release must be"),
        ({"noise": True}, "noise of a release must be"),
    ],
    ids=str,
)
def test_what_is_no_noise(fields: dict[str, Any], said: str) -> None:
    """It has no price and is refused."""
    with pytest.raises(UsageError, match=f"^{said}"):
        Spend(**{"mechanism": "laplace", "epsilon": 1.0, "delta": None, "noise": 1.0, **fields})


def test_the_largest_noise_there_is() -> None:
    """Any finite number can be meant."""
    assert laplace(1.0, sys.float_info.max).loss == 1


@pytest.mark.parametrize(("composition", "order"), [("pure", 2), ("zcdp", 2), ("rdp", None), ("rdp", 1)])
def test_an_order_belongs_to_rdp(composition: Composition, order: int | None) -> None:
    """And RDP needs one above 1."""
    with pytest.raises(UsageError, match="order"):
        cost(composition, order, laplace(1.0))


def test_a_composition_that_nobody_knows() -> None:
    """It is refused with those that are known."""
    with pytest.raises(UsageError, match="composition must be one of pure, zcdp, rdp"):
        check_order("advanced", None)


def test_gaussian_noise_has_no_pure_price() -> None:
    """It is refused with what to do instead."""
    with pytest.raises(
        UsageError, match="use mechanism laplace, or a budget whose composition is zcdp or rdp"
    ):
        cost("pure", None, gaussian(1.0))


@pytest.mark.parametrize(
    ("nano", "text"),
    [(0, "0.00"), (1, "0.000000001"), (300_000_000, "0.30"), (12_345_299_999_999, "12,345.299999999")],
)
def test_an_amount_as_people_read_it(nano: int, text: str) -> None:
    """Two digits, or as many as it has."""
    assert shown(nano) == text
