"""Many texts looked for in one pass, in a time that does not depend on how many they are.

Each text is told by the groups of four bytes that it begins with. One of them stands at a place that is a
multiple of the step, wherever the text is: only those places are looked at, all at once, by a table of the
groups' hashes; what the table does not rule out is compared.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

_GROUP: Final = 4
_LONGEST_STEP: Final = 8
_BITS: Final = 18
#: Knuth's multiplicative hash: 2^32 divided by the golden ratio.
_FACTOR: Final = np.uint32(2_654_435_769)
_SHIFT: Final = np.uint32(32 - _BITS)


class Anchors:
    """Finds texts in bytes.

    Args:
        texts: each at least `shortest` bytes long.

    """

    #: Bytes of the shortest text that can be looked for.
    shortest: Final = _GROUP

    def __init__(self, texts: Iterable[bytes]) -> None:
        self._groups: dict[int, list[tuple[bytes, int]]] = defaultdict(list)
        known = frozenset(texts)
        self._step = min([_LONGEST_STEP, *(len(text) - _GROUP + 1 for text in known)])
        for text in known:
            for offset in range(self._step):
                group = int.from_bytes(text[offset : offset + _GROUP], "little")
                self._groups[group].append((text, offset))
        self._known = np.array(sorted(self._groups), dtype=np.uint32)
        self._table = np.zeros(1 << _BITS, dtype=bool)
        self._table[(self._known * _FACTOR) >> _SHIFT] = True

    def find(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield where a text begins, and which; a text that stands there several times, several times."""
        places = (len(block) - _GROUP) // self._step + 1
        if places <= 0 or not self._known.size:
            return
        groups = np.ndarray((places,), "<u4", buffer=block, strides=(self._step,))
        hashes = groups * _FACTOR
        hashes >>= _SHIFT
        likely = np.flatnonzero(self._table[hashes])
        likely = likely[np.isin(groups[likely], self._known)]
        for place, group in zip(likely.tolist(), groups[likely].tolist(), strict=True):
            for text, offset in self._groups[group]:
                start = place * self._step - offset
                if start >= 0 and block.startswith(text, start):
                    yield start, text
