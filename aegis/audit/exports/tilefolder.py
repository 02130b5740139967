"""The log as a folder that any static server can serve (C2SP tlog-tiles).

`checkpoint`, `tile/<level>/<number>` and `tile/entries/<number>`. It grows with the log: tiles
first, the checkpoint last, so that whoever follows the checkpoint finds everything it needs.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aegis.audit import actions
from aegis.audit.exports import cursor
from aegis.audit.exports.batches import Snapshot
from aegis.audit.tlog import merkle, notes, tiles
from aegis.audit.tlog.notes import Checkpoint, Note
from aegis.audit.tlog.tiles import WIDTH
from aegis.errors import OperationFailed, Tampered, UsageError

#: Leaves that are written at a time; whole tiles.
PORTION: Final = 16 * WIDTH
_CHECKPOINT: Final = "checkpoint"
_LOCK: Final = ".lock"


@dataclass(kw_only=True)
class Extended:
    """What was added to a folder."""

    first: int
    next: int
    #: Leaves without an entry, first and last.
    pruned: list[tuple[int, int]] = field(default_factory=list)
    #: Whether anything but exports was among the events.
    news: bool = False


class TileFolder:
    """A folder of tiles."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Make the folder, or see that it is one of tiles.

        Raises:
            UsageError: it cannot be made, or something else is in it.

        """
        try:
            self.path.mkdir(exist_ok=True)
            inside = {entry.name for entry in self.path.iterdir()}
        except OSError as error:
            message = f"{self.path} cannot be used as a folder of tiles: {error.strerror}"
            raise UsageError(message) from None
        if inside - {_LOCK} and not inside & {_CHECKPOINT, "tile"}:
            message = f"{self.path} is not empty, and holds no tiles: name another folder"
            raise UsageError(message)

    @property
    def lock(self) -> Path:
        """The file that two exports into this folder exclude one another with."""
        return self.path / _LOCK

    def note(self) -> Note | None:
        """Return the checkpoint, or None before the first one.

        Raises:
            Tampered: it is none.

        """
        data = self.read(_CHECKPOINT)
        return None if data is None else notes.parse(data)

    def read(self, name: str) -> bytes | None:
        """Return a file's content, or None where there is none."""
        try:
            return (self.path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            message = f"{self.path / name} cannot be read: {error.strerror}"
            raise OperationFailed(message) from None

    def resource(self, level: int | str, number: int, width: int) -> bytes | None:
        """Return a tile or a bundle: the partial one, or what a full one has in its place."""
        found = self.read(tiles.path(level, number, width))
        return self.read(tiles.path(level, number)) if found is None and width != WIDTH else found

    def tile(self, size: int, level: int, number: int) -> bytes:
        """Return a tile of a tree of this size; none when it is not there."""
        count = size >> tiles.HEIGHT * level
        width = min(WIDTH, count - number * WIDTH)
        found = (self.resource(level, number, width) if width > 0 else None) or b""
        return found[: max(0, width) * merkle.HASH_BYTES]

    def put(self, name: str, data: bytes) -> None:
        """Write a file whole."""
        target = self.path / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"{target.parent} cannot be made: {error.strerror}"
            raise OperationFailed(message) from None
        cursor.replace(target, data)

    def publish(self, note: Note) -> None:
        """Replace the checkpoint."""
        self.put(_CHECKPOINT, str(note).encode())

    def forget_partial(self, old: int, new: int) -> None:
        """Remove partial tiles of the old size whose full ones are there."""
        for level, (number, _) in tiles.rightmost(old).items():
            for kind in (level, "entries") if level == 0 else (level,):
                full = tiles.path(kind, number)
                if number < new >> tiles.HEIGHT * (level + 1) and (self.path / full).exists():
                    shutil.rmtree(self.path / f"{full}.p", ignore_errors=True)


def extend(folder: TileFolder, log: Snapshot) -> Extended:
    """Bring a folder up to the log's checkpoint; the caller holds the folder's lock.

    Raises:
        Refused: the folder holds another log, or more of this one than there is.
        Tampered: the log is not what was exported before, or not what was signed.

    """
    note, new = folder.note(), log.checkpoint
    old = notes.checkpoint(note) if note else Checkpoint(origin=new.origin, size=0, root=merkle.EMPTY)
    cursor.check(old, log, folder.path)
    done = Extended(first=old.size, next=new.size)
    if new.size > old.size:
        for name, data in _files(log, old.size, _kept(folder, old.size), done):
            folder.put(name, data)
        if merkle.root(new.size, tiles.reader(lambda *place: folder.tile(new.size, *place))) != new.root:
            message = (
                f"the leaves of the log do not lead to its checkpoint of {new.size}: the checkpoint in "
                f"{folder.path} stays as it was. Run `aegis audit verify`"
            )
            raise Tampered(message)
    if note is None or str(note) != str(log.note):
        folder.publish(log.note)
        folder.forget_partial(old.size, new.size)
    return done


def _kept(folder: TileFolder, old: int) -> dict[int, bytes]:
    """Return the entries of the last bundle: some may have been pruned from the log before it was full."""
    start = old - old % WIDTH
    data = folder.resource("entries", start // WIDTH, old - start) if old > start else None
    return dict(enumerate(tiles.entries_of(data or b""), start))


def _files(log: Snapshot, old: int, kept: Mapping[int, bytes], done: Extended) -> Iterator[tuple[str, bytes]]:
    """Yield every file that is new since a size, tiles derived from the leaves alone."""
    size, end = old - old % WIDTH, log.checkpoint.size
    partial = {
        level: b"".join(log.node(level * tiles.HEIGHT, number * WIDTH + place) for place in range(width))
        for level, (number, width) in tiles.rightmost(size).items()
    }
    minimum = 0
    while size < end:
        high = min(size + PORTION, end)
        hashes = [log.node(0, leaf) for leaf in range(size, high)]
        first, stored = log.stored(size, high) if high > minimum else (minimum, [])
        minimum = max(minimum, first)
        entries = {leaf: entry for leaf, (entry, _) in enumerate(stored, first) if leaf < high}
        _compare(entries, hashes, size)
        known = {leaf: entry for leaf, entry in kept.items() if size <= leaf < high}
        entries |= {leaf: one for leaf, one in known.items() if merkle.leaf_hash(one) == hashes[leaf - size]}
        yield from _bundles(entries, size, high)
        _note(done, entries, old, range(max(size, old), high))
        changed = tiles.grow(size, partial, hashes)
        yield from _full(changed)
        _go_on(partial, changed)
        size = high
    for level, (number, width) in tiles.rightmost(end).items():
        yield tiles.path(level, number, width), partial[level]


def _compare(entries: Mapping[int, bytes], hashes: Sequence[bytes], size: int) -> None:
    for leaf, entry in entries.items():
        if merkle.leaf_hash(entry) != hashes[leaf - size]:
            message = (
                f"leaf {leaf} of the log is not the event that was sealed there: nothing is exported. "
                "Run `aegis audit verify`"
            )
            raise Tampered(message)


def _bundles(entries: Mapping[int, bytes], low: int, high: int) -> Iterator[tuple[str, bytes]]:
    """Yield the bundles of whose entries all are there."""
    for start in range(low, high, WIDTH):
        places = range(start, min(start + WIDTH, high))
        if all(leaf in entries for leaf in places):
            name = tiles.path("entries", start // WIDTH, len(places))
            yield name, tiles.bundle(entries[leaf] for leaf in places)


def _note(done: Extended, entries: Mapping[int, bytes], old: int, leaves: range) -> None:
    """Note which leaves have no entry, and whether there is any news among the others."""
    gone = [leaf for leaf in leaves if leaf not in entries]
    if gone:
        first = done.pruned.pop()[0] if done.pruned else gone[0]
        done.pruned.append((first, gone[-1]))
    export = actions.Action.AUDIT_EXPORT
    fresh = (entry for leaf, entry in entries.items() if leaf >= old)
    done.news = done.news or any(json.loads(entry)["action"] != export for entry in fresh)


def _full(changed: Mapping[tiles.Place, bytes]) -> Iterator[tuple[str, bytes]]:
    for (level, number), tile in changed.items():
        if len(tile) == WIDTH * merkle.HASH_BYTES:
            yield tiles.path(level, number), tile


def _go_on(partial: dict[int, bytes], changed: Mapping[tiles.Place, bytes]) -> None:
    """Keep the rightmost tile of each level that is not full."""
    for (level, _), tile in changed.items():
        partial[level] = tile if len(tile) < WIDTH * merkle.HASH_BYTES else b""
