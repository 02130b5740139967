"""What the bytes of an aggregate are made of: the heads, tags and limits of `aegis.federated.wire`."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

#: How deep values may be nested.
DEEPEST: Final = 32
#: Most values in one message; all numbers of an array count as one.
MOST_ITEMS: Final = 1_000_000

TUPLE: Final = "aegis-tuple"
SCALAR: Final = "aegis-scalar"
BOOLS: Final = "aegis-bools"
#: Major types (RFC 8949, 3.1).
UINT, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG = range(7)
#: Tags.
BIG_POSITIVE, BIG_NEGATIVE, OBJECT, SHAPED = 2, 3, 27, 40
#: Below it a head's size stands in its first byte; up to the other in 1, 2, 4 or 8 bytes behind it.
FIRST_SIZED, LAST_SIZED = 24, 27
#: Tags of typed arrays (RFC 8746, table 1).
DTYPES: Final[Mapping[int, np.dtype[Any]]] = {
    64: np.dtype("u1"),
    65: np.dtype(">u2"),
    66: np.dtype(">u4"),
    67: np.dtype(">u8"),
    69: np.dtype("<u2"),
    70: np.dtype("<u4"),
    71: np.dtype("<u8"),
    72: np.dtype("i1"),
    73: np.dtype(">i2"),
    74: np.dtype(">i4"),
    75: np.dtype(">i8"),
    77: np.dtype("<i2"),
    78: np.dtype("<i4"),
    79: np.dtype("<i8"),
    80: np.dtype(">f2"),
    81: np.dtype(">f4"),
    82: np.dtype(">f8"),
    84: np.dtype("<f2"),
    85: np.dtype("<f4"),
    86: np.dtype("<f8"),
}
TAGS: Final = {dtype.str: tag for tag, dtype in DTYPES.items()}
#: Floats of 16, 32 and 64 bits, by the first byte's low bits.
FLOATS: Final = {25: ">e", 26: ">f", 27: ">d"}
SIMPLE: Final = {20: False, 21: True, 22: None}
