"""How much noise a guarantee takes: the scale over the sensitivity, always rounded up.

Laplace, pure ε: b = Δ₁/ε (Dwork, McSherry, Nissim and Smith 2006). Gaussian, (ε, δ): the smallest
sigma with Φ(Δ₂/2sigma - εsigma/Δ₂) - e^ε·Φ(-Δ₂/2sigma - εsigma/Δ₂) ≤ δ, which is exact (Balle and
Wang 2018, theorem 8), where the classical √(2 ln(1.25/δ))/ε is too much below ε = 1 and too little
above.
"""

import math
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import Final

from aegis.federated import exact

#: Digits of a probability near 1e-40.
_DIGITS: Final = 60
_HALVINGS: Final = 60
_FAR: Final = 100


def up(value: Fraction) -> float:
    """Return the smallest double that is not below a number."""
    nearest = float(value)
    return nearest if Fraction(nearest) >= value else math.nextafter(nearest, math.inf)


def root_up(value: int) -> Fraction:
    """Return √value, rounded up by at most 2^-60."""
    return Fraction(math.isqrt(value << 120) + 1, 1 << 60)


def laplace_scale(epsilon: float, sensitivity: float) -> float:
    """Return b for pure ε at an L1 sensitivity, in its units."""
    return up(Fraction(sensitivity) / Fraction(epsilon))


def gaussian_sigma(epsilon: float, delta: float, sensitivity: float) -> float:
    """Return sigma for (ε, δ) at an L2 sensitivity, in its units."""
    return up(Fraction(gaussian_noise(epsilon, delta)) * Fraction(sensitivity))


@lru_cache(maxsize=256)
def gaussian_noise(epsilon: float, delta: float) -> float:
    """Return the smallest sigma/Δ₂ for (ε, δ), above it by less than one part in 2^40.

    Args:
        epsilon: above 0, at most 1000.
        delta: above 0 and below 1, at least 1e-40.

    """
    enough = Fraction(1)
    while gaussian_delta(epsilon, enough) > Decimal(delta):
        enough *= 2
    little = enough / 2
    while gaussian_delta(epsilon, little) <= Decimal(delta):
        enough, little = little, little / 2
    for _ in range(_HALVINGS):
        middle = Fraction(up((enough + little) / 2))
        if enough - little <= enough / (1 << 42) or middle in {enough, little}:
            break
        if gaussian_delta(epsilon, middle) <= Decimal(delta):
            enough = middle
        else:
            little = middle
    return up(enough)


def gaussian_delta(epsilon: float, noise: Fraction | float) -> Decimal:
    """Return the δ that a Gaussian of sigma/Δ₂ = `noise` has at ε, rounded up; falls as the noise grows."""
    ratio = Fraction(noise)
    with localcontext(Context(prec=_DIGITS)):
        near, far = _decimal(1 / (2 * ratio)), _decimal(Fraction(epsilon) * ratio)
        delta = normal_tail(far - near) - Decimal(epsilon).exp() * normal_tail(far + near)
        return max(Decimal(0), delta) + Decimal(10) ** (12 - _DIGITS)


def normal_tail(value: Decimal) -> Decimal:
    """Return the probability that a standard normal is above a value, to 45 digits after the point.

    1/2 - φ(x)·(x + x³/3 + x⁵/15 + …), every term positive; the digits that the difference loses are
    added beforehand. Beyond 100 it is below 1e-2173, which e^1000 does not lift to where it would count.
    """
    square = value * value
    if square > _FAR * _FAR:
        return Decimal(0) if value > 0 else Decimal(1)
    with localcontext() as context:
        context.prec = _DIGITS + int(square / 4) + 10
        term = total = value
        power, tiny = 1, Decimal(10) ** -(context.prec + 5)
        while abs(term) > tiny:
            power += 2
            term = term * value * value / power
            total += term
        density = (-value * value / 2).exp() / (2 * _pi(context.prec)).sqrt()
        tail = Decimal("0.5") - density * total
    return +tail


@lru_cache(maxsize=64)
def _pi(digits: int) -> Decimal:
    places = digits * 4
    with localcontext(Context(prec=digits + 5)):
        return Decimal(exact.pi(places)) / (1 << places)


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)
