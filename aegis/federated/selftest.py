"""Whether this machine draws what was proven: asked before the first noise of a process.

The bounds of `elementary` follow from IEEE 754; a processor, a numpy or a flag of another library
that breaks it would make noise that is not what it is said to be. So a process compares draws that
were made in double precision with the same draws in whole numbers, at scales at which a wrong last
bit shows, and with what every machine must get; it refuses to draw where they differ.
"""

import hashlib
from functools import cache
from typing import Final

import numpy as np

from aegis.errors import OperationFailed
from aegis.federated import elementary, exact, noise

_KEY: Final = hashlib.sha256(b"aegis noise self-test").digest()
_DRAWS: Final = 512
#: Here about every fourth draw is made twice: what was not is compared to its last bit.
_SCALE: Final = 2.0**46
_MANY: Final = 1 << 14
#: SHA-256 of _MANY draws of each kind at the scale 2^30, as little-endian int64.
_EXPECTED: Final = {
    "laplace": "d3a7c63c81fe8cd5e795b09d55836e4b08443bb5ab1c4909918ece6a09aeeefc",
    "gaussian": "729808e3397f295be7ed88bb5c58ff7b79fbb8b0b06792f98242b5c1ad8322a0",
}
#: What is nearest to the ends, to 1, and to the middles and edges of the classes of `elementary`.
_EDGES: Final = [1, 2, 3, (1 << 62) - 1, 1 << 62, (1 << 63) - 2, (1 << 63) - 1, (257 << 54) - 1, 257 << 54]


@cache
def check() -> None:
    """Refuse a machine on which noise would not be what it is said to be; does it once in a process.

    Raises:
        OperationFailed: draws differ from exact arithmetic.

    """
    for name, found in (
        ("the logarithm", _energies()),
        ("sine and cosine", _sides()),
        ("Laplace noise", _same(noise.laplace(_KEY, _SCALE, _DRAWS), noise.laplace_exactly)),
        ("Gaussian noise", _same(noise.gaussian(_KEY, _SCALE, _DRAWS), noise.gaussian_exactly)),
        ("Laplace draws", digest("laplace") == _EXPECTED["laplace"]),
        ("Gaussian draws", digest("gaussian") == _EXPECTED["gaussian"]),
    ):
        if not found:
            message = (
                f"{name} in double precision is not what IEEE 754 makes it (numpy {np.__version__}): no "
                "noise is drawn on this machine. Look for libraries built with -ffast-math, or take "
                "another numpy"
            )
            raise OperationFailed(message)


def digest(kind: str) -> str:
    """Return the SHA-256 of pinned draws."""
    draw = {"laplace": noise.laplace, "gaussian": noise.gaussian}[kind]
    return hashlib.sha256(draw(_KEY, 2.0**30, _MANY).astype("<i8").tobytes()).hexdigest()


def _same(drawn: noise.Steps, exactly: noise.Exactly) -> bool:
    return bool(np.array_equal(drawn, exactly(_KEY, _SCALE, _DRAWS)))


def _energies() -> bool:
    found = elementary.energy(np.array(_EDGES, dtype=np.int64)).tolist()
    places = exact.places_of(exact.BITS)
    for value, size in zip(_EDGES, found, strict=True):
        low, high = exact.energy(value, exact.BITS)
        allowed = elementary.ENERGY_SLOPE * size + elementary.ENERGY_ERROR
        if not -allowed <= size - high / (1 << places) <= allowed + (high - low) / (1 << places):
            return False
    return True


def _sides() -> bool:
    places = exact.places_of(exact.BITS)
    sides = zip(
        *(side.tolist() for side in elementary.cos_sin(np.array(_EDGES, dtype=np.int64))), strict=True
    )
    return all(
        abs(side - true / (1 << places)) <= elementary.SIDE_ERROR
        for value, pair in zip(_EDGES, sides, strict=True)
        for side, true in zip(pair, exact.cos_sin(value, exact.BITS, places), strict=True)
    )
