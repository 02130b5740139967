"""Draws of noise: exactly the rounded distribution, decided by key and scale, on every processor."""

import ctypes
import hashlib
import importlib
import itertools
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aegis.errors import UsageError
from aegis.federated import elementary, mechanism, noise
from aegis.federated.values import flatten
from tests import idealnoise
from tests.chances import ALPHA, gaussian_cdf, goodness, kolmogorov, laplace_cdf, together
from tests.repeats import LONG, examples

Draw = Callable[[bytes, float, int], NDArray[np.int64]]

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "noise.v1.json"
KEY: Final = bytes(range(32))
#: So many draws that they are made fast.
FAST: Final = noise.FEW + 4
DRAWS: Final[dict[str, Draw]] = {"laplace": noise.laplace, "gaussian": noise.gaussian}
EXACTLY: Final[dict[str, Draw]] = {"laplace": noise.laplace_exactly, "gaussian": noise.gaussian_exactly}
OF_ONE: Final = {"laplace": idealnoise.laplace_of_one, "gaussian": idealnoise.gaussian_of_one}
IDEAL: Final = {"laplace": idealnoise.laplace, "gaussian": idealnoise.gaussian}
CDF: Final = {"laplace": laplace_cdf, "gaussian": gaussian_cdf}
MANY: Final = 4_000_000 if LONG else 400_000
#: From one step that is hardly ever left to the largest that is allowed.
SCALES: Final = (0.05, 0.3, 0.5, 1.0, 3.7, 1000.0, 2.0**20 + 0.1, 2.0**33 / 3, 2.0**46, 2.0**54)
#: numpy's own account of processors, of which it has no public one.
PROCESSOR: Final[Any] = importlib.import_module("numpy._core._multiarray_umath")
both = pytest.mark.parametrize("kind", ["laplace", "gaussian"])
KEYS: Final = st.binary(min_size=32, max_size=32)
#: Anywhere, near a power of two, near an edge of the logarithm's table, near an eighth of a turn.
POINTS: Final = st.one_of(
    st.integers(1, 2**63 - 1),
    st.builds(
        lambda power, part, off: max(1, min((1 << power) * (128 + part) // 128 + off, 2**63 - 1)),
        st.integers(0, 63),
        st.integers(0, 128),
        st.integers(-2000, 2000),
    ),
    st.builds(
        lambda part, off: max(1, min(part * 2**60 + off, 2**63 - 1)), st.integers(0, 8), st.integers(-99, 99)
    ),
)
ANY_SCALE: Final = st.floats(-7, 54).map(lambda power: min(2.0**power, 2.0**54))


def key_of(*words: object) -> bytes:
    """Return a key that is pinned by what it is for."""
    return hashlib.sha256(repr(words).encode()).digest()


class TestDistribution:
    """Against the exact probabilities of the rounded distribution, with keys pinned by test and scale."""

    @both
    @pytest.mark.parametrize("scale", SCALES)
    def test_fits(self, kind: str, scale: float) -> None:
        """χ² and Kolmogorov's distance, mean and variance are those of the rounded distribution."""
        many = MANY if scale < 2.0**40 else 20_000
        draws = DRAWS[kind](key_of("fits", kind, scale), scale, many)
        assert goodness(draws, CDF[kind](scale)) > ALPHA
        assert kolmogorov(draws, CDF[kind](scale)) > ALPHA
        variance, fourth = moments(kind, scale)
        assert abs(draws.mean()) < 5 * math.sqrt(variance / many)
        spread = np.mean(np.square(draws, dtype=np.float64))
        assert abs(spread - variance) < 5.5 * math.sqrt((fourth - variance**2) / many)

    @both
    @pytest.mark.parametrize("scale", [1.0, 1000.0])
    @pytest.mark.parametrize("lag", [1, 2, 3, noise.CHUNK // 2, noise.CHUNK, noise.CHUNK + 1])
    def test_coordinates_are_independent(self, kind: str, scale: float, lag: int) -> None:
        """Coordinates that stand in one pair, beside each other, or in the same place of another chunk."""
        draws = DRAWS[kind](key_of("coordinates", kind, scale), scale, MANY)
        first = np.arange(0, len(draws) - lag)
        if lag == 1:
            first = first[::2]
        assert together(draws[first], draws[first + lag], CDF[kind](scale)) > ALPHA
        assert together(np.abs(draws[first]), np.abs(draws[first + lag]), folded(CDF[kind](scale))) > ALPHA

    @both
    def test_keys_are_independent(self, kind: str) -> None:
        """Keys that differ in one bit have nothing else in common."""
        one = DRAWS[kind](KEY, 30.0, MANY)
        for bit in (0, 7, 255):
            near = (int.from_bytes(KEY, "big") ^ 1 << bit).to_bytes(32, "big")
            assert together(one, DRAWS[kind](near, 30.0, MANY), CDF[kind](30.0)) > ALPHA

    @pytest.mark.parametrize(
        ("kind", "wrong"),
        [("laplace", 1.03), ("laplace", 0.97), ("gaussian", 1.03), ("gaussian", 0.97)],
    )
    def test_a_scale_that_is_a_little_wrong_is_noticed(self, kind: str, wrong: float) -> None:
        """What this file calls a fit is no fit for a sampler that is a little off."""
        draws = DRAWS[kind](key_of("fits", kind, 3.7), 3.7 * wrong, MANY)
        assert goodness(draws, CDF[kind](3.7)) < ALPHA

    def test_pairs_that_share_a_radius_are_noticed(self) -> None:
        """Independence is tested by shape too: what is uncorrelated may share its size."""
        draws = noise.gaussian(KEY, 30.0, 2 * MANY)[::2]
        shared = draws[1::2] * np.where(draws[::2] % 2 == 0, 1, -1)
        assert abs(np.corrcoef(draws[1::2], shared)[0, 1]) < 0.01
        assert together(draws[1::2], shared, gaussian_cdf(30.0)) < ALPHA


class TestExactness:
    """The fast path changes nothing: every draw is the one of its definition."""

    @both
    @given(key=KEYS, scale=ANY_SCALE)
    @settings(max_examples=examples(1000))
    def test_draws_are_those_of_the_definition(self, kind: str, key: bytes, scale: float) -> None:
        """Fast, exact, and the definition by another program: the same numbers."""
        fast = DRAWS[kind](key, scale, FAST).tolist()
        assert fast == EXACTLY[kind](key, scale, FAST).tolist()
        assert fast == [IDEAL[kind](key, scale, draw) for draw in range(FAST)]

    @both
    @pytest.mark.parametrize("scale", SCALES)
    def test_fast_is_exact(self, kind: str, scale: float) -> None:
        """Thousands of draws in a row, over the end of a pair and of the list."""
        many = 20_001 if LONG else 1_001
        key = key_of("exact", kind, scale)
        assert (DRAWS[kind](key, scale, many) == EXACTLY[kind](key, scale, many)).all()

    @both
    @given(key=KEYS, draw=st.integers(0, 9), power=st.integers(0, 50))
    @settings(max_examples=examples(500))
    def test_draws_beside_a_boundary(self, kind: str, key: bytes, draw: int, power: int) -> None:
        """Two neighbouring doubles as scale, between which a draw changes: both sides are right."""
        low, high = boundary(kind, key, draw, 2.0**power)
        values = [int(DRAWS[kind](key, scale, FAST)[draw]) for scale in (low, high)]
        assert values[0] != values[1]
        assert values == [IDEAL[kind](key, scale, draw) for scale in (low, high)]

    def test_the_boundaries_are_beyond_doubles(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without its error bounds the fast path is wrong there, and what is above would see it."""
        monkeypatch.setattr(noise, "_laplace_again", None)
        monkeypatch.setattr(noise, "_gaussian_again", None)
        for kind in DRAWS:
            low, _ = boundary(kind, KEY, 0, 2.0**20)
            with pytest.raises(TypeError, match="not callable"):
                DRAWS[kind](KEY, low, FAST)

    @both
    @pytest.mark.parametrize("scale", [0.3, 1.0, 2.0**20 / 3, 2.0**54])
    def test_extreme_words(self, kind: str, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
        """Uniforms at both ends and around the bounds of the filter, angles at every eighth of a turn."""
        top = (1 << 63) - 1
        firsts = [0, 1, 2, 3, 2**43, 2**44 - 1, 2**44, 2**44 + 1, 2**62, top - 2**40, top - 1, top]
        angles = [max(0, min(top, k * 2**60 + d)) for k in range(9) for d in (-1, 0, 1)]
        values = [v for first in firsts for angle in angles for v in (first, angle)]
        words = np.array([value << 1 | n // 2 % 2 for n, value in enumerate(values)], dtype=np.uint64)
        monkeypatch.setattr(noise, "Bits", lambda key: GivenBits(key, words))
        fast = DRAWS[kind](KEY, scale, len(words))
        assert (fast == EXACTLY[kind](KEY, scale, len(words))).all()

    @both
    @pytest.mark.parametrize("value", [1, 2, 1000, 2**20, 2**36, 2**43])
    def test_rare_words(self, kind: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the first 63 bits are nearly all zero, those that follow decide the rounding."""
        # Between the values that U has at both ends of its cell.
        size = math.log(2.0**63 / (value + 0.5))
        scale = 1000.5 / (size if kind == "laplace" else math.sqrt(2 * size))
        words = np.array([value << 1, 0] * FAST, dtype=np.uint64)
        monkeypatch.setattr(noise, "Bits", lambda key: GivenBits(key, words))
        drawn = int(DRAWS[kind](KEY, scale, FAST)[0])
        assert drawn == EXACTLY[kind](KEY, scale, FAST)[0]
        assert drawn <= 1000

    @both
    @given(key=KEYS, draw=st.integers(0, 9), power=st.integers(0, 50), seed=st.integers(0, 99))
    @settings(max_examples=examples(200))
    def test_errors_within_the_bounds_change_nothing(
        self, kind: str, key: bytes, draw: int, power: int, seed: int
    ) -> None:
        """Where logarithm, sine and cosine err by half of what is allowed, the draws are the same ones."""
        for scale in boundary(kind, key, draw, 2.0**power):
            expected = DRAWS[kind](key, scale, FAST)
            with pytest.MonkeyPatch.context() as patch:
                shaken(patch, np.random.default_rng(seed))
                assert (DRAWS[kind](key, scale, FAST) == expected).all()

    @given(values=st.lists(POINTS, min_size=20, max_size=20))
    @settings(max_examples=examples(400))
    def test_the_bounds_hold(self, values: list[int]) -> None:
        """Logarithm, sine and cosine err by half of what is allowed at most, by a hundred decimals."""
        points = np.array(values, dtype=np.int64)
        sides = elementary.cos_sin(points)
        for value, size, cos, sin in zip(values, elementary.energy(points), *sides, strict=True):
            assert size >= 0
            allowed = elementary.ENERGY_SLOPE * size + elementary.ENERGY_ERROR
            assert abs(Decimal(float(size)) - idealnoise.energy(value)) <= Decimal(allowed / 2)
            for side, ideal in zip((cos, sin), idealnoise.sides(value), strict=True):
                assert abs(Decimal(float(side)) - ideal) <= Decimal(elementary.SIDE_ERROR / 2)

    @both
    @pytest.mark.parametrize("mode", [0x400, 0x800, 0xC00], ids=["down", "up", "to zero"])
    @pytest.mark.skipif(
        platform.machine() != "x86_64" or sys.platform != "linux", reason="other numbers there"
    )
    def test_rounding_modes_change_nothing(self, kind: str, mode: int) -> None:
        """Where a library has switched how doubles round, draws are the same: the bounds leave room."""
        expected = [DRAWS[kind](KEY, scale, 3000) for scale in (1.0, 2.0**46)]
        library = ctypes.CDLL("libm.so.6")

        def drawn() -> list[NDArray[np.int64]]:
            # The mode is the thread's own, and ends with it.
            library.fesetround(mode)
            assert (np.float64(1.0) - np.float64(1e-20) < 1.0) == (mode != 0x800)
            return [DRAWS[kind](KEY, scale, 3000) for scale in (1.0, 2.0**46)]

        with ThreadPoolExecutor(1) as threads:
            found = threads.submit(drawn).result()
        assert all((one == other).all() for one, other in zip(found, expected, strict=True))

    @both
    def test_a_longer_list_begins_with_the_shorter_one(self, kind: str) -> None:
        """Also across chunks and in the midst of a pair."""
        long = DRAWS[kind](KEY, 123.4, 2 * noise.CHUNK + 7)
        for many in (
            0,
            1,
            2,
            3,
            noise.FEW,
            noise.FEW + 1,
            noise.CHUNK - 1,
            noise.CHUNK,
            noise.CHUNK + 1,
            2 * noise.CHUNK + 5,
        ):
            short = DRAWS[kind](KEY, 123.4, many)
            assert short.dtype == np.int64
            assert (short == long[:many]).all()

    @both
    @pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf, 2.0**54 * 1.5])
    def test_scales_that_are_none(self, kind: str, scale: float) -> None:
        """No scale that is not above 0 and small enough gives noise."""
        with pytest.raises(UsageError, match="scale"):
            DRAWS[kind](KEY, scale, 1)

    @both
    @pytest.mark.parametrize("size", [0, 16, 31, 33])
    def test_keys_of_another_size(self, kind: str, size: int) -> None:
        """A short key is an error, never a weaker cipher."""
        with pytest.raises(ValueError, match="key"):
            DRAWS[kind](bytes(size), 1.0, 1)


class TestGolden:
    """Draws that were written down: the same for ever, or stored seals of releases would not fit."""

    def test_hashes(self) -> None:
        """In this process."""
        assert {name: hashes(**given) for name, given in golden()["draws"].items()} == golden()["hashes"]

    def test_releases(self) -> None:
        """What is released under a pinned seed: grid, scale, streams and rounding besides the draws."""
        assert released() == golden()["released"]

    @pytest.mark.parametrize("disabled", ["", *PROCESSOR.__cpu_dispatch__])
    def test_processors(self, disabled: str) -> None:
        """With what this and each newer generation of processors has switched off in numpy."""
        generations = PROCESSOR.__cpu_dispatch__
        later = generations[generations.index(disabled) :] if disabled else []
        off = [name for name in later if PROCESSOR.__cpu_features__[name]]
        if disabled and not off:
            pytest.skip(f"this processor has no {disabled}")
        program = (
            "from tests.unit import test_noise as t\n"
            "for name, given in t.golden()['draws'].items(): print(t.hashes(**given))\n"
            "print(t.released())"
        )
        environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(off), "PYTHONPATH": str(Path.cwd())}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True
        )
        assert done.stdout.split() == [*golden()["hashes"].values(), golden()["released"]]


class GivenBits:
    """Words that a test chose; a draw's own bits are all ones."""

    def __init__(self, _key: bytes, words: NDArray[np.uint64]) -> None:
        self._words = words

    def words(self, count: int) -> NDArray[np.uint64]:
        """Return the next words."""
        first, self._words = self._words[:count], self._words[count:]
        return first

    def more(self, _draw: int) -> Any:
        """Yield ones."""
        while True:
            yield (1 << 64) - 1


def shaken(patch: pytest.MonkeyPatch, generator: np.random.Generator) -> None:
    """Make logarithm, sine and cosine err by 0.49 of what is allowed, in either direction."""

    def off(values: NDArray[np.float64], by: Any) -> NDArray[np.float64]:
        return np.asarray(values + generator.choice([-0.49, 0.49], size=values.shape) * by)

    def energy(value: NDArray[np.int64]) -> NDArray[np.float64]:
        right = elementary.energy(value)
        return np.maximum(0, off(right, elementary.ENERGY_SLOPE * right + elementary.ENERGY_ERROR))

    def cos_sin(value: NDArray[np.int64]) -> list[NDArray[np.float64]]:
        return [off(side, elementary.SIDE_ERROR) for side in elementary.cos_sin(value)]

    patch.setattr(noise, "energy", energy)
    patch.setattr(noise, "cos_sin", cos_sin)


def boundary(kind: str, key: bytes, draw: int, scale: float) -> tuple[float, float]:
    """Return neighbouring doubles above `scale` between which a draw changes its value."""
    return idealnoise.boundary(OF_ONE[kind](key, draw), scale)


def folded(cdf: Any) -> Any:
    """Return the cdf of the size of a symmetric draw."""
    return lambda k: np.where(np.asarray(k) < 0, 0.0, cdf(k) - cdf(-np.asarray(k) - 1))


def moments(kind: str, scale: float) -> tuple[float, float]:
    """Return variance and fourth moment of the rounded distribution, by summing where it is narrow."""
    if scale > 100:  # rounding adds 1/12, and Sheppard's corrections are below any figure here
        square = scale * scale * (2 if kind == "laplace" else 1)
        return square + 1 / 12, square * square * (6 if kind == "laplace" else 3)
    k = np.arange(-5000, 5001)
    shares = np.diff(CDF[kind](scale)(np.arange(-5001, 5001)))
    return float(np.sum(shares * k**2.0)), float(np.sum(shares * k**4.0))


def golden() -> Any:
    """Read the golden file."""
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


def hashes(kind: str, key: str, scale: str, count: int) -> str:
    """Return the SHA-256 of draws as little-endian words; the scale is a double in hexadecimal."""
    draws = DRAWS[kind](bytes.fromhex(key), float.fromhex(scale), count)
    return hashlib.sha256(draws.astype("<i8").tobytes()).hexdigest()


def released() -> str:
    """Return the SHA-256 of aggregates of several kinds, protected on several terms under one seed."""
    hashed = hashlib.sha256()
    vector = np.arange(70_000) / 7
    weights = {"a": 0.1, "n": 5, "w": vector.astype(np.float32)}
    small = np.array([1, 255], dtype=np.uint8)
    values: list[Any] = [1.5, 7, [1, 2, 3], weights, vector, small]
    for value, (epsilon, delta) in itertools.product(values, [(0.5, None), (0.1, 1e-6)]):
        flat = flatten(value)
        plan = mechanism.plan(
            flat,
            mechanism="gaussian" if delta else "laplace",
            epsilon=epsilon,
            delta=delta,
            sensitivity=3.0,
            per_field=True,
        )
        for leaf in flatten(mechanism.draw(flat, plan, KEY)).leaves:
            little = leaf.numbers.dtype.newbyteorder("<")
            hashed.update(leaf.numbers.astype(little).tobytes())
    return hashed.hexdigest()
