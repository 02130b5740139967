"""Ending an erasure, or a slice of it: what it did, and the state in which it is given back."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.actions import Action, Outcome
from aegis.audit.events import Event
from aegis.audit.recorder import Note
from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import Request
from aegis.erasure import burying, closing, copies, parts, persons, receipts, rests
from aegis.erasure.erasers import Reported
from aegis.erasure.parts import Part
from aegis.erasure.persons import Kept
from aegis.erasure.slices import Slice
from aegis.erasure.tracing import Trace
from aegis.erasure.verifying import Searched
from aegis.errors import AegisError
from aegis.operations import claims, requests, runs, tombstones
from aegis.operations.claims import Claim
from aegis.operations.states import FINAL, State, Wait
from aegis.operations.system import System

#: Of these an event tells.
_TOLD: Final = frozenset({State.DONE, State.BLOCKED, State.FAILED, State.CANCELLED})


def finish(
    system: System,
    claimed: Claim,
    request: Mapping[str, Any],
    *,
    kept: Kept,
    trace: Trace,
    searched: Searched,
    reported: Reported,
    piece: Slice,
) -> None:
    """End an erasure of which nothing is left: its tombstones come first, outside of every database.

    Its copies elsewhere are asked from then on; where there are none, the request is closed at once.
    The keys under which the log knows the people are destroyed: from then on it names none of them.
    """
    done = done_by(system, claimed.run)
    changed = total(claimed.run, done)
    with reading(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
    stones = burying.tombstones_of(system, claimed.run, kept, trace, moment)
    planned = copies.planned(system, request["request_id"], claimed.run["datasource"], kept, moment)
    later = rests.planned(trace)
    receipt = receipts.write(
        system,
        request,
        claimed.run,
        kept=kept,
        trace=trace,
        changed=changed,
        searched=searched,
        elsewhere=[_receipt_of(other) for other in parts.others(system, request)],
        erasers=reported.told(),
        planned=planned,
        rest=later.told if later else None,
        moment=moment,
    )
    tombstones.publish(system, stones)
    told = {"persons": len(kept.people), "receipt": receipts.digest(receipt)}
    counted = done | told | reported.counts()
    event = ended(system, claimed.run, State.DONE, counted, request["plan_digest"])
    closed = None if planned else closing.close_event(system, request, 0)
    report = done | told | reported.plain() | {"text": receipt, "event": event.id, "residual": []}
    report |= {"rest": later.told} if later else {}

    def write(connection: sa.Connection) -> None:
        mine = sa.update(Request).where(Request.request_id == request["request_id"])
        times = {"executed_at": request["executed_at"] or moment, "verified_at": moment}
        connection.execute(mine.values(state=State.DONE, reason=None, finished_at=moment, **times))
        persons.wipe(connection, claimed.id)
        tombstones.keep(connection, stones)
        parts.wake_home(connection, request)
        if later is not None:
            rests.keep(system, connection, later, run=claimed.run, request=request, kept=kept)
        copies.keep(connection, request["request_id"], planned, moment)
        if closed is not None and not closing.open_elsewhere(connection, request):
            closing.close(connection, request["request_id"], moment, closed)

    # With a tenant and without: as others may have recorded something of them.
    known = {
        (tenant, person.subject or trace.who.subject.name, person.reference)
        for person in kept.everybody
        for tenant in (person.tenant or "", "")
    }
    system.keystore.destroy_all("subject", sorted(known))
    claims.settle(system, claimed, State.DONE, event=event, also=[write], rows=done["rows"], report=report)
    piece.outcome, piece.total = "done", changed


def _receipt_of(other: Part) -> dict[str, Any]:
    """Return what the home's receipt says of another data source."""
    return {
        "datasource": other.run["datasource"],
        "request": other.request["request_id"],
        "receipt": (other.run["report"] or {}).get("receipt"),
    }


def settle(
    system: System,
    claimed: Claim,
    piece: Slice,
    state: State,
    *,
    wait: float | None = None,
    waits_for: Wait | None = None,
) -> None:
    """Give an erasure back; when it does not go on by itself, with an event and what was done until now."""
    event: Event | None = None
    values: dict[str, Any] = {}
    if state in _TOLD:
        report = {**done_or_nothing(system, claimed.run), "reason": piece.reason, "residual": piece.residual}
        reported = Reported.read(runs.fetch(system, claimed.id)["report"])
        values = {"rows": report["rows"], "report": report | reported.plain()}
        digest = requests.plan_digest(system, claimed.run["request_id"])
        event = ended(system, claimed.run, state, report | reported.counts(), digest)
        piece.total = total(claimed.run, report)
    request_id = claimed.run["request_id"]
    also = [request_state(request_id, state, piece.reason)]
    if waits_for is Wait.PARTS:
        also.append(lambda connection: parts.look_again(connection, request_id))
    claims.settle(
        system,
        claimed,
        state,
        reason=piece.reason,
        wait=wait,
        event=event,
        waits_for=waits_for,
        also=also,
        **values,
    )


def request_state(request_id: str, state: State, reason: str | None) -> Callable[[sa.Connection], None]:
    """Return what writes a run's state to its request, in the same transaction."""

    def write(connection: sa.Connection) -> None:
        values: dict[str, Any] = {"state": state, "reason": reason}
        if state in FINAL:
            values["finished_at"] = dialects.now(connection)
        connection.execute(sa.update(Request).where(Request.request_id == request_id).values(**values))

    return write


def ended(
    system: System, run: Mapping[str, Any], state: State, report: Mapping[str, Any], digest: str
) -> Event:
    """Build the event of an erasure's end; it names no person: their request's event does."""
    note = Note(
        action=Action.ERASURE_RUN,
        actor="system",
        target_type="run",
        target_id=run["id"],
        outcome=Outcome.SUCCESS if state is State.DONE else Outcome.FAILURE,
        details={
            **report,
            "run": run["id"],
            "state": state.value,
            "table": run["table_name"],
            "datasource": run["datasource"],
            "action": run["action"],
            "origin": run["origin"],
            "digest": digest,
        },
        tenant=run["tenant"],
        correlation_id=run["id"],
    )
    return system.recorder.prepare(note)


def done_by(system: System, run: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an erasure has changed so far, from its journal: rows, and along."""
    return {"rows": runs.rows_gone(system, run), "along": runs.along(system, run)}


def total(run: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, int]:
    """Return everything that an erasure changed: `action:table` → rows."""
    counts: Counter[str] = Counter(report.get("along") or {})
    counts[f"{run['action']}:{run['table_name']}"] += report.get("rows") or 0
    return dict(+counts)


def done_or_nothing(system: System, run: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an erasure has changed so far; nothing where nobody can tell."""
    try:
        return done_by(system, run)
    except AegisError:
        return {"rows": None, "along": {}}
