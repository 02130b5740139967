"""The check of a folder of tiles: every tile is derived again from the entries."""

import json
from collections.abc import Sequence
from typing import Final

from aegis.audit.actions import Action
from aegis.audit.exported.report import Prunings, Report, Trust
from aegis.audit.exports.tilefolder import TileFolder
from aegis.audit.tlog import merkle, tiles
from aegis.audit.tlog.frontier import Frontier
from aegis.audit.tlog.tiles import WIDTH
from aegis.errors import Tampered

_ENTRIES: Final = "entries"


def check(folder: TileFolder, trust: Trust, report: Report) -> None:
    """Check a folder against its own checkpoint; finds go into the report."""
    try:
        note = folder.note()
        if note is None:
            report.find("checkpoint", "it is missing: without it nothing can be checked")
            return
        head = trust.head(note)
    except Tampered as fault:
        report.find("checkpoint", str(fault))
        return
    report.next = head.size
    root = _Tree(folder, head.size, report).root()
    if root != head.root:
        report.find("checkpoint", f"its root is not that of the {head.size} leaves in the tiles")
    trust.conclude()


class _Tree:
    """One pass over the leaves of a folder."""

    def __init__(self, folder: TileFolder, size: int, report: Report) -> None:
        self._folder = folder
        self._size = size
        self._report = report
        self._prunings = Prunings(report)
        self._partial: dict[int, bytes] = {}
        self._edge = Frontier()

    def root(self) -> bytes:
        """Return the root of the leaves as the tiles have them."""
        for start in range(0, self._size, WIDTH):
            width = min(WIDTH, self._size - start)
            hashes = self._leaves(start // WIDTH, width)
            self._compare_above(tiles.grow(start, self._partial, hashes))
            for found in hashes:
                self._edge.append(found)
        for level, (number, width) in tiles.rightmost(self._size).items():
            self._compare_tile(level, number, self._partial[level], width)
        self._prunings.conclude()
        return self._edge.root

    def _leaves(self, number: int, width: int) -> list[bytes]:
        """Return the hashes of the leaves of a tile, compared with its entries."""
        hashes = tiles.hashes_of(self._folder.tile(self._size, 0, number))
        entries = self._entries(number, width)
        if entries is None:
            where = tiles.path(_ENTRIES, number, width)
            self._prunings.lack(number * WIDTH, number * WIDTH + width - 1, where)
            if len(hashes) == width:
                return hashes
            self._report.find(
                tiles.path(0, number, width), "it is missing, and its entries too", number * WIDTH
            )
            return [merkle.EMPTY] * width
        self._report.events += width
        derived = [merkle.leaf_hash(entry) for entry in entries]
        if len(hashes) == width:
            self._compare_entries(number, width, derived, hashes)
            return hashes
        self._report.find(tiles.path(0, number, width), "it is missing or too short", number * WIDTH)
        return derived

    def _entries(self, number: int, width: int) -> list[bytes] | None:
        """Return the entries of a bundle; None when it is missing or cannot be read."""
        name = tiles.path(_ENTRIES, number, width)
        data = self._folder.resource(_ENTRIES, number, width)
        if data is None:
            return None
        try:
            entries = tiles.entries_of(data)
        except Tampered as fault:
            self._report.find(name, str(fault), number * WIDTH)
            return None
        if len(entries) != width and not (self._folder.read(name) is None and len(entries) > width):
            what = f"expected {width} entries, got {len(entries)}"
            self._report.find(name, what, number * WIDTH + min(width, len(entries)))
            return None
        for entry in entries[:width]:
            self._take(entry)
        return entries[:width]

    def _take(self, entry: bytes) -> None:
        if Action.AUDIT_PRUNE.encode() in entry:
            last = pruned_up_to(entry)
            if last is not None:
                self._prunings.allow(last)

    def _compare_entries(
        self, number: int, width: int, derived: Sequence[bytes], hashes: Sequence[bytes]
    ) -> None:
        for place, (ours, theirs) in enumerate(zip(derived, hashes, strict=True)):
            if ours != theirs:
                leaf = number * WIDTH + place
                what = (
                    f"the entry of leaf {leaf} is not the one whose hash is in {tiles.path(0, number, width)}"
                )
                self._report.find(tiles.path(_ENTRIES, number, width), what, leaf)

    def _compare_above(self, changed: dict[tiles.Place, bytes]) -> None:
        full = WIDTH * merkle.HASH_BYTES
        for (level, number), tile in changed.items():
            self._partial[level] = tile if len(tile) < full else b""
            if level and len(tile) == full:
                self._compare_tile(level, number, tile, WIDTH)

    def _compare_tile(self, level: int, number: int, tile: bytes, width: int) -> None:
        if level and self._folder.tile(self._size, level, number) != tile:
            leaf = number << tiles.HEIGHT * (level + 1)
            self._report.find(
                tiles.path(level, number, width), "it is not what the tiles below it give", leaf
            )


def pruned_up_to(entry: bytes) -> int | None:
    """Return up to which leaf an entry says that the log was pruned; None when it says nothing of it."""
    try:
        fields = json.loads(entry)
        return int(fields["details"]["last"]) if fields["action"] == Action.AUDIT_PRUNE else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
