"""Pruning: old events leave the log; their hashes, the tree and every proof over it stay.

First a leaf `audit:prune` says which entries go, and is sealed and published; only then they go, in
short transactions. Killed anywhere, the next call finishes what a leaf has told.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from aegis.audit import condemned, events, head
from aegis.audit.actions import Action
from aegis.audit.condemned import Range
from aegis.audit.recorder import Note, Recorder, store
from aegis.audit.sequencer import Sequencer
from aegis.audit.tlog import merkle, notes
from aegis.audit.tlog.tiles import WIDTH
from aegis.audit.verification import history, sums
from aegis.audit.verification.findings import Progress, Tell
from aegis.audit.verification.history import Fact
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, Databases, reading, snapshot, writing
from aegis.db.tables import AuditLeaf, AuditLog, AuditPruned
from aegis.errors import Busy, Refused, Tampered, UsageError

#: Leaves whose entries go in one transaction, so that nobody waits long.
BATCH: Final = 4 * WIDTH


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What went, or would go."""

    #: The first leaf, and the last one; None when there is none.
    first: int
    last: int | None
    #: Events that went, and those of these leaves that stay for ever.
    events: int
    kept: int
    #: What they add up to: `policy action:table` → rows.
    rows: Mapping[str, int]
    executed: bool
    #: Why nothing behind the last one goes, although it is old enough.
    held_by: str | None


def prune(
    databases: Databases,
    recorder: Recorder,
    sequencer: Sequencer,
    *,
    before: dt.datetime,
    actor: str,
    execute: bool,
    permitted: Callable[[], None],
    on_progress: Tell | None = None,
) -> Pruned:
    """Let the entries go of all leaves before the first that is not older than a moment.

    Args:
        databases: the control database is one of them.
        recorder: records what goes.
        sequencer: seals that.
        before: events from this moment on stay; an aware datetime.
        actor: who decided it.
        execute: do it; otherwise only say what would go.
        permitted: is asked before every transaction, and raises when nothing may be destroyed.
        on_progress: is told how far it has come.

    Raises:
        UsageError: the moment has no time zone.
        Refused: the moment is too young, or nothing may be destroyed now.
        Tampered: an entry is not the one that was sealed: pruning would destroy the evidence.
        Busy: somebody else prunes.

    """
    if before.tzinfo is None:
        message = "the moment before which events go needs a time zone, such as 2027-01-31T00:00:00+00:00"
        raise UsageError(message)
    work = _Pruning(databases, recorder, sequencer, before=before, actor=actor, permitted=permitted)
    work.refuse_young()
    if not execute:
        return work.preview()
    return work.do(on_progress or (lambda _: None))


class _Pruning:
    """One prune."""

    def __init__(
        self,
        databases: Databases,
        recorder: Recorder,
        sequencer: Sequencer,
        *,
        before: dt.datetime,
        actor: str,
        permitted: Callable[[], None],
    ) -> None:
        self._control = databases.control
        self._horizon = dt.timedelta(days=databases.settings.operations.journal_days)
        self._recorder = recorder
        self._sequencer = sequencer
        self._before = before
        self._actor = actor
        self._permitted = permitted
        #: What went so far: events, and what they add up to.
        self._gone = 0
        self._rows: Counter[sums.Key] = Counter()

    def refuse_young(self) -> None:
        """Refuse a moment until which journals may still have to be compared with the log."""
        with reading(self._control, CONTROL) as connection:
            latest = dialects.now(connection) - self._horizon
        if self._before > latest:
            message = (
                f"events are pruned once they are older than {self._horizon.days} days "
                "(operations.journal_days): until then journals and backups are compared with them. Name a "
                f"moment before {latest:%Y-%m-%d}"
            )
            raise Refused(message)

    def preview(self) -> Pruned:
        """Return what would go."""
        parts = [self._plan()]
        while parts[-1].last is not None:
            parts.append(self._plan(parts[-1].end))
        return Pruned(
            first=parts[0].first,
            last=None if parts[-1].end == parts[0].first else parts[-1].end - 1,
            events=sum(part.events for part in parts),
            kept=sum(part.kept for part in parts),
            rows=sums.spelled(sum((part.rows for part in parts), Counter())),
            executed=False,
            held_by=parts[-1].held_by,
        )

    def do(self, tell: Tell) -> Pruned:
        """Finish what was begun, then prune what is old enough."""
        with reading(self._control, CONTROL) as connection:
            first = head.state(connection).minimum
        self._finish(tell)
        while (found := self._plan()).last is not None:
            self._record(found)
            self._finish(tell)
        return Pruned(
            first=first,
            last=None if found.first == first else found.first - 1,
            events=self._gone,
            kept=found.first - first - self._gone,
            rows=sums.spelled(self._rows),
            executed=True,
            held_by=found.held_by,
        )

    def _plan(self, first: int | None = None) -> Range:
        """Return what goes next, from a leaf on; None: from where the last prune ended."""
        with snapshot(self._control, CONTROL) as connection:
            state = head.state(connection)
            ends = [fact.details["last"] + 1 for fact in history.prunes(connection)]
            first = max([state.minimum, *ends]) if first is None else first
            return condemned.find(connection, first, state.size, self._before)

    def _record(self, found: Range) -> None:
        """Say what goes, before anything does."""
        self._permitted()
        with reading(self._control, CONTROL) as connection:
            origin = head.state(connection).origin
            root = merkle.root(found.end, head.node_of(connection))
        details = {
            "first": found.first,
            "last": found.last,
            "root": root.hex(),
            "before": events.stamp(self._before),
            "rows": sums.spelled(found.rows),
        }
        note = Note(
            action=Action.AUDIT_PRUNE, actor=self._actor, target_type="log", target_id=origin, details=details
        )
        event = self._recorder.prepare(note)
        with writing(self._control, CONTROL) as connection:
            state = head.state(connection, lock=True)
            told = any(fact.details["last"] >= found.first for fact in history.prunes(connection))
            if told or state.minimum != found.first:
                message = "somebody else is pruning the log; look again with `aegis audit prune`"
                raise Busy(message)
            store(connection, event)

    def _finish(self, tell: Tell) -> None:
        """Let everything go that was told to."""
        with reading(self._control, CONTROL) as connection:
            waits = any(fact.leaf is None for fact in history.prunes(connection))
        if waits:
            self._permitted()
            self._sequencer.seal()
        with snapshot(self._control, CONTROL) as connection:
            unfinished = self._unfinished(connection)
        for fact in unfinished:
            end = fact.details["last"] + 1
            while (done := self._batch(end)) < end:
                tell(Progress(phase="prune", done=done, total=end))
            tell(Progress(phase="prune", done=end, total=end))

    def _unfinished(self, connection: sa.Connection) -> Sequence[Fact]:
        """Return the prunes that are not through, each under a signed checkpoint."""
        state, note = head.state(connection), head.newest(connection)
        signed = notes.checkpoint(note).size if note else 0
        found = [fact for fact in history.prunes(connection) if fact.details["last"] >= state.minimum]
        for fact in found:
            if fact.leaf is None or fact.leaf >= signed:
                message = (
                    f"the prune {fact.event} is not sealed, and nothing goes before: run `aegis audit seal`"
                )
                raise Refused(message)
            self._check(connection, fact, fact.leaf, state.minimum)
        return found

    def _check(self, connection: sa.Connection, fact: Fact, leaf: int, minimum: int) -> None:
        """Refuse a prune that nobody could have told here: what it says is about to be done."""
        condemned.refuse_changed(connection, leaf, leaf + 1)
        last, before = fact.details["last"], dt.datetime.fromisoformat(fact.details["before"])
        root = merkle.root(last + 1, head.node_of(connection)) if last < leaf else b""
        young = before > dialects.now(connection) - self._horizon
        stays = condemned.staying(connection, minimum, last + 1, before)
        if young or root.hex() != fact.details["root"] or stays is not None:
            message = (
                f"leaf {leaf} says that the log is pruned up to leaf {last}, where events are that must "
                "stay: nothing was pruned. Run `aegis audit verify`"
            )
            raise Tampered(message)

    def _batch(self, end: int) -> int:
        """Let a few more go; return the first leaf whose entry is there."""
        self._permitted()
        with writing(self._control, CONTROL) as connection:
            first = head.state(connection, lock=True).minimum
            if first >= end:
                return first
            after = min(first + BATCH, end)
            rows = condemned.rows(connection, first, after)
            gone = condemned.add_up(rows)
            _count(connection, gone)
            connection.execute(sa.delete(AuditLog).where(AuditLog.id.in_([row.id for row in rows])))
            connection.execute(sa.delete(AuditLeaf).where(AuditLeaf.leaf.in_([row.leaf for row in rows])))
            head.update(connection, minimum=after)
        self._gone += len(rows)
        self._rows += gone
        return after


def _count(connection: sa.Connection, gone: Mapping[sums.Key, int]) -> None:
    """Add to the sums what goes, in the transaction in which it goes."""
    for (policy, table, action), rows in gone.items():
        key = {"policy": policy, "table_name": table, "action": action}
        dialects.insert_missing(connection, table_of(AuditPruned), key | {"rows": 0})
        which = sa.and_(*(table_of(AuditPruned).c[name] == value for name, value in key.items()))
        connection.execute(sa.update(AuditPruned).where(which).values(rows=AuditPruned.rows + rows))
