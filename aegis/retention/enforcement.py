"""Enforcing policies from a call or a command: count, or run to the end in this process."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from aegis.audit.events import stamp
from aegis.db.engines import CONTROL, writing
from aegis.db.tables import DataRetentionPolicy
from aegis.errors import AegisError, Interrupted, InvalidPolicy, OperationFailed
from aegis.operations import runs
from aegis.operations.runs import Order
from aegis.operations.states import PolicyState
from aegis.operations.system import System
from aegis.retention import policies, sessions
from aegis.retention.cutoffs import told
from aegis.retention.looking import look
from aegis.retention.order import in_order
from aegis.retention.runs import advance
from aegis.retention.slices import OnProgress, Slice
from aegis.retention.stages import done_by

#: How often a passing fault (a lock, a lost connection) is waited out in one call.
PATIENCE: Final = 20


def choose(system: System, names: Sequence[str] | None, tenant: Any) -> list[DataRetentionPolicy]:
    """Return the policies to enforce; refuse a tenant where a policy cannot tell tenants apart."""
    found = policies.newest(system, None if names is None else list(names))
    chosen = [policy for policy in found if names is not None or policy.state != PolicyState.DISABLED]
    blind = [policy.name for policy in chosen if policy.tenant_column is None]
    if tenant is not None and blind:
        message = (
            f"a tenant was named, but these policies have no tenant_column: {', '.join(blind)}; "
            "name those that have one with policies=[…]. Nothing was changed"
        )
        raise InvalidPolicy(message)
    return in_order(chosen)


def count_only(system: System, policy: DataRetentionPolicy, tenant: Any) -> dict[str, Any]:
    """Return what the policy would do now; a policy that cannot be counted says why."""
    return _counted(system, policy, tenant, "dry_run", None)


def apply(
    system: System,
    policy: DataRetentionPolicy,
    *,
    tenant: Any,
    actor: str,
    on_progress: OnProgress | None,
    full_speed: bool = False,
) -> dict[str, Any]:
    """Run the policy to its end, relay its events, and return what went.

    A run of an earlier call whose process died is gone on with, from its mark.
    """
    if not policies.permitted(system, policy):
        return _counted(system, policy, tenant, "unapproved", policies.why_not_permitted(system, policy))
    try:
        wanted = order(policy, tenant=tenant, actor=actor, origin="call")
        system.relay.register(policy.datasource)
        run_id = _left_behind(system, wanted) or _create(system, wanted)
    except AegisError as error:
        return _fault(policy, error)
    report = carry_out(system, policy, run_id, on_progress, full_speed=full_speed)
    if report["status"] == "busy" and runs.withdraw(system, run_id):
        # Nobody is to find a run later that its caller was told is not done.
        del report["run"]
    return report


def carry_out(
    system: System,
    policy: DataRetentionPolicy,
    run_id: str,
    on_progress: OnProgress | None = None,
    *,
    full_speed: bool = False,
) -> dict[str, Any]:
    """Advance a run to its end in this process, relay its events, and return what went."""
    try:
        report = _applied(system, policy, _to_the_end(system, run_id, on_progress, full_speed=full_speed))
    except AegisError as error:
        # What was committed stands in the journal; the relay of beat takes it from there.
        return _fault(policy, error) | {"run": run_id}
    try:
        system.relay.relay(policy.datasource)
    except AegisError as error:
        # The rows are gone and the journal has them; that the log has not is an alarm of its own.
        return report | {"status": "unrelayed", "reason": str(error)}
    return report


def order(
    policy: DataRetentionPolicy, *, tenant: Any, actor: str, origin: str, request_id: str | None = None
) -> Order:
    """Return the order for one run of a policy.

    Raises:
        InvalidPolicy: it needs a tenant, and none was named.

    """
    sessions.seen_by(policy, tenant)
    return Order(
        policy_id=policy.id,
        policy=policy.name,
        datasource=policy.datasource,
        table=policies.definition_of(policy).table,
        action=policy.action,
        tenant=None if tenant is None else str(tenant),
        origin=origin,
        actor=actor,
        request_id=request_id,
    )


def _left_behind(system: System, wanted: Order) -> str | None:
    """Return the run to go on with; runs of earlier versions are ended first, as their gates say."""
    for run_id in runs.left_behind(system, wanted):
        if runs.fetch(system, run_id)["policy_id"] == wanted.policy_id:
            return run_id
        advance(system, run_id, system.settings.retention.slice_seconds)
    return None


def _create(system: System, wanted: Order) -> str:
    actor_ref = system.recorder.actor_ref(wanted.actor)
    with writing(system.databases.control, CONTROL) as connection:
        run_id = runs.create(connection, wanted, actor_ref)
    if run_id is None:
        message = f"the run of policy {wanted.policy} for that instant exists already"
        raise OperationFailed(message)
    return run_id


def _to_the_end(system: System, run_id: str, on_progress: OnProgress | None, *, full_speed: bool) -> Slice:
    """Advance until the run ends or somebody else must act; a passing fault is waited out."""
    seconds, patience = system.settings.retention.slice_seconds, PATIENCE
    while True:
        piece = advance(system, run_id, seconds, on_progress, full_speed=full_speed)
        if piece.outcome == "retry" and patience:
            patience -= 1
            if on_progress:
                on_progress(replace(piece, rows=0))
            time.sleep(runs.seconds_until_due(system, run_id))
        elif not piece.more:
            return piece


def _applied(system: System, policy: DataRetentionPolicy, piece: Slice) -> dict[str, Any]:
    run = runs.fetch(system, piece.run)
    report = _report(policy, piece.outcome, piece.reason)
    report["applied"] = piece.outcome == "done"
    report["actions"] = (run["report"] or {}).get("actions") or done_by(system, policy, run)
    report["rows"] = sum(report["actions"].values())
    report["cutoff"] = run["cutoff"] and stamp(run["cutoff"])
    report["cutoffs"] = told(run, policy)
    report |= {name: (run["report"] or {}).get(name, {}) for name in ("left", "throttled", "partitions")}
    report["uncounted"] = (run["report"] or {}).get("uncounted", "")
    report["run"] = piece.run
    return report | _seen(policy, run["tenant"])


def _counted(
    system: System, policy: DataRetentionPolicy, tenant: Any, status: str, reason: str | None
) -> dict[str, Any]:
    report = _report(policy, status, reason)
    try:
        seen = look(system, policy, tenant=tenant)
    except AegisError as error:
        return _fault(policy, error)
    own = {str(name): stamp(cutoff) for name, cutoff in seen.cutoffs.by_tenant.items()}
    found = {"cutoff": stamp(seen.cutoff), "cutoffs": own, "rows": seen.rows, "actions": seen.actions}
    return report | found | _seen(policy, tenant)


def _seen(policy: DataRetentionPolicy, tenant: Any) -> dict[str, str]:
    """Return whose view a report has, where that is not everybody's."""
    words = sessions.told(policy, tenant)
    return {} if words is None else {"seen": words}


def _fault(policy: DataRetentionPolicy, error: AegisError) -> dict[str, Any]:
    """Return the report of a policy that could not be carried out, without hiding why."""
    return _report(policy, "interrupted" if isinstance(error, Interrupted) else "failed", str(error))


def _report(policy: DataRetentionPolicy, status: str, reason: str | None) -> dict[str, Any]:
    return {
        "policy": policy.name,
        "table": policies.definition_of(policy).table,
        "action": policy.action,
        "cutoff": None,
        "cutoffs": {},
        "rows": None,
        "actions": {},
        "applied": False,
        "status": status,
        "reason": reason,
    }
