"""Requests: what was asked for under one id is done once, however often it is asked."""

import datetime as dt
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from aegis.audit.events import canonical
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading, writing
from aegis.db.tables import Request
from aegis.errors import Conflict
from aegis.operations.states import State
from aegis.operations.system import System


def once(
    system: System,
    *,
    request_id: str,
    operation: str,
    arguments: Mapping[str, Any],
    work: Callable[[sa.Connection], Any],
    actor_ref: str | None = None,
    open_end: bool = False,
    kept: Mapping[str, Any] | None = None,
    **columns: Any,
) -> Any:
    """Do `work` and keep its result, both in one transaction of the control database.

    A repeated id with the same arguments returns the kept result and does nothing.

    Args:
        request_id: the producer's id for this request.
        arguments: plain data; only a keyed digest of it is kept.
        work: gets the open transaction, returns plain data; does nothing slow or remote.
        actor_ref: who asks for it.
        open_end: the request stays accepted; whoever carries it out ends it.
        kept: of the arguments what a later slice needs; ids and names only.
        columns: further columns of its row.

    Raises:
        Conflict: the id was used for something else.

    """
    digest = payload_digest(system, operation, arguments)
    with writing(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        values = _accepted(request_id, operation, digest, moment)
        values |= {"actor_ref": actor_ref, "arguments": kept, **columns}
        if not dialects.insert_missing(connection, table_of(Request), values):
            return _earlier(connection, request_id, operation, digest)
        result = work(connection)
        ended = {} if open_end else {"state": State.DONE, "finished_at": moment}
        mine = sa.update(Request).where(Request.request_id == request_id)
        connection.execute(mine.values(result=result, **ended))
    return result


def also(
    system: System,
    connection: sa.Connection,
    *,
    request_id: str,
    operation: str,
    arguments: Mapping[str, Any],
    result: Any,
    kept: Mapping[str, Any],
    **columns: Any,
) -> None:
    """Accept a further request in the transaction in which another one is accepted, under a new id."""
    digest = payload_digest(system, operation, arguments)
    values = _accepted(request_id, operation, digest, dialects.now(connection))
    values |= {"arguments": kept, "result": result, **columns}
    connection.execute(sa.insert(table_of(Request)).values(**values))


def _accepted(request_id: str, operation: str, digest: str, moment: dt.datetime) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "operation": operation,
        "payload_digest": digest,
        "state": State.ACCEPTED,
        "received_at": moment,
        "epoch": 0,
        "attempts": 0,
    }


def plan_digest(system: System, request_id: str) -> str:
    """Return the digest of what a request's plan would do."""
    with reading(system.databases.control, CONTROL) as connection:
        query = sa.select(Request.plan_digest).where(Request.request_id == request_id)
        return str(connection.scalar(query))


def payload_digest(system: System, operation: str, arguments: Mapping[str, Any]) -> str:
    """Return a keyed digest of a request, so that the table betrays no argument."""
    body = canonical({"operation": operation, "arguments": dict(arguments)})
    return hmac.new(system.worker_key.subkey("payload-digest"), body, hashlib.sha256).hexdigest()


def earlier(
    system: System,
    connection: sa.Connection,
    request_id: str,
    operation: str,
    arguments: Mapping[str, Any],
) -> Any:
    """Return the result of a request that was accepted before; None when it was not.

    Raises:
        Conflict: the id was used for something else.

    """
    known = connection.scalar(sa.select(Request.request_id).where(Request.request_id == request_id))
    digest = payload_digest(system, operation, arguments)
    return None if known is None else _earlier(connection, request_id, operation, digest)


def _earlier(connection: sa.Connection, request_id: str, operation: str, digest: str) -> Any:
    query = sa.select(Request.operation, Request.payload_digest, Request.result)
    row = connection.execute(query.where(Request.request_id == request_id)).one()
    if row.payload_digest != digest:
        message = (
            f"request {request_id} was used for {row.operation} with other arguments; "
            f"it is refused for {operation}. Give every new request an id of its own"
        )
        raise Conflict(message)
    return row.result
