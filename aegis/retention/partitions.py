"""Partitions that are wholly past: each is detached, looked at once more, and dropped (PostgreSQL).

The way of one partition, each step committed:

    intent      a journal row says which partition, and how it was attached
    detach      concurrently; beside a default partition, briefly, in the transaction of the intent
    drop        on the detached table's lock: holds and every row once more, DROP, journal row, event

A drop follows its detach in one go. Whatever comes between, a kill too, the partition is attached
again before anything else is done for the run, and then the way begins anew.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from aegis.audit import events
from aegis.db import dialects, partitions, transactions
from aegis.db.engines import reading
from aegis.db.facts import read_server
from aegis.db.journal import Journal
from aegis.db.partitions import Leaf
from aegis.db.tables import DataRetentionPolicy
from aegis.errors import OperationFailed, Passing, Refused
from aegis.operations.batches import Act, Change, Shard, Tell
from aegis.operations.scopes import Scope
from aegis.retention.attaching import INTENT, KEPT, NAP_SECONDS, put_back, tried, with_intent, without_intent
from aegis.retention.bounds import wholly_past, why_in_batches
from aegis.retention.cutoffs import Cutoffs
from aegis.retention.target import Target

#: Seconds that transactions get to end before a partition that they know is detached.
GRACE_SECONDS: Final = 5.0


class _Stays(Exception):
    """A row of the partition has a reason to stay, or there are more than may go."""


class Partitions:
    """The partitions of one run's table, during one slice."""

    def __init__(
        self,
        policy: DataRetentionPolicy,
        run: Mapping[str, Any],
        shard: Shard,
        *,
        target: Target,
        cutoffs: Cutoffs,
        tell: Tell,
    ) -> None:
        self._policy, self._run = policy, run
        self._target, self._cutoffs = target, cutoffs
        self._shard, self._tell = shard, tell
        self._engine, self._label = shard.engine, shard.label
        self._concurrently = True

    def due(self) -> list[Leaf]:
        """Return the partitions to drop; none once batches have begun, for they go on behind their mark."""
        begun = self._shard.mark.keys() - {KEPT, "sweep"}
        dialect = self._engine.dialect.name
        if begun or dialect != dialects.POSTGRESQL or not self._target.layout.partitioned:
            return []
        if why_in_batches(self._target, self._policy, self._run["tenant"]):
            return []
        with reading(self._engine, self._label) as connection:
            self._look(connection)
            found = wholly_past(connection, self._target, self._cutoffs)
            self._concurrently = not (found and read_server(connection).pooled)
        kept = self._shard.mark.get(KEPT, [])
        return [whole.leaf for whole in found if not whole.why_not and whole.leaf.oid not in kept]

    def drop(self, leaf: Leaf, most: int | None) -> Change | None:
        """Drop one partition; None when it is left to batches, attached as it was.

        Raises:
            Fenced: another worker took over.
            Waits: a stop or a hold over everything is in force.
            Refused: the partition is detached and cannot be attached again; says what to do.

        """
        if not self._worth_it(leaf, most):
            return None
        try:
            return self._dropped(leaf, most) if self._detached(leaf) else None
        except (_Stays, Passing, Refused, OperationFailed):
            put_back(self._shard, keep=True)
            return None

    def _worth_it(self, leaf: Leaf, most: int | None) -> bool:
        """Look whether the partition has rows, and none that would have to stay."""
        with reading(self._engine, self._label) as connection:
            self._look(connection)
            partitions.open_rows(connection, leaf)
            rows = partitions.rows_of(leaf, self._target.layout.table)
            one = sa.select(sa.literal(1)).select_from(rows)
            if connection.scalar(one.limit(1)) is None:
                return False
            stays = sa.func.coalesce(self._goes(rows, self._shard.holds), sa.false()).is_(sa.false())
            if self._spares and connection.scalar(one.where(stays).limit(1)) is not None:
                return False
            count = sa.select(sa.func.count()).select_from(rows)
            return most is None or int(connection.scalar(count) or 0) <= most

    @property
    def _spares(self) -> bool:
        """Whether a row in the bounds of its partition can have a reason to stay."""
        target = self._target
        return bool(self._shard.holds or target.own_holds or target.floors or target.condition)

    def _detached(self, leaf: Leaf) -> bool:
        # A function cannot detach concurrently: it is in a transaction itself.
        if self._concurrently and not leaf.beside_default and not leaf.tended:
            return self._detach_concurrently(leaf)
        try:
            tried(partial(self._shard.batch, self._intent(leaf, partitions.detach), self._tell))
        except Passing:
            return False
        return True

    def _detach_concurrently(self, leaf: Leaf) -> bool:
        if not self._free(leaf):
            return False
        self._shard.batch(self._intent(leaf), self._tell)
        partitions.detach_concurrently(self._engine, self._label, leaf, permitted=self._shard.permit)
        return True

    def _free(self, leaf: Leaf) -> bool:
        """Wait for the transactions that know the partition, before anything of it is half done."""
        until, known = time.monotonic() + GRACE_SECONDS, None
        while True:
            with reading(self._engine, self._label) as connection:
                here = partitions.users(connection, leaf)
            known = here if known is None else known & here
            if not known or time.monotonic() > until:
                return not known
            time.sleep(NAP_SECONDS)

    def _intent(self, leaf: Leaf, also: Callable[[sa.Connection, Leaf], None] | None = None) -> Act:
        def change(connection: sa.Connection, _holds: Sequence[Scope]) -> Change:
            if also is not None:
                partitions.wait(connection, lock_ms=partitions.BRIEF_MS)
                also(connection, leaf)
            return Change(rows=0, mark=with_intent(self._shard.mark, leaf), keep_mark=True)

        return change

    def _dropped(self, leaf: Leaf, most: int | None) -> Change:
        """Drop a detached partition when every row of it may go, in the transaction that says so."""
        counted: list[tuple[Sequence[Scope], int]] = []

        def look(connection: sa.Connection, holds: Sequence[Scope]) -> None:
            partitions.wait(connection, lock_ms=partitions.PATIENT_MS, statement_ms=partitions.LOOK_MS)
            partitions.lock(connection, leaf)
            counted.append((holds, self._count(connection, leaf, holds)))

        def change(connection: sa.Connection, holds: Sequence[Scope]) -> Change:
            under, rows = counted[-1]
            if holds is not under:
                rows = self._count(connection, leaf, holds)
            if most is not None and rows > most:
                raise _Stays
            partitions.drop(connection, leaf)
            mark = without_intent(self._shard.mark)
            about = {"partition": leaf.label}
            return Change(rows=rows, action="delete", mark=mark, about=about)

        return self._shard.batch(change, self._tell, first=look)

    def _count(self, connection: sa.Connection, leaf: Leaf, holds: Sequence[Scope]) -> int:
        """Count the rows of a detached partition, all of which must be past their time and free to go."""
        if partitions.standing(connection, leaf) != "alone":
            raise _Stays
        rows = partitions.rows_of(leaf, self._target.layout.table)
        each = (sa.func.count(), sa.func.count().filter(self._goes(rows, holds)))
        total, go = connection.execute(sa.select(*each).select_from(rows)).one()
        if not total or go != total:
            raise _Stays
        return int(total)

    def _goes(self, rows: sa.TableClause, holds: Sequence[Scope]) -> sa.ColumnElement[bool]:
        """Return what a row of the partition has to fulfil: the whole predicate of a batch."""
        table = self._target.layout.table
        doomed = self._target.doomed(self._cutoffs, holds, self._policy.name, self._run["tenant"])

        def its_own(element: Any, **_: Any) -> Any:
            mine = isinstance(element, sa.Column) and element.table is table
            return rows.c[element.name] if mine else None

        found: sa.ColumnElement[bool] = visitors.replacement_traverse(doomed, {}, its_own)
        return found

    def _look(self, connection: sa.Connection) -> None:
        transactions.begin_work(connection, lock_ms=partitions.PATIENT_MS, statement_ms=partitions.LOOK_MS)


def dropped(connection: sa.Connection, run: str) -> dict[str, int]:
    """Return how many partitions a run has dropped, and the rows in them; empty for none."""
    told = [events.details_of(entry) for entry in Journal(connection.dialect.name).entries(connection, run)]
    whole = [details["rows"] for details in told if INTENT in details]
    return {"dropped": len(whole), "rows": sum(whole)} if whole else {}
