"""A Merkle tree that only grows, kept as the roots of the full subtrees along its right edge.

As many hashes as the size has binary ones: enough to append leaves, or whole subtrees, and to say
the root at any size on the way.
"""

from collections.abc import Iterator, Sequence

from aegis.audit.tlog.merkle import EMPTY, Node, node_hash
from aegis.errors import Tampered


class Frontier:
    """The right edge of a tree."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if len(hashes) != size.bit_count():
            message = f"expected {size.bit_count()} hashes for a tree of {size} leaves, got {len(hashes)}"
            raise Tampered(message)
        self.size = size
        self._hashes = list(hashes)

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The roots of the full subtrees, left to right."""
        return tuple(self._hashes)

    @property
    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._hashes:
            return EMPTY
        found = self._hashes[-1]
        for left in reversed(self._hashes[:-1]):
            found = node_hash(left, found)
        return found

    def append(self, found: bytes, level: int = 0) -> None:
        """Append a leaf's hash, or the root of a full subtree of 2^level leaves.

        Raises:
            Tampered: no subtree of this size can begin here.

        """
        if self.size % (1 << level):
            message = f"no subtree of {1 << level} leaves begins at leaf {self.size}"
            raise Tampered(message)
        carry = self.size >> level
        self.size += 1 << level
        while carry & 1:
            found = node_hash(self._hashes.pop(), found)
            carry >>= 1
        self._hashes.append(found)


def cover(low: int, high: int) -> Iterator[tuple[int, int]]:
    """Yield level and index of the full subtrees that the leaves from `low` to before `high` divide into."""
    while low < high:
        level = (high - low).bit_length() - 1
        if low:
            level = min(level, (low & -low).bit_length() - 1)
        yield level, low >> level
        low += 1 << level


def covered(low: int, high: int, node: Node) -> list[bytes]:
    """Return the roots of these subtrees; with them a frontier goes on where the leaves are not at hand."""
    return [node(level, index) for level, index in cover(low, high)]
