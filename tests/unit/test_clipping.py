"""Contributions: what one participant can change of a sum, in exact arithmetic."""

import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from aegis.errors import Refused, UsageError
from aegis.federated.clipped import Grid, Norm
from aegis.federated.clipping import clip_contributions, within
from aegis.federated.mechanism import plan_sum
from aegis.federated.modular import from_modular_sum
from tests.mutants_clipping import MUTANTS, Row, Summed, right
from tests.repeats import examples

NORMS: tuple[Norm, ...] = get_args(Norm)
BOUNDS = st.sampled_from((1.0, 0.1, 1 / 3, 5e-324 * 2.0**600, 3e140, 7.0))
#: The ends of every type, where arithmetic in it goes wrong first.
ODD = (0.0, -0.0, 5e-324, -1e-310, 2.0**-1022, 1e-160, 1e160, -1e300, 1e308, -1.7976931348623157e308)
TYPES = ("f2", "f4", "f8", ">f8", "i1", "u2", "i4", "i8", "u8")


def rows_of(width: int, dtype: str) -> st.SearchStrategy[list[Row]]:
    """Up to eight contributions of a type, with everything that it can hold."""
    kind = np.dtype(dtype)
    some = (
        hnp.from_dtype(kind, allow_nan=True, allow_infinity=True)
        if kind.kind == "f"
        else hnp.from_dtype(kind)
    )
    odd = st.sampled_from(ODD).map(kind.type) if dtype == "f8" else some
    return st.lists(hnp.arrays(kind, (width,), elements=st.one_of(some, odd)), min_size=1, max_size=8)


ROWS = st.tuples(st.integers(1, 6), st.sampled_from(TYPES)).flatmap(lambda pair: rows_of(*pair))


def small_enough(numbers: Sequence[Fraction], norm: Norm, bound: float) -> bool:
    """Whether a norm is at most the bound, in exact arithmetic."""
    if norm == "l1":
        return sum(map(abs, numbers)) <= Fraction(bound)
    return sum(number * number for number in numbers) <= Fraction(bound) ** 2


def check(summed: Summed, rows: Sequence[Row], norm: Norm, bound: float) -> None:
    """One contribution has at most the bound's norm, and changes a sum by just as much, each of them."""
    whole = summed(rows, norm, bound)
    for gone, row in enumerate(rows):
        alone = summed([row], norm, bound)
        assert small_enough(alone, norm, bound), "a contribution is larger than the bound"
        rest = (
            summed([*rows[:gone], *rows[gone + 1 :]], norm, bound)
            if len(rows) > 1
            else [Fraction(0)] * row.size
        )
        change = [one - other for one, other in zip(whole, rest, strict=True)]
        assert small_enough(change, norm, bound), "a contribution changes the sum by more than the bound"
        assert change == alone, "what a contribution adds depends on the others"


@given(rows=ROWS, norm=st.sampled_from(NORMS), bound=BOUNDS)
@settings(max_examples=examples(1000))
def test_sensitivity(rows: list[Row], norm: Norm, bound: float) -> None:
    """Whatever is contributed, one participant more or less changes the sum by at most the bound, exactly."""
    check(right, rows, norm, bound)


def test_mutants_are_caught() -> None:
    """The same check catches sums in doubles, rounding to nearest, and other ways that look right."""
    draw = np.random.default_rng(20221107)
    for name, mutant in MUTANTS.items():
        caught = 0
        for norm in NORMS:
            for _ in range(20):
                try:
                    check(mutant, list(draw.normal(size=(4, 5))), norm, 0.1)
                except AssertionError:
                    caught += 1
        assert caught, f"{name} was not caught"


@given(rows=ROWS, norm=st.sampled_from(NORMS), seed=st.integers(0, 99))
@settings(max_examples=examples(500))
def test_order_and_batches(rows: list[Row], norm: Norm, seed: int) -> None:
    """The sum has the same bits in any order, one by one or in batches, as rows or columns in memory."""
    first = clip_contributions(iter(rows), norm=norm, bound=0.1)
    shuffled = list(np.random.default_rng(seed).permutation(np.stack(rows)))
    cut = seed % (len(rows) + 1)
    batch = np.stack(rows)
    for other in (
        clip_contributions(shuffled, norm=norm, bound=0.1),
        clip_contributions(batch, norm=norm, bound=0.1),
        clip_contributions(np.asfortranarray(batch), norm=norm, bound=0.1),
        clip_contributions((batch[:cut], batch[cut:]), norm=norm, bound=0.1, batches=True),
    ):
        assert np.array_equal(other.steps, first.steps)
        assert (other.participants, other.rejected) == (first.participants, first.rejected)
    unusable = 0 if batch.dtype.kind != "f" else int((~np.isfinite(batch)).any(axis=1).sum())
    assert (first.participants, first.rejected) == (len(rows), unusable)


@pytest.mark.parametrize("width", [1, 2, 9, 127, 129, 961, 8193, 40_000])
def test_a_row_in_a_batch_is_as_alone(width: int) -> None:
    """A contribution has the same bits alone as among others, however numpy cuts its sums.

    Rows of one number each are cut to whole steps exactly: the last bit of a norm decides on all of them.
    """
    draw = np.random.default_rng(width)
    for norm in NORMS:
        bound = float(width if norm == "l1" else np.sqrt(width))
        batch = np.outer(draw.uniform(2.0, 99.0, size=24), np.ones(width))
        alone = [clip_contributions([row], norm=norm, bound=bound).steps for row in batch]
        for together in (batch, np.asfortranarray(batch), iter(batch), batch[::-1]):
            steps = clip_contributions(together, norm=norm, bound=bound).steps
            assert np.array_equal(steps, np.sum(alone, axis=0))


@pytest.mark.parametrize("norm", NORMS)
def test_no_more_is_cut_than_has_to_be(norm: Norm) -> None:
    """What is left of a contribution that is too large is shorter than the bound by truncation alone."""
    for row in np.random.default_rng(7).normal(size=(9, 1000)) * 1e3:
        left = clip_contributions([row], norm=norm, bound=0.1).value
        length = np.abs(left).sum() if norm == "l1" else np.linalg.norm(left)
        assert 0.1 - 1000 * 2.0 ** one_step(0.1) < length <= 0.1


def one_step(bound: float) -> int:
    """The exponent of a bound's grid, and one for rounding."""
    return Grid.of(bound).exponent + 1


@given(
    row=hnp.arrays(np.float64, (5,), elements=st.floats(-1, 1)),
    factor=st.floats(1.0, 8.0),
    norm=st.sampled_from(NORMS),
)
@example(row=np.ones(5), factor=1.0, norm="l1")
def test_a_factor_that_is_too_large(row: NDArray[np.float64], factor: float, norm: Norm) -> None:
    """Were the norm in doubles wrong by far, the one in whole numbers would still decide."""
    limit = 1000
    factors = np.array([factor * limit])
    steps = within(row[None], factors, norm, limit)[0]
    assert small_enough([Fraction(int(step)) for step in steps], norm, limit)


@pytest.mark.parametrize("size", [5e-324, 1e-310, 1e-160, 1.0, 1e160, 1e300, 1.7e308])
def test_what_is_kept(size: float) -> None:
    """Neither a norm that would be infinite nor one that would be zero loses a contribution."""
    row = np.array([3.0, -4.0]) / 5.0 * size
    value = clip_contributions([row], norm="l2", bound=1.0).value
    expected = [0.6, -0.8] if size >= 1.0 else [0.0, 0.0]
    assert value == pytest.approx(expected, abs=2.0**-29)


def test_integers_are_exact() -> None:
    """Integers within the bound are summed as they are, on their own grid too."""
    counts = np.array([[1, 0, 2], [0, 1, -1], [3, 0, 0]])
    for exponent in (None, 0):
        clipped = clip_contributions(counts, norm="l1", bound=3.0, exponent=exponent)
        assert clipped.value.tolist() == [4.0, 1.0, 1.0]
    assert clipped.steps.tolist() == [4, 1, 1]


def test_shapes() -> None:
    """The sum has the shape of a contribution: of a matrix, and of a single number."""
    assert clip_contributions(np.ones((4, 2, 3)), norm="l2", bound=9.0).value.tolist() == [[4.0] * 3] * 2
    assert clip_contributions([0.5, 0.25], norm="l1", bound=1.0).value == pytest.approx(0.75)


def test_a_mean_keeps_the_sum() -> None:
    """A mean is the sum, noise and all, divided by a public number; the sum's sensitivity stays in view."""
    clipped = clip_contributions(np.ones((4, 2)), norm="l1", bound=2.0, neighbours="replace")
    mean = clipped.mean(8)
    assert (mean.value.tolist(), mean.divisor, mean.sensitivity) == ([0.5, 0.5], 8, 4.0)
    assert np.array_equal(mean.steps, clipped.steps)
    for wrong in (0, -1, True, 2.5):
        with pytest.raises(UsageError, match="fixed before"):
            clipped.mean(wrong)  # type: ignore[arg-type]


def test_nothing_shows_people() -> None:
    """A clipped sum prints neither steps nor counts, and cannot be changed."""
    clipped = clip_contributions(np.full((777, 1), 0.25), norm="l1", bound=1.0)
    assert "777" not in repr(clipped)
    assert "steps" not in repr(clipped)
    with pytest.raises(ValueError, match="read-only"):
        clipped.steps[0] = 0


@pytest.mark.parametrize(
    ("contributions", "words"),
    [
        ([], "no contribution came"),
        (np.zeros((0, 3)), "no contribution came"),
        ([np.ones(2), np.ones(2), np.ones(3)], "contribution 2 has shape"),
        ([np.ones(2), np.ones(2, int)], "contribution 1 has shape .* whole numbers"),
        ([np.ones(2), np.ones(2) + 0j], "contribution 1 has numbers of type complex"),
        ([np.ones(2, bool)], "contribution 0 has numbers of type bool"),
        ([np.ones(2, np.longdouble)], "contribution 0 has numbers of type"),
        (["1.0"], "contribution 0 has numbers of type"),
        ([10**30], "contribution 0 has numbers of type object"),
        ([np.ones(0)], "no coordinate"),
    ],
)
def test_what_is_refused(contributions: Any, words: str) -> None:
    """What cannot be summed is refused, with its place."""
    with pytest.raises(UsageError, match=words):
        clip_contributions(contributions, norm="l1", bound=1.0)


def test_a_batch_that_is_one_number() -> None:
    """A batch has participants, one behind the other; a single number is nobody's contribution."""
    with pytest.raises(UsageError, match="batch 1 is a single number"):
        clip_contributions([np.ones((2, 1)), 3.0], batches=True, norm="l1", bound=1.0)


def test_noise_that_does_not_fit_the_grid() -> None:
    """Noise of too many steps is refused while it is planned, before anything is charged for it."""
    fine = clip_contributions(np.ones((3, 2)), norm="l1", bound=1.0)
    coarse = clip_contributions(np.ones((3, 2)), norm="l1", bound=1.0, exponent=-10)
    with pytest.raises(UsageError, match="larger exponent"):
        plan_sum(fine, mechanism="laplace", epsilon=1e-8, delta=None)
    assert plan_sum(coarse, mechanism="laplace", epsilon=1e-8, delta=None).grid_steps is not None


@pytest.mark.parametrize(
    "terms",
    [
        {"bound": 0.0},
        {"bound": -1.0},
        {"bound": float("nan")},
        {"bound": float("inf")},
        {"bound": 1e-200},
        {"norm": "linf"},
        {"neighbours": "all"},
        {"exponent": 1},
        {"exponent": -31},
        {"exponent": -10_000},
    ],
)
def test_wrong_terms(terms: dict[str, Any]) -> None:
    """A bound, a norm or a grid that cannot be meant is refused."""
    whole: dict[str, Any] = {"norm": "l2", "bound": 1.0}
    with pytest.raises(UsageError):
        clip_contributions([np.ones(2)], **whole | terms)


def test_more_than_there_is_room_for() -> None:
    """More participants than fit into a sum are refused before one of them is added."""
    grid = Grid.of(1.0)
    assert grid.most * grid.limit <= 1 << 61
    many = np.broadcast_to(np.ones(1), (grid.most + 1, 1))
    with pytest.raises(Refused, match="do not fit"):
        clip_contributions(many, norm="l1", bound=1.0)


PEAK = """
import sys
import numpy as np
from aegis.federated.clipping import clip_contributions

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

def some():
    for number in range(64):
        yield np.full(1 << 18, float(number))

clip_contributions([np.ones(9)], norm="l2", bound=1.0)
before = peak()
ways = {
    "streamed": some,
    "array": lambda: np.broadcast_to(np.ones(1 << 18), (64, 1 << 18)),
    "held": lambda: list(some()),
}
clip_contributions(ways[sys.argv[1]](), norm="l2", bound=1.0)
print((peak() - before) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says a process's peak so")
def test_memory_is_flat() -> None:
    """64 contributions of 2 MiB each are summed in less than 32 MiB; held together they take 128.

    An array that is larger than memory, from a file for example, is not copied as a whole either.
    """
    grown = {
        way: int(subprocess.run([sys.executable, "-c", PEAK, way], capture_output=True, check=True).stdout)
        for way in ("streamed", "array", "held")
    }
    assert grown["streamed"] < 32
    assert grown["array"] < 32
    assert grown["held"] >= 128


@given(
    rows=st.integers(1, 5).flatmap(lambda width: rows_of(width, "f8")),
    norm=st.sampled_from(NORMS),
    modulus=st.sampled_from((1 << 20, 1 << 62, 1_000_003)),
)
def test_secure_aggregation(rows: list[Row], norm: Norm, modulus: int) -> None:
    """What each participant cuts, and is summed modulo a number, is the sum that Aegis would have made."""
    terms: dict[str, Any] = {"norm": norm, "bound": 0.3, "exponent": -12}
    sent = [clip_contributions([row], **terms).steps % modulus for row in rows]
    residues = np.array([sum(map(int, column)) % modulus for column in zip(*sent, strict=True)])
    lifted = from_modular_sum(residues, modulus=modulus, participants=len(rows), **terms)
    direct = clip_contributions(rows, **terms)
    assert np.array_equal(lifted.steps, direct.steps)
    assert (lifted.enforced, direct.enforced) == (False, True)
    assert lifted.sensitivity == direct.sensitivity


#: Ten participants of at most 8 steps each: from -80 to 80.
SMALL: dict[str, Any] = {"exponent": -3, "bound": 1.0, "norm": "l1", "participants": 10}


def test_the_smallest_modulus() -> None:
    """One residue for each possible sum is enough; one less, and a sum could have wrapped around unseen."""
    lifted = from_modular_sum([0, 80, 81, 160], modulus=161, **SMALL)
    assert lifted.steps.tolist() == [0, 80, -80, -1]
    with pytest.raises(Refused, match="wrap around unseen"):
        from_modular_sum([0], modulus=160, **SMALL)


@pytest.mark.parametrize(
    ("residues", "changed", "error"),
    [
        ([-1], {}, UsageError),
        ([1024], {}, UsageError),
        ([1.0], {}, UsageError),
        ([], {}, UsageError),
        ([81], {}, Refused),
        ([1024 - 81], {}, Refused),
        ([0], {"participants": 0}, UsageError),
        ([0], {"participants": True}, UsageError),
        ([0], {"modulus": 1}, UsageError),
        ([0], {"modulus": (1 << 62) + 1}, UsageError),
        ([0], {"exponent": 1}, UsageError),
        ([0], {"participants": 1 << 60}, Refused),
        ([0], {"norm": "l3"}, UsageError),
    ],
)
def test_wrong_residues(residues: list[Any], changed: dict[str, Any], error: type[Exception]) -> None:
    """A residue that is none, a sum that nobody could have made, and terms that do not fit are refused."""
    with pytest.raises(error):
        from_modular_sum(residues, **{"modulus": 1024} | SMALL | changed)
