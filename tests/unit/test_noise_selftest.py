"""A machine that does not compute what was proven is noticed before anything is charged or drawn."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aegis.errors import OperationFailed
from aegis.federated import elementary, mechanism, noise, selftest
from aegis.federated.bits import Bits
from aegis.federated.values import flatten

Broken = Callable[[pytest.MonkeyPatch], None]


def coarse_logarithm(patch: pytest.MonkeyPatch) -> None:
    """Err in the logarithm by one part in 2^40, as float32 in between would and worse."""
    right = elementary.energy
    for module in (elementary, noise):
        patch.setattr(module, "energy", lambda value: right(value) * (1 + 2.0**-40))


def coarse_angles(patch: pytest.MonkeyPatch) -> None:
    """Err in sine and cosine by 2^-40."""
    right = elementary.cos_sin
    for module in (elementary, noise):
        patch.setattr(module, "cos_sin", lambda value: tuple(side + 2.0**-40 for side in right(value)))


def no_second_look_at_laplace(patch: pytest.MonkeyPatch) -> None:
    """Take every draw in double precision as it is."""
    patch.setattr(noise, "_ROUGHLY_LAPLACE", 0.0)
    patch.setattr(noise, "_energy_error", lambda value, _size: np.zeros(len(value)))


def no_second_look_at_gaussians(patch: pytest.MonkeyPatch) -> None:
    """Take every pair in double precision as it is."""
    patch.setattr(noise, "_ROUGHLY_NORMAL", 0.0)
    patch.setattr(noise, "_normal_error", lambda value, _radius: np.zeros(len(value)))


def other_words(patch: pytest.MonkeyPatch) -> None:
    """Read a word of random bits from its other end: right noise, which no other machine would make."""
    right = Bits.words
    patch.setattr(Bits, "words", lambda self, count: right(self, count).byteswap())


@pytest.mark.parametrize(
    ("broken", "found"),
    [
        (coarse_logarithm, "the logarithm"),
        (coarse_angles, "sine and cosine"),
        (no_second_look_at_laplace, "Laplace noise"),
        (no_second_look_at_gaussians, "Gaussian noise"),
        (other_words, "Laplace draws"),
    ],
)
def test_a_broken_machine_draws_nothing(broken: Broken, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it plan a release, for which a budget would be charged; it says each time what is wrong."""
    selftest.check.cache_clear()
    value: Any = flatten(1.0)
    with monkeypatch.context() as patch:
        broken(patch)
        for _ in range(2):
            with pytest.raises(OperationFailed, match=f"^{found} in double precision"):
                mechanism.plan(value, mechanism="laplace", epsilon=1.0, delta=None, sensitivity=1.0)
    selftest.check()
