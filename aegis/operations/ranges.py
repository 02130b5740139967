"""Ranges: a large run is cut into shards that several workers work on at the same time.

The run's own row is shard 0. While ranges are open nobody works on that; the worker that finds
all of them finished takes the run itself again, looks at what is left, and ends it.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.db.columns import table_of
from aegis.db.tables import Run, RunShard
from aegis.errors import Busy, Fenced
from aegis.operations.marks import MarkBox
from aegis.operations.system import System

#: What a claim of a range keeps in the range's own row.
LEASE: Final = frozenset({"attempts", "lease_owner", "lease_until"})


@dataclass(frozen=True, kw_only=True)
class Range:
    """One shard's part of a table: the marks at which it begins and ends."""

    shard: int
    #: Empty: from the beginning.
    begin: Mapping[str, Any]
    #: None: to the end of the table.
    end: Mapping[str, Any] | None


def cut(system: System, connection: sa.Connection, run: str, marks: Sequence[Mapping[str, Any]]) -> None:
    """Store the ranges between marks, in the caller's transaction."""
    edges: list[Mapping[str, Any] | None] = [{}, *marks, None]
    rows = [
        {
            "run": run,
            "shard": shard,
            "bounds": _box(system, run, shard).seal({"begin": edges[shard - 1], "end": edges[shard]}),
            "epoch": 0,
            "attempts": 0,
        }
        for shard in range(1, len(edges))
    ]
    connection.execute(sa.insert(RunShard), rows)


def read(system: System, row: Mapping[str, Any]) -> Range:
    """Return the range of a claimed shard's row."""
    bounds = _box(system, row["run"], row["shard"]).open(row["bounds"])
    return Range(shard=row["shard"], begin=bounds["begin"], end=bounds["end"])


def unfinished(connection: sa.Connection, run: str) -> int:
    """Return how many ranges of a run are not through."""
    query = sa.select(sa.func.count()).where(RunShard.run == run, RunShard.finished_at.is_(None))
    return int(connection.scalar(query) or 0)


def free(connection: sa.Connection, run: Mapping[str, Any], moment: dt.datetime) -> Mapping[str, Any]:
    """Return a range that nobody works on; the caller has locked the run's row.

    Raises:
        Busy: every range has its worker, or is not due yet.

    """
    query = sa.select(table_of(RunShard)).where(
        RunShard.run == run["id"],
        RunShard.finished_at.is_(None),
        sa.or_(RunShard.lease_until.is_(None), RunShard.lease_until <= moment),
        sa.or_(RunShard.not_before.is_(None), RunShard.not_before <= moment),
    )
    row = connection.execute(query.order_by(RunShard.shard).limit(1)).mappings().one_or_none()
    if row is None:
        message = f"run {run['id']} of policy {run['policy']}: every range has its worker, or is not due yet"
        raise Busy(message)
    return dict(row)


def update(
    connection: sa.Connection, shard: Mapping[str, Any], epoch: int, values: Mapping[str, Any]
) -> None:
    """Write the row of a range under the epoch of its claim.

    Raises:
        Fenced: another worker took the range over.

    """
    mine = sa.and_(RunShard.run == shard["run"], RunShard.shard == shard["shard"], RunShard.epoch == epoch)
    if connection.execute(sa.update(RunShard).where(mine).values(**values)).rowcount != 1:
        message = f"run {shard['run']} shard {shard['shard']} was taken over by another worker"
        raise Fenced(message)


def worked_on(moment: dt.datetime) -> sa.ColumnElement[bool]:
    """Return the condition that a worker has a range of the run in hand."""
    return sa.exists().where(RunShard.run == Run.id, RunShard.lease_until > moment)


def seconds_until_free(connection: sa.Connection, run: str, moment: dt.datetime) -> float:
    """Return how long every open range is put off; 0 when one is due."""
    waits = sa.select(RunShard.not_before).where(RunShard.run == run, RunShard.finished_at.is_(None))
    waiting = [0.0 if due is None else (due - moment).total_seconds() for due in connection.scalars(waits)]
    return max(0.0, min(waiting, default=0.0))


def _box(system: System, run: str, shard: int) -> MarkBox:
    return MarkBox(system.worker_key.subkey("mark"), run, shard)
