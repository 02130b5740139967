"""Between what people say of a budget, (epsilon, delta), and what its account counts.

A limit is rounded down and what was spent is rounded up, each in whole nano-units.

zCDP: epsilon = rho + 2 sqrt(rho ln(1/delta)) (Bun and Steinke 2016, proposition 1.3).
RDP at order a: epsilon = epsilon_a + ln(1/delta) / (a - 1) (Mironov 2017, proposition 3).
"""

import decimal
import math
from decimal import Decimal
from fractions import Fraction
from typing import Final

from aegis.errors import UsageError
from aegis.federated.composition import (
    EXACT,
    MOST,
    NANO,
    SLACK,
    Composition,
    check_order,
    decimal_of,
    positive,
    said,
)

#: What is counted, in the words of its field.
UNITS: Final[dict[str, str]] = {"pure": "epsilon", "zcdp": "rho", "rdp": "RDP epsilon"}


def limit_of(composition: Composition, epsilon: float, delta: float | None, order: int | None) -> int:
    """Return the most that may be spent for a total of (epsilon, delta), in whole nano-units.

    Raises:
        UsageError: the numbers cannot be meant, or nothing could be spent.

    """
    order = check_order(composition, order)
    check_delta(composition, delta)
    if positive("epsilon of a budget", epsilon) > MOST // NANO:
        message = f"epsilon of a budget must be at most {MOST // NANO:,}; more protects nobody"
        raise UsageError(message)
    nano = math.floor(_most(said(epsilon), delta, order) * NANO)
    if nano < 1:
        why = "raise it"
        if order is not None and delta is not None:
            why = f"raise it, or the order above {1 + _log_inverse(delta) / decimal_of(said(epsilon)):.1f}"
        message = f"with this epsilon nothing could be spent; {why}"
        raise UsageError(message)
    return nano


def epsilon_of(nano: int, delta: float | None, order: int | None) -> float:
    """Return the epsilon that an amount means at the account's delta, rounded up to whole nano-units.

    Without a delta, which a pure account has not, it is the amount. Nothing is nothing, in every composition.
    """
    if nano == 0 or delta is None:
        return nano / NANO
    with decimal.localcontext(EXACT):
        amount, log = decimal_of(Fraction(nano, NANO)), _log_inverse(delta)
        more = 2 * (amount * log).sqrt() if order is None else log / (order - 1)
        exact = Fraction(amount + more) + SLACK
    return math.ceil(exact * NANO) / NANO


def check_delta(composition: str, delta: float | None) -> None:
    """Refuse a delta where there is none, and demand it where the limit means nothing without it.

    Raises:
        UsageError: it is one too many or too few, or no probability.

    """
    if composition == "pure":
        if delta is not None:
            message = "a pure budget has no delta; leave it out, or choose the composition zcdp or rdp"
            raise UsageError(message)
        return
    if delta is None or positive("delta of a budget", delta) >= 1:
        message = (
            f"a budget of {composition} needs the delta for which its epsilon holds: above 0 and below 1, "
            "such as 1e-6; well below one over the number of people"
        )
        raise UsageError(message)


def shown(nano: int) -> str:
    """Return an amount as people read it, exactly: 0.30, or 0.299999999."""
    whole, rest = divmod(nano, NANO)
    digits = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{whole:,}.{digits}"


def _most(epsilon: Fraction, delta: float | None, order: int | None) -> Fraction:
    if delta is None:
        return epsilon
    with decimal.localcontext(EXACT):
        given, log = decimal_of(epsilon), _log_inverse(delta)
        if order is not None:
            return Fraction(given - log / (order - 1)) - SLACK
        # The root of rho + 2 sqrt(rho log) = epsilon, without the difference of two large numbers.
        return Fraction((given / ((log + given).sqrt() + log.sqrt())) ** 2) - SLACK


def _log_inverse(delta: float) -> Decimal:
    """Return ln(1/delta)."""
    return -EXACT.ln(decimal_of(said(delta)))
