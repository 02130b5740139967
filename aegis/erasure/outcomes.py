"""What became of a request for an erasure, as callers and people are told."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.events import stamp
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import Request, Run
from aegis.erasure import asking, copies, ending, parts, persons, rests
from aegis.erasure.asking import OPERATION, Wish
from aegis.erasure.copies import Copy
from aegis.erasure.plan import Plan
from aegis.erasure.runs import advance
from aegis.errors import AegisError, Passing
from aegis.operations import claims, runs
from aegis.operations.states import CLAIMABLE, FINAL, STUCK, State, Wait
from aegis.operations.system import System

#: Faults that pass are waited out so often.
PATIENCE: Final = 5
#: Of so many requests one is likely to be whole, and no part of another one.
_PARTS: Final = 5
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
    #: The same people in other data sources.
    elsewhere: tuple["Erasure", ...] = ()
    #: The request that finishes what is retained, and the day.
    rest: Mapping[str, str] | None = None
    #: When every copy elsewhere was confirmed; with none: when it was done.
    closed_at: str | None = None
    #: The copies that have to forget them too, from when it is done.
    copies: tuple[Copy, ...] = ()

    def __bool__(self) -> bool:
        """Whether the erasure is complete."""
        return self.status == State.DONE


def planned(system: System, wish: Wish) -> Erasure:
    """Return what would be done, without doing it."""
    made = asking.look(system, wish)
    return _would(made.joint, len(made.people))


def _would(made: Plan, people: int) -> Erasure:
    rows = {f"{step.action}:{step.table}": step.rows for step in made.steps if step.rows}
    return Erasure(
        status="dry_run",
        subject=made.subject,
        datasource=made.datasource,
        reason="; ".join(made.objections) or None,
        rows=rows,
        persons=people,
        digest=made.digest,
        elsewhere=tuple(_would(other, people) for other in made.elsewhere),
    )


def not_found(wish: Wish, reason: str) -> Erasure:
    """Return that nobody has such a key, or that nobody is in a group."""
    return Erasure(
        status="not_found",
        subject=wish.subject,
        datasource=wish.datasource,
        reason=reason,
        persons=len(wish.keys),
    )


def carry_out(system: System, run_id: str, on_progress: OnProgress | None = None) -> Erasure:
    """Work on an erasure until it ends or somebody else must act; a passing fault is waited out.

    Other data sources come first: the people's home ends when all others have.
    """
    request = asking.fetch(system, runs.fetch(system, run_id)["request_id"])
    for other in parts.others(system, request):
        if other.run["state"] in CLAIMABLE:
            _carry_out(system, other.run["id"], on_progress)
    return _carry_out(system, run_id, on_progress)


def _carry_out(system: System, run_id: str, on_progress: OnProgress | None) -> Erasure:
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
        _relay(system, found.datasource)
    except AegisError as error:
        # The rows are changed and the journal has it; that the log has not is an alarm of its own.
        return replace(found, status="unrelayed", reason=str(error))
    return replace(found, status=status, reason=piece.reason or found.reason)


def _relay(system: System, datasource: str) -> None:
    """Move events into the log; a lock that another worker's batch has is waited out."""
    for tried in range(PATIENCE - 1):
        try:
            system.relay.relay(datasource)
        except Passing:
            time.sleep(claims.backoff(tried))
        else:
            return
    system.relay.relay(datasource)


def standing(system: System, request_id: str) -> Erasure:
    """Return where a request stands.

    Raises:
        UnknownName: there is no such request.

    """
    return _told(system, asking.fetch(system, request_id))


def recent(system: System, limit: int) -> list[Erasure]:
    """Return where the newest requests stand, newest first."""
    query = sa.select(table_of(Request)).where(Request.operation == OPERATION)
    with reading(system.databases.control, CONTROL) as connection:
        rows = connection.execute(query.order_by(Request.received_at.desc()).limit(_PARTS * limit))
        whole = [
            dict(row) for row in rows.mappings() if not (parts.home_of(dict(row)) or rests.waits(dict(row)))
        ]
    return [_told(system, row) for row in whole[:limit]]


@dataclass(frozen=True, kw_only=True)
class Neglected:
    """A request that is late, or waits for a person."""

    request: str
    status: str
    reason: str | None
    #: ISO 8601, UTC.
    due_at: str | None
    late: bool


def neglected(system: System) -> list[Neglected]:
    """Return the requests that should have ended by now, or do not go on by themselves; by their date."""
    unfinished = (Request.operation == OPERATION) & Run.state.not_in(sorted(FINAL))
    query = sa.select(Request.request_id, Request.arguments, Request.due_at, Run.state, Run.reason)
    query = query.join(Run, Run.request_id == Request.request_id).where(unfinished)
    with reading(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        rows = connection.execute(query.order_by(Request.due_at)).mappings().all()
    found = [(row, row["due_at"] is not None and row["due_at"] < moment) for row in rows]
    return [
        Neglected(
            request=parts.home_of(dict(row)) or row["request_id"],
            status=row["state"],
            reason=row["reason"],
            due_at=row["due_at"] and stamp(row["due_at"]),
            late=late,
        )
        for row, late in found
        if late or row["state"] in STUCK
    ]


def _told(system: System, request: Mapping[str, Any]) -> Erasure:
    run, others = runs.fetch(system, request["result"]), parts.others(system, request)
    waits = run["state"] == State.WAITING and run["waits_for"] == Wait.PARTS
    # One that is at work has its rows in the journal alone.
    report = run["report"] if run["rows"] is not None else ending.done_or_nothing(system, run)
    return Erasure(
        status=run["state"],
        subject=request["arguments"]["subject"],
        datasource=run["datasource"],
        request=request["request_id"],
        run=run["id"],
        reason=f"{Wait.PARTS}: {'; '.join(map(parts.told, others))}" if waits else run["reason"],
        rows=ending.total(run, report),
        persons=request["arguments"].get("persons") or persons.count(system, run["id"]),
        digest=request["plan_digest"],
        received_at=stamp(request["received_at"]),
        due_at=request["due_at"] and stamp(request["due_at"]),
        finished_at=run["finished_at"] and stamp(run["finished_at"]),
        rest=report.get("rest"),
        elsewhere=tuple(_told(system, other.request) for other in others),
        closed_at=request["closed_at"] and stamp(request["closed_at"]),
        copies=copies.of_request(system, request["request_id"]),
    )
