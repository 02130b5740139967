"""The course of a run: what the events of its batches say, summed over time, and where they stand."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.actions import Action
from aegis.audit.verification.sums import BATCHES
from aegis.db.engines import CONTROL, snapshot
from aegis.db.tables import AuditLeaf, AuditLog, AuditPruned
from aegis.operations.system import System

#: Stretches of time that a course is summed over, at most.
MOST_STRETCHES: Final = 48
#: How long such a stretch may be, in seconds; longer ones are whole days.
LENGTHS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600)
_DAY: Final = 86_400.0


@dataclass(kw_only=True)
class Stretch:
    """What was committed in one stretch of time."""

    start: dt.datetime
    batches: int = 0
    #: Action → rows of the run's own table.
    rows: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class Course:
    """What the audit log has of a run."""

    #: Length of each stretch, in seconds.
    seconds: float
    stretches: Sequence[Stretch]
    #: Rows of the run's own table, by action.
    rows: Mapping[str, int]
    #: Rows of other tables that went along: `action:table` → rows.
    along: Mapping[str, int]
    batches: int
    #: Rows that came back when the data source was restored.
    returned: int
    #: Events of the run, and those of them that have no place in the log yet.
    events: int
    unsequenced: int
    #: The first and the last place of the run's events; None: none has one.
    leaves: tuple[int, int] | None
    #: The event of the run's end.
    ended: str | None
    #: Whether old events of the policy were pruned: the log has sums of theirs.
    pruned: bool

    @property
    def gone(self) -> int:
        """All rows that the events of the batches tell of."""
        return sum(self.rows.values()) + sum(self.along.values())


def course_of(system: System, run: Mapping[str, Any]) -> Course:
    """Add up what the audit log has of a run; the events of its batches are read once, a few at a time."""
    mine = AuditLog.correlation_id == run["id"]
    with snapshot(system.databases.control, CONTROL) as connection:
        time = AuditLog.time
        ends = sa.select(sa.func.min(time, type_=time.type), sa.func.max(time, type_=time.type))
        first, last = connection.execute(ends.where(mine, AuditLog.action.in_(BATCHES))).one()
        each = sa.select(AuditLog.action, AuditLog.time, AuditLog.entry)
        each = each.where(mine, AuditLog.action.in_([*BATCHES, Action.RETENTION_RETURNED]))
        told = connection.execute(each, execution_options={"yield_per": 500})
        summed = _Sum(first, last)
        for action, at, entry in told:
            summed.add(action, at, events.details_of(entry))
        return Course(**vars(summed), **_places(connection, mine), pruned=_pruned(connection, run["policy"]))


class _Sum:
    """The events of batches, added up; its fields are those of a course."""

    def __init__(self, first: dt.datetime | None, last: dt.datetime | None) -> None:
        self.seconds = length(0.0 if first is None or last is None else (last - first).total_seconds())
        self.stretches: list[Stretch] = []
        self.rows: Counter[str] = Counter()
        self.along: Counter[str] = Counter()
        self.batches = self.returned = 0
        if first is not None and last is not None:
            count = int((last - first).total_seconds() // self.seconds) + 1
            step = dt.timedelta(seconds=self.seconds)
            self.stretches = [Stretch(start=first + place * step) for place in range(count)]

    def add(self, action: str, at: dt.datetime, details: Mapping[str, Any]) -> None:
        """Add one event."""
        if action == Action.RETENTION_RETURNED:
            self.returned += details["rows"] + sum(details["along"].values())
            return
        place = int((at - self.stretches[0].start).total_seconds() // self.seconds)
        stretch = self.stretches[min(place, len(self.stretches) - 1)]
        stretch.batches += 1
        stretch.rows[details["action"]] += details["rows"]
        self.batches += 1
        self.rows[details["action"]] += details["rows"]
        self.along.update(details["along"])


def length(span: float) -> float:
    """Return how long the stretches of a span of seconds are, so that there are not too many."""
    for seconds in LENGTHS:
        if span < MOST_STRETCHES * seconds:
            return seconds
    return _DAY * (1 + span // (_DAY * MOST_STRETCHES))


def _places(connection: sa.Connection, mine: sa.ColumnElement[bool]) -> dict[str, Any]:
    leaf = AuditLeaf.leaf
    query = sa.select(sa.func.count(), sa.func.count(leaf), sa.func.min(leaf), sa.func.max(leaf))
    query = query.select_from(sa.outerjoin(AuditLog, AuditLeaf, AuditLeaf.id == AuditLog.id)).where(mine)
    every, placed, first, last = connection.execute(query).one()
    end = sa.select(AuditLog.id).where(mine, AuditLog.action == Action.RETENTION_RUN)
    return {
        "events": every,
        "unsequenced": every - placed,
        "leaves": (first, last) if placed else None,
        "ended": connection.scalar(end.order_by(AuditLog.time.desc(), AuditLog.id.desc()).limit(1)),
    }


def _pruned(connection: sa.Connection, policy: str) -> bool:
    return (
        connection.scalar(sa.select(AuditPruned.policy).where(AuditPruned.policy == policy).limit(1))
        is not None
    )
