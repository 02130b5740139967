"""Tiles of a Merkle tree (C2SP tlog-tiles): 256 hashes side by side, levels 8 apart.

Level 0 has the leaf hashes; a hash of level 1 is the root of a full tile of level 0, and so on. A
tile that is not full yet is partial; only the rightmost of each level is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from aegis.audit.tlog.merkle import HASH_BYTES, Node, root_of
from aegis.errors import Tampered

#: Hashes in a full tile.
WIDTH: Final = 256
#: Levels of the tree from one level of tiles to the next.
HEIGHT: Final = 8
_FULL_BYTES: Final = WIDTH * HASH_BYTES
#: Tiles that a reader remembers, 8 KiB each.
_REMEMBERED: Final = 512

#: Level and number of a tile.
Place = tuple[int, int]
#: Returns the hashes of a tile, one after the other.
Fetch = Callable[[int, int], bytes]


def rightmost(size: int) -> dict[int, tuple[int, int]]:
    """Return the partial tile of each level of a tree: level → its number and width."""
    found = {}
    level, hashes = 0, size
    while hashes:
        number, width = divmod(hashes, WIDTH)
        if width:
            found[level] = (number, width)
        level, hashes = level + 1, hashes // WIDTH
    return found


def grow(size: int, partial: Mapping[int, bytes], leaves: Sequence[bytes]) -> dict[Place, bytes]:
    """Append leaf hashes to a tree; return every tile that is new or wider.

    Args:
        size: leaves before.
        partial: the rightmost tile of each level that is not full, as `rightmost` names them.
        leaves: the new leaf hashes.

    """
    changed: dict[Place, bytes] = {}
    level, fresh = 0, list(leaves)
    while fresh:
        number = size >> HEIGHT * (level + 1)
        joined = partial.get(level, b"") + b"".join(fresh)
        fresh = []
        for start in range(0, len(joined), _FULL_BYTES):
            tile = joined[start : start + _FULL_BYTES]
            changed[level, number] = tile
            number += 1
            if len(tile) == _FULL_BYTES:
                fresh.append(root_of(hashes_of(tile)))
        level += 1
    return changed


def hashes_of(tile: bytes) -> list[bytes]:
    """Return the hashes of a tile."""
    return [tile[start : start + HASH_BYTES] for start in range(0, len(tile), HASH_BYTES)]


def reader(fetch: Fetch) -> Node:
    """Return how to read the nodes of a tree from its tiles.

    Raises:
        Tampered: (when it is called) a tile is narrower than the tree needs.

    """
    remembered = lru_cache(maxsize=_REMEMBERED)(fetch)

    def node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, HEIGHT)
        number, place = divmod(index << height, WIDTH)
        width = 1 << height
        part = remembered(tile_level, number)[place * HASH_BYTES : (place + width) * HASH_BYTES]
        if len(part) != width * HASH_BYTES:
            message = f"tile {path(tile_level, number)} lacks hashes: expected {place + width}"
            raise Tampered(message)
        return root_of(hashes_of(part))

    return node


def path(level: int | str, number: int, width: int = WIDTH) -> str:
    """Return where a tile is served, below the log's prefix.

    Args:
        level: of the tile; `entries` for the bundle of the same leaves.
        number: of the tile within its level.
        width: hashes in it; fewer than 256 for a partial one.

    """
    groups = []
    while True:
        number, last = divmod(number, 1000)
        groups.append(f"{last:03d}")
        if not number:
            break
    *upper, last_group = reversed(groups)
    partial = "" if width == WIDTH else f".p/{width}"
    return "/".join(["tile", str(level), *(f"x{group}" for group in upper), last_group]) + partial


def bundle(entries: Iterable[bytes]) -> bytes:
    """Return entries as an entry bundle: each behind its length, two bytes, big endian."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def entries_of(data: bytes) -> list[bytes]:
    """Return the entries of a bundle.

    Raises:
        Tampered: it ends in the middle of an entry.

    """
    found, start = [], 0
    while start < len(data):
        end = start + 2 + int.from_bytes(data[start : start + 2], "big")
        if end > len(data):
            message = f"an entry bundle of {len(data)} bytes ends inside an entry"
            raise Tampered(message)
        found.append(data[start + 2 : end])
        start = end
    return found
