"""What a release costs, in the one composition that its budget is kept in.

Every composition adds up whole nano-units: 1e-9 of epsilon, of rho (zCDP), or of epsilon at one order
(RDP). A cost is rounded up, so that what was spent is never above what the account says.

Sources: Dwork and Roth 2014, theorem 3.16 (pure); Bun and Steinke 2016, propositions 1.4 and 1.6 (zCDP);
Mironov 2017, proposition 6 and corollary 3 (RDP of Laplace and Gaussian noise).
"""

import decimal
import math
import sys
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal, get_args

from aegis.errors import UsageError

Composition = Literal["pure", "zcdp", "rdp"]
COMPOSITIONS: Final[tuple[Composition, ...]] = get_args(Composition)
_MECHANISMS: Final = ("laplace", "gaussian")

#: Nano-units of one.
NANO: Final = 10**9
#: Most that one release may cost, of whatever is counted: a billion is no protection, and stays countable.
MOST: Final = NANO * 10**9
#: Orders of RDP that can be meant.
ORDERS: Final = range(2, 10_001)

#: Logarithms, roots and powers are rounded correctly to so many digits; what is computed from them is
#: within `SLACK`, for every number that can be meant here.
EXACT: Final = decimal.Context(prec=110)
SLACK: Final = Fraction(1, 10**60)


@dataclass(frozen=True, kw_only=True)
class Spend:
    """Noise that a release draws, and what it promises; a release has one of them, or two.

    Raises:
        UsageError: it is no noise that protects anything.

    """

    #: laplace or gaussian
    mechanism: Literal["laplace", "gaussian"]
    #: What the noise was chosen for.
    epsilon: float
    delta: float | None
    #: As really drawn: the scale over the L1 sensitivity (Laplace), or sigma over the L2 sensitivity.
    noise: float

    def __post_init__(self) -> None:
        """Refuse what no price can be told of."""
        if self.mechanism not in _MECHANISMS:
            message = f"mechanism must be one of {', '.join(_MECHANISMS)}"
            raise UsageError(message)
        positive("epsilon of a release", self.epsilon)
        positive("noise of a release", self.noise)

    @property
    def loss(self) -> Fraction:
        """The epsilon of Laplace noise: as said, or as drawn where that is more.

        A float that a person wrote is read as its shortest decimal number: 0.1 is a tenth.
        """
        return max(said(self.epsilon), 1 / Fraction(self.noise))


def cost(composition: Composition, order: int | None, spend: Spend) -> int:
    """Return what a release takes from an account, in whole nano-units, rounded up.

    Args:
        composition: how the account adds up.
        order: the order of RDP; None for the others.
        spend: the noise.

    Raises:
        UsageError: the composition has no price for this noise, or none that can be counted.

    """
    exact = _price(composition, order, spend)
    nano = math.ceil(exact * NANO)
    if nano > MOST:
        message = f"this release would cost more than {MOST // NANO:,}, which protects nobody; use more noise"
        raise UsageError(message)
    return nano


def positive(name: str, value: float) -> float:
    """Return a number that is finite and above 0.

    Raises:
        UsageError: it is not; the message says of what.

    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= sys.float_info.max:
        return float(value)
    message = f"{name} must be a finite number above 0"
    raise UsageError(message)


def said(number: float) -> Fraction:
    """Return the decimal number that somebody wrote to have this float."""
    return Fraction(repr(float(number)))


def check_order(composition: str, order: int | None) -> int | None:
    """Return the order of an account; RDP needs one, the others have none.

    Raises:
        UsageError: there is one too many or too few, or it is out of range.

    """
    if composition not in COMPOSITIONS:
        message = f"composition must be one of {', '.join(COMPOSITIONS)}"
        raise UsageError(message)
    if composition != "rdp":
        if order is not None:
            message = f"an order belongs to the composition rdp, not to {composition}"
            raise UsageError(message)
        return None
    if type(order) is not int or order not in ORDERS:
        message = f"rdp needs its order: a whole number from {ORDERS[0]} to {ORDERS[-1]:,}, such as 32"
        raise UsageError(message)
    return order


def decimal_of(number: Fraction) -> Decimal:
    """Return a fraction in as many digits as are computed with."""
    return EXACT.divide(Decimal(number.numerator), Decimal(number.denominator))


def _price(composition: Composition, order: int | None, spend: Spend) -> Fraction:
    order = check_order(composition, order)
    gaussian = spend.mechanism == "gaussian"
    if composition == "pure":
        if gaussian:
            message = (
                "gaussian noise has no pure epsilon, and this budget counts that: use mechanism laplace, "
                "or a budget whose composition is zcdp or rdp, under ancestors that are the same"
            )
            raise UsageError(message)
        return spend.loss
    # The rho of Gaussian noise, and its RDP at order 1: 1 / (2 sigma^2).
    per_order = 1 / (2 * Fraction(spend.noise) ** 2)
    if composition == "zcdp":
        return per_order if gaussian else spend.loss**2 / 2
    if order is None:  # pragma: no cover - `check_order` has refused it
        raise AssertionError
    return order * per_order if gaussian else _laplace_rdp(order, spend.loss)


def _laplace_rdp(order: int, loss: Fraction) -> Fraction:
    """Return the RDP of Laplace noise at an order, from above.

    With x = 1/scale and a the order, it is ln(a/(2a-1) e^((a-1)x) + (a-1)/(2a-1) e^(-ax)) / (a-1). The
    larger power is taken out of the logarithm, so that nothing can overflow.
    """
    if loss > MOST:
        # The bound of pure epsilon: whoever asks is refused.
        return loss
    with decimal.localcontext(EXACT):
        x, a = decimal_of(loss), Decimal(order)
        inner = a / (2 * a - 1) + (a - 1) / (2 * a - 1) * (-(2 * a - 1) * x).exp()
        return Fraction(x + inner.ln() / (a - 1)) + SLACK
