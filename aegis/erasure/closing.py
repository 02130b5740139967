"""Closing a request for an erasure: every copy elsewhere was confirmed, or there is none."""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from aegis.audit.actions import Action
from aegis.audit.events import Event
from aegis.audit.recorder import Note, store
from aegis.db import dialects
from aegis.db.engines import CONTROL, writing
from aegis.db.tables import ErasureCopy, Request
from aegis.erasure import asking, copies, parts
from aegis.erasure.copies import Copy
from aegis.errors import Refused, UnknownName
from aegis.operations.states import State
from aegis.operations.system import System


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
        there = [one for one in _elsewhere(system, request) if one.name == name]
        if len(there) != 1:
            raise _no_copy(
                request, name, [*sorted(known), *[f"{one.name} of {one.request}" for one in there]]
            )
        confirm(system, there[0].request, name, actor=actor)
        return
    if known[name].confirmed_at is not None:
        return
    event, closed = _confirmed(system, request, known[name], actor), close_event(system, request, len(known))
    home = parts.home_of(request)
    whole = None if home is None else asking.fetch(system, home)
    whole_closed = None if whole is None else close_event(system, whole, len(known))
    with writing(system.databases.control, CONTROL) as connection:
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
        if not _open(connection, request):
            close(connection, request_id, moment, closed)
            if whole is not None and whole_closed is not None and not _open(connection, whole):
                close(connection, whole["request_id"], moment, whole_closed)


def _elsewhere(system: System, request: Mapping[str, Any]) -> Iterator[Copy]:
    """Yield the copies of the same people's other data sources."""
    for other in parts.others(system, request):
        yield from copies.of_request(system, other.request["request_id"])


def _open(connection: sa.Connection, request: Mapping[str, Any]) -> bool:
    """Whether a request has still to be closed by others, under its lock."""
    mine = sa.select(Request.request_id).where(Request.request_id == request["request_id"])
    connection.execute(mine.with_for_update())
    waiting = sa.select(ErasureCopy.name).where(
        ErasureCopy.request_id == request["request_id"], ErasureCopy.confirmed_at.is_(None)
    )
    if connection.execute(waiting.with_for_update()).first() is not None:
        return True
    done = sa.select(Request.state).where(Request.request_id == request["request_id"])
    return connection.scalar(done) != State.DONE or open_elsewhere(connection, request)


def open_elsewhere(connection: sa.Connection, request: Mapping[str, Any]) -> bool:
    """Whether the same people's request in another data source is not closed."""
    others = list((request["arguments"].get("parts") or {}).values())
    query = sa.select(Request.request_id).where(Request.request_id.in_(others), Request.closed_at.is_(None))
    return bool(others) and connection.execute(query.limit(1)).first() is not None


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
