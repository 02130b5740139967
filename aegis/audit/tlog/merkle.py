"""Merkle trees over SHA-256 as in RFC 6962: roots, and proofs of inclusion, consistency and range.

A tree is read through `node(level, index)`: the hash over the 2^level leaves from index · 2^level
on, all of which are there. Nothing here knows where the hashes are kept.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from aegis.errors import Tampered

Node = Callable[[int, int], bytes]

HASH_BYTES: Final = 32
#: The root of a tree without a leaf.
EMPTY: Final = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(size: int, node: Node) -> bytes:
    """Return the root over the first `size` leaves."""
    return _subtree(0, size, node)


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes that are all at hand."""
    sha256, level = hashlib.sha256, list(hashes)
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
        # A last one without a partner goes up as it is.
        level = above + level[2 * len(above) :]
    return level[0] if level else EMPTY


def inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """Return the audit path of a leaf, from its sibling up (RFC 6962, 2.1.1)."""
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_subtree(middle, high, node))
            high = middle
        else:
            path.append(_subtree(low, middle, node))
            low = middle
    return path[::-1]


def root_from_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """Return the root that a leaf and its audit path lead to (RFC 9162, 2.1.3.2).

    Raises:
        Tampered: the path is not that of such a leaf in such a tree.

    """
    if not 0 <= index < size:
        message = f"expected an index below the tree's size {size}, got {index}"
        raise Tampered(message)
    place, last, found = index, size - 1, leaf
    for step in path:
        if last == 0:
            message = f"expected an audit path of {_path_length(index, size)} hashes, got {len(path)}"
            raise Tampered(message)
        if place & 1 or place == last:
            found = node_hash(step, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, step)
        place, last = place >> 1, last >> 1
    if last:
        message = f"expected an audit path of {_path_length(index, size)} hashes, got {len(path)}"
        raise Tampered(message)
    return found


def consistency(old: int, new: int, node: Node) -> list[bytes]:
    """Return the proof that the tree of size `new` begins with that of size `old` (RFC 6962, 2.1.2)."""
    if old in {0, new}:
        return []
    proof: list[bytes] = []
    low, high = 0, new
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            proof.append(_subtree(middle, high, node))
            high = middle
        else:
            proof.append(_subtree(low, middle, node))
            low = middle
    if low:
        proof.append(_subtree(low, high, node))
    return proof[::-1]


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that proof (RFC 9162, 2.1.4.2).

    Raises:
        Tampered: the new tree does not begin with the old one.

    """
    if not 0 <= old <= new:
        message = f"expected a tree of at least {old} leaves, got {new}"
        raise Tampered(message)
    if old in {0, new}:
        if proof or (old == new and old_root != new_root) or (old == 0 and old_root != EMPTY):
            message = f"two trees of sizes {old} and {new}: not one history"
            raise Tampered(message)
        return
    roots = _roots_from_consistency(old, new, old_root, proof)
    if roots != (old_root, new_root):
        message = (
            f"the tree of size {new} does not begin with the tree of size {old}: the history was rewritten"
        )
        raise Tampered(message)


def outside(low: int, high: int, size: int, node: Node) -> list[bytes]:
    """Return the hashes that, with the leaves from `low` to before `high`, give the root; left to right."""
    return [_subtree(first, last, node) for first, last in _outside(0, size, low, high)]


def root_from_range(low: int, leaves: Sequence[bytes], size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root of a tree from leaf hashes `low` and following, and what `outside` gave for them.

    Raises:
        Tampered: the proof has another number of hashes, or the range is not inside the tree.

    """
    high = low + len(leaves)
    parts = list(_outside(0, size, low, high)) if 0 <= low <= high <= size else None
    if parts is None or len(parts) != len(proof):
        message = (
            f"expected {'a range inside the tree' if parts is None else f'{len(parts)} hashes'}, "
            f"got leaves {low} to {high} of {size} with {len(proof)} hashes"
        )
        raise Tampered(message)
    return _joined(0, size, low, leaves, dict(zip(parts, proof, strict=True)))


def _joined(
    first: int, last: int, low: int, leaves: Sequence[bytes], known: Mapping[tuple[int, int], bytes]
) -> bytes:
    """Return the root of a subtree from hashes that are known, and leaves from `low` on."""
    if (first, last) in known:
        return known[first, last]
    if low <= first and last <= low + len(leaves):
        return root_of(leaves[first - low : last - low])
    middle = first + _split(last - first)
    left = _joined(first, middle, low, leaves, known)
    return node_hash(left, _joined(middle, last, low, leaves, known))


def _roots_from_consistency(
    old: int, new: int, old_root: bytes, proof: Sequence[bytes]
) -> tuple[bytes, bytes] | None:
    hashes = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    if not hashes:
        return None
    first = second = hashes[0]
    for step in hashes[1:]:
        if last == 0:
            return None
        if place & 1 or place == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            second = node_hash(second, step)
        place, last = place >> 1, last >> 1
    return (first, second) if last == 0 else None


def _outside(first: int, last: int, low: int, high: int) -> Iterator[tuple[int, int]]:
    """Yield the largest subtrees of [first, last) that hold no leaf of [low, high), left to right."""
    if first == last or (low <= first and last <= high):
        return
    if last <= low or high <= first or low == high:
        yield first, last
        return
    middle = first + _split(last - first)
    yield from _outside(first, middle, low, high)
    yield from _outside(middle, last, low, high)


def _subtree(low: int, high: int, node: Node) -> bytes:
    """Return the hash over leaves [low, high), a subtree as RFC 6962 divides a tree."""
    size = high - low
    if size == 0:
        return EMPTY
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node(level, low >> level)
    middle = low + _split(size)
    return node_hash(_subtree(low, middle, node), _subtree(middle, high, node))


def _split(size: int) -> int:
    """Return the largest power of two below `size`, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1


def _path_length(index: int, size: int) -> int:
    return len(inclusion(index, size, lambda *_: EMPTY))
