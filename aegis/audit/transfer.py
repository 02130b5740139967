"""What a relay moves: the journal rows of one data source, into the log exactly once."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.recorder import store
from aegis.audit.verification import history, sums
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, Databases, reading, writing
from aegis.db.journal import Entry, Journal, SourceRow, Waiting
from aegis.db.tables import AuditLog, Ledger, RelayMark, Source
from aegis.errors import Refused, Tampered

#: Journal rows in one pair of transactions.
PORTION: Final = 500
#: Shards, the newest first, that an alarm looks at to name what is missing.
MOST_NAMED: Final = 200
#: So often a relay notes that nothing waits.
NOTED: Final = dt.timedelta(seconds=10)


@dataclass(kw_only=True)
class Transfer:
    """One source's way from the journal into the log."""

    name: str
    databases: Databases
    mac_key: bytes
    journal: Journal = field(init=False)
    #: Whether it is time to note again that nothing waits.
    note_due: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        """Open the source and its journal."""
        self.engine = self.databases.source(self.name)
        self.journal = Journal(self.engine.dialect.name)
        self.label = f"data source {self.name}"

    def register(self) -> bool:
        """Return whether both sides count alike; refuse a source that is not the known one."""
        with reading(self.engine, self.label) as connection:
            here = self.journal.source(connection)
        with writing(self.databases.control, CONTROL) as connection:
            known = self._known(connection, here)
            noted = known.caught_up_at
            self.note_due = noted is None or dialects.now(connection) - noted >= NOTED
        if known.state != "ok":
            how = f"`aegis retention resume --datasource {self.name}` lets it go on"
            raise Refused(known.reason or f"{self.label} is {known.state}: {how}")
        if known.identity != here.identity:
            message = (
                f"{self.label} is another database than before (identity {here.identity}, expected "
                f"{known.identity}): correct its URL, or give the new database a name of its own"
            )
            raise Refused(message)
        return bool(here.relayed == known.relayed and here.incarnation >= known.incarnation)

    def _known(self, connection: sa.Connection, here: SourceRow) -> Any:
        new = {"name": self.name, "identity": here.identity, "incarnation": here.incarnation, "state": "ok"}
        new |= {"journal_version": here.version, "relayed": 0}
        query = sa.select(table_of(Source)).where(Source.name == self.name).with_for_update()
        row = connection.execute(query).one_or_none()
        if row is None:
            dialects.insert_missing(connection, table_of(Source), new)
            row = connection.execute(query).one()
        return row

    def waiting(self) -> list[Entry]:
        """Return the next rows, each checked against its MAC."""
        with reading(self.engine, self.label) as connection:
            entries = self.journal.unrelayed(connection, PORTION)
        for entry in entries:
            entry.check(self.mac_key)
        return entries

    def to_log(self, entries: Sequence[Entry]) -> int:
        """Commit the rows that the log does not have yet; return how many."""
        with writing(self.databases.control, CONTROL) as connection:
            lock = sa.select(Source.relayed).where(Source.name == self.name).with_for_update()
            connection.execute(lock).one()
            fresh = self._fresh(connection, entries)
            parsed = [events.parse(entry.entry, entry.sealed) for entry in fresh if entry.entry]
            store(connection, *parsed)
            count_up(connection, sums.total(json.loads(event.entry) for event in parsed))
            self._put_marks(connection, fresh)
            counted = Source.relayed + len(fresh)
            moment = dialects.now(connection)
            update = sa.update(Source).where(Source.name == self.name)
            connection.execute(update.values(relayed=counted, relayed_at=moment))
        return len(fresh)

    def caught_up(self) -> None:
        """Note that nothing more waits."""
        with writing(self.databases.control, CONTROL) as connection:
            update = sa.update(Source).where(Source.name == self.name)
            connection.execute(update.values(caught_up_at=dialects.now(connection)))

    def _fresh(self, connection: sa.Connection, entries: Sequence[Entry]) -> list[Entry]:
        """Return the rows past the marks; a gap, or a number with another event, is a finding."""
        runs = {entry.run for entry in entries}
        query = sa.select(RelayMark.run, RelayMark.shard, RelayMark.number)
        query = query.where(RelayMark.datasource == self.name, RelayMark.run.in_(runs))
        marks = {(row.run, row.shard): int(row.number) for row in connection.execute(query)}
        ids = [entry.event_id for entry in entries if entry.event_id]
        logged = set(connection.scalars(sa.select(AuditLog.id).where(AuditLog.id.in_(ids))))
        fresh = []
        for entry in entries:
            mark = marks.get((entry.run, entry.shard), 0)
            if entry.number <= mark:
                if entry.event_id and entry.event_id not in logged:
                    raise Reverted(expected=mark, found=entry.number)
                continue
            if entry.number != mark + 1:
                message = (
                    f"{self.label}: journal of run {entry.run} shard {entry.shard} has a gap: "
                    f"expected number {mark + 1}, got {entry.number}"
                )
                raise Tampered(message)
            marks[entry.run, entry.shard] = entry.number
            fresh.append(entry)
        return fresh

    def _put_marks(self, connection: sa.Connection, fresh: Sequence[Entry]) -> None:
        newest = {(entry.run, entry.shard): entry.number for entry in fresh}
        for (run, shard), number in newest.items():
            row = {"datasource": self.name, "run": run, "shard": shard, "number": number}
            if not dialects.insert_missing(connection, table_of(RelayMark), row):
                which = (
                    (RelayMark.datasource == self.name) & (RelayMark.run == run) & (RelayMark.shard == shard)
                )
                connection.execute(sa.update(RelayMark).where(which).values(number=number))

    def note(self, entries: Sequence[Entry]) -> None:
        """Note in the journal that these rows stand in the log."""
        with writing(self.engine, self.label) as connection:
            source = self.journal.source(connection, lock=True)
            marked = self.journal.mark_relayed(connection, entries, dialects.now(connection))
            counted = source.relayed + marked
            self.journal.put_source(connection, SourceRow(**vars(source) | {"relayed": counted}))

    def compare(self) -> bool:
        """Compare both counts; return whether the log lacks rows that it had.

        The order of the reads matters while another relay works: the log's count is read, then the
        journal with its own count in one view, then the log's count again. Every row of the first is
        noted in that view, or waits there behind the log's mark.

        Raises:
            Reverted: the journal lacks rows that the log has.

        """
        known = self._known_now()
        with reading(self.engine, self.label) as connection:
            own, waiting = self.journal.standing(connection)
        if own.incarnation < known.incarnation:
            raise Reverted(expected=known.incarnation, found=own.incarnation)
        here = own.relayed + self._logged_already(waiting)
        if here < known.relayed:
            raise Reverted(expected=known.relayed, found=here)
        return bool(own.relayed > self._known_now().relayed)

    def _known_now(self) -> Any:
        query = sa.select(Source.relayed, Source.incarnation).where(Source.name == self.name)
        with reading(self.databases.control, CONTROL) as connection:
            return connection.execute(query).one()

    def _logged_already(self, waiting: Sequence[Waiting]) -> int:
        """Return how many rows wait for nothing but the note that the log has them."""
        query = sa.select(RelayMark.run, RelayMark.shard, RelayMark.number)
        runs = {part.run for part in waiting}
        query = query.where(RelayMark.datasource == self.name, RelayMark.run.in_(runs))
        with reading(self.databases.control, CONTROL) as connection:
            marks = {(row.run, row.shard): int(row.number) for row in connection.execute(query)}
        behind = ((part, marks.get((part.run, part.shard), 0)) for part in waiting)
        return sum(min(part.rows, max(0, mark - part.first + 1)) for part, mark in behind)

    def offer_again(self) -> None:
        """Take back every note: the log was restored and lacks rows that it had."""
        forgotten = self._forgotten()
        with writing(self.engine, self.label) as connection:
            source = self.journal.source(connection, lock=True)
            reopened = self.journal.unmark(connection, besides=forgotten)
            counted = source.relayed - reopened
            self.journal.put_source(connection, SourceRow(**vars(source) | {"relayed": counted}))

    def _forgotten(self) -> set[str]:
        """Return the runs whose marks went with their journal, which a restored source has again.

        The log has their events, or has pruned them: they must not be relayed another time.
        """
        with reading(self.engine, self.label) as connection:
            runs = {run for run, _ in self.journal.numbers(connection)}
        with reading(self.databases.control, CONTROL) as connection:
            marked = sa.select(RelayMark.run).where(RelayMark.datasource == self.name)
            unmarked = runs.difference(connection.scalars(marked))
            pruned = history.pruned_before(connection)
        with reading(self.engine, self.label) as connection:
            ends = {run: self.journal.ends(connection, run) for run in sorted(unmarked)}
        newest = {run: end[1] for run, end in ends.items() if end}
        with reading(self.databases.control, CONTROL) as connection:
            which = sa.select(AuditLog.id)
            logged = {id_ for id_ in newest.values() if connection.scalar(which.where(AuditLog.id == id_))}
        return {
            run for run, last in newest.items() if last in logged or (pruned and events.made(last) < pruned)
        }

    def missing(self) -> dict[str, tuple[int, int]]:
        """Return what the log has and the journal lacks: `run/shard` → first and last number."""
        query = sa.select(RelayMark.run, RelayMark.shard, RelayMark.number)
        query = query.where(RelayMark.datasource == self.name).order_by(RelayMark.run.desc(), RelayMark.shard)
        with reading(self.databases.control, CONTROL) as connection:
            marks = connection.execute(query.limit(MOST_NAMED)).all()
        with reading(self.engine, self.label) as connection:
            ends = [self.journal.last(connection, mark.run, mark.shard)[0] for mark in marks]
        return {
            f"{mark.run}/{mark.shard}": (end + 1, int(mark.number))
            for mark, end in zip(marks, ends, strict=True)
            if end < mark.number
        }

    def stop(self, state: str, reason: str, *alarm: events.Event) -> None:
        """Take nothing more from this source until a person has looked."""
        with writing(self.databases.control, CONTROL) as connection:
            update = sa.update(Source).where(Source.name == self.name, Source.state == "ok")
            # Of several that notice, one tells the log.
            if connection.execute(update.values(state=state, reason=reason)).rowcount:
                store(connection, *alarm)


class Reverted(Exception):
    """The journal lacks rows that the log has: counts of journal rows, or incarnations."""

    def __init__(self, *, expected: int, found: int) -> None:
        super().__init__(f"expected {expected}, found {found}")
        self.expected = expected
        self.found = found


def count_up(connection: sa.Connection, sums: Mapping[tuple[str, str, str], int]) -> None:
    """Add to the ledger in the caller's transaction: (policy, table, action) → rows; no figure ever falls."""
    for (policy, table, action), rows in sums.items():
        key = {"policy": policy, "table_name": table, "action": action}
        dialects.insert_missing(connection, table_of(Ledger), key | {"rows": 0})
        which = (Ledger.policy == policy) & (Ledger.table_name == table) & (Ledger.action == action)
        connection.execute(sa.update(Ledger).where(which).values(rows=Ledger.rows + rows))
