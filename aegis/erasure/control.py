"""A person's word over a request for an erasure: resume, cancel."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from aegis.audit.actions import Action
from aegis.audit.recorder import Note
from aegis.db.engines import CONTROL, writing
from aegis.db.journal import Journal
from aegis.db.tables import Request
from aegis.erasure import approving, ending, outcomes, parts, persons, plan
from aegis.erasure.erasers import Reported
from aegis.erasure.outcomes import Erasure
from aegis.erasure.parts import Part
from aegis.erasure.plan import Plan
from aegis.erasure.tracing import looking
from aegis.errors import Refused
from aegis.operations import claims, seizing
from aegis.operations.states import CLAIMABLE, STUCK, State
from aegis.operations.system import System


def run_of(system: System, request_id: str) -> Mapping[str, Any]:
    """Return the row of a request's run.

    Raises:
        UnknownName: there is no such request.

    """
    return parts.part(system, request_id).run


def resume(system: System, request_id: str, *, actor: str) -> Erasure:
    """Let a blocked erasure go on, with a new plan for what is left; nobody has approved that one yet.

    Raises:
        UnknownName: there is no such request.
        Refused: there is nothing to resume.
        AegisError: there can be no plan.

    """
    whole = parts.whole(system, request_id)
    stuck = [one for one in whole if one.run["state"] in STUCK]
    if not stuck:
        state = whole[0].run["state"]
        goes_on = "; it goes on by itself" if state in CLAIMABLE else ""
        message = f"erasure request {request_id} is {state}, there is nothing to resume{goes_on}"
        raise Refused(message)
    plans = {one.request["request_id"]: _plan(system, one) for one in stuck}
    digest = parts.digest_of(whole, {name: made.digest for name, made in plans.items()})
    with writing(system.databases.control, CONTROL) as connection:
        approving.revoke(connection, whole[0].run["id"])
        for one in stuck:
            _accept_again(connection, one.request, plans[one.request["request_id"]])
        approving.new_plan(connection, request_id, digest)
    for one in stuck:
        event = system.recorder.prepare(_note(Action.ERASURE_RESUME, one.run["id"], actor))
        reported = Reported.read(one.run["report"]).anew()
        seizing.reopen(system, one.run["id"], event, reported.plain())
    return outcomes.standing(system, request_id)


def _accept_again(connection: sa.Connection, request: Mapping[str, Any], made: Plan) -> None:
    approving.new_plan(connection, request["request_id"], made.digest)
    arguments = request["arguments"] | {"plan": made.digest, "rows": made.rows}
    mine = sa.update(Request).where(Request.request_id == request["request_id"])
    connection.execute(mine.values(state=State.ACCEPTED, reason=None, executed_at=None, arguments=arguments))


def cancel(system: System, request_id: str, *, actor: str) -> Erasure:
    """End an erasure after the batch in flight; what was changed until then stays so, and is accounted for.

    Raises:
        UnknownName: there is no such request.
        Refused: it has ended.
        Unreachable: it is paused, and cancelled when this is repeated with its source reachable.

    """
    whole = parts.whole(system, request_id)
    for one in parts.unfinished(whole) or whole[:1]:
        _cancel(system, one, request_id, actor)
    return outcomes.standing(system, request_id)


def _cancel(system: System, one: Part, request_id: str, actor: str) -> None:
    request, run = one.request, one.run
    reason = f"a person cancels it; repeat `aegis erasure cancel {request_id}` if this stays"
    event = system.recorder.prepare(_note(Action.ERASURE_CANCEL, run["id"], actor))
    claimed = seizing.seize(system, run["id"], CLAIMABLE | STUCK, reason=reason, event=event)
    engine = system.databases.source(run["datasource"])
    label = f"data source {run['datasource']}: the erasure is NOT yet cancelled there"
    with writing(engine, label) as connection:
        journal = Journal(engine.dialect.name)
        journal.take_over(connection, run["id"], 0, claimed.epoch)
    reported = Reported.read(run["report"])
    report = {**ending.done_by(system, run), "reason": "a person cancelled it"}
    told = report | reported.counts()
    ended = ending.ended(system, run, State.CANCELLED, told, request["plan_digest"])
    claims.settle(
        system,
        claimed,
        State.CANCELLED,
        reason=report["reason"],
        event=ended,
        also=[
            ending.request_state(request["request_id"], State.CANCELLED, report["reason"]),
            lambda connection: persons.wipe(connection, run["id"]),
        ],
        rows=report["rows"],
        report=report | reported.plain(),
    )
    system.relay.relay(run["datasource"])


def _plan(system: System, one: Part) -> Plan:
    """Return the plan for what is left in one data source."""
    kept, source = persons.read(system, one.run["id"]), one.run["datasource"]
    subject = one.request["arguments"]["subject"]
    with looking(
        system,
        kept.keys,
        subject=subject,
        datasource=source,
        tenant=one.run["tenant"],
        known=kept.known(one.request["arguments"]),
    ) as found:
        return plan.of(system, found, source)


def _note(action: Action, run_id: str, actor: str) -> Note:
    return Note(
        action=action,
        actor=actor,
        target_type="run",
        target_id=run_id,
        details={"run": run_id},
        correlation_id=run_id,
    )
