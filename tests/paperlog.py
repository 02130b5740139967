"""A log on paper: entries in memory, a tree over them, and a key; for tests that need no database."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aegis.audit import events
from aegis.audit.exports.batches import Batch, Leaf
from aegis.audit.exports.formats import jsonl
from aegis.audit.exports.tilefolder import TileFolder
from aegis.audit.tlog import frontier, merkle, notes, tiles
from aegis.audit.tlog.notes import Checkpoint, FileSigner, Note, Signer
from aegis.audit.tlog.trust import Policy

ORIGIN: Final = "logs.example.com/paper"
MOMENT: Final = dt.datetime(2026, 5, 17, 2, 0, 0, 123456, tzinfo=dt.UTC)


def signer(number: int = 1, name: str = ORIGIN) -> FileSigner:
    """Return one of the log's keys."""
    return FileSigner(name=name, seed=bytes([number]) * 32)


def leaf(index: int = 7, **changes: Any) -> Leaf:
    """Return an event in its place."""
    words: dict[str, Any] = {
        "action": "retention:batch",
        "outcome": "success",
        "actor_ref": "a1_00",
        "target_type": "policy",
        "target_ref": "safety_90",
        "moment": MOMENT,
        "clear": {"rows": 17, "table": "safety_events", "action": "delete", "datasource": "app"},
        "tenant": "acme",
        "correlation_id": "019e0000-0000-7000-8000-00000000000a",
    }
    event = events.compose(**{**words, **changes})
    return placed(index, event.entry, event.sealed)


def placed(index: int, entry: bytes, sealed: bytes | None) -> Leaf:
    """Return an entry as a leaf."""
    return Leaf(
        index=index,
        origin=ORIGIN,
        entry=entry,
        fields=json.loads(entry),
        sealed=sealed,
        hash=merkle.leaf_hash(entry),
    )


@dataclass
class PaperLog:
    """A log that grows in memory."""

    origin: str = ORIGIN
    signers: Sequence[Signer] = (signer(),)
    stored: list[tuple[bytes, bytes | None]] = field(default_factory=list)

    @property
    def policy(self) -> Policy:
        """Whom to trust."""
        return Policy(logs=tuple(one.verifier for one in self.signers))

    def grow(self, count: int, **changes: Any) -> "PaperLog":
        """Append events; every third one has sealed details."""
        for _ in range(count):
            sealed = {"sealed": b"\x00sealed", "sealed_with": "l1_00"} if len(self.stored) % 3 == 0 else {}
            made = leaf(len(self.stored), target_ref=f"policy_{len(self.stored)}", **sealed, **changes)
            self.stored.append((made.entry, made.sealed))
        return self

    def node(self, level: int, index: int) -> bytes:
        """Return a node of the tree."""
        part = self.stored[index << level : (index + 1) << level]
        return merkle.root_of([merkle.leaf_hash(entry) for entry, _ in part])

    def checkpoint(self, size: int) -> Checkpoint:
        """Return the head at a size."""
        return Checkpoint(origin=self.origin, size=size, root=merkle.root(size, self.node))

    def note(self, size: int) -> Note:
        """Return it signed."""
        return notes.sign(self.checkpoint(size).text, self.signers)

    def batch(self, first: int, behind: int, size: int | None = None, *, pruned: int | None = None) -> Batch:
        """Return a batch as an export has it.

        Args:
            first: the first leaf.
            behind: the first one behind it.
            size: of the checkpoint; default: all there is.
            pruned: the leaves from this one to the first are gone.

        """
        size = len(self.stored) if size is None else size
        low = first if pruned is None else pruned
        return Batch(
            leaves=[placed(index, *self.stored[index]) for index in range(first, behind)],
            first=first,
            next=behind,
            pruned=None if pruned is None else (pruned, first - 1),
            cover=frontier.covered(low, first, self.node),
            proof=merkle.outside(first, behind, size, self.node),
            note=self.note(size),
        )

    def tiles(self, folder: TileFolder, size: int | None = None, *, minimum: int = 0) -> None:
        """Write a folder of tiles, without the bundles below a minimum."""
        size = len(self.stored) if size is None else size
        hashes = [merkle.leaf_hash(entry) for entry, _ in self.stored[:size]]
        for (level, number), tile in tiles.grow(0, {}, hashes).items():
            folder.put(tiles.path(level, number, len(tile) // merkle.HASH_BYTES), tile)
        for start in range(0, size, tiles.WIDTH):
            entries = [entry for entry, _ in self.stored[start : min(start + tiles.WIDTH, size)]]
            if start >= minimum:
                name = tiles.path("entries", start // tiles.WIDTH, len(entries))
                folder.put(name, tiles.bundle(entries))
        folder.publish(self.note(size))

    def lines(self, *parts: tuple[int, int, int]) -> list[bytes]:
        """Return the lines of batches, each given as first leaf, next leaf and size of the checkpoint."""
        return [line for part in parts for line in jsonl.lines(self.batch(*part))]
