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
        known = frozenset(texts)
        shortest = min(map(len, known), default=_LONGEST_STEP + _GROUP)
        self._step = min(_LONGEST_STEP, shortest - _GROUP + 1)
        #: By how they all can be told apart from each other: many begin alike.
        self._begin = shortest
        self._texts: dict[bytes, list[bytes]] = defaultdict(list)
        #: Where in a text a group can stand.
        self._offsets: dict[int, set[int]] = defaultdict(set)
        for text in known:
            self._texts[text[:shortest]].append(text)
            for offset in range(self._step):
                group = int.from_bytes(text[offset : offset + _GROUP], "little")
                self._offsets[group].add(offset)
        self._known = np.array(sorted(self._offsets), dtype=np.uint32)
        self._table = np.zeros(1 << _BITS, dtype=bool)
        self._table[(self._known * _FACTOR) >> _SHIFT] = True

    def find(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield where a text begins, and which; a text that stands there several times, several times."""
        for place, group in self._likely(block):
            for offset in self._offsets[group]:
                start = place * self._step - offset
                begin = block[start : start + self._begin] if start >= 0 else b""
                yield from (
                    (start, text) for text in self._texts.get(begin, ()) if block.startswith(text, start)
                )

    def _likely(self, block: bytes) -> Iterable[tuple[int, int]]:
        """Return the places, in steps, at which a group stands, and which."""
        places = (len(block) - _GROUP) // self._step + 1
        if places <= 0 or not self._known.size:
            return ()
        groups = np.ndarray((places,), "<u4", buffer=block, strides=(self._step,))
        hashes = groups * _FACTOR
        hashes >>= _SHIFT
        likely = np.flatnonzero(self._table[hashes])
        likely = likely[np.isin(groups[likely], self._known)]
        return zip(likely.tolist(), groups[likely].tolist(), strict=True)
