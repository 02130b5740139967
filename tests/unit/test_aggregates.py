"""Aggregates: what is protected, what is refused, and what grid and scale its numbers get."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from aegis.errors import UsageError
from aegis.federated import mechanism, noise
from aegis.federated.calibration import gaussian_noise
from aegis.federated.clipping import clip_contributions
from aegis.federated.values import LARGEST, flatten
from tests.repeats import examples

SEED = bytes(range(32))
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    nps.arrays(
        st.sampled_from([np.dtype(kind) for kind in ("f2", ">f4", "f8", "i1", "u2", ">i4", "u8")]),
        nps.array_shapes(min_dims=0, max_dims=3, max_side=4),
        elements={"allow_nan": False, "allow_infinity": False},
    ),
    st.sampled_from([np.float32(1.5), np.int16(7)]),
)
AGGREGATES = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4),
        st.dictionaries(st.text(max_size=3), inner, min_size=1, max_size=4),
        st.tuples(inner, inner),
    ),
    max_leaves=8,
)


def alike(left: Any, right: Any) -> bool:
    """Whether two aggregates have the same keys, shapes and types, whatever their numbers."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(alike(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(alike, left, right))
    if isinstance(left, np.ndarray):
        return bool(left.shape == right.shape and left.dtype == right.dtype)
    return True


def planned(value: Any, **words: Any) -> mechanism.Plan:
    """Return the plan for a value, Laplace noise of epsilon 1 where nothing else is said."""
    given: dict[str, Any] = {"mechanism": "laplace", "epsilon": 1.0, "delta": None, "sensitivity": 1.0}
    return mechanism.plan(flatten(value), **given | words)


@settings(max_examples=examples(500), deadline=None)
@given(value=AGGREGATES)
def test_noise_changes_numbers_and_nothing_around_them(value: Any) -> None:
    """Keys, shapes and types come out as they went in, and every number is finite."""
    flat = flatten(value)
    released = mechanism.draw(flat, planned(value), SEED)
    assert alike(value, released)
    for leaf in flatten(released).leaves:
        assert bool(np.isfinite(leaf.numbers).all())
    again = mechanism.draw(flat, planned(value), SEED)
    assert [leaf.numbers.tobytes() for leaf in flatten(again).leaves] == [
        leaf.numbers.tobytes() for leaf in flatten(released).leaves
    ]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (True, "bool"),
        ({"a": {"b": False}}, "bool at 'a.b'"),
        ("7", "str"),
        ([1, "7"], "str at '1'"),
        (None, "NoneType"),
        (1j, "complex"),
        ({1: 2}, "key that is no text"),
        (np.array([True]), "ndarray of bool"),
        (np.array([1, "a"], dtype=object), "ndarray of object"),
        (np.array(["a"]), "ndarray of <U1"),
        (np.ma.masked_array([1.0], mask=[True]), "MaskedArray"),
        (np.array([1 + 1j]), "ndarray of complex128"),
        (Fraction(1, 2), "Fraction"),
        ({1.0}, "set"),
        (math.nan, "NaN"),
        ({"x": [1.0, math.inf]}, "NaN or an infinity at 'x'"),
        (np.array([[1.0], [-np.inf]], dtype=np.float16), "infinity"),
        ([], "no number"),
        ({"a": {}}, "no number"),
        (np.zeros((0, 3)), "no number"),
    ],
)
def test_what_is_no_number_is_refused_by_its_place(value: Any, told: str) -> None:
    """The message has type and place, and never what stands there."""
    with pytest.raises(UsageError, match=told):
        flatten(value)


def test_public_fields_leave_as_they_are() -> None:
    """A field is named by its keys; one that is not there is an error, and what is no plain data too."""
    value = {"n": 3, "round": "7", "meta": {"ok": True, "loss": 0.5}}
    flat = flatten(value, ["round", "meta.ok"])
    assert (flat.whole, flat.real) == (1, 1)
    released = mechanism.draw(flat, planned({"n": 3, "x": 0.5}), SEED)
    assert (released["round"], released["meta"]["ok"]) == ("7", True)
    for fields, told in ((["round", "meta.ok", "rounds"], "no such field"), ("round", "a list of names")):
        with pytest.raises(UsageError, match=told):
            flatten(value, fields)
    with pytest.raises(UsageError, match="plain data"):
        flatten({"n": 1, "f": object()}, ["f"])


def test_a_public_field_may_be_nested() -> None:
    """Lists and dicts of plain data are plain data; what they hold is looked at, too."""
    plain = {"rounds": [1, 2, {"last": None}], "name": "week"}
    flat = flatten({"n": 3, "about": plain}, ["about"])
    assert mechanism.draw(flat, planned({"n": 3}), SEED)["about"] == plain
    for odd in ([object()], {"x": object()}, {1: "x"}):
        with pytest.raises(UsageError, match="plain data"):
            flatten({"n": 3, "about": odd}, ["about"])


def test_an_aggregate_that_is_nested_without_end_is_refused() -> None:
    """Its depth is told, and nothing of it."""
    value: Any = 1.0
    for _ in range(200):
        value = [value]
    with pytest.raises(UsageError, match=r"nested more than \d+ deep"):
        flatten(value)


@settings(max_examples=examples(1000), deadline=None)
@given(
    sensitivity=st.floats(2.0**-900, 2.0**900),
    epsilon=st.sampled_from([1e-6, 1e-3, 0.1, 0.5, 1.0, 8.0, 60.0]),
    real=st.integers(1, 10**9),
    gaussian=st.booleans(),
)
def test_the_scale_pays_for_the_grid(
    sensitivity: float, epsilon: float, real: int, *, gaussian: bool
) -> None:
    """The noise is that of the sensitivity plus d steps (L1) or √d (L2), and hardly larger than without."""

    class Counted:
        whole = 0

        def __init__(self) -> None:
            self.real = real

    kind: Any = "gaussian" if gaussian else "laplace"
    flat: Any = Counted()
    plan = mechanism.plan(
        flat, mechanism=kind, epsilon=epsilon, delta=1e-6 if gaussian else None, sensitivity=sensitivity
    )
    assert plan.exponent is not None
    assert plan.grid_steps is not None
    step = Fraction(2) ** plan.exponent
    ratio = Fraction(gaussian_noise(epsilon, 1e-6)) if gaussian else 1 / Fraction(repr(epsilon))
    # √d is above what a whole root gives, so squares are compared.
    over = Fraction(plan.grid_steps) / ratio - Fraction(sensitivity) / step
    assert over >= 0
    assert over * over >= real if gaussian else over >= real
    assert plan.grid_steps <= noise.LARGEST_SCALE
    if epsilon > 1e-3:
        assert Fraction(plan.scale) <= Fraction(sensitivity) * ratio * (1 + Fraction(1, 1 << 13))


@settings(max_examples=examples(500), deadline=None)
@given(first=st.floats(-1e6, 1e6), second=st.floats(-1e6, 1e6))
def test_rounding_to_the_grid_brings_two_values_at_most_a_step_further_apart(
    first: float, second: float
) -> None:
    """That is what the enlarged sensitivity pays for."""
    exponent = planned(1.0).exponent
    assert exponent is not None
    grid = Fraction(2) ** exponent
    # Noise that is the same for both cancels out.
    one, other = (mechanism.draw(flatten(value), planned(value), SEED) for value in (first, second))
    apart = abs(Fraction(one) - Fraction(other))
    assert apart % grid == 0
    assert apart <= abs(Fraction(first) - Fraction(second)) + grid


def test_whole_numbers_stay_on_their_own_grid() -> None:
    """They need no enlargement, saturate where nothing else is near, and stop at the ends of their type."""
    assert planned([1, 2, 3]).scale == 1.0
    assert planned([1, 2.0]).scale > 1.0
    assert abs(mechanism.draw(flatten(10**30), planned(1), SEED) - LARGEST) < 100
    ends = mechanism.draw(flatten(np.full(2000, 255, np.uint8)), planned(np.zeros(2000, np.uint8)), SEED)
    assert ends.max() == 255
    with pytest.raises(UsageError, match="larger than whole numbers"):
        planned(3, sensitivity=1e20)


def test_a_sensitivity_of_each_field_is_that_of_all_of_them_together() -> None:
    """D times as much in L1, √d times in L2."""
    assert planned([1] * 9, per_field=True).sensitivity == 9.0
    words: dict[str, Any] = {"mechanism": "gaussian", "delta": 1e-6, "per_field": True}
    assert planned([1] * 9, **words).sensitivity == pytest.approx(3.0, rel=1e-15)


def test_a_sum_of_clipped_contributions_gets_noise_on_its_own_steps() -> None:
    """No rounding, no enlargement: bound / epsilon is the scale, and the other norm is refused."""
    clipped = clip_contributions([np.array([3.0, 4.0])] * 7, norm="l2", bound=1.0)
    plan = mechanism.plan_sum(clipped, mechanism="gaussian", epsilon=1.0, delta=1e-6)
    assert plan.scale == gaussian_noise(1.0, 1e-6)
    released = mechanism.draw_sum(clipped, plan, SEED)
    steps = np.ldexp(released, -clipped.exponent)
    assert bool((steps == np.rint(steps)).all())
    with pytest.raises(UsageError, match="clipped in l2"):
        mechanism.plan_sum(clipped, mechanism="laplace", epsilon=1.0, delta=None)
