"""Closing a request for an erasure: every copy elsewhere was confirmed, or there is none."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.actions import Action
from aegis.audit.events import Event
from aegis.audit.recorder import Note, store
from aegis.db import dialects
from aegis.db.engines import writing
from aegis.db.tables import ErasureCopy, Request
from aegis.erasure import asking, copies
from aegis.erasure.copies import Copy
from aegis.errors import Refused, UnknownName
from aegis.operations.states import State
from aegis.operations.system import System

_CONTROL: Final = "control database"


def confirm(system: System, request_id: str, name: str, *, actor: str) -> None:
    """Confirm that a copy has forgotten the people of a request; the last one closes the request.

    What was confirmed before stays as it is. With it the people's keys are wiped.

    Raises:
        UnknownName: there is no such request, or it has no such copy.
        Refused: the request is not done.

    """
    request = asking.fetch(system, request_id)
    known = {copy.name: copy for copy in copies.of_request(system, request_id)}
    if name not in known:
        raise _no_copy(request, name, sorted(known))
    if known[name].confirmed_at is not None:
        return
    event, closed = _confirmed(system, request, known[name], actor), close_event(system, request, len(known))
    with writing(system.databases.control, _CONTROL) as connection:
        # Under the request's lock, so that of the two last ones the second sees the first.
        mine = Request.request_id == request_id
        connection.execute(sa.select(Request.request_id).where(mine).with_for_update())
        moment = dialects.now(connection)
        values = {"confirmed_at": moment, "confirmed_by": event.actor_ref, "event": event.id}
        values |= {"sealed": None, "not_before": None, "reason": None}
        still = (ErasureCopy.request_id == request_id) & ErasureCopy.confirmed_at.is_(None)
        confirmed = sa.update(ErasureCopy).where(still, ErasureCopy.name == name).values(**values)
        if not connection.execute(confirmed).rowcount:
            return
        store(connection, event)
        if not connection.execute(sa.select(ErasureCopy.name).where(still).with_for_update()).all():
            close(connection, request_id, moment, closed)


def close(connection: sa.Connection, request_id: str, moment: dt.datetime, event: Event) -> None:
    """Close a request in the caller's transaction of the control database."""
    mine = sa.update(Request).where(Request.request_id == request_id)
    connection.execute(mine.values(closed_at=moment))
    store(connection, event)


def close_event(system: System, request: Mapping[str, Any], confirmed: int) -> Event:
    """Build the event of a request that is closed."""
    details = {"copies": confirmed}
    return system.recorder.prepare(_note(Action.ERASURE_CLOSE, request, "system", details))


def _confirmed(system: System, request: Mapping[str, Any], copy: Copy, actor: str) -> Event:
    details = {"copy": copy.name, "kind": copy.kind, "due_at": copy.due_at}
    return system.recorder.prepare(_note(Action.ERASURE_COPY, request, actor, details))


def _note(action: Action, request: Mapping[str, Any], actor: str, details: Mapping[str, Any]) -> Note:
    run = request["result"]
    return Note(
        action=action,
        actor=actor,
        target_type="run",
        target_id=run,
        details={"run": run, "request": request["request_id"], **details},
        correlation_id=run,
    )


def _no_copy(request: Mapping[str, Any], name: str, known: list[str]) -> Refused | UnknownName:
    about = f"erasure request {request['request_id']}"
    if request["state"] != State.DONE:
        return Refused(f"{about} is {request['state']}; its copies are confirmed when it is done")
    has = f"it has: {', '.join(known)}" if known else "no copies were configured when it was done"
    return UnknownName(f"{about} has no copy {name}; {has}")
