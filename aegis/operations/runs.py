"""Runs: created once, claimed by one worker at a time, settled under the epoch of the claim.

All times come from the control database's clock, so that workers need not agree on theirs.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit import events
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading, writing
from aegis.db.journal import Journal
from aegis.db.tables import Run
from aegis.errors import UnknownName
from aegis.operations import ranges
from aegis.operations.states import CLAIMABLE, State, Wait
from aegis.operations.system import System

#: What stands for a policy's name in the runs, events and ledger of erasures.
ERASURE: Final = "erasure"
#: How often a run that waits for a person or a hold is looked at again, in seconds.
WAITING_SECONDS: Final = 300.0


@dataclass(frozen=True, kw_only=True)
class Order:
    """A run that is asked for."""

    #: None: it is an erasure.
    policy_id: str | None
    policy: str
    datasource: str
    table: str
    action: str
    origin: str
    actor: str
    tenant: str | None = None
    scheduled_for: dt.datetime | None = None
    request_id: str | None = None


def create(connection: sa.Connection, order: Order, actor_ref: str, run_id: str | None = None) -> str | None:
    """Insert a run in the caller's transaction; None when that scheduled instant has one already."""
    run_id = run_id or events.uuid7()
    values = {
        "id": run_id,
        "policy_id": order.policy_id,
        "policy": order.policy,
        "request_id": order.request_id,
        "datasource": order.datasource,
        "table_name": order.table,
        "action": order.action,
        "tenant": order.tenant,
        "origin": order.origin,
        "actor_ref": actor_ref,
        "scheduled_for": order.scheduled_for,
        "state": State.ACCEPTED,
        "epoch": 0,
        "attempts": 0,
        "shards": 1,
        "created_at": dialects.now(connection),
        "sent_at": dialects.now(connection),
    }
    return run_id if dialects.insert_missing(connection, table_of(Run), values) else None


def left_behind(system: System, order: Order) -> list[str]:
    """Return the unfinished runs of earlier calls for the same, whose processes work on them no more.

    Those of earlier versions of the policy come first.
    """
    with reading(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        query = sa.select(Run.id).where(
            Run.policy == order.policy,
            Run.tenant == order.tenant if order.tenant is not None else Run.tenant.is_(None),
            Run.origin == order.origin,
            Run.state.in_(sorted(CLAIMABLE)),
            sa.or_(Run.waits_for.is_(None), Run.waits_for != Wait.PAUSED),
            sa.or_(Run.lease_until.is_(None), Run.lease_until < moment),
            sa.not_(ranges.worked_on(moment)),
        )
        mine = sa.case((Run.policy_id == order.policy_id, 1), else_=0)
        return list(connection.scalars(query.order_by(mine, Run.created_at)))


def withdraw(system: System, run_id: str) -> bool:
    """Remove a run that nobody ever claimed; return whether it was one."""
    with writing(system.databases.control, CONTROL) as connection:
        never = (Run.id == run_id) & (Run.epoch == 0) & Run.lease_until.is_(None)
        return connection.execute(sa.delete(Run).where(never)).rowcount == 1


def fetch(system: System, run_id: str) -> Mapping[str, Any]:
    """Return a run's row."""
    with reading(system.databases.control, CONTROL) as connection:
        return row(connection, run_id, lock=False)


def due(system: System, limit: int = 100, *, erasures: bool = False) -> list[str]:
    """Return runs that nobody works on although somebody should, and note them as sent again.

    Either those of policies, or the erasures. What is due stays so until somebody claims it: its message may
    be lost too.
    """
    with writing(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        stale = moment - dt.timedelta(seconds=system.settings.operations.resend_seconds)
        waiting = Run.state == State.WAITING
        long_ago = moment - dt.timedelta(seconds=WAITING_SECONDS)
        query = sa.select(Run.id).where(
            Run.policy_id.is_(None) if erasures else Run.policy_id.is_not(None),
            Run.state.in_(sorted(CLAIMABLE)),
            sa.or_(Run.waits_for.is_(None), Run.waits_for != Wait.PAUSED),
            sa.or_(Run.lease_until.is_(None), Run.lease_until < moment),
            sa.not_(ranges.worked_on(moment)),
            sa.or_(
                sa.and_(Run.not_before.is_(None), sa.not_(waiting), Run.sent_at < stale),
                sa.and_(Run.not_before.is_(None), waiting, Run.sent_at < long_ago),
                sa.and_(Run.not_before <= moment, sa.or_(Run.sent_at <= Run.not_before, Run.sent_at < stale)),
            ),
        )
        ids = list(connection.scalars(query.order_by(Run.created_at).limit(limit)))
        # A worker for each open range.
        wanted = {run_id: max(1, ranges.unfinished(connection, run_id)) for run_id in ids}
        sent = sa.update(Run).where(Run.id.in_(ids)).values(sent_at=moment)
        connection.execute(sent)
    return [run_id for run_id, workers in wanted.items() for _ in range(workers)]


def abandoned(system: System) -> list[Mapping[str, Any]]:
    """Return the runs that somebody ought to have gone on with: no beat, or no worker, is there."""
    with reading(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        long_ago = moment - dt.timedelta(seconds=2 * WAITING_SECONDS)
        query = sa.select(Run.id, Run.policy, Run.state).where(
            Run.state.in_(sorted(CLAIMABLE - {State.WAITING})),
            Run.sent_at < long_ago,
            sa.or_(Run.lease_until.is_(None), Run.lease_until < long_ago),
            sa.or_(Run.not_before.is_(None), Run.not_before < long_ago),
            sa.not_(ranges.worked_on(moment)),
        )
        return [dict(row) for row in connection.execute(query.order_by(Run.created_at)).mappings()]


def wake_held(system: System, datasource: str) -> None:
    """Make the runs of a source that wait for a hold due at once; the reconciler sends them."""
    with writing(system.databases.control, CONTROL) as connection:
        waiting = (Run.datasource == datasource) & (Run.state == State.WAITING)
        held = sa.update(Run).where(waiting, Run.waits_for == Wait.HOLD)
        connection.execute(held.values(not_before=dialects.now(connection)))


def wake_windowed(connection: sa.Connection, policy_id: str) -> None:
    """Make the runs of a policy that wait for its window due at once: it may have other windows now."""
    waiting = (Run.policy_id == policy_id) & (Run.state == State.WAITING) & (Run.waits_for == Wait.WINDOW)
    connection.execute(sa.update(Run).where(waiting).values(not_before=dialects.now(connection)))


def unfinished(system: System) -> list[Mapping[str, Any]]:
    """Return the runs of policies that somebody may work on and that nobody paused, the oldest first."""
    unpaused = sa.or_(Run.waits_for.is_(None), Run.waits_for != Wait.PAUSED)
    query = sa.select(table_of(Run)).where(
        Run.policy_id.is_not(None), Run.state.in_(sorted(CLAIMABLE)), unpaused
    )
    with reading(system.databases.control, CONTROL) as connection:
        found = connection.execute(query.order_by(Run.created_at, Run.id)).mappings()
        return [dict(row) for row in found]


def seconds_until_due(system: System, run_id: str) -> float:
    """Return how long nobody may claim the run yet."""
    with reading(system.databases.control, CONTROL) as connection:
        run = row(connection, run_id, lock=False)
        moment = dialects.now(connection)
        left = run["not_before"] and run["not_before"] - moment
        put_off = ranges.seconds_until_free(connection, run_id, moment) if run["shards"] > 1 else 0.0
    return max(put_off, left.total_seconds() if left else 0.0)


def rows_gone(system: System, run: Mapping[str, Any]) -> int:
    """Return the rows that a run has changed so far, from its journal."""
    engine = system.databases.source(run["datasource"])
    with reading(engine, f"data source {run['datasource']}") as connection:
        return Journal(engine.dialect.name).rows_gone(connection, run["id"])


def along(system: System, run: Mapping[str, Any]) -> dict[str, int]:
    """Return the rows of other tables that a run has changed so far: `action:table` → rows."""
    engine = system.databases.source(run["datasource"])
    with reading(engine, f"data source {run['datasource']}") as connection:
        return dict(Journal(engine.dialect.name).along(connection, run["id"]))


def newest(system: System, policy: str, limit: int = 20) -> Sequence[Mapping[str, Any]]:
    """Return the newest runs of a policy, the newest first."""
    query = (
        sa.select(table_of(Run)).where(Run.policy == policy).order_by(Run.created_at.desc(), Run.id.desc())
    )
    with reading(system.databases.control, CONTROL) as connection:
        return [dict(row) for row in connection.execute(query.limit(limit)).mappings()]


def recent(system: System, limit: int) -> list[Mapping[str, Any]]:
    """Return the newest runs of policies, newest first; the rows of unfinished ones are not in them."""
    query = sa.select(table_of(Run)).where(Run.policy_id.is_not(None))
    query = query.order_by(Run.created_at.desc(), Run.id.desc()).limit(limit)
    with reading(system.databases.control, CONTROL) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def row(connection: sa.Connection, run_id: str, *, lock: bool) -> Mapping[str, Any]:
    """Return a run's row, locked until the transaction ends when that is asked for."""
    query = sa.select(table_of(Run)).where(Run.id == run_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        message = f"there is no run {run_id}; `aegis retention status` lists those there are"
        raise UnknownName(message)
    return dict(row)
