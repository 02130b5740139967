"""How fast the runs of a table go, from what their batches left in the journal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.events import made
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading
from aegis.db.journal import Journal
from aegis.db.tables import DataRetentionPolicy, Run
from aegis.operations.states import State
from aegis.operations.system import System
from aegis.retention import policies

#: Runs that are looked at, the newest ones.
RUNS: Final = 5


@dataclass(frozen=True, kw_only=True)
class Tempo:
    """The rate at which rows went, pauses included."""

    rows_per_second: float
    #: Runs that it was taken from.
    runs: int


def recent_runs(system: System, policy: DataRetentionPolicy) -> Sequence[Mapping[str, Any]]:
    """Return the newest runs with the policy's action on its table that can tell how fast they went."""
    query = sa.select(table_of(Run)).where(
        Run.datasource == policy.datasource,
        Run.table_name == policies.definition_of(policy).table,
        Run.action == policy.action,
        sa.or_(Run.rows > 0, Run.state.in_([State.RUNNING, State.VERIFYING])),
    )
    query = query.order_by(Run.created_at.desc(), Run.id.desc()).limit(RUNS)
    with reading(system.databases.control, CONTROL) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def tempo(connection: sa.Connection, runs: Sequence[Mapping[str, Any]]) -> Tempo | None:
    """Return how fast these runs went; None when none of them tells.

    Args:
        connection: their data source.
        runs: from `recent_runs`.

    """
    journal = Journal(connection.dialect.name)
    measured = [spent for spent in (_spent(connection, journal, run) for run in runs) if spent]
    seconds = sum(seconds for _, seconds in measured)
    if not seconds:
        return None
    return Tempo(rows_per_second=sum(rows for rows, _ in measured) / seconds, runs=len(measured))


def _spent(connection: sa.Connection, journal: Journal, run: Mapping[str, Any]) -> tuple[int, float] | None:
    """Return the rows of a run and the seconds of its batches, the pauses between them included."""
    ends = journal.ends(connection, run["id"])
    if ends is None:
        return None
    rows = run["rows"] if run["rows"] is not None else journal.rows_gone(connection, run["id"])
    first, last, number = ends
    seconds = (made(last) - made(first)).total_seconds()
    if number > 1 and seconds > 0:
        return rows, seconds * number / (number - 1)
    if run["finished_at"] is None:
        return None
    # One batch has no span; the whole run's time is no less than it took.
    whole = (run["finished_at"] - run["started_at"]).total_seconds()
    return (rows, whole) if whole > 0 else None
