"""The stages of a run: what is done to rows, one after the other, each with its own cutoff.

Most policies have one. With `delete_after_days` there are two: what is past its time is anonymized,
and then what is so many days older is deleted. Only rows that are masked are deleted: one that the
first stage did not reach, because it came late or is held, waits for it.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from aegis.audit import events
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading
from aegis.db.journal import Journal
from aegis.db.tables import Run
from aegis.masking.keys import MaskKey
from aegis.operations.states import State
from aegis.operations.system import System
from aegis.retention.changes import RowAction, action_for
from aegis.retention.cutoffs import Cutoffs, began_at, cutoffs_for
from aegis.retention.target import Target


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One action on the rows that are past their time for it."""

    action: RowAction
    cutoffs: Cutoffs
    #: Says which rows are this stage's once the stages before it are through.
    target: Target
    #: Says which rows that will be, counted before the run.
    ahead: Target


def stages_of(target: Target, policy: Any, cutoffs: Cutoffs, key: MaskKey | None = None) -> tuple[Stage, ...]:
    """Return the stages of a policy's run.

    Args:
        target: the policy's table.
        policy: its action, and after how many days more it deletes.
        cutoffs: the run's.
        key: for masks that need one; nothing but a count works without it.

    """
    action = action_for(target, policy.action, key)
    first = Stage(action=action, cutoffs=cutoffs, target=target, ahead=target)
    if policy.delete_after_days is None:
        return (first,)
    second = Stage(
        action=action_for(target, "delete"),
        cutoffs=cutoffs.shifted(policy.delete_after_days),
        target=replace(target, part="masked"),
        ahead=replace(target, part="all"),
    )
    return (first, second)


def deleted(stages: Sequence[Stage], tenant: Any) -> sa.ColumnElement[bool] | None:
    """Return the rows that go for good in this run, legal holds left aside; None when none do."""
    last = stages[-1]
    return last.ahead.expired(last.cutoffs, tenant) if last.action.name == "delete" else None


def done(connection: sa.Connection, policy: Any, run: str) -> dict[str, int]:
    """Return the rows that a run has changed so far, by action, from its journal."""
    journal = Journal(connection.dialect.name)
    if policy.delete_after_days is None:
        return {policy.action: journal.rows_gone(connection, run)}
    total: Counter[str] = Counter({policy.action: 0, "delete": 0})
    for action, rows in _told(journal.entries(connection, run)):
        total[action] += rows
    return dict(total)


def done_by(system: System, policy: Any, run: Mapping[str, Any]) -> dict[str, int]:
    """Return the rows that a run has changed so far, by action."""
    engine = system.databases.source(run["datasource"])
    with reading(engine, f"data source {run['datasource']}") as connection:
        return done(connection, policy, run["id"])


def done_until(system: System, policy: Any, run: Mapping[str, Any], target: Target) -> dt.datetime | None:
    """Return the cutoff up to which an earlier run of the same policy has masked the rows.

    Only a place to begin at: rows before it that came late, or were held, are found by the count
    at the end, and then the run goes through the whole table. A run that ended by its budget was
    through with nothing, so a policy that has one begins at the beginning.
    """
    if target.masks is None or policy.budget:
        return None
    all_of_it = sa.or_(Run.tenant.is_(None), Run.tenant == run["tenant"])
    finished = sa.and_(Run.policy_id == policy.id, Run.state == State.DONE, Run.cutoff.is_not(None))
    query = sa.select(table_of(Run)).where(finished, all_of_it)
    with reading(system.databases.control, CONTROL) as connection:
        found = connection.execute(query.order_by(Run.cutoff.desc()).limit(1)).mappings().first()
    if found is None:
        return None
    moment = began_at(dict(found), policy)
    return cutoffs_for(policy, moment, target, tenant=found["tenant"], base=found["cutoff"]).earliest


def _told(entries: Iterable[bytes]) -> Iterator[tuple[str, int]]:
    for entry in entries:
        details = events.details_of(entry)
        yield details["action"], details["rows"]
