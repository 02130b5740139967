"""Approval of one erasure: a named person's word for exactly its plan."""

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.actions import Action
from aegis.audit.recorder import Note, store
from aegis.db import dialects
from aegis.db.engines import CONTROL, writing
from aegis.db.tables import Approval, Request, Run
from aegis.erasure import asking, parts, plan
from aegis.erasure.parts import Part
from aegis.errors import Refused
from aegis.operations import approvals
from aegis.operations.approvals import Subject
from aegis.operations.states import FINAL, State, Wait, Waits
from aegis.operations.system import System

#: The origin of an erasure of people who were erased before, and came back with a restored database.
REPLAY: Final = "replay"


def subject_of(run: Mapping[str, Any], request: Mapping[str, Any]) -> Subject:
    """Return what is approved."""
    return Subject(
        type="erasure",
        id=run["id"],
        digest=request["plan_digest"],
        digest_version=plan.VERSION,
        command=f"aegis erasure approve {request['request_id']} --actor YOU",
    )


def wait_for_approval(system: System, run: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    """Let an erasure go on only when it is approved, where the settings ask for that; a replay was before.

    They ask for it always, or for one that would change more rows than a person is likely to have.

    Raises:
        Waits: somebody has to approve it first.

    """
    if run["origin"] == REPLAY:
        return
    home = parts.home_of(request)
    first = parts.part(system, home) if home else Part(request=request, run=run)
    rows, most = parts.rows(system, first), system.settings.erasure.max_rows
    if not system.settings.erasure.approval and rows <= most:
        return
    subject = subject_of(first.run, first.request)
    if lacking := approvals.stands(system, subject).lacking(subject):
        many = f"{rows:,} rows would change, more than erasure.max_rows ({most:,}); " if rows > most else ""
        raise Waits(Wait.APPROVAL, f"{many}{lacking}")


def approve(
    system: System, request_id: str, *, actor: str, digest: str | None, signature: bytes | None
) -> Mapping[str, Any]:
    """Approve the plan of a request; it goes on as soon as enough people have.

    Args:
        system: this process's Aegis.
        request_id: the request.
        actor: who approves; with a signature, the owner of its key.
        digest: of the plan that was looked at; another one is refused.
        signature: over the subject's message, where approver keys are registered.

    Returns:
        The request's row.

    Raises:
        UnknownName: there is no such request.
        Refused: it has ended, has another digest, or the signature is missing or wrong.

    """
    whole = parts.whole(system, request_id)
    request, run = whole[0].request, whole[0].run
    if run["state"] in FINAL:
        message = f"erasure request {request_id} is {run['state']}; there is nothing to approve"
        raise Refused(message)
    if digest is not None and digest != request["plan_digest"]:
        message = (
            f"erasure request {request_id} has another plan than the one that was looked at; look again: "
            f"`aegis erasure status {request_id}`"
        )
        raise Refused(message)
    subject = subject_of(run, request)
    given = approvals.check(system, subject, actor=actor, signature=signature)
    note = Note(
        action=Action.ERASURE_APPROVE,
        actor=actor,
        target_type="run",
        target_id=run["id"],
        details=approvals.told(given) | {"run": run["id"], "digest": subject.digest},
        correlation_id=run["id"],
    )
    event = system.recorder.prepare(note)
    with writing(system.databases.control, CONTROL) as connection:
        # Under the run's lock, so that of two people the second sees the first.
        connection.execute(sa.select(Run.id).where(Run.id == run["id"]).with_for_update())
        if approvals.keep(system, connection, subject, given).enough:
            waiting = Run.id.in_([one.run["id"] for one in whole]) & (Run.state == State.WAITING)
            now = dialects.now(connection)
            connection.execute(sa.update(Run).where(waiting).values(not_before=now))
        store(connection, event)
    return asking.fetch(system, request_id)


def revoke(connection: sa.Connection, run_id: str) -> None:
    """Let nobody's earlier word count for a new plan, in the caller's transaction."""
    mine = (
        (Approval.subject_type == "erasure") & (Approval.subject_id == run_id) & Approval.revoked_at.is_(None)
    )
    connection.execute(sa.update(Approval).where(mine).values(revoked_at=dialects.now(connection)))


def new_plan(connection: sa.Connection, request_id: str, digest: str) -> None:
    """Write what is to be approved now to its request, in the caller's transaction."""
    values = {"plan_digest": digest, "planned_at": dialects.now(connection)}
    connection.execute(sa.update(Request).where(Request.request_id == request_id).values(**values))
