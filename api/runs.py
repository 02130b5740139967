"""The doors of runs: create them, work on them, plan them, and stop one of them or let it go on."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from aegis.arguments import RequestId, door
from aegis.operations import requests, reviews, runs
from aegis.operations.system import current
from aegis.retention import control, enforcement, returning, scheduling
from aegis.retention import policies as registry
from aegis.retention.runs import advance
from aegis.retention.slices import OnProgress


@door
def enforce_retention_policies(
    dry_run: bool = True,  # noqa: FBT001, FBT002 - the signature that services already use
    tenant_id: Any = None,
    *,
    policies: Sequence[str] | None = None,
    actor: str = "system",
    on_progress: OnProgress | None = None,
    full_speed: bool = False,
) -> list[dict[str, Any]]:
    """Count what is past its time, or with `dry_run=False` make it go, in this process.

    Args:
        dry_run: count only; nothing is changed.
        tenant_id: this tenant's rows only; every chosen policy must have a tenant column.
        policies: names; default: every policy.
        actor: who asks for it.
        on_progress: called after each batch with what it did.
        full_speed: no pauses and no throttle, for a maintenance window.

    Returns:
        For each policy: policy, table, action, cutoff (ISO 8601), rows, applied, status, reason.

    Raises:
        ValueError: an unknown policy, or a tenant for a policy without a tenant column.

    """
    system = current()
    chosen = enforcement.choose(system, policies, tenant_id)
    if dry_run:
        return [enforcement.count_only(system, policy, tenant_id) for policy in chosen]
    return [
        enforcement.apply(
            system,
            policy,
            tenant=tenant_id,
            actor=actor,
            on_progress=on_progress,
            full_speed=full_speed,
        )
        for policy in chosen
    ]


@door
def create_retention_runs(
    request_id: RequestId,
    *,
    tenant_id: Any = None,
    policies: Sequence[str] | None = None,
    actor: str = "system",
) -> list[str]:
    """Create one run for each permitted policy, once for this request; return their ids."""
    system = current()
    orders = [
        enforcement.order(policy, tenant=tenant_id, actor=actor, origin="task", request_id=request_id)
        for policy in enforcement.choose(system, policies, tenant_id)
        if registry.permitted(system, policy)
    ]
    actor_ref = system.recorder.actor_ref(actor)

    def work(connection: sa.Connection) -> list[str | None]:
        return [runs.create(connection, order, actor_ref) for order in orders]

    arguments = {"tenant_id": tenant_id, "policies": policies and list(policies), "actor": actor}
    made = requests.once(
        system,
        request_id=request_id,
        operation="retention.enforce",
        arguments=arguments,
        work=work,
        actor_ref=actor_ref,
    )
    return [str(run_id) for run_id in made if run_id]


@door
def advance_run(run_id: str, seconds: float | None = None) -> dict[str, Any]:
    """Work on a run for one slice and give it back.

    Returns:
        run, policy, table, action, rows (of this slice), total, `more` (call again), outcome
        (more, done, busy, fenced, waiting, blocked, retry, failed) and reason.

    """
    system = current()
    return advance(
        system, run_id, system.settings.retention.slice_seconds if seconds is None else seconds
    ).report()


def carry_out_unfinished(*, on_progress: OnProgress | None = None) -> list[dict[str, Any]]:
    """Work on every run that is not finished, each until it ends or waits, in this process.

    Returns:
        For each run: what `enforce_retention_policies` returns.

    """
    system = current()
    return [
        enforcement.carry_out(system, registry.by_id(system, run["policy_id"]), run["id"], on_progress)
        for run in runs.unfinished(system)
    ]


def scheduled_policies() -> list[scheduling.Scheduled]:
    """Return what beat plans with: the permitted policies and their last planned instants."""
    return scheduling.scheduled(current())


@door
def create_scheduled_run(policy_id: str, instant: dt.datetime) -> str | None:
    """Create the run of a scheduled instant; None when somebody did already."""
    return scheduling.create(current(), policy_id, instant)


@door
def note_missed_runs(policy_id: str, first: dt.datetime, last: dt.datetime, count: int) -> None:
    """Record scheduled instants that were missed and are not made up."""
    scheduling.missed(current(), policy_id, first, last, count)


def due_runs() -> list[str]:
    """Return the runs whose message or worker was lost, to be sent again; look after the holds."""
    reviews.look_after(current())
    return runs.due(current())


@door
def pause_run(run_id: str, actor: str) -> None:
    """Let the batch in flight be a run's last; it goes on when a person resumes it."""
    control.pause(current(), run_id, actor=actor)


@door
def resume_run(run_id: str, actor: str) -> None:
    """Let a run go on that was paused, blocked or quarantined; the reconciler sends it."""
    control.resume(current(), run_id, actor=actor)


@door
def resume_source(datasource: str, actor: str) -> returning.Resumed:
    """Let a data source go on that was restored from a backup, once it is accounted for what came back.

    Raises:
        aegis.errors.Refused: it is in order, was tampered with, or is another database.

    """
    return returning.resume(current(), datasource, actor=actor)


@door
def cancel_run(run_id: str, actor: str) -> int:
    """End a run for good after the batch in flight; return the rows that went until then."""
    return control.cancel(current(), run_id, actor=actor)
