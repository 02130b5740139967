"""Aggregates as bytes: equal values are equal bytes, types and shapes stay, and nothing else comes in."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from aegis.errors import UsageError
from aegis.federated import wireformat
from aegis.federated.wire import decode, encode
from aegis.federated.wireformat import DEEPEST, DTYPES
from tests.repeats import examples

#: From RFC 8949 (appendix A) and RFC 8746; what stands in the documentation; and the order of keys.
VECTORS: list[tuple[Any, str]] = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (1000000000000, "1b000000e8d4a51000"),
    (18446744073709551615, "1bffffffffffffffff"),
    (18446744073709551616, "c249010000000000000000"),
    (-18446744073709551617, "c349010000000000000000"),
    (-1000, "3903e7"),
    (1.1, "fb3ff199999999999a"),
    (float("inf"), "fb7ff0000000000000"),
    (float("nan"), "fb7ff8000000000000"),
    (True, "f5"),
    (None, "f6"),
    ("ü", "62c3bc"),
    (b"\1\2", "420102"),
    ([1, [2, 3], []], "8301820203" + "80"),
    ({"b": 1, "a": 2, "aa": 3, 7: 4}, "a4" + "0704" + "616102" + "616201" + "62616103"),
    ((1, "a"), "d81b836b61656769732d7475706c65" + "016161"),
    (np.array([1.5, -2.0], dtype="<f4"), "d85548" + "0000c03f000000c0"),
    (np.array([[1], [2]], dtype="u1"), "d82882" + "820201" + "d840420102"),
    (np.array(3, dtype="<i8"), "d82882" + "80" + "d84f48" + "0300000000000000"),
    (np.float32(1.5), "d81b826c61656769732d7363616c6172" + "d85544" + "0000c03f"),
    (np.array([True, False]), "d81b836b61656769732d626f6f6c73" + "8102" + "420100"),
]

NUMBERS = (
    st.integers(min_value=-(2**80), max_value=2**80)
    | st.floats()
    | st.booleans()
    | st.none()
    | st.text(max_size=5)
)
ARRAYS = st.sampled_from([*DTYPES.values(), np.dtype("?")]).flatmap(
    lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
SCALARS = ARRAYS.filter(lambda array: array.size > 0).map(lambda array: array.reshape(-1)[0])
VALUES = st.recursive(
    NUMBERS | ARRAYS | SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(("value", "expected"), VECTORS, ids=lambda part: repr(part)[:30])
def test_the_format(value: Any, expected: str) -> None:
    """Bytes that another implementation writes and reads."""
    assert encode(value).hex() == expected
    assert same(decode(bytes.fromhex(expected)), value)


@settings(max_examples=examples(500))
@given(VALUES)
def test_round_trip(value: Any) -> None:
    """What was written is read again with its types and shapes, and is the same bytes again."""
    data = encode(value)
    read = decode(data)
    assert same(read, value)
    assert encode(read) == data


@settings(max_examples=examples(200))
@given(st.dictionaries(st.text(max_size=4), st.integers(), max_size=6))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    """Equal dicts are equal bytes, in whatever order they were filled."""
    assert encode(dict(reversed(value.items()))) == encode(value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("f93e00", 1.5),
        ("fa3fc00000", 1.5),
        ("1800", 0),
        ("a2616201" + "616102", {"a": 2, "b": 1}),
        ("d82882" + "8102" + "d840420102", np.array([1, 2], dtype="u1")),
    ],
)
def test_less_strict_writers_are_read(written: str, value: Any) -> None:
    """Shorter floats, longer heads, keys in another order, a shape of one dimension."""
    assert same(decode(bytes.fromhex(written)), value)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        1j,
        {1.5: 2},
        {True: 1},
        {"a"},
        "\ud800",
        np.array(["a"]),
        np.array([object()]),
        np.array([1j]),
        np.longdouble(1),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.ma.masked_array([1.0], [True]),
        np.zeros(2, dtype=[("a", "f4")]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_aggregate(value: Any) -> None:
    """Other types are refused by their name, and nothing of their content is said."""
    with pytest.raises(UsageError, match="expected") as told:
        encode([value])
    assert "2020" not in str(told.value)


def test_deep_and_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nesting and the number of values have a limit in both directions, before memory or the stack has."""
    deep: Any = 1
    for _ in range(DEEPEST + 1):
        deep = [deep]
    with pytest.raises(UsageError, match="nested"):
        encode(deep)
    with pytest.raises(UsageError, match="nested"):
        decode(b"\x81" * 100_000 + b"\x01")
    monkeypatch.setattr(wireformat, "MOST_ITEMS", 1000)
    with pytest.raises(UsageError, match="more than 1000 values"):
        decode(encode([0] * 1000))


@settings(max_examples=examples(1000))
@given(VALUES, st.data())
def test_damaged_bytes(value: Any, data: st.DataObject) -> None:
    """Bytes that were changed or cut are another value or a UsageError, and never anything else."""
    written = bytearray(encode(value))
    for _ in range(data.draw(st.integers(1, 3))):
        written[data.draw(st.integers(0, len(written) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(written[: data.draw(st.integers(0, len(written)))]))
    except UsageError:
        return


@pytest.mark.parametrize(
    "written",
    [
        "",
        "0000",
        "18",
        "5bffffffffffffffff",
        "9bffffffffffffffff",
        "bbffffffffffffffff",
        "9f01ff",
        "a2616101616102",
        "a1820102f6",
        "d85543000000",
        "d82882" + "8101" + "d840420102",
        "d82882" + "9bffffffffffffffff" + "d84040",
        "d82882" + "02" + "d840420102",
        "d82882" + "816161" + "d840420102",
        "d82882" + "8102" + "420102",
        "d82883" + "8102" + "d84042010200",
        "d81b81" + "6161",
        "d81b826c61656769732d7363616c6172" + "01",
        "c11a514b67b0",
        "f7",
        "61ff",
    ],
)
def test_bytes_that_are_no_value(written: str) -> None:
    """Claimed lengths that are not there, two equal keys, unknown tags, and the rest of CBOR."""
    with pytest.raises(UsageError):
        decode(bytes.fromhex(written))


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same to the bit, with the same types."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray | np.generic):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other or (one != one and other != other))  # noqa: PLR0124 - NaN
