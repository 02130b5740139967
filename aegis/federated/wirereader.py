"""Reads the bytes of an aggregate, wherever they come from."""

import math
import struct
from typing import Any

import numpy as np

from aegis.errors import UsageError
from aegis.federated import wireformat as form


class Reader:
    """Reads one value; no claimed length is believed before its bytes are there."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0
        self._items = 0

    @property
    def left(self) -> int:
        """Bytes that are not read yet."""
        return len(self._data) - self._at

    def value(self, depth: int = 0) -> Any:
        """Read one value.

        Raises:
            UsageError: the bytes are none.

        """
        self._items += 1
        if depth > form.DEEPEST:
            message = f"a value is nested more than {form.DEEPEST} deep"
            raise UsageError(message)
        if self._items > form.MOST_ITEMS:
            message = f"more than {form.MOST_ITEMS} values; numbers that belong together go in an array"
            raise UsageError(message)
        major, info, size = self._head()
        if major in {form.UINT, form.NEGATIVE}:
            return size if major == form.UINT else -1 - size
        if major in {form.BYTES, form.TEXT}:
            return bytes(self._take(size)) if major == form.BYTES else self._text(size)
        if major == form.ARRAY:
            return [self.value(depth + 1) for _ in self._counted(size)]
        if major == form.MAP:
            return self._map(size, depth)
        return self._tagged(size, depth) if major == form.TAG else self._simple(info, size)

    def _head(self) -> tuple[int, int, int]:
        first = self._take(1)[0]
        major, info = first >> 5, first & 31
        if info < form.FIRST_SIZED:
            return major, info, info
        if info > form.LAST_SIZED:
            message = "expected items of a stated length"
            raise UsageError(message)
        return major, info, int.from_bytes(self._take(1 << (info - form.FIRST_SIZED)), "big")

    def _take(self, size: int) -> memoryview:
        if size > self.left:
            message = f"expected {size} bytes more, got {self.left}: the end is missing"
            raise UsageError(message)
        self._at += size
        return self._data[self._at - size : self._at]

    def _counted(self, size: int) -> range:
        if size > self.left:
            message = f"expected {size} values more, got {self.left} bytes: the end is missing"
            raise UsageError(message)
        return range(size)

    def _text(self, size: int) -> str:
        try:
            return str(self._take(size), "utf-8")
        except UnicodeDecodeError:
            message = "expected UTF-8 in a text"
            raise UsageError(message) from None

    def _map(self, size: int, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for _ in self._counted(size):
            key = self.value(form.DEEPEST)
            if type(key) not in {str, int} or key in found:
                message = "expected texts or ints as keys of a map, each once"
                raise UsageError(message)
            found[key] = self.value(depth + 1)
        return found

    def _simple(self, info: int, size: int) -> Any:
        if info in form.SIMPLE:
            return form.SIMPLE[info]
        if info in form.FLOATS:
            width = 1 << (info - form.FIRST_SIZED)
            return struct.unpack(form.FLOATS[info], size.to_bytes(width, "big"))[0]
        message = f"expected a value, got the simple value {size}"
        raise UsageError(message)

    def _tagged(self, tag: int, depth: int) -> Any:
        if tag in form.DTYPES:
            return self._array(form.DTYPES[tag])
        if tag in {form.BIG_POSITIVE, form.BIG_NEGATIVE}:
            size = int.from_bytes(self._bytes(), "big")
            return size if tag == form.BIG_POSITIVE else -1 - size
        if tag == form.SHAPED:
            self._expect(form.ARRAY, 2)
            return _shaped(self._shape(), self._array_of_tag())
        if tag == form.OBJECT:
            return self._object(depth)
        message = f"expected a tag of this format, got {tag}"
        raise UsageError(message)

    def _object(self, depth: int) -> Any:
        major, _, parts = self._head()
        name = self.value(depth + 1) if major == form.ARRAY and parts else None
        if name == form.TUPLE:
            return tuple(self.value(depth + 1) for _ in self._counted(parts - 1))
        if (name, parts) == (form.BOOLS, 3):
            shape = self._shape()
            return _shaped(shape, np.frombuffer(self._bytes(), dtype=np.uint8) != 0)
        if (name, parts) == (form.SCALAR, 2):
            array = self.value(depth + 1)
            if isinstance(array, np.ndarray) and array.size == 1:
                return array.reshape(-1)[0]
        message = f"expected {form.TUPLE}, {form.SCALAR} or {form.BOOLS} under tag {form.OBJECT}"
        raise UsageError(message)

    def _shape(self) -> list[int]:
        major, _, count = self._head()
        dimensions = [self._head() for _ in self._counted(count)] if major == form.ARRAY else []
        if major != form.ARRAY or count > form.DEEPEST or any(kind != form.UINT for kind, _, _ in dimensions):
            message = f"expected the shape of an array, of at most {form.DEEPEST} dimensions"
            raise UsageError(message)
        return [length for _, _, length in dimensions]

    def _array_of_tag(self) -> Any:
        major, _, tag = self._head()
        if major != form.TAG or tag not in form.DTYPES:
            message = "expected a typed array behind its shape"
            raise UsageError(message)
        return self._array(form.DTYPES[tag])

    def _array(self, dtype: np.dtype[Any]) -> Any:
        data = self._bytes()
        if len(data) % dtype.itemsize:
            message = f"expected whole numbers of {dtype.itemsize} bytes, got {len(data)} bytes"
            raise UsageError(message)
        return np.frombuffer(data, dtype=dtype).copy()

    def _bytes(self) -> memoryview:
        major, _, size = self._head()
        if major != form.BYTES:
            message = "expected bytes"
            raise UsageError(message)
        return self._take(size)

    def _expect(self, major: int, size: int) -> None:
        found, _, count = self._head()
        if (found, count) != (major, size):
            message = "expected a shape and an array"
            raise UsageError(message)


def _shaped(shape: list[int], flat: Any) -> Any:
    if math.prod(shape) != flat.size:
        message = f"expected {math.prod(shape)} numbers for this shape, got {flat.size}"
        raise UsageError(message)
    return flat.reshape(shape)
