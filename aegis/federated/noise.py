"""Whole numbers distributed exactly as rounded Laplace or normal noise, by filtered inversion.

Each draw inverts the distribution in double precision, with a proven bound on the error; where that
error could change the rounding, the draw is made again from the same bits in exact arithmetic
(`exact`). What comes out is therefore decided by key and scale alone, whatever the processor, and it
is the rounding of ideal noise, not of a machine's: its low bits tell nothing (Mironov 2012).

Error bounds of a draw before it is scaled (u = v·2^-63, E = -ln u):

* v stands for any U in [v, v + 1)·2^-63: at most 1.0000001/v in E, for v > 0.
* E in double precision, and its product with the scale: ENERGY_SLOPE·E + ENERGY_ERROR (`elementary`).
* a side of the angle, and the products with radius and scale: SIDE_ERROR (`elementary`).

Laplace: sign·E. Gaussian: √(2E)·cos and √(2E)·sin of a uniform angle (Box and Muller 1958).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aegis.errors import UsageError
from aegis.federated import exact
from aegis.federated.bits import Bits
from aegis.federated.elementary import ENERGY_ERROR, ENERGY_SLOPE, SIDE_ERROR, cos_sin, energy

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]
Words = NDArray[np.uint64]
Exactly = Callable[[bytes, float, int], Steps]

#: Draws made at a time: what stays in a processor's cache.
CHUNK: Final = 1 << 15
#: Scales above it would need more than 63 bits for a draw.
LARGEST_SCALE: Final = 2.0**54

_CELL: Final = 1.0000001
#: So few draws are made exactly at once: that is faster, and the same.
FEW: Final = 6
#: Below this many steps of 2^-63 every draw is looked at closely.
_RARE: Final = 1 << 47
#: A radius below it is looked at closely.
_SMALL_RADIUS: Final = 2.0**-8
#: What the error of a draw that is not looked at closely stays below; E is at most 16·ln 2 < 11.1 then. Above
#: `_energy_error` of every v from 2^47, and above `_normal_error` of every radius from 2^-8 as well.
_ROUGHLY_LAPLACE: Final = _CELL * 2.0**-47 + 11.1 * ENERGY_SLOPE + ENERGY_ERROR
_ROUGHLY_NORMAL: Final = 2.0**-41


@dataclass(frozen=True, kw_only=True)
class Portion:
    """Some of the draws, those from `start` on."""

    start: int
    steps: Steps


def laplace(key: bytes, scale: float, count: int) -> Steps:
    """Return `count` draws of round(Laplace(scale)).

    Args:
        key: 32 bytes that are used for nothing else.
        scale: in steps of the grid, above 0 and at most 2^54.
        count: how many; a longer answer begins with a shorter one.

    """
    return _all(laplace_portions(key, scale, count), count)


def gaussian(key: bytes, scale: float, count: int) -> Steps:
    """Return `count` draws of round(Normal(0, scale)); the arguments are those of `laplace`."""
    return _all(gaussian_portions(key, scale, count), count)


def laplace_portions(key: bytes, scale: float, count: int) -> Iterator[Portion]:
    """Yield the draws of `laplace` in portions, so that memory stays flat."""
    _check(scale)
    if 0 < count <= FEW:
        yield Portion(start=0, steps=laplace_exactly(key, scale, count))
        return
    bits = Bits(key)
    for start in range(0, count, CHUNK):
        words = bits.words(min(CHUNK, count - start))
        yield Portion(start=start, steps=_laplace(bits, words, start, scale))


def gaussian_portions(key: bytes, scale: float, count: int) -> Iterator[Portion]:
    """Yield the draws of `gaussian` in portions."""
    _check(scale)
    if 0 < count <= FEW:
        yield Portion(start=0, steps=gaussian_exactly(key, scale, count))
        return
    bits = Bits(key)
    for start in range(0, count, CHUNK):
        length = min(CHUNK, count - start)
        words = bits.words(length + length % 2)
        yield Portion(start=start, steps=_gaussian(bits, words, start // 2, scale)[:length])


def laplace_exactly(key: bytes, scale: float, count: int) -> Steps:
    """Return what `laplace` returns, every draw in exact arithmetic: slow, to compare with."""
    bits = Bits(key)
    words = bits.words(count)
    return np.array([_laplace_again(bits, words, 0, at, scale) for at in range(count)], dtype=np.int64)


def gaussian_exactly(key: bytes, scale: float, count: int) -> Steps:
    """Return what `gaussian` returns, every draw in exact arithmetic: slow, to compare with."""
    bits = Bits(key)
    words = bits.words(count + count % 2)
    pairs = [_gaussian_again(bits, words, 0, at, scale) for at in range(len(words) // 2)]
    return np.array(pairs, dtype=np.int64).reshape(-1)[:count]


def _laplace(bits: Bits, words: Words, start: int, scale: float) -> Steps:
    value = (words >> np.uint64(1)).view(np.int64)
    size = energy(value)
    size *= scale
    near = np.rint(size)
    size -= near
    clear = np.abs(size, out=size) <= 0.5 - scale * _ROUGHLY_LAPLACE
    clear &= value >= _RARE
    with np.errstate(invalid="ignore"):
        # At v = 0 there is no double for E, and none is kept.
        steps = near.astype(np.int64)
    flip = (words & np.uint64(1)).view(np.int64)
    steps = (steps ^ -flip) + flip
    at = np.flatnonzero(~clear)
    if len(at):
        error = scale * _energy_error(value[at], energy(value[at]))
        for index in at[~(size[at] <= 0.5 - error)].tolist():
            steps[index] = _laplace_again(bits, words, start, index, scale)
    return steps


def _laplace_again(bits: Bits, words: Words, start: int, at: int, scale: float) -> int:
    word = int(words[at])
    size = exact.exponential(word >> 1, bits.more(start + at), scale)
    return -size if word & 1 else size


def _gaussian(bits: Bits, words: Words, start: int, scale: float) -> Steps:
    value = (words >> np.uint64(1)).view(np.int64)
    first, turned = value[0::2], value[1::2]
    radius = energy(first)
    radius += radius
    np.sqrt(radius, out=radius)
    steps, away = np.empty(len(words), dtype=np.int64), np.zeros(len(first))
    for place, side in enumerate(cos_sin(turned)):
        size = np.multiply(side, radius, out=side)
        np.multiply(size, scale, out=size)
        near = np.rint(size)
        steps[place::2] = near
        np.subtract(size, near, out=size)
        np.maximum(away, np.abs(size, out=size), out=away)
    clear = away <= 0.5 - scale * _ROUGHLY_NORMAL
    clear &= (first >= _RARE) & (radius >= _SMALL_RADIUS)
    at = np.flatnonzero(~clear)
    if len(at):
        error = scale * _normal_error(first[at], radius[at])
        for pair in at[~(away[at] <= 0.5 - error)].tolist():
            steps[2 * pair : 2 * pair + 2] = _gaussian_again(bits, words, start, pair, scale)
    return steps


def _gaussian_again(bits: Bits, words: Words, start: int, pair: int, scale: float) -> tuple[int, int]:
    first, turned = int(words[2 * pair]) >> 1, int(words[2 * pair + 1]) >> 1
    return exact.normal(first, turned, bits.more(start + pair), scale)


def _energy_error(value: Steps, size: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return _CELL / value + ENERGY_SLOPE * size + ENERGY_ERROR


def _normal_error(value: Steps, radius: Floats) -> Floats:
    """Bound √(2E)·cos: where E is at least 4 times its error, √(2E) is wrong by at most 1.16·error/√(2E)."""
    half = 0.5 * radius * radius
    error = 1.01 * _energy_error(value, half)
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = 1.2 * error / radius + 1.01 * radius * SIDE_ERROR
    return np.where(half >= 4 * error, bound, np.inf)


def _all(portions: Iterator[Portion], count: int) -> Steps:
    steps = np.empty(count, dtype=np.int64)
    for portion in portions:
        steps[portion.start : portion.start + len(portion.steps)] = portion.steps
    return steps


def _check(scale: float) -> None:
    if not 0 < scale <= LARGEST_SCALE:
        message = f"a noise scale must be above 0 and at most 2^54 steps of the grid, got {scale!r}"
        raise UsageError(message)
