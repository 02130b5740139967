"""A person's word over a request for an erasure: resume, cancel."""

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.actions import Action
from aegis.audit.recorder import Note
from aegis.db.engines import writing
from aegis.db.journal import Journal
from aegis.db.tables import Request
from aegis.erasure import approving, asking, ending, outcomes, persons, plan
from aegis.erasure.outcomes import Erasure
from aegis.erasure.tracing import looking
from aegis.errors import Refused
from aegis.operations import claims, runs
from aegis.operations.states import CLAIMABLE, STUCK, State
from aegis.operations.system import System

_CONTROL: Final = "control database"


def run_of(system: System, request_id: str) -> Mapping[str, Any]:
    """Return the row of a request's run.

    Raises:
        UnknownName: there is no such request.

    """
    return runs.fetch(system, asking.fetch(system, request_id)["result"])


def resume(system: System, request_id: str, *, actor: str) -> Erasure:
    """Let a blocked erasure go on, with a new plan for what is left; nobody has approved that one yet.

    Raises:
        UnknownName: there is no such request.
        Refused: there is nothing to resume.
        AegisError: there can be no plan.

    """
    request, run = asking.fetch(system, request_id), run_of(system, request_id)
    if run["state"] not in STUCK:
        goes_on = "; it goes on by itself" if run["state"] in CLAIMABLE else ""
        message = f"erasure request {request_id} is {run['state']}, there is nothing to resume{goes_on}"
        raise Refused(message)
    digest = _digest(system, request, run)
    event = system.recorder.prepare(_note(Action.ERASURE_RESUME, run["id"], actor))
    with writing(system.databases.control, _CONTROL) as connection:
        approving.revoke(connection, run["id"])
        approving.new_plan(connection, request_id, digest)
        accepted = {"state": State.ACCEPTED, "reason": None, "executed_at": None}
        connection.execute(sa.update(Request).where(Request.request_id == request_id).values(**accepted))
    claims.reopen(system, run["id"], event)
    return outcomes.standing(system, request_id)


def cancel(system: System, request_id: str, *, actor: str) -> Erasure:
    """End an erasure after the batch in flight; what was changed until then stays so, and is accounted for.

    Raises:
        UnknownName: there is no such request.
        Refused: it has ended.
        Unreachable: it is paused, and cancelled when this is repeated with its source reachable.

    """
    request, run = asking.fetch(system, request_id), run_of(system, request_id)
    reason = f"a person cancels it; repeat `aegis erasure cancel {request_id}` if this stays"
    event = system.recorder.prepare(_note(Action.ERASURE_CANCEL, run["id"], actor))
    claimed = claims.seize(system, run["id"], CLAIMABLE | STUCK, reason=reason, event=event)
    engine = system.databases.source(run["datasource"])
    label = f"data source {run['datasource']}: the erasure is NOT yet cancelled there"
    with writing(engine, label) as connection:
        journal = Journal(engine.dialect.name)
        journal.take_over(connection, run["id"], 0, claimed.epoch)
    report = {**ending.done_by(system, run), "reason": "a person cancelled it"}
    ended = ending.ended(system, run, State.CANCELLED, report, request["plan_digest"])
    claims.settle(
        system,
        claimed,
        State.CANCELLED,
        reason=report["reason"],
        event=ended,
        also=[
            ending.request_state(request_id, State.CANCELLED, report["reason"]),
            lambda connection: persons.wipe(connection, run["id"]),
        ],
        rows=report["rows"],
        report=report,
    )
    system.relay.relay(run["datasource"])
    return outcomes.standing(system, request_id)


def _digest(system: System, request: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    kept, subject = persons.read(system, run["id"]), request["arguments"]["subject"]
    with looking(system, kept.keys, subject=subject, datasource=run["datasource"], gone=kept.gone) as found:
        return plan.digest_of(system, found, run["datasource"])


def _note(action: Action, run_id: str, actor: str) -> Note:
    return Note(
        action=action,
        actor=actor,
        target_type="run",
        target_id=run_id,
        details={"run": run_id},
        correlation_id=run_id,
    )
