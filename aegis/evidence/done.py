"""What was done: runs of policies, erasures with their receipts, and where each stands in the log."""

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import AuditLeaf, AuditLog, DataRetentionPolicy, Request, Run
from aegis.erasure import receipts
from aegis.erasure.receipts import Receipt
from aegis.evidence.scope import Scope
from aegis.operations.states import State
from aegis.operations.system import System

_OF_A_RUN: Final = (
    "id", "request_id", "datasource", "table_name", "action", "tenant", "origin", "state", "reason",
    "scheduled_for", "cutoff", "rows_expected", "rows", "created_at", "started_at", "finished_at",
)  # fmt: skip
_OF_A_REQUEST: Final = (
    "request_id", "operation", "datasource", "state", "reason", "received_at", "due_at", "plan_digest",
    "planned_at", "executed_at", "verified_at", "closed_at", "finished_at",
)  # fmt: skip


def retention_runs(system: System, scope: Scope) -> list[dict[str, Any]]:
    """Return the runs of policies that were at work in a scope; each with the digest that it ran under."""
    return _runs(system, sa.and_(scope.runs, Run.policy_id.is_not(None)))


def erasure_runs(system: System, scope: Scope) -> list[dict[str, Any]]:
    """Return the runs of erasures in a scope; none where it is about one policy."""
    return [] if scope.policy else _runs(system, sa.and_(scope.runs, Run.policy_id.is_(None)))


def requests(system: System, scope: Scope) -> list[dict[str, Any]]:
    """Return the requests for erasures in a scope, with the clock that runs from their receipt."""
    mine = Request.request_id.in_(
        sa.select(Run.request_id).where(scope.runs, Run.policy_id.is_(None), Run.request_id.is_not(None))
    )
    table = table_of(Request)
    query = sa.select(*(table.c[name] for name in _OF_A_REQUEST)).where(mine)
    if scope.policy:
        return []
    with reading(system.databases.control, CONTROL) as connection:
        return [dict(row) for row in connection.execute(query.order_by(table.c.received_at)).mappings()]


def receipts_of(system: System, erasures: list[dict[str, Any]]) -> dict[str, Receipt]:
    """Return the receipt of each erasure that is done: id of its run → receipt.

    Raises:
        aegis.errors.Busy: its event has no place in the log yet.

    """
    done = [run["id"] for run in erasures if run["state"] == State.DONE]
    table = table_of(Run)
    with reading(system.databases.control, CONTROL) as connection:
        rows = connection.execute(sa.select(table).where(table.c.id.in_(done))).mappings().all()
    return {row["id"]: receipts.of_run(system, dict(row)) for row in rows if "text" in (row["report"] or {})}


def events_of(system: System, runs: list[dict[str, Any]], scope: Scope) -> list[str]:
    """Return the ids of the events of runs and requests that have their leaf, in the order of the log."""
    about = [*(run["id"] for run in runs), *scope.requests]
    query = sa.select(AuditLeaf.id).join(AuditLog, AuditLog.id == AuditLeaf.id)
    query = query.where(AuditLog.correlation_id.in_(about)).order_by(AuditLeaf.leaf)
    with reading(system.databases.control, CONTROL) as connection:
        return list(connection.execute(query).scalars())


def _runs(system: System, which: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
    table, policy = table_of(Run), table_of(DataRetentionPolicy)
    columns = [table.c.policy, policy.c.version, policy.c.digest, table.c.report, table.c.actor_ref]
    query = sa.select(*columns, *(table.c[name] for name in _OF_A_RUN))
    query = query.outerjoin(policy, policy.c.id == table.c.policy_id).where(which)
    places = (
        sa.select(
            AuditLog.correlation_id,
            sa.func.min(AuditLeaf.leaf).label("first"),
            sa.func.max(AuditLeaf.leaf).label("last"),
            sa.func.count().label("events"),
        )
        .join(AuditLeaf, AuditLeaf.id == AuditLog.id)
        .where(AuditLog.correlation_id.in_(sa.select(table.c.id).where(which)))
        .group_by(AuditLog.correlation_id)
    )
    with reading(system.databases.control, CONTROL) as connection:
        rows = connection.execute(query.order_by(table.c.created_at, table.c.id)).mappings().all()
        found = {row.correlation_id: row for row in connection.execute(places)}
    names = system.reader.actors({row["actor_ref"] for row in rows})
    return [
        _told(dict(row), names.get(row["actor_ref"]))
        | ({"leaves": [at.first, at.last], "events": at.events} if (at := found.get(row["id"])) else {})
        for row in rows
    ]


def _told(row: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    report = row["report"] or {}
    plain = {name: value for name, value in row.items() if name not in {"report", "actor_ref"}}
    return plain | {
        "actor": actor,
        "actions": report.get("actions") or report.get("changed") or {},
        "along": report.get("along") or {},
        "held": report.get("held"),
        "kept": report.get("kept"),
        "guard": report.get("guard"),
    }
