"""Attaching again what a run has detached: whatever happened, no partition stays detached for good.

A partition that is detached is out of the application's sight. A run that stops there, or was killed there,
attaches it before anything else, under its own epoch; a stop or a legal hold does not hinder that.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects, partitions
from aegis.db.engines import reading
from aegis.db.partitions import Leaf
from aegis.errors import AegisError, Interrupted, Passing, Refused
from aegis.operations.batches import Change, Shard
from aegis.operations.scopes import Scope
from aegis.operations.system import System

#: Where a mark keeps the partition that is on its way, and those that were attached again.
INTENT: Final = "partition"
KEPT: Final = "kept"
#: Tries to get a lock that is waited for briefly, and seconds between them.
TRIES: Final = 30
NAP_SECONDS: Final = 0.1


def attach_again(system: System, run: Mapping[str, Any], *, epoch: int) -> None:
    """Attach the partition that a run has on its way, if there is one; whoever has the run calls this.

    Raises:
        Refused: it cannot be attached as it was; says what to do.
        Interrupted: not now, or another worker has the run.

    """
    if system.databases.source(run["datasource"]).dialect.name != dialects.POSTGRESQL:
        return
    shard = Shard(system, datasource=run["datasource"], run=run["id"], epoch=epoch)
    if INTENT in shard.peek():
        shard.take_over(anyhow=True)
        put_back(shard)


def put_back(shard: Shard, *, keep: bool = False) -> None:
    """Attach the partition that a shard's mark has on its way, in whatever state it is; none: nothing.

    Args:
        shard: taken over.
        keep: leave the partition to batches from now on.

    Raises:
        Refused: it cannot be attached as it was; says what to do.
        Interrupted: not now.

    """
    if INTENT not in shard.mark:
        return
    leaf = read_intent(shard.mark)
    try:
        _finish_detach(shard, leaf)
        way = _WayBack(shard, leaf, keep=keep)
        for act in (way.prove, way.attach):
            tried(partial(shard.note, act, first=way.wait))
    except Interrupted:
        raise
    except AegisError as error:
        raise _stranded(leaf, error) from error


def without_intent(mark: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mark before the partition was on its way."""
    return {name: value for name, value in mark.items() if name != INTENT}


def with_intent(mark: Mapping[str, Any], leaf: Leaf) -> dict[str, Any]:
    """Return the mark from which the partition can be attached as it was."""
    # A worker of the version before, which may read it, knows no function of the owner's.
    known = {name: value for name, value in vars(leaf).items() if name != "tended" or value}
    return {**mark, INTENT: known}


def read_intent(mark: Mapping[str, Any]) -> Leaf:
    """Return the partition that is on its way."""
    kept = mark[INTENT]
    return Leaf(**{**kept, "checks": tuple(kept["checks"])})


def tried(act: Callable[[], Any]) -> None:
    """Do it as soon as its lock is granted quickly."""
    for number in range(1, TRIES + 1):
        try:
            act()
        except Passing:
            if number == TRIES:
                raise
            time.sleep(NAP_SECONDS)
        else:
            return


class _WayBack:
    """The two batches that attach a partition."""

    def __init__(self, shard: Shard, leaf: Leaf, *, keep: bool) -> None:
        self._leaf = leaf
        self._mark = shard.mark
        behind = without_intent(shard.mark)
        self._behind = behind | {KEPT: [*behind.get(KEPT, []), leaf.oid]} if keep else behind

    def wait(self, connection: sa.Connection, _holds: Sequence[Scope]) -> None:
        """Wait for whoever is detaching it; the application only ever waits behind a default partition."""
        patience = partitions.BRIEF_MS if self._leaf.beside_default else partitions.PATIENT_MS
        partitions.wait(connection, lock_ms=patience, statement_ms=partitions.LOOK_MS)
        partitions.lock_standing(connection, self._leaf)

    def prove(self, connection: sa.Connection, _holds: Sequence[Scope]) -> Change:
        """Read its rows now, and not while it is being attached."""
        if partitions.standing(connection, self._leaf) == "alone":
            partitions.prove(connection, self._leaf)
        return Change(rows=0, mark=self._mark)

    def attach(self, connection: sa.Connection, _holds: Sequence[Scope]) -> Change:
        """Attach it, and write that it is not on its way any more."""
        found = partitions.standing(connection, self._leaf)
        if found == "pending":
            message = f"partition {self._leaf.label} is half detached; it is tried again"
            raise Passing(message)
        if found == "alone":
            partitions.attach(connection, self._leaf)
        return Change(rows=0, mark=self._behind, keep_mark=True)


def _finish_detach(shard: Shard, leaf: Leaf) -> None:
    """Bring a concurrent detach to its end that was interrupted: only then the partition can come back."""
    with reading(shard.engine, shard.label) as connection:
        found = partitions.standing(connection, leaf)
    if found == "pending":
        anyhow = partial(shard.permit, anyhow=True)
        partitions.detach_concurrently(shard.engine, shard.label, leaf, permitted=anyhow, finalize=True)


def _stranded(leaf: Leaf, error: AegisError) -> Refused:
    parent = f"{leaf.parent_schema}.{leaf.parent_name}"
    message = (
        f"partition {leaf.label} is detached from {parent} and cannot be attached again: {error}. No row of "
        "it was deleted. Rows that came for it meanwhile may stand in the default partition: move them, then "
        "`aegis retention resume` the run, which attaches it first"
    )
    return Refused(message)
