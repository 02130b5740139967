"""-ln u, cos 2πa and sin 2πa in double precision, from IEEE arithmetic alone: with proven errors.

No library's log, sine or cosine is used: they differ between processors, and none states a bound that
holds. Here only sums, products, quotients and conversions are, which IEEE 754 rounds correctly (ε =
2^-53 of the result). Arguments are whole numbers v of 63 bits that stand for v·2^-63.

`energy`: v = m·2^n with 1 ≤ m < 2 and c the middle of m's interval among 128; ln m = ln c +
2·artanh(y), y = (m - c)/(m + c), |y| ≤ 2^-9. m - c is exact; y, its series (next term: 2·y⁷/7 <
2^-64) and what is added to it are below 2^-7 and wrong by less than 2^-57; ln c is below 0.7 and,
with the sum, wrong by 2^-53; n·ln 2 is split so that its larger part is exact; the last sum is wrong
by (E + 0.7)·ε; v itself was rounded by ε of its value, which is ε in E. Together: below 2^-52·E +
2^-51. `ENERGY_SLOPE` and `ENERGY_ERROR` are twice that, and so pay for a product with a scale too.

`cos_sin`: whole numbers bring the angle exactly within an eighth of a turn of the nearest quarter.
Conversion, 2π and their product err by 3ε of at most π/4; Taylor's series end below 2^-62, and
Horner's scheme adds 4ε. Together below 2^-50 with the roundings of a product with a radius;
`SIDE_ERROR` is twice that.
"""

from math import factorial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aegis.federated import exact

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

ENERGY_SLOPE: Final = 2.0**-51
ENERGY_ERROR: Final = 2.0**-50
SIDE_ERROR: Final = 2.0**-49

_PLACES: Final = 160
_MANTISSA: Final = 52
_CLASSES: Final = 7
_KEPT: Final = np.int64((1 << _MANTISSA) - 1)
_CLASS: Final = np.int64(((1 << _CLASSES) - 1) << (_MANTISSA - _CLASSES))
_MIDDLE: Final = np.int64(1 << (_MANTISSA - _CLASSES - 1))
_ONE: Final = np.int64(1023 << _MANTISSA)


def _nearest(value: int) -> float:
    """Return a number of 2^-160 as a double, correctly rounded."""
    return value / (1 << _PLACES)


def _logarithm_of_class(number: int) -> float:
    # c = 1 + (2·number + 1)/256 = whole/256
    whole = 257 + 2 * number
    return _nearest(exact.logarithm(whole, _PLACES) - 8 * exact.ln2(_PLACES))


_LOGARITHMS: Final = np.array([_logarithm_of_class(number) for number in range(1 << _CLASSES)])
#: ln 2 in two parts; the first has 40 bits, so that a product with an exponent is exact.
_LN2_HIGH: Final = float(exact.ln2(_PLACES) >> (_PLACES - 40)) / (1 << 40)
_LN2_LOW: Final = _nearest(exact.ln2(_PLACES) - int(_LN2_HIGH * (1 << 40)) * (1 << (_PLACES - 40)))
_TURN: Final = _nearest(2 * exact.pi(_PLACES)) * 2.0**-63

#: Of Taylor's series, the highest power first: x - x³/3! … + x¹⁷/17!, and 1 - x²/2! … - x¹⁸/18!.
_SINE: Final = [(-1) ** k / factorial(2 * k + 1) for k in range(8, -1, -1)]
_COSINE: Final = [(-1) ** k / factorial(2 * k) for k in range(9, -1, -1)]


def energy(value: Whole) -> Floats:
    """Return E = -ln(v·2^-63), wrong by less than ENERGY_SLOPE·E + ENERGY_ERROR; 0 < v < 2^63."""
    bits = value.astype(np.float64).view(np.int64)
    exponent = (bits >> _MANTISSA) - (1023 + 63)
    mantissa = ((bits & _KEPT) | _ONE).view(np.float64)
    kind = bits & _CLASS
    middle = (kind | (_ONE | _MIDDLE)).view(np.float64)
    ratio = (mantissa - middle) / (mantissa + middle)
    square = ratio * ratio
    series = square * 0.2
    series += 1 / 3
    series *= square
    series += 1.0
    series *= ratio
    series += series
    power = exponent.astype(np.float64)
    series += power * _LN2_LOW
    series += _LOGARITHMS.take(kind >> (_MANTISSA - _CLASSES))
    power *= _LN2_HIGH
    power += series
    return np.negative(power, out=power)


def cos_sin(value: Whole) -> tuple[Floats, Floats]:
    """Return cos and sin of 2π·v·2^-63, each wrong by less than SIDE_ERROR; 0 ≤ v < 2^63."""
    # Beyond 2^63 the sum wraps around, as a whole turn does.
    quarter = value + np.int64(1 << 60)
    quarter >>= 61
    whole = quarter << 61
    angle = np.subtract(value, whole, out=whole).astype(np.float64)
    angle *= _TURN
    square = angle * angle
    cos, sin = _horner(_COSINE, square), _horner(_SINE, square)
    sin *= angle
    # An odd quarter exchanges cos and sin.
    first, second = cos.view(np.int64), sin.view(np.int64)
    change = np.bitwise_and(quarter, 1, out=whole)
    np.negative(change, out=change)
    change &= first ^ second
    first ^= change
    second ^= change
    # cos changes sign in the second and third quarter, sin in the third and fourth.
    second ^= (quarter & 2) << 62
    quarter += 1
    quarter &= 2
    quarter <<= 62
    first ^= quarter
    return cos, sin


def _horner(coefficients: list[float], square: Floats) -> Floats:
    total = square * coefficients[0]
    for coefficient in coefficients[1:-1]:
        total += coefficient
        total *= square
    total += coefficients[-1]
    return total
