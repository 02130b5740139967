"""An aggregate taken apart into its numbers, and put together again around other ones.

Shape, keys and types come out as they went in; only numbers change. What is no number is refused,
unless it is named as public: a text or a truth value would leave as it is, without protection.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aegis.errors import UsageError

#: Whole numbers beyond it, on either side, count as it: nothing is near them but noise.
LARGEST: Final = 1 << 61
_DEEPEST: Final = 32
#: float16, float32, float64, and whole numbers of 8 to 64 bits; in either byte order.
_KINDS: Final = "fiu"
_WIDEST: Final = 8
_PLAIN: Final = (str, bool, int, float, type(None))


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """Numbers of one type that stand together."""

    #: One dimension, of the type in which they came.
    numbers: NDArray[Any]
    #: array, scalar (of numpy), number or list
    form: str
    shape: tuple[int, ...]

    @property
    def whole(self) -> bool:
        """Whether they stay whole numbers."""
        return self.numbers.dtype.kind in "iu"

    def around(self, numbers: NDArray[Any]) -> Any:
        """Return other numbers in the form in which these came."""
        if self.form == "array":
            return numbers.reshape(self.shape)
        if self.form == "scalar":
            return numbers[0]
        return numbers.tolist() if self.form == "list" else numbers[0].item()


@dataclass(frozen=True, kw_only=True)
class Slot:
    """Where a leaf stood."""

    leaf: int


@dataclass(frozen=True, kw_only=True)
class Flat:
    """An aggregate's numbers, in order, and what was around them."""

    leaves: tuple[Leaf, ...]
    around: Any

    @property
    def whole(self) -> int:
        """How many of its numbers are whole."""
        return sum(len(leaf.numbers) for leaf in self.leaves if leaf.whole)

    @property
    def real(self) -> int:
        """How many of its numbers are not."""
        return sum(len(leaf.numbers) for leaf in self.leaves if not leaf.whole)

    def around_these(self, numbers: list[NDArray[Any]]) -> Any:
        """Return the aggregate with other numbers, an array for each leaf."""
        made = [leaf.around(other) for leaf, other in zip(self.leaves, numbers, strict=True)]
        return _filled(self.around, made)


def flatten(value: Any, public_fields: Collection[str] = ()) -> Flat:
    """Take an aggregate apart.

    Args:
        value: a number, an array, or dicts and lists of them, nested.
        public_fields: fields that leave as they are, by the keys that lead to them, joined by dots.

    Raises:
        UsageError: something in it is no finite number, or it has none; named by its place, not by
            what it is.

    """
    if isinstance(public_fields, str):
        message = "public_fields must be a list of names, such as ['round']"
        raise UsageError(message)
    reader = _Reader(frozenset(public_fields))
    around = reader.read(value, (), 0)
    if unknown := sorted(reader.public - reader.met):
        message = f"public_fields names {unknown[0]!r}, and the aggregate has no such field"
        raise UsageError(message)
    flat = Flat(leaves=tuple(reader.leaves), around=around)
    if flat.whole + flat.real == 0:
        message = "the aggregate holds no number: there is nothing to protect"
        raise UsageError(message)
    return flat


class _Reader:
    def __init__(self, public: frozenset[str]) -> None:
        self.public = public
        self.met: set[str] = set()
        self.leaves: list[Leaf] = []

    def read(self, value: Any, path: tuple[str, ...], depth: int) -> Any:
        name = ".".join(path)
        if path and name in self.public:
            self.met.add(name)
            return _plain(value, name)
        if depth > _DEEPEST:
            message = f"the aggregate is nested more than {_DEEPEST} deep"
            raise UsageError(message)
        if type(value) is dict:
            return {key: self.read(value[key], (*path, key), depth + 1) for key in _keys(value, name)}
        if type(value) in {list, tuple}:
            return self._sequence(value, path, depth)
        return self._leaf(*_numbers(value, name), name)

    def _sequence(self, value: Any, path: tuple[str, ...], depth: int) -> Any:
        # A vector is one leaf, not one for each of its numbers.
        kinds = set(map(type, value)) if type(value) is list else set()
        if kinds in ({int}, {float}):
            numbers = np.array(value) if kinds == {float} else _whole(value)
            return self._leaf(numbers, "list", ".".join(path))
        items = (self.read(item, (*path, str(at)), depth + 1) for at, item in enumerate(value))
        return type(value)(items)

    def _leaf(self, numbers: NDArray[Any], form: str, name: str) -> Slot:
        flat = numbers.reshape(-1)
        if flat.dtype.kind == "f" and not _finite(flat):
            message = f"the aggregate has NaN or an infinity{_at(name)}: repair it before it is protected"
            raise UsageError(message)
        self.leaves.append(Leaf(numbers=flat, form=form, shape=numbers.shape))
        return Slot(leaf=len(self.leaves) - 1)


def _numbers(value: Any, name: str) -> tuple[NDArray[Any], str]:
    if type(value) is int:
        return _whole([value]), "number"
    if type(value) is float:
        return np.array([value]), "number"
    array = isinstance(value, np.ndarray) and type(value) is np.ndarray
    if array or isinstance(value, np.generic):
        numbers = np.asarray(value)
        if numbers.dtype.kind in _KINDS and numbers.dtype.itemsize <= _WIDEST:
            return numbers, "array" if array else "scalar"
    kind = f"{type(value).__name__} of {value.dtype}" if array else type(value).__name__
    message = (
        f"the aggregate has a {kind}{_at(name)}: only numbers are protected. Leave it out, or name it in "
        "public_fields if it may leave as it is"
    )
    raise UsageError(message)


def _whole(numbers: Collection[int]) -> NDArray[np.int64]:
    return np.array([max(-LARGEST, min(number, LARGEST)) for number in numbers], dtype=np.int64)


def _finite(numbers: NDArray[Any]) -> bool:
    step = 1 << 20
    return all(bool(np.isfinite(numbers[at : at + step]).all()) for at in range(0, len(numbers), step))


def _keys(value: Mapping[Any, Any], name: str) -> Iterator[str]:
    for key in value:
        if type(key) is not str:
            message = f"the aggregate has a key that is no text{_at(name)}: keys leave as they are"
            raise UsageError(message)
        yield key


def _plain(value: Any, name: str) -> Any:
    """Return what is public, if it is plain data."""
    if type(value) in _PLAIN and not (type(value) is float and not math.isfinite(value)):
        return value
    if type(value) is list:
        return [_plain(item, name) for item in value]
    if type(value) is dict and all(type(key) is str for key in value):
        return {key: _plain(item, name) for key, item in value.items()}
    message = f"the public field {name!r} must be plain data: text, numbers, truth values, lists, dicts"
    raise UsageError(message)


def _filled(around: Any, made: list[Any]) -> Any:
    if isinstance(around, Slot):
        return made[around.leaf]
    if type(around) is dict:
        return {key: _filled(item, made) for key, item in around.items()}
    if type(around) in {list, tuple}:
        return type(around)(_filled(item, made) for item in around)
    return around


def _at(name: str) -> str:
    return f" at {name!r}" if name else ""
