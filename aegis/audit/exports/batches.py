"""Reading the log for an export: batches of leaves, each checked against one signed checkpoint."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit import head
from aegis.audit.tlog import frontier, merkle, notes
from aegis.audit.tlog.notes import Checkpoint, Note
from aegis.db.engines import CONTROL, Databases, reading, snapshot
from aegis.db.tables import AuditLeaf, AuditLog
from aegis.errors import Tampered

#: Most events of a batch.
PORTION: Final = 1_000

#: An entry and its sealed details, as they are stored.
Stored = tuple[bytes, bytes | None]


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """An event in its place."""

    index: int
    #: The log's name.
    origin: str
    #: The exact bytes that were hashed.
    entry: bytes
    #: The entry's fields.
    fields: Mapping[str, Any]
    #: The encrypted details.
    sealed: bytes | None
    hash: bytes


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Leaves side by side, and what proves them with nothing else at hand."""

    leaves: Sequence[Leaf]
    #: The first leaf, and the first one behind the batch.
    first: int
    next: int
    #: The leaves just before it that were pruned, first and last.
    pruned: tuple[int, int] | None
    #: What the pruned leaves hash to, as `frontier.covered` gives it.
    cover: Sequence[bytes]
    #: What `merkle.outside` gives for the leaves in the tree of the checkpoint.
    proof: Sequence[bytes]
    note: Note


class Snapshot:
    """The log up to one signed checkpoint: what it needs of the tree never changes while the log grows."""

    def __init__(self, databases: Databases, note: Note) -> None:
        self._control = databases.control
        self.note = note
        self.checkpoint: Checkpoint = notes.checkpoint(note)
        self.node = head.nodes(self._control)

    def root(self, size: int) -> bytes:
        """Return the root over the first leaves."""
        return merkle.root(size, self.node)

    def batches(self, first: int, end: int) -> Iterator[Batch]:
        """Yield batches, each read in a short transaction of its own.

        Args:
            first: the first leaf.
            end: the first leaf behind them, at most the checkpoint's size. Whoever stops before that
                gets as many leaves from behind what was pruned.

        Raises:
            Tampered: an event is missing, or is not the one that was sealed.

        """
        while first < end and (batch := self._batch(first, end)):
            yield batch
            first = batch.next

    def stored(self, low: int, high: int) -> tuple[int, list[Stored]]:
        """Return the first leaf of a range that was not pruned, and what is stored from it on.

        Raises:
            Tampered: an event is missing.

        """
        query = sa.select(AuditLeaf.leaf, AuditLog.entry, AuditLog.sealed)
        query = query.join(AuditLog, AuditLog.id == AuditLeaf.id).order_by(AuditLeaf.leaf)
        with snapshot(self._control, CONTROL) as connection:
            first = max(low, min(head.state(connection).minimum, self.checkpoint.size))
            end = min(first + high - low, self.checkpoint.size)
            rows = connection.execute(query.where(AuditLeaf.leaf >= first, AuditLeaf.leaf < end)).all()
        gap = next((leaf for leaf, row in enumerate(rows, first) if row.leaf != leaf), first + len(rows))
        if gap < end:
            message = (
                f"leaf {gap} of the log has no event, and was not pruned: nothing from it on is exported. "
                "Run `aegis audit verify`"
            )
            raise Tampered(message)
        return first, [(row.entry, row.sealed) for row in rows]

    def _batch(self, low: int, end: int) -> Batch | None:
        first, stored = self.stored(low, low + min(PORTION, end - low))
        if not stored:
            return None
        behind, size = first + len(stored), self.checkpoint.size
        hashes = [merkle.leaf_hash(entry) for entry, _ in stored]
        proof = merkle.outside(first, behind, size, self.node)
        if merkle.root_from_range(first, hashes, size, proof) != self.checkpoint.root:
            raise Tampered(self._changed(first, hashes))
        # Only now it is known that an entry is the one that was sealed, and so that it can be read.
        leaves = [self._leaf(first + place, *stored[place], hashes[place]) for place in range(len(stored))]
        return Batch(
            leaves=leaves,
            first=first,
            next=behind,
            pruned=(low, first - 1) if first > low else None,
            cover=frontier.covered(low, first, self.node),
            proof=proof,
            note=self.note,
        )

    def _leaf(self, index: int, entry: bytes, sealed: bytes | None, found: bytes) -> Leaf:
        fields = json.loads(entry)
        if not commits_to(fields, sealed):
            message = (
                f"the sealed details of leaf {index} are not those that its entry commits to: nothing from "
                "it on is exported. Run `aegis audit verify`"
            )
            raise Tampered(message)
        origin = self.checkpoint.origin
        return Leaf(index=index, origin=origin, entry=entry, fields=fields, sealed=sealed, hash=found)

    def _changed(self, first: int, hashes: Sequence[bytes]) -> str:
        """Say which leaf is not what was sealed, as the stored tiles have it."""
        changed = (leaf for leaf, found in enumerate(hashes, first) if found != self.node(0, leaf))
        leaf = next(changed, None)
        what = (
            f"the stored tiles from leaf {first} on do not lead to the checkpoint of {self.checkpoint.size}"
            if leaf is None
            else f"leaf {leaf} of the log is not the event that was sealed there"
        )
        return f"{what}: nothing from it on is exported. Run `aegis audit verify`"


def newest(databases: Databases) -> Snapshot | None:
    """Return the log up to its newest checkpoint, or None before anything was sealed.

    Raises:
        NotPrepared: the log has no key yet.

    """
    with reading(databases.control, CONTROL) as connection:
        head.state(connection)
        note = head.newest(connection)
    return None if note is None else Snapshot(databases, note)


def commits_to(fields: Mapping[str, Any], sealed: bytes | None) -> bool:
    """Say whether an entry commits to these sealed details."""
    promised = fields["sealed"] and fields["sealed"]["sha256"]
    return bool(promised == (sealed and hashlib.sha256(sealed).hexdigest()))
