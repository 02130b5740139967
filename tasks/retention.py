"""Retention tasks."""

from typing import Any

from celery import Task, shared_task

from aegis.operations.table import ENFORCE, REGISTER, RUN
from api import privacy
from tasks.waking import wake


@shared_task(name=REGISTER, bind=True)
def register(
    self: "Task[Any, Any]", /, *, request_id: str | None = None, **definition: Any
) -> dict[str, Any]:
    """Register a policy, once per request; takes the arguments of `register_retention_policy`."""
    done = privacy.register_policy_once(request_id or str(self.request.id), definition)
    return {"operation": "retention.register", "outcome": done["state"], "policy": done["policy"]}


@shared_task(name=ENFORCE, bind=True)
def enforce(
    self: "Task[Any, Any]",
    *,
    dry_run: bool = True,
    tenant_id: str | int | None = None,
    policies: list[str] | None = None,
    actor: str = "system",
    request_id: str | None = None,
) -> dict[str, Any]:
    """Create the runs of all permitted policies, or of those named, and wake workers for them."""
    if dry_run:
        counted = privacy.enforce_retention_policies(
            dry_run=True, tenant_id=tenant_id, policies=policies, actor=actor
        )
        return {"operation": "retention.enforce", "outcome": "dry_run", "counted": counted}
    request = request_id or str(self.request.id)
    runs = privacy.create_retention_runs(request, tenant_id=tenant_id, policies=policies, actor=actor)
    wake(runs)
    return {"operation": "retention.enforce", "outcome": "accepted", "runs": runs}


@shared_task(name=RUN)
def run(*, run_id: str) -> dict[str, Any]:
    """Do one slice of a run; while there is more, wake a worker for the next."""
    report = privacy.advance_run(run_id)
    if report["more"]:
        wake([run_id] * report["ranges"])
    return report
