"""Every checkpoint that is stored, and the one that was published: their signatures and their roots."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.tlog import merkle, notes, trust
from aegis.audit.tlog.notes import Checkpoint, Note
from aegis.audit.tlog.trust import Policy
from aegis.audit.verification.findings import Findings, Kind, Said
from aegis.audit.verification.history import History
from aegis.audit.verification.tree import Tree
from aegis.db.tables import AuditCheckpoint
from aegis.errors import Tampered

#: Checkpoints that are read at once.
_PORTION: Final = 500


@dataclass(frozen=True, kw_only=True)
class Newest:
    """The newest checkpoint that is stored."""

    #: The size under which it is stored.
    size: int
    #: What it says; None unless a key signed it that signs now.
    trusted: Checkpoint | None


def newest(connection: sa.Connection, policy: Policy, findings: Findings) -> Newest | None:
    """Return the newest checkpoint, which a key has to have signed that was not retired.

    Between the retirement of a key that alone had signed and the next seal there is none such: that
    is found too.
    """
    query = sa.select(AuditCheckpoint.size, AuditCheckpoint.note).order_by(AuditCheckpoint.size.desc())
    row = connection.execute(query.limit(1)).one_or_none()
    if row is None:
        return None
    note = _parsed(row, findings)
    return Newest(size=row.size, trusted=trusted(note, policy, findings, row.size) if note else None)


def trusted(note: Note, policy: Policy, findings: Findings, size: int | None = None) -> Checkpoint | None:
    """Return the checkpoint in a note if a key signed it that signs now; cosigned or not."""
    now = replace(policy, quorum=trust.NONE, groups=(), witnesses=(), retired={})
    return _trusted(note, now, known=policy, findings=findings, kind=Kind.CHECKPOINT, size=size)


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """What checkpoints have to agree with."""

    tree: Tree
    policy: Policy
    history: History
    findings: Findings

    def check_stored(self, connection: sa.Connection) -> int:
        """Check every stored one; return the size of the newest that the quorum cosigned, or 0."""
        ever = self.history.extend(self.policy)
        last, witnessed = connection.scalar(sa.select(sa.func.max(AuditCheckpoint.size))), 0
        for row in _stored(connection):
            # The newest one's signatures were looked at first of all, and are named once.
            seen = Findings() if row.size == last else self.findings
            note = _parsed(row, seen)
            if note is None:
                continue
            signed = _trusted(note, ever, known=ever, findings=seen, kind=Kind.CHECKPOINT, size=row.size)
            if signed and self._fits(signed, row.size) and self._witnessed(note, row.size):
                witnessed = signed.size
        return witnessed

    def check_published(self, published: Note, origin: str | None) -> None:
        """Check that the log, which has this name now, has grown out of what was published."""
        ever = self.history.extend(self.policy)
        kind = Kind.PUBLISHED
        signed = _trusted(published, ever, known=ever, findings=self.findings, kind=kind, size=None)
        if signed is None or self.history.recovered_from(signed):
            return
        if signed.origin != origin:
            self._differs(signed.size, "origin", Said(text=signed.origin), origin)
        elif signed.size > self.tree.size:
            at_least = Said(text=f"at least {signed.size} leaves")
            got = Said(text=f"{self.tree.size}: it was restored from a backup, or cut off")
            self._differs(self.tree.size, "size", at_least, got)
        else:
            root = merkle.root(signed.size, self.tree.node)
            if root != signed.root:
                self._differs(signed.size, "root", signed.root, root)

    def _fits(self, signed: Checkpoint, size: int) -> bool:
        """Say whether a signed checkpoint stands in its place, and is a head of this tree."""
        if signed.size != size or size > self.tree.size:
            expected = Said(text=f"a checkpoint of size {size}, at most {self.tree.size}")
            self.findings.add(Kind.CHECKPOINT, leaf=size, column="size", expected=expected, got=signed.size)
            return False
        root = merkle.root(size, self.tree.node)
        if root != signed.root:
            self.findings.add(Kind.ROOT, leaf=size, column="root", expected=signed.root, got=root)
        return root == signed.root

    def _witnessed(self, note: Note, size: int) -> bool:
        try:
            return self.policy.witnessed(note)
        except Tampered:
            expected = Said(text="cosignatures of witnesses")
            got = Said(text="one that does not fit the text")
            self.findings.add(Kind.CHECKPOINT, leaf=size, column="cosignature", expected=expected, got=got)
        return False

    def _differs(self, size: int, what: str, expected: Any, got: Any) -> None:
        self.findings.add(Kind.PUBLISHED, leaf=size, column=what, expected=expected, got=got)


def _stored(connection: sa.Connection) -> Iterator[Any]:
    """Yield every stored checkpoint, the smallest first."""
    query = sa.select(AuditCheckpoint.size, AuditCheckpoint.note).order_by(AuditCheckpoint.size)
    rows = connection.execute(query.limit(_PORTION)).all()
    while rows:
        yield from rows
        rows = connection.execute(query.where(AuditCheckpoint.size > rows[-1].size).limit(_PORTION)).all()


def _parsed(row: Any, findings: Findings) -> Note | None:
    try:
        note = notes.parse(row.note)
        notes.checkpoint(note)
    except Tampered:
        expected, got = Said(text="a signed checkpoint"), Said(text=f"{len(row.note)} bytes that are none")
        findings.add(Kind.CHECKPOINT, leaf=row.size, column="note", expected=expected, got=got)
        return None
    return note


def _trusted(
    note: Note, policy: Policy, *, known: Policy, findings: Findings, kind: Kind, size: int | None
) -> Checkpoint | None:
    """Return the checkpoint in a note that a policy accepts.

    Args:
        note: the checkpoint.
        policy: what has to accept it.
        known: names the keys that do not count.
        findings: takes what is found.
        kind: what to call it.
        size: under which it is stored.

    """
    try:
        return policy.check(note)
    except Tampered:
        good = " or ".join(key.key_id.hex() for key in policy.logs)
        findings.add(
            kind,
            leaf=size,
            column="signature",
            expected=Said(text=f"the signature of {good or 'a key'}"),
            got=_signatures(note, known),
        )
    return None


def _signatures(note: Note, known: Policy) -> Said:
    """Say whose signatures a note has that do not count."""
    try:
        signers = note.signers([*known.logs, *known.retired])
    except Tampered:
        return Said(text="one that does not fit the text")
    retired = [
        f"{key.key_id.hex()}, retired at {known.retired[key]}" for key in signers if key in known.retired
    ]
    return Said(text="; ".join(retired) or "none that is trusted")
