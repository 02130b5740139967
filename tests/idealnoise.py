"""What each draw of noise must be, from its definition alone: another program than Aegis's, with 100 digits.

A draw is a function of uniform numbers whose first 63 bits come from a word of AES-256-CTR, and the rest from
the draw's own blocks. Nothing here looks for the fewest bits: all numbers have 319 of them.
"""

import math
import struct
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import cache
from itertools import count
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_DIGITS: Final = Context(prec=140, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999, traps=[])
_MORE: Final = 4
_BITS: Final = 63 + 64 * _MORE


def laplace(key: bytes, scale: float, draw: int) -> int:
    """Return round(Laplace(scale))."""
    return _nearest(laplace_of_one(key, draw), scale)


def gaussian(key: bytes, scale: float, draw: int) -> int:
    """Return round(Normal(0, scale))."""
    return _nearest(gaussian_of_one(key, draw), scale)


def laplace_of_one(key: bytes, draw: int) -> Decimal:
    """Return Laplace(1): the word's lowest bit is the sign, the others begin U."""
    word = _words(key, draw // 2, 2)[draw % 2]
    bits = word >> 1
    for more in _words(key, (1 << 127) + (draw << 64), _MORE):
        bits = bits << 64 | more
    with localcontext(_DIGITS):
        size = -_uniform(bits).ln()
        return size.copy_negate() if word & 1 else size


def gaussian_of_one(key: bytes, draw: int) -> Decimal:
    """Return Normal(0, 1) of Box and Muller: U from even words, A from odd ones."""
    pair = draw // 2
    first, turned = (word >> 1 for word in _words(key, pair, 2))
    own = _words(key, (1 << 127) + (pair << 64), 2 * _MORE)
    for radial, angular in zip(own[0::2], own[1::2], strict=True):
        first, turned = first << 64 | radial, turned << 64 | angular
    with localcontext(_DIGITS):
        radius = (-2 * _uniform(first).ln()).sqrt()
        return radius * _circle(_uniform(turned) * 2 * _pi(), sine=bool(draw % 2))


def boundary(size: Decimal, scale: float) -> tuple[float, float]:
    """Return the neighbouring doubles, above a scale, between which a draw's rounding changes."""
    with localcontext(_DIGITS):
        middle = ((abs(size) * Decimal(scale)).to_integral_value() + Decimal("1.5")) / abs(size)
        low = float(middle)
        if Decimal(low) > middle:
            low = math.nextafter(low, 0)
        return low, math.nextafter(low, math.inf)


def energy(value: int) -> Decimal:
    """Return -ln(value·2^-63)."""
    with localcontext(_DIGITS):
        return -(Decimal(value) / 2**63).ln()


def sides(value: int) -> tuple[Decimal, Decimal]:
    """Return cos and sin of 2π·value·2^-63."""
    with localcontext(_DIGITS):
        angle = Decimal(value) / 2**62 * _pi()
        return _circle(angle, sine=False), _circle(angle, sine=True)


def _words(key: bytes, block: int, many: int) -> list[int]:
    stream = Cipher(algorithms.AES(key), modes.CTR(block.to_bytes(16, "big"))).encryptor()
    return list(struct.unpack(f"<{many}Q", stream.update(bytes(8 * many))))


def _uniform(bits: int) -> Decimal:
    return (Decimal(bits) + Decimal("0.5")) / (1 << _BITS)


def _nearest(value: Decimal, scale: float) -> int:
    with localcontext(_DIGITS):
        return int((value * Decimal(scale)).to_integral_value())


def _circle(angle: Decimal, *, sine: bool) -> Decimal:
    """Return sin or cos by the series at 0, of which the terms grow to 87 and then vanish."""
    term = angle if sine else Decimal(1)
    total, power = term, int(sine)
    while abs(term) > Decimal(10) ** -130:
        term *= -angle * angle / ((power + 1) * (power + 2))
        power += 2
        total += term
    return total


@cache
def _pi() -> Decimal:
    """Return π by the series of Ramanujan, 8 digits for each term."""
    total, numerator, denominator = Decimal(0), 1, 1
    for k in count():
        term = Decimal(numerator * (1103 + 26390 * k)) / (denominator * Decimal(396) ** (4 * k))
        total += term
        if term < Decimal(10) ** -138:
            return 9801 / (2 * Decimal(2).sqrt() * total)
        for step in range(4 * k + 1, 4 * k + 5):
            numerator *= step
        denominator *= (k + 1) ** 4
    raise AssertionError
