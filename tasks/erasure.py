"""Erasure tasks. A message names a person by an id and by nothing else."""

import datetime as dt
from typing import Any

from celery import Task, shared_task

from aegis.erasure.people import USER
from aegis.errors import NobodyInGroup
from aegis.operations.table import ANONYMIZE, ANONYMIZE_MANY, CONFIRM, ERASE, REPLAY
from aegis.settings import DEFAULT_SOURCE
from api import erasure
from tasks.waking import wake

#: The key of one person: a value, or one for each column.
UserId = str | int | list[str | int]


@shared_task(name=ANONYMIZE, bind=True)
def anonymize(
    self: "Task[Any, Any]",
    *,
    user_id: UserId,
    tenant_id: str | int | None = None,
    actor: str = "system",
    request_id: str | None = None,
    subject: str = USER,
    datasource: str = DEFAULT_SOURCE,
) -> dict[str, Any]:
    """Ask for the erasure of one person, and wake a worker for it."""
    request = request_id or str(self.request.id)
    words = {"tenant_id": tenant_id, "actor": actor, "subject": subject, "datasource": datasource}
    return _accept("users.anonymize", [user_id], request, words)


@shared_task(name=ANONYMIZE_MANY, bind=True)
def anonymize_many(
    self: "Task[Any, Any]",
    *,
    user_ids: list[UserId] | None = None,
    group: str | None = None,
    limit: int | None = None,
    tenant_id: str | int | None = None,
    actor: str = "system",
    request_id: str | None = None,
    subject: str = USER,
    datasource: str = DEFAULT_SOURCE,
) -> dict[str, Any]:
    """Ask for the erasure of several people, or of a group, as one request, and wake a worker for it."""
    request = request_id or str(self.request.id)
    words: dict[str, Any] = {"tenant_id": tenant_id, "actor": actor, "subject": subject}
    words |= {"datasource": datasource, "group": group, "limit": limit}
    return _accept("users.anonymize_many", user_ids, request, words)


@shared_task(name=ERASE)
def run(*, run_id: str) -> dict[str, Any]:
    """Do one slice of an erasure; while there is more, wake a worker for the next, and for whom it freed."""
    report = erasure.advance_erasure(run_id)
    wake([*report["freed"], *([run_id] if report["more"] else [])], ERASE)
    return report


@shared_task(name=REPLAY)
def replay(
    *, since: str, datasource: str = DEFAULT_SOURCE, execute: bool = False, actor: str = "system"
) -> dict[str, Any]:
    """Look for erased people who came back with a restored database; with `execute` erase them again."""
    found = erasure.replay_erasures(
        dt.datetime.fromisoformat(since), actor=actor, datasource=datasource, execute=execute
    )
    outcome = "done" if execute else "dry_run"
    return {"operation": "erasure.replay", "outcome": outcome, "returned": sum(one.returned for one in found)}


@shared_task(name=CONFIRM)
def confirm(*, request: str, copy: str, actor: str) -> dict[str, Any]:
    """Confirm that a copy elsewhere has forgotten the people of a request."""
    found = erasure.confirm_copy(request, copy, actor)
    outcome = "closed" if found.closed_at else "confirmed"
    return {"operation": "erasure.confirm", "outcome": outcome, "request": request, "copy": copy}


def _accept(
    operation: str, user_ids: list[UserId] | None, request: str, words: dict[str, Any]
) -> dict[str, Any]:
    try:
        run_id = erasure.request_erasure(user_ids, request, **words)
    except NobodyInGroup:
        return {"operation": operation, "outcome": "not_found", "request": request}
    wake(erasure.erasure_runs(request), ERASE)
    return {"operation": operation, "outcome": "accepted", "request": request, "run": run_id}
