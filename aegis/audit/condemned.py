"""Which events of the log may go: those that are old, and that nothing has to be compared with any more."""

import datetime as dt
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit import events, head
from aegis.audit.actions import Action
from aegis.audit.tlog.tiles import WIDTH
from aegis.audit.verification import history, sums
from aegis.audit.verification.comparing import PORTION, Comparison
from aegis.audit.verification.findings import Findings
from aegis.audit.verification.tree import Tree
from aegis.db.tables import Archive, AuditLeaf, AuditLog, RelayMark, Run
from aegis.errors import Tampered

#: Their entries stay for ever. Beside the log's own history: `approver:add` shows that keys were ever
#: asked for, and a restore's row stays in the journal, where the relay compares it with the log.
KEPT: Final = history.ACTIONS | {Action.APPROVER_ADD, Action.RETENTION_RESTORE}
#: An archive that can be restored from; its manifest is compared with the events of its run.
_EXPIRED: Final = "expired"
#: Bytes for the sums in the event of a prune; what adds up to more is pruned in several steps.
ROOM: Final = 16 * 1024
#: Entries are served in bundles of a tile each (C2SP tlog-tiles), so they go in whole ones.
TILE: Final = WIDTH


@dataclass(frozen=True, kw_only=True)
class Range:
    """Leaves that may go."""

    first: int
    #: The first leaf that stays.
    end: int
    events: int = 0
    #: Events of these leaves that stay.
    kept: int = 0
    rows: Counter[sums.Key] = field(default_factory=Counter)
    #: What keeps the next leaf, although it is old enough.
    held_by: str | None = None

    @property
    def last(self) -> int | None:
        """The last leaf; None when there is none."""
        return self.end - 1 if self.end > self.first else None


def find(connection: sa.Connection, first: int, size: int, before: dt.datetime) -> Range:
    """Return the leaves from `first` on that may go.

    Raises:
        Tampered: one of them is not as it was sealed.

    """
    end, held_by = _bound(connection, first, size, before)
    refuse_changed(connection, first, end)
    rows: Counter[sums.Key] = Counter()
    gone = kept = 0
    for low in range(first, end, PORTION):
        for row in _events(connection, low, min(low + PORTION, end)):
            more = rows + add_up([row]) if row.action in sums.COUNTED else rows
            if len(more) > len(rows) and row.leaf > first and _too_long(more):
                return Range(first=first, end=row.leaf, events=gone, kept=kept, rows=rows)
            rows = more
            kept += row.action in KEPT
            gone += row.action not in KEPT
    return Range(first=first, end=end, events=gone, kept=kept, rows=rows, held_by=held_by)


def rows(connection: sa.Connection, first: int, after: int) -> Sequence[Any]:
    """Return the events of a range of leaves that go.

    Raises:
        Tampered: one of them is not as it was sealed.

    """
    refuse_changed(connection, first, after)
    return [row for row in _events(connection, first, after) if row.action not in KEPT]


def add_up(rows: Sequence[Any]) -> Counter[sums.Key]:
    """Return what events add up to."""
    counted = (row.entry for row in rows if row.action in sums.COUNTED and row.action not in KEPT)
    return sums.total(json.loads(entry) for entry in counted)


def refuse_changed(connection: sa.Connection, first: int, end: int) -> None:
    """Refuse to destroy what shows that the log was changed."""
    node, findings = head.node_of(connection), Findings()
    tree = Tree(size=end, root=b"", node=node, doubtful=frozenset())
    Comparison(connection, tree, 0, findings, columns=True).compare(first, lambda _: None)
    if findings.count:
        message = (
            f"nothing was pruned, because the log was changed: {findings.kept[0]}. Run `aegis audit verify`"
        )
        raise Tampered(message)


def _too_long(rows: Counter[sums.Key]) -> bool:
    return len(json.dumps(sums.spelled(rows))) > ROOM


def _events(connection: sa.Connection, first: int, after: int) -> Sequence[Any]:
    query = sa.select(AuditLeaf.leaf, AuditLog.id, AuditLog.action, AuditLog.entry)
    query = query.join(AuditLog, AuditLog.id == AuditLeaf.id).order_by(AuditLeaf.leaf)
    return connection.execute(query.where(AuditLeaf.leaf >= first, AuditLeaf.leaf < after)).all()


def staying(connection: sa.Connection, first: int, size: int, before: dt.datetime) -> Any | None:
    """Return the first event of a range of leaves that has to stay: leaf, time and correlation_id.

    Events that stay in any case are left out: they hold nothing back.
    """
    marked = sa.exists().where(RelayMark.run == AuditLog.correlation_id)
    unended = sa.exists().where(Run.id == AuditLog.correlation_id, Run.finished_at.is_(None))
    archived = sa.exists().where(Archive.run == AuditLog.correlation_id, Archive.state != _EXPIRED)
    stays = (AuditLog.time >= before) | marked | unended | archived
    query = _mortal(first, size).where(stays).order_by(AuditLeaf.leaf).limit(1)
    return connection.execute(query).one_or_none()


def _bound(connection: sa.Connection, first: int, size: int, before: dt.datetime) -> tuple[int, str | None]:
    """Return the end of the last tile that goes, and what holds the next event back but its age.

    Nothing goes up to events that stay in any case for their own sake.
    """
    found = staying(connection, first, size, before)
    end = max(first, (size if found is None else found.leaf) // TILE * TILE)
    if connection.scalar(_mortal(first, end).with_only_columns(sa.func.min(AuditLeaf.leaf))) is None:
        end = first
    if found is None or found.time >= before:
        return end, None
    why = (
        f"leaf {found.leaf} of {events.stamp(found.time)} belongs to run {found.correlation_id}, which has "
        "not ended, or whose journal or archive is still there"
    )
    return end, why


def _mortal(first: int, size: int) -> sa.Select[int, dt.datetime, str | None]:
    query = sa.select(AuditLeaf.leaf, AuditLog.time, AuditLog.correlation_id)
    query = query.join(AuditLog, AuditLog.id == AuditLeaf.id)
    return query.where(AuditLeaf.leaf >= first, AuditLeaf.leaf < size, AuditLog.action.not_in(KEPT))
