"""Draws that are decided exactly: as many bits as it takes, in whole numbers.

A draw is a function of real numbers U (and A, an angle in turns), uniform on [0, 1), of which the
first 63 bits are known; further ones come 64 at a time. Reals are kept as whole numbers of 2^-P
(`places`); every shift and division is wrong by less than one of these units. A series of n terms is
wrong by fewer than 4·n of them, a constant (with its guard bits) by 2, a logarithm by its bits and
200 more: `SLACK` units are above all of that for any draw of fewer than 16,000 bits. A draw is
decided once both ends of its interval round to the same whole number: mostly at once, and no input
makes that fail.

Logarithms: ln(m/c) = 2·artanh((m-c)/(m+c)) with c one of 128 midpoints, so that 7 terms give 128
bits.
"""

from collections.abc import Iterator
from functools import cache
from math import isqrt
from typing import Final

#: Bits of a draw that the main stream gives.
BITS: Final = 63
#: No draw is larger, on either side; a larger one would come once in 2^63 and more.
LARGEST: Final = 1 << 61
#: Units of 2^-P that no result is wrong by.
SLACK: Final = 1 << 14
_GUARD: Final = 16
_WORD_BITS: Final = 64
_TABLE_BITS: Final = 8


def places_of(bits: int) -> int:
    """Return the P for draws of which so many bits are known: 54 for the scale, and 43 to spare."""
    return bits + 97


def exponential(first: int, more: Iterator[int], scale: float) -> int:
    """Return round(-ln(U)·scale), U beginning with the 63 bits `first`."""
    known, bits = first, BITS
    while True:
        places = places_of(bits)
        if known:
            low, high = energy(known, bits)
            smallest, largest = (rounded(end, scale, places) for end in (low, high))
            if smallest == largest:
                return min(smallest, LARGEST)
        known, bits = (known << _WORD_BITS) | next(more), bits + _WORD_BITS


def normal(first: int, angle: int, more: Iterator[int], scale: float) -> tuple[int, int]:
    """Return round(√(-2 ln U)·cos(2πA)·scale) and the same with sin, of one pair of uniforms."""
    known, turned, bits = first, angle, BITS
    while True:
        pair = _pair(known, turned, bits, scale) if known else None
        if pair is not None:
            return pair
        known, turned = (known << _WORD_BITS) | next(more), (turned << _WORD_BITS) | next(more)
        bits += _WORD_BITS


def energy(known: int, bits: int) -> tuple[int, int]:
    """Return bounds of -ln U for U in [known, known + 1]·2^-bits, known > 0, in units of 2^-P."""
    places = places_of(bits)
    high = bits * ln2(places) - logarithm(known, places) + SLACK
    # ln((k + 1) / k) is below 1/k.
    low = high - 2 * SLACK - (1 << places) // known - 1
    return max(low, 0), high


def logarithm(value: int, places: int) -> int:
    """Return ln(value), value ≥ 1 and of at most `places` bits."""
    length = value.bit_length()
    top = value >> (length - _TABLE_BITS) if length > _TABLE_BITS else value << (_TABLE_BITS - length)
    middle = (2 * top + 1) << (places - _TABLE_BITS - 1)
    mantissa = value << (places - length)
    ratio = ((mantissa - middle) << places) // (mantissa + middle)
    return 2 * _artanh(ratio, places) + _table(top, places) + length * ln2(places)


@cache
def ln2(places: int) -> int:
    """Return ln 2 = 2·artanh(1/3)."""
    return (2 * _artanh((1 << (places + _GUARD)) // 3, places + _GUARD)) >> _GUARD


def cos_sin(turned: int, bits: int, places: int) -> tuple[int, int]:
    """Return cos and sin of 2π·turned·2^-bits, by Taylor's series around the nearest quarter turn."""
    quarter = ((turned << 2) + (1 << (bits - 1))) >> bits
    angle = (((turned << 2) - (quarter << bits)) * pi(places)) >> (bits + 1)
    cos, sin = _series(1 << places, angle, 0, places), _series(angle, angle, 1, places)
    return ((cos, sin), (-sin, cos), (-cos, -sin), (sin, -cos))[quarter % 4]


@cache
def pi(places: int) -> int:
    """Return π, by Machin's formula."""
    one = 1 << (places + _GUARD)
    return (4 * (4 * _arctan_inverse(5, one) - _arctan_inverse(239, one))) >> _GUARD


def rounded(value: int, scale: float, places: int) -> int:
    """Return round(value·2^-places·scale), exactly; what lies between two goes up."""
    numerator, denominator = scale.as_integer_ratio()
    whole = denominator << places
    return (2 * value * numerator + whole) // (2 * whole)


def _pair(known: int, turned: int, bits: int, scale: float) -> tuple[int, int] | None:
    places = places_of(bits)
    low, high = energy(known, bits)
    radii = (isqrt((2 * low) << places), isqrt((2 * high) << places) + 1)
    # 7 > 2π: within one step of 2^-bits of a turn, a side moves by less.
    spread = (7 << (places - bits)) + SLACK
    found = []
    for middle in cos_sin(turned, bits, places):
        ends = [radius * side for radius in radii for side in (middle - spread, middle + spread)]
        smallest, largest = (rounded(end, scale, 2 * places) for end in (min(ends), max(ends)))
        if smallest != largest:
            return None
        found.append(max(-LARGEST, min(smallest, LARGEST)))
    return found[0], found[1]


@cache
def _table(top: int, places: int) -> int:
    """Return ln((2·top + 1)/512), of a number between a half and 1."""
    number = 2 * top + 1
    whole = 2 << _TABLE_BITS
    ratio = ((number - whole) << (places + _GUARD)) // (number + whole)
    return (2 * _artanh(ratio, places + _GUARD)) >> _GUARD


def _artanh(ratio: int, places: int) -> int:
    """Return artanh of a ratio of at most a third: ratio + ratio³/3 and so on."""
    total, power, square, divisor = ratio, ratio, (ratio * ratio) >> places, 1
    while power not in {0, -1}:
        power = (power * square) >> places
        divisor += 2
        total += power // divisor
    return total


def _series(term: int, angle: int, power: int, places: int) -> int:
    total, square = term, (angle * angle) >> places
    while term not in {0, -1}:
        power += 2
        term = -((term * square) >> places) // (power * (power - 1))
        total += term
    return total


def _arctan_inverse(inverse: int, one: int) -> int:
    """Return arctan(1/inverse)·one."""
    power, divisor, sign = one // inverse, 1, 1
    total = power
    while power:
        power //= inverse * inverse
        divisor += 2
        sign = -sign
        total += sign * (power // divisor)
    return total
