"""Aggregates as bytes, the same for every language: CBOR (RFC 8949) with typed arrays (RFC 8746).

Equal values are equal bytes: heads as short as they can be, keys of a map in the order of their
bytes, floats always of 64 bits, NaN always the same one. Arrays keep their type and shape; one of a
single dimension is a bare typed array, any other stands under tag 40 with its shape. What CBOR has no
name for stands under tag 27: `["aegis-tuple", …]`, `["aegis-scalar", array of one]` for a NumPy
scalar, `["aegis-bools", shape, bytes]`.

What comes from elsewhere may be less strict (other orders, shorter floats), but not of other types.
"""

import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from aegis.errors import UsageError
from aegis.federated import wireformat as form
from aegis.federated.wirereader import Reader


def encode(value: Any) -> bytes:
    """Return the bytes of a value: equal values, equal bytes.

    Args:
        value: nested dicts (keys are texts or ints), lists and tuples of int, float, str, bool, None,
            NumPy arrays and NumPy scalars; bytes too.

    Raises:
        UsageError: a value of another type, by its type and never by its content; nested too deep.

    """
    return b"".join(_pieces(value, 0))


def decode(data: bytes) -> Any:
    """Return the value of the bytes; arrays are writable copies.

    Raises:
        UsageError: the bytes are no such value.

    """
    reader = Reader(data)
    value = reader.value()
    if reader.left:
        message = f"expected one value, got {reader.left} bytes behind it"
        raise UsageError(message)
    return value


def _pieces(value: Any, depth: int) -> Iterator[bytes | memoryview]:
    if depth > form.DEEPEST:
        message = f"a value is nested more than {form.DEEPEST} deep"
        raise UsageError(message)
    if type(value) is np.ndarray or isinstance(value, np.generic):
        yield from _array_pieces(value)
    elif isinstance(value, dict):
        yield _head(form.MAP, len(value))
        for key, item in sorted(((_key(key), item) for key, item in value.items()), key=lambda pair: pair[0]):
            yield key
            yield from _pieces(item, depth + 1)
    elif type(value) is list:
        yield _head(form.ARRAY, len(value))
        for item in value:
            yield from _pieces(item, depth + 1)
    elif type(value) is tuple:
        yield _object(form.TUPLE, len(value))
        for item in value:
            yield from _pieces(item, depth + 1)
    else:
        yield _plain(value)


def _array_pieces(value: Any) -> Iterator[bytes | memoryview]:
    array = np.asarray(value)
    bools, tag = array.dtype == np.bool_, form.TAGS.get(array.dtype.str)
    if not bools and tag is None:
        raise _Unknown(array.dtype)
    shape = [_head(form.ARRAY, array.ndim), *(_head(form.UINT, length) for length in array.shape)]
    # A zero-dimensional array stays one; only its bytes are laid out flat.
    flat = np.ascontiguousarray(array).reshape(-1)
    data: list[bytes | memoryview] = [_head(form.BYTES, array.nbytes), flat.view(np.uint8).data]
    typed = data if tag is None else [_head(form.TAG, tag), *data]
    if isinstance(value, np.generic):
        yield _object(form.SCALAR, 1)
    if tag is None:
        yield from [_object(form.BOOLS, 2), *shape]
    elif array.ndim != 1 and not isinstance(value, np.generic):
        yield from [_head(form.TAG, form.SHAPED), _head(form.ARRAY, 2), *shape]
    yield from typed


def _key(key: Any) -> bytes:
    if type(key) not in {str, int}:
        message = f"expected texts or ints as keys of a dict, got {type(key).__name__}"
        raise UsageError(message)
    return _plain(key)


def _plain(value: Any) -> bytes:
    kind = type(value)
    if value is None or kind is bool:
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
    if kind is int:
        return _integer(value)
    if kind is float:
        # One NaN, so that equal values stay equal bytes.
        return b"\xfb" + (struct.pack(">d", value) if not math.isnan(value) else b"\x7f\xf8" + bytes(6))
    if kind is str:
        return _text(value)
    if kind is bytes:
        return _head(form.BYTES, len(value)) + bytes(value)
    raise _Unknown(kind.__name__)


def _integer(value: int) -> bytes:
    major, size = (form.UINT, value) if value >= 0 else (form.NEGATIVE, -1 - value)
    if size < 1 << 64:
        return _head(major, size)
    data = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return (
        _head(form.TAG, form.BIG_POSITIVE if value >= 0 else form.BIG_NEGATIVE)
        + _head(form.BYTES, len(data))
        + data
    )


def _text(value: str) -> bytes:
    try:
        data = value.encode()
    except UnicodeEncodeError:
        message = "expected texts of Unicode, got one with half a surrogate pair"
        raise UsageError(message) from None
    return _head(form.TEXT, len(data)) + data


def _object(name: str, parts: int) -> bytes:
    return _head(form.TAG, form.OBJECT) + _head(form.ARRAY, parts + 1) + _text(name)


def _head(major: int, size: int) -> bytes:
    """Return the first bytes of an item, as short as they can be (RFC 8949, 4.2.1)."""
    if size < form.FIRST_SIZED:
        return bytes([major << 5 | size])
    power = next(power for power in range(4) if size < 1 << (8 << power))
    return bytes([major << 5 | form.FIRST_SIZED + power]) + size.to_bytes(1 << power, "big")


class _Unknown(UsageError):
    def __init__(self, kind: object) -> None:
        super().__init__(
            f"expected dicts, lists, tuples, numbers, texts, None and NumPy arrays of numbers, got {kind}"
        )
