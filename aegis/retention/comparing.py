"""The journal of a data source and the log, held against each other: what came back with a restore."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.actions import Action
from aegis.audit.verification import sums
from aegis.db.engines import CONTROL, reading
from aegis.db.journal import Journal
from aegis.db.tables import AuditLog, RelayMark
from aegis.errors import Refused
from aegis.operations.system import System


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A batch that the log has and the journal lacks."""

    policy: str
    details: Mapping[str, Any]

    @property
    def place(self) -> tuple[str, int, int]:
        """Run, shard and number; what came back from an archive is the only batch of its own."""
        return self.details["run"], self.details.get("shard", 0), self.details.get("number", 1)

    @property
    def counts(self) -> Counter[tuple[str, str, str]]:
        """(policy, table, action) → rows."""
        own = {(self.policy, self.details["table"], self.details["action"]): self.details["rows"]}
        counts = Counter(own)
        for name, rows in self.details["along"].items():
            action, _, table = name.partition(":")
            counts[self.policy, table, action] += rows
        return counts


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Where both sides differ."""

    lost: list[Lost]
    #: (run, shard) → the last number that both sides have.
    marks: dict[tuple[str, int], int]

    @property
    def returned(self) -> Counter[tuple[str, str, str]]:
        """(policy, table, action) → rows that came back."""
        return sum((batch.counts for batch in self.lost), Counter())


@dataclass(frozen=True, kw_only=True)
class _Sides:
    """A run as its journal and as the log have it."""

    datasource: str
    run: str
    #: (shard, number) → event; None for a batch that changed no row.
    here: Mapping[tuple[int, int], str | None]
    logged: Mapping[str, Lost]
    #: Shard → the last number that was relayed.
    marks: Mapping[int, int]

    def lost(self) -> Iterator[Lost]:
        """Yield the batches that the journal lacks; those told at an earlier restore are left out."""
        newest: dict[tuple[int, int], str] = {}
        for event in sorted(self.logged):
            _, shard, number = self.logged[event].place
            if number <= self.marks.get(shard, 0):
                newest[shard, number] = event
        present = set(self.here.values())
        yield from (self.logged[event] for event in newest.values() if event not in present)

    def common(self, shard: int) -> int:
        """Return the last number up to which the shard's journal stands in the log.

        Raises:
            Refused: the journal has again what was told to have come back.

        """
        mark = self.marks[shard]
        later = [event for (of, number), event in self.here.items() if of == shard and number > mark]
        if any(event in self.logged for event in later):
            message = (
                f"data source {self.datasource} has batches of run {self.run} again that an earlier restore "
                "had taken back: it was restored to a moment before that; restore it to one after, or give "
                "it a name of its own"
            )
            raise Refused(message)
        common = 0
        while common < mark and (shard, common + 1) in self.here:
            event = self.here[shard, common + 1]
            if event is not None and event not in self.logged:
                break
            common += 1
        return common


def compare(system: System, name: str) -> Findings:
    """Compare journal and log where they can differ: behind a mark, or in what was never relayed."""
    query = sa.select(RelayMark.run, RelayMark.shard, RelayMark.number).where(RelayMark.datasource == name)
    with reading(system.databases.control, CONTROL) as connection:
        marks = {(row.run, row.shard): int(row.number) for row in connection.execute(query)}
    engine = system.databases.source(name)
    journal = Journal(engine.dialect.name)
    found = Findings(lost=[], marks={})
    with reading(engine, f"data source {name}") as connection:
        ends = journal.numbers(connection)
        differing = {run for (run, shard), number in marks.items() if ends.get((run, shard), 0) < number}
        differing |= journal.waiting_of(connection, sorted({run for run, _ in marks}))
        for run in sorted(differing):
            sides = _Sides(
                datasource=name,
                run=run,
                here=journal.event_ids(connection, run),
                logged=_logged(system, run),
                marks={shard: number for (of, shard), number in marks.items() if of == run},
            )
            found.lost.extend(sides.lost())
            found.marks.update({(run, shard): sides.common(shard) for shard in sides.marks})
    return found


def _logged(system: System, run: str) -> dict[str, Lost]:
    """Return the batches of a run that stand in the log, by their events' ids."""
    batch = AuditLog.action.in_(sums.BATCHES) & (AuditLog.correlation_id == run)
    query = sa.select(AuditLog.id, AuditLog.target_ref, AuditLog.entry)
    with reading(system.databases.control, CONTROL) as connection:
        rows = connection.execute(query.where(batch)).all()
        if not rows:
            # What came back from an archive stands under the run that took it.
            rows = connection.execute(query.where(AuditLog.action == Action.RETENTION_RESTORE)).all()
    logged = {row.id: Lost(policy=row.target_ref, details=events.details_of(row.entry)) for row in rows}
    return {event: batch for event, batch in logged.items() if batch.details["run"] == run}
