"""What became of a request for an erasure, as callers and people are told."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.events import stamp
from aegis.db.columns import table_of
from aegis.db.engines import reading
from aegis.db.tables import Request
from aegis.erasure import asking, copies, ending, persons, plan
from aegis.erasure.asking import OPERATION, Wish
from aegis.erasure.copies import Copy
from aegis.erasure.runs import advance
from aegis.errors import AegisError
from aegis.operations import runs
from aegis.operations.states import State
from aegis.operations.system import System

#: Faults that pass are waited out so often.
PATIENCE: Final = 5
#: Is told after each batch: `action:table` → rows.
OnProgress = Callable[[Mapping[str, int]], None]


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """Where a request for an erasure stands; true when nothing of the person is left."""

    #: done, blocked, waiting, accepted, running, verifying, quarantined, failed, cancelled; for a caller also
    #: not_found, dry_run, busy, retry and unrelayed.
    status: str
    subject: str
    datasource: str
    request: str | None = None
    run: str | None = None
    reason: str | None = None
    #: `action:table` → rows.
    rows: Mapping[str, int] = field(default_factory=dict)
    persons: int = 1
    digest: str | None = None
    #: ISO 8601, UTC.
    received_at: str | None = None
    due_at: str | None = None
    finished_at: str | None = None
    #: When every copy elsewhere was confirmed; with none: when it was done.
    closed_at: str | None = None
    #: The copies elsewhere that have to forget them, from when it is done.
    copies: tuple[Copy, ...] = ()

    def __bool__(self) -> bool:
        """Whether the erasure is complete."""
        return self.status == State.DONE


def planned(system: System, wish: Wish) -> Erasure:
    """Return what would be done, without doing it."""
    made = plan.make(system, wish.keys, subject=wish.subject, datasource=wish.datasource, tenant=wish.tenant)
    rows = {f"{step.action}:{step.table}": step.rows for step in made.steps if step.rows}
    return Erasure(
        status="dry_run",
        subject=wish.subject,
        datasource=wish.datasource,
        reason="; ".join(made.objections) or None,
        rows=rows,
        persons=len(wish.keys),
        digest=made.digest,
    )


def not_found(wish: Wish, reason: str) -> Erasure:
    """Return that nobody has such a key."""
    return Erasure(
        status="not_found",
        subject=wish.subject,
        datasource=wish.datasource,
        reason=reason,
        persons=len(wish.keys),
    )


def carry_out(system: System, run_id: str, on_progress: OnProgress | None = None) -> Erasure:
    """Work on an erasure until it ends or somebody else must act; a passing fault is waited out."""
    patience = PATIENCE
    while True:
        piece = advance(system, run_id, system.settings.retention.slice_seconds, on_progress)
        if piece.outcome == "retry" and patience:
            patience -= 1
            time.sleep(runs.seconds_until_due(system, run_id))
        elif not piece.more:
            break
    found = standing(system, piece.request)
    status = piece.outcome if piece.outcome in {"busy", "retry", "fenced"} else found.status
    try:
        system.relay.relay(found.datasource)
    except AegisError as error:
        # The rows are changed and the journal has it; that the log has not is an alarm of its own.
        return replace(found, status="unrelayed", reason=str(error))
    return replace(found, status=status, reason=piece.reason or found.reason)


def standing(system: System, request_id: str) -> Erasure:
    """Return where a request stands.

    Raises:
        UnknownName: there is no such request.

    """
    return _told(system, asking.fetch(system, request_id))


def recent(system: System, limit: int) -> list[Erasure]:
    """Return where the newest requests stand, newest first."""
    query = sa.select(table_of(Request)).where(Request.operation == OPERATION)
    with reading(system.databases.control, "control database") as connection:
        rows = connection.execute(query.order_by(Request.received_at.desc()).limit(limit)).mappings().all()
    return [_told(system, dict(row)) for row in rows]


def _told(system: System, request: Mapping[str, Any]) -> Erasure:
    run = runs.fetch(system, request["result"])
    # One that is at work has its rows in the journal alone.
    report = run["report"] if run["rows"] is not None else ending.done_or_nothing(system, run)
    return Erasure(
        status=run["state"],
        subject=request["arguments"]["subject"],
        datasource=run["datasource"],
        request=request["request_id"],
        run=run["id"],
        reason=run["reason"],
        rows=ending.total(run, report),
        persons=persons.count(system, run["id"]),
        digest=request["plan_digest"],
        received_at=stamp(request["received_at"]),
        due_at=request["due_at"] and stamp(request["due_at"]),
        finished_at=run["finished_at"] and stamp(run["finished_at"]),
        closed_at=request["closed_at"] and stamp(request["closed_at"]),
        copies=copies.of_request(system, request["request_id"]),
    )
