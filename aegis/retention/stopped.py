"""A run that a guard stopped, and the approval that lets exactly that run go on."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from aegis.audit.actions import Action
from aegis.audit.recorder import Note, store
from aegis.db import dialects
from aegis.db.engines import CONTROL, writing
from aegis.db.tables import Run
from aegis.errors import Refused
from aegis.operations import approvals, runs
from aegis.operations.approvals import Subject
from aegis.operations.states import State
from aegis.operations.system import System
from aegis.retention import guards, policies


def find(system: System, name: str, run_id: str) -> Subject:
    """Return what has to be approved so that a stopped run goes on.

    Raises:
        UnknownName: there is no such run.
        Refused: no guard stopped it.

    """
    run = runs.fetch(system, run_id)
    stopped = run["state"] == State.BLOCKED and "guard" in (run["report"] or {})
    if run["policy"] != name or not stopped:
        message = f"run {run_id} is no run of policy {name} that a guard stopped; it is {run['state']}"
        raise Refused(message)
    return guards.subject_of(run, policies.by_id(system, run["policy_id"]))


def approve(
    system: System, name: str, run_id: str, *, actor: str, signature: bytes | None
) -> Mapping[str, Any]:
    """Approve a stopped run for the rows that were counted; it goes on once, and is sent soon.

    Raises:
        UnknownName: there is no such run.
        Refused: no guard stopped it, or the signature is missing or wrong.

    """
    subject = find(system, name, run_id)
    run = runs.fetch(system, run_id)
    policy = policies.by_id(system, run["policy_id"])
    given = approvals.check(system, subject, actor=actor, signature=signature)
    details = {
        "version": policy.version,
        "digest": subject.digest,
        "run": run_id,
        "counted": run["report"]["counted"],
    }
    note = Note(
        action=Action.POLICY_APPROVE,
        actor=actor,
        target_type="policy",
        target_id=name,
        details=approvals.told(given) | details,
        correlation_id=run_id,
    )
    event = system.recorder.prepare(note)
    with writing(system.databases.control, CONTROL) as connection:
        # Under the run's lock, so that of two people the second sees the first.
        connection.execute(sa.select(Run.id).where(Run.id == run_id).with_for_update())
        if approvals.keep(system, connection, subject, given).enough:
            _let_go_on(connection, run_id)
        store(connection, event)
    return runs.fetch(system, run_id)


def _let_go_on(connection: sa.Connection, run_id: str) -> None:
    blocked = (Run.id == run_id) & (Run.state == State.BLOCKED)
    values = {"state": State.ACCEPTED, "attempts": 0, "reason": None, "rows": None, "finished_at": None}
    update = sa.update(Run).where(blocked).values(**values, not_before=dialects.now(connection))
    connection.execute(update)
