"""Each entry, in the order of the log, against the hash of its leaf, its sealed details and its columns."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.exports.batches import commits_to
from aegis.audit.tlog import merkle
from aegis.audit.tlog.merkle import HASH_BYTES
from aegis.audit.tlog.tiles import WIDTH
from aegis.audit.verification.findings import Findings, Kind, Progress, Said, Tell
from aegis.audit.verification.projection import Projection, differing
from aegis.audit.verification.tree import Tree
from aegis.db.columns import Id, table_of
from aegis.db.rawrows import Fetcher, Rows, pipelined
from aegis.db.tables import AuditLeaf, AuditLog, AuditPending, AuditTile

#: Leaves that are read at once: eight tiles.
PORTION: Final = 8 * WIDTH


class Comparison:
    """Compares the entries of one snapshot with the tree."""

    def __init__(
        self, connection: sa.Connection, tree: Tree, covered: int, findings: Findings, *, columns: bool
    ) -> None:
        """Prepare.

        Args:
            connection: of the control database, in a snapshot.
            tree: the tree over the leaf hashes.
            covered: entries below this leaf may be missing.
            findings: takes what is found.
            columns: compare columns and sealed details too.

        """
        self._connection = connection
        self._tree = tree
        self._covered = covered
        self._findings = findings
        self._projection = Projection() if columns else None
        window = sa.select(sa.func.min(AuditLeaf.id + ""), sa.func.max(AuditLeaf.id + ""))
        self._window = Fetcher(connection, window.where(_within(AuditLeaf.leaf)))
        self._events = Fetcher(connection, self._query())
        tiles = sa.select(AuditTile.hashes).where(AuditTile.level == 0, _within(AuditTile.number))
        self._tiles = Fetcher(connection, tiles.order_by(AuditTile.number))
        #: Entries whose hash was computed.
        self.checked = 0
        #: Leaves whose event is gone.
        self.missing = 0

    def compare(self, since: int, tell: Tell) -> None:
        """Compare the entries from a leaf on."""
        size = self._tree.size
        odd: list[tuple[int, int]] = []
        with pipelined(self._connection):
            for first, after, rows, hashes in self._read(since, size):
                if self._well(first, after, rows, hashes):
                    self.checked += after - first
                    tell(Progress(phase="entries", done=after, total=size))
                else:
                    odd.append((first, after))
        for first, after in odd:
            self._examine(first, after)
            tell(Progress(phase="entries", done=after, total=size))

    def waiting(self) -> None:
        """Compare the columns of the events that have no leaf yet."""
        log, after = table_of(AuditLog), ""
        query = sa.select(log).join(AuditPending, AuditPending.id == log.c.id).order_by(log.c.id)
        while rows := self._connection.execute(query.where(log.c.id > after).limit(PORTION)).mappings().all():
            for row in rows:
                self._columns(None, row, trusted=False)
            after = rows[-1]["id"]

    def _query(self) -> sa.Select[Any]:
        leaves, log = table_of(AuditLeaf), table_of(AuditLog)
        # The window tells the database that the events of leaves side by side are side by side too.
        window = log.c.id.between(sa.bindparam("low", type_=Id), sa.bindparam("high", type_=Id))
        both = leaves.outerjoin(log, (log.c.id == leaves.c.id) & window)
        parts = self._projection.expressions if self._projection else []
        return sa.select(leaves.c.leaf, log.c.entry, *parts).select_from(both).where(_within(leaves.c.leaf))

    def _read(self, since: int, size: int) -> Iterator[tuple[int, int, Rows, bytes]]:
        """Yield ranges of leaves, their rows, and their hashes; the next range is asked for before that."""
        asked: tuple[int, int] | None = None
        spans = _spans(since, size)
        for span in (*spans, None):
            taken = asked and (*asked, *self._taken(asked[0]))
            if span:
                self._ask(*span)
            asked = span
            if taken:
                yield taken

    def _ask(self, first: int, after: int) -> None:
        span = {"first": first, "after": after}
        ((low, high),) = self._window(span)
        self._events.ask({**span, "low": low or "", "high": high or ""})
        self._tiles.ask({"first": first // WIDTH, "after": -(-after // WIDTH)})

    def _taken(self, first: int) -> tuple[Rows, bytes]:
        # Nearly in order as they come; a database that sorts such wide rows takes longer than all the rest.
        rows = sorted(self._events.take(), key=itemgetter(0))
        hashes = b"".join([hashes for (hashes,) in self._tiles.take()])
        return rows, hashes[first % WIDTH * HASH_BYTES :]

    def _well(self, first: int, after: int, rows: Rows, hashes: bytes) -> bool:
        """Say whether nothing is to be found in these leaves."""
        if len(rows) != after - first:
            return False
        leaves, entries, *parts = zip(*rows, strict=True)
        if leaves != tuple(range(first, after)) or _leaf_hashes(entries) != hashes:
            return False
        return self._projection is None or self._projection.fits(entries, parts)

    def _examine(self, first: int, after: int) -> None:
        """Look at leaves one by one, and name what is to be found."""
        leaves, log = table_of(AuditLeaf), table_of(AuditLog)
        query = sa.select(leaves.c.leaf, leaves.c.id.label("placed"), log)
        query = query.outerjoin(log, log.c.id == leaves.c.id).where(_within(leaves.c.leaf))
        found: dict[int, list[sa.RowMapping]] = {}
        for row in self._connection.execute(query, {"first": first, "after": after}).mappings():
            found.setdefault(row["leaf"], []).append(row)
        for leaf in range(first, after):
            rows = found.get(leaf, [])
            if len(rows) != 1 and not (leaf < self._covered and not rows):
                expected = Said(text="one event")
                self._findings.add(Kind.LEAF, leaf=leaf, expected=expected, got=len(rows))
            for row in rows:
                self._one(leaf, row)

    def _one(self, leaf: int, row: sa.RowMapping) -> None:
        if row["entry"] is None:
            self.missing += 1
            gone = Said(text="its event")
            self._findings.add(Kind.MISSING, leaf=leaf, event=row["placed"], expected=gone, got=None)
            return
        self.checked += 1
        placed, made = self._tree.node(0, leaf), merkle.leaf_hash(row["entry"])
        if placed != made:
            doubtful = leaf // WIDTH in self._tree.doubtful
            kind, expected, got = (Kind.LEAF_HASH, made, placed) if doubtful else (Kind.ENTRY, placed, made)
            self._findings.add(kind, leaf=leaf, event=row["id"], expected=expected, got=got)
        if self._projection:
            self._columns(leaf, row, trusted=placed == made)

    def _columns(self, leaf: int | None, row: sa.RowMapping, *, trusted: bool) -> None:
        """Name the columns of a row that do not repeat its entry.

        Args:
            leaf: its place in the log.
            row: the event's columns.
            trusted: the entry is the one that was hashed, so that what it says may be shown.

        """
        place: dict[str, Any] = {"leaf": leaf, "event": row["id"]}
        try:
            fields = json.loads(row["entry"])
            sealed = commits_to(fields, row["sealed"])
            promised = fields["sealed"] and fields["sealed"]["sha256"]
        except (ValueError, KeyError, TypeError):
            other = Said(text="something else")
            self._findings.add(Kind.ENTRY, **place, expected=Said(text="an event's fields"), got=other)
            return
        if not sealed:
            found = row["sealed"] and hashlib.sha256(row["sealed"]).hexdigest()
            self._findings.add(Kind.SEALED, **place, column="sealed", expected=promised, got=found)
        for name, expected, got in differing(row, fields):
            said = Said(text=expected) if trusted and isinstance(expected, str) else expected
            self._findings.add(Kind.COLUMN, **place, column=name, expected=said, got=got)


def _leaf_hashes(entries: Sequence[bytes | None]) -> bytes:
    """Return the hashes of leaves, one after the other; none at all where an entry is missing."""
    begun, made = hashlib.sha256(b"\x00"), bytearray()
    for entry in entries:
        if entry is None:
            return b""
        # To copy what the first byte makes takes less than to begin anew.
        leaf = begun.copy()
        leaf.update(entry)
        made += leaf.digest()
    return bytes(made)


def _within(column: sa.ColumnElement[int] | sa.orm.InstrumentedAttribute[int]) -> sa.ColumnElement[bool]:
    """Return the condition for a range of leaves, or of tiles."""
    first, after = sa.bindparam("first", type_=sa.BigInteger), sa.bindparam("after", type_=sa.BigInteger)
    return (column >= first) & (column < after)


def _spans(since: int, size: int) -> Iterator[tuple[int, int]]:
    first = since
    while first < size:
        after = min(first - first % PORTION + PORTION, size)
        yield first, after
        first = after
