"""The row of a request for a protected aggregate: accepted, answered once, expired.

What an answer says is sealed to the service that asked; a row tells in clear that there is one, or why not.
"""

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, writing
from aegis.db.tables import Request
from aegis.errors import Conflict, Interrupted
from aegis.federated import outputs
from aegis.federated.messages import OPERATION, Order
from aegis.federated.reasons import SENTENCES, UNREAD, NotAccepted, Reason
from aegis.operations.states import FINAL, State
from aegis.operations.system import System

#: A sealed answer up to here stands in its row; what is larger is a file. MariaDB keeps 64 KiB.
_INLINE_BYTES: Final = 48 * 1024


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far a request has come."""

    state: str
    reason: str | None = None
    #: Attempts so far, this one included.
    attempts: int = 0

    @property
    def final(self) -> bool:
        """Whether it is answered."""
        return self.state in FINAL


def accept(system: System, order: Order) -> Standing:
    """Write a request's row, or count one more attempt at it.

    Raises:
        Conflict: the id was used for something else, or with other terms.

    """
    digest = _digest(system, order.terms)
    values: dict[str, Any] = {"payload_digest": digest, "state": State.ACCEPTED, "attempts": 1}
    values |= {"finished_at": None, "sealed_result": None}
    values |= {"arguments": {"reply_to": order.reply_to}, "reason": None, "result": None}
    mine = Request.request_id == order.request_id
    with writing(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        if _insert(connection, order.request_id, moment, values):
            return Standing(state=State.ACCEPTED, attempts=1)
        row = _locked(connection, order.request_id)
        if not _unread(row):
            if row.payload_digest != digest:
                raise Conflict(_used(order.request_id, row.operation))
            if row.state in FINAL:
                return _standing(row)
            values = {"attempts": row.attempts + 1}
        connection.execute(sa.update(Request).where(mine).values(**values))
        return Standing(state=State.ACCEPTED, attempts=values["attempts"])


def refuse(system: System, request_id: str, error: NotAccepted) -> None:
    """Show a producer why its message was not accepted; a request that was accepted before stays as it is."""
    values = {"payload_digest": _digest(system, b"unread"), "state": State.FAILED, "attempts": 0}
    values |= {"arguments": None, "reason": str(error), "result": {"reason": error.reason}}
    with writing(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        values["finished_at"] = moment
        if _insert(connection, request_id, moment, values) or not _unread(_locked(connection, request_id)):
            return
        connection.execute(sa.update(Request).where(Request.request_id == request_id).values(**values))


def finish(system: System, order: Order, sealed: bytes) -> Standing:
    """Keep a sealed answer, in the row or as a file; whoever was faster has given the answer.

    Raises:
        Unreachable: the place for large ones cannot be written.

    """
    output: dict[str, Any] | None = None
    if len(sealed) > _INLINE_BYTES:
        digest = hashlib.sha256(sealed).hexdigest()
        output = {"name": f"result-{digest[:40]}", "sha256": digest, "bytes": len(sealed)}
        outputs.keep(system, output["name"], sealed)
    values = {"state": State.DONE, "sealed_result": None if output else sealed, "result": {"output": output}}
    standing, written = _end(system, order, values)
    if output and not written:
        outputs.drop(system, output["name"])
    return standing


def fail(
    system: System, order: Order, reason: Reason, sentence: str, sealed: bytes | None = None
) -> Standing:
    """Keep why there is no answer: a sentence for everybody, and what more there is to say, sealed."""
    values = {
        "state": State.FAILED,
        "reason": sentence,
        "result": {"reason": reason},
        "sealed_result": sealed,
    }
    return _end(system, order, values)[0]


def let_rest(system: System, order: Order) -> None:
    """Forget the attempts at a request: something else was in the way, and not the request."""
    mine = (Request.request_id == order.request_id) & Request.state.not_in(sorted(FINAL))
    try:
        with writing(system.databases.control, CONTROL) as connection:
            connection.execute(sa.update(Request).where(mine).values(attempts=0))
    except Interrupted:
        # It is this database that is in the way.
        return


def expire(system: System, cutoff: dt.datetime) -> int:
    """Drop the answers of requests that ended before a moment; give up those that nobody sends any more.

    Returns:
        How many rows were changed.

    """
    mine = Request.operation == OPERATION
    old = mine & (Request.finished_at < cutoff)
    answered = old & (Request.state == State.DONE)
    told = old & (Request.state == State.FAILED) & Request.sealed_result.is_not(None)
    lost = mine & (Request.state == State.ACCEPTED) & (Request.received_at < cutoff)
    with writing(system.databases.control, CONTROL) as connection:
        files = [
            name for name in map(_file, connection.scalars(sa.select(Request.result).where(answered))) if name
        ]
        gone = {"state": State.EXPIRED, "sealed_result": None, "result": None}
        changed = connection.execute(sa.update(Request).where(answered).values(**gone)).rowcount
        changed += connection.execute(sa.update(Request).where(told).values(sealed_result=None)).rowcount
        given_up: dict[str, Any] = {
            "state": State.FAILED,
            "reason": SENTENCES[Reason.LOST],
            "result": {"reason": Reason.LOST},
        }
        given_up["finished_at"] = dialects.now(connection)
        changed += connection.execute(sa.update(Request).where(lost).values(**given_up)).rowcount
    # After the rows: a file that no row names any more goes in any case, sooner or later.
    for name in files:
        outputs.drop(system, name)
    return changed


def named_files(connection: sa.Connection) -> set[str]:
    """Return the names of the files that rows name."""
    mine = (Request.operation == OPERATION) & (Request.state == State.DONE)
    return {name for name in map(_file, connection.scalars(sa.select(Request.result).where(mine))) if name}


def _end(system: System, order: Order, values: Mapping[str, Any]) -> tuple[Standing, bool]:
    """End a request that is not ended yet; return how it stands, and whether this did it."""
    mine = (Request.request_id == order.request_id) & Request.state.not_in(sorted(FINAL))
    with writing(system.databases.control, CONTROL) as connection:
        ended = {**values, "finished_at": dialects.now(connection)}
        row = _locked(connection, order.request_id)
        if row.state in FINAL:
            return _standing(row), False
        connection.execute(sa.update(Request).where(mine).values(**ended))
    return Standing(state=values["state"], reason=(values["result"] or {}).get("reason")), True


def _insert(
    connection: sa.Connection, request_id: str, moment: dt.datetime, values: Mapping[str, Any]
) -> bool:
    row = {"request_id": request_id, "operation": OPERATION, "received_at": moment, "epoch": 0, **values}
    return dialects.insert_missing(connection, table_of(Request), row)


def _locked(connection: sa.Connection, request_id: str) -> Any:
    query = sa.select(table_of(Request)).where(Request.request_id == request_id)
    return connection.execute(query.with_for_update()).one()


def _unread(row: Any) -> bool:
    """Whether it failed because a message was not fit: another message may put that right."""
    mine = row.operation == OPERATION and row.state == State.FAILED
    return mine and (row.result or {}).get("reason") in UNREAD


def _standing(row: Any) -> Standing:
    return Standing(state=row.state, reason=(row.result or {}).get("reason"), attempts=row.attempts)


def _file(result: Any) -> str | None:
    output = (result or {}).get("output")
    return output["name"] if output else None


def _digest(system: System, terms: bytes) -> str:
    key = system.worker_key.subkey("payload-digest")
    return hmac.digest(key, f"{OPERATION}\n".encode() + terms, "sha256").hex()


def _used(request_id: str, operation: str) -> str:
    return (
        f"request {request_id} was used for {operation} with other arguments; it is refused. Give every new "
        "request an id of its own"
    )
