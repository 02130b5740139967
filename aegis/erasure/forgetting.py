"""Asking copies elsewhere to forget an erasure's people: by a task of theirs, or by a post to a URL.

A copy is asked at least once, again after every failure, and every day until it is confirmed; so whoever is
asked has to bear hearing the same twice. What is said of a person is the key of their row, and nothing else.
"""

import datetime as dt
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit import posting
from aegis.audit.events import canonical
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading, writing
from aegis.db.tables import ErasureCopy, Request
from aegis.erasure import copies
from aegis.errors import AegisError, OperationFailed, Refused, SettingsError
from aegis.operations import claims, stops
from aegis.operations.system import System
from aegis.settings import CopySettings

#: How long after it was asked a copy is asked again.
AGAIN: Final = dt.timedelta(days=1)
#: Seconds that a URL may take for each step of its answer.
PATIENCE: Final = 10.0
#: Copies that are looked at in one call.
_MOST: Final = 100
#: What signs a post, where there is a secret: `sha256=` and the HMAC of its body, in hexadecimal.
SIGNATURE: Final = "Aegis-Signature"
#: Sends a task: its name, its queue, its arguments. Raises an AegisError where it cannot.
Send = Callable[[str, str, Mapping[str, Any]], None]


def ask_due(system: System, send: Send, seconds: float) -> int:
    """Ask the copies whose time has come, and return how many were; a failure stands in the copy's row.

    Args:
        system: this process's Aegis.
        send: how a task is sent.
        seconds: after so long it goes no further; the rest is asked by the next call.

    """
    deadline, asked = time.monotonic() + seconds, 0
    for row in _due(system):
        if time.monotonic() >= deadline:
            break
        if (claimed := _claim(system, row, seconds)) is not None:
            asked += _ask(system, claimed, send, deadline)
    return asked


def _due(system: System) -> list[Mapping[str, Any]]:
    table = table_of(ErasureCopy)
    columns = (table.c.request_id, table.c.name, table.c.told, table.c.tries, table.c.not_before)
    query = sa.select(*columns, Request.datasource, Request.arguments).join(Request)
    with reading(system.databases.control, CONTROL) as connection:
        query = query.where(table.c.not_before <= dialects.now(connection), table.c.confirmed_at.is_(None))
        rows = connection.execute(query.order_by(table.c.not_before).limit(_MOST)).mappings()
        return [dict(row) for row in rows]


def _claim(system: System, row: Mapping[str, Any], seconds: float) -> Mapping[str, Any] | None:
    """Keep others from asking the same copy meanwhile; None where somebody was quicker."""
    lease = dt.timedelta(seconds=seconds + PATIENCE + system.settings.operations.lease_seconds)
    with writing(system.databases.control, CONTROL) as connection:
        values = {"tries": row["tries"] + 1, "not_before": dialects.now(connection) + lease}
        if not _update(connection, row, values):
            return None
        return {**row, **values, "sealed": connection.scalar(sa.select(ErasureCopy.sealed).where(_is(row)))}


def _ask(system: System, copy: Mapping[str, Any], send: Send, deadline: float) -> bool:
    """Ask a claimed copy about each of the people, and note how far that came; return whether to its end."""
    told, reason, whole = copy["told"], None, False
    try:
        stops.refuse_if_stopped(system, copy["datasource"])
        target = _target(system, copy)
        keys = copies.box(system, copy["request_id"], copy["name"]).open(copy["sealed"])["keys"]
        while told < len(keys) and time.monotonic() < deadline:
            _tell(target, _message(copy, keys[told]), send)
            told += 1
        whole = told == len(keys)
    except AegisError as error:
        reason = str(error)
    with writing(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        values: dict[str, Any] = {"told": told, "reason": reason, "not_before": moment}
        if whole:
            values |= {"told": 0, "tries": 0, "asked_at": moment, "not_before": moment + AGAIN}
        elif reason:
            until = moment + dt.timedelta(seconds=claims.backoff(copy["tries"]))
            _postpone(connection, copy, reason, moment, until)
            # Behind the others: the fault may be this one's alone.
            values["not_before"] = until + dt.timedelta(seconds=1)
        _update(connection, copy, values)
    return whole


def _postpone(
    connection: sa.Connection, copy: Mapping[str, Any], reason: str, moment: dt.datetime, until: dt.datetime
) -> None:
    """Let the other requests wait that would ask the same copy now: each would wait for an answer in vain."""
    there = sa.select(Request.request_id).where(Request.datasource == copy["datasource"])
    others = (ErasureCopy.name == copy["name"]) & ErasureCopy.request_id.in_(there)
    due = others & (ErasureCopy.not_before <= moment)
    values = {"tries": copy["tries"], "reason": reason, "not_before": until}
    connection.execute(sa.update(ErasureCopy).where(due).values(**values))


def _update(connection: sa.Connection, copy: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Write to a copy that is as it was read: not confirmed, and claimed by nobody else since."""
    same = (ErasureCopy.not_before == copy["not_before"]) & ErasureCopy.confirmed_at.is_(None)
    return connection.execute(sa.update(ErasureCopy).where(_is(copy), same).values(**values)).rowcount == 1


def _is(copy: Mapping[str, Any]) -> sa.ColumnElement[bool]:
    return sa.and_(ErasureCopy.request_id == copy["request_id"], ErasureCopy.name == copy["name"])


def _target(system: System, copy: Mapping[str, Any]) -> CopySettings:
    found = system.settings.source(copy["datasource"]).copies.get(copy["name"])
    if found is None or found.kind == copies.MANUAL:
        message = (
            f"aegis.toml has no task and no url any more for copy {copy['name']} of {copy['datasource']}: "
            f"name it again, or confirm it with `aegis erasure confirm {copy['request_id']} {copy['name']}`"
        )
        raise Refused(message)
    return found


def _message(copy: Mapping[str, Any], key: list[Any]) -> dict[str, Any]:
    plain = [value if isinstance(value, int | str) else str(value) for value in key]
    return {
        "request": copy["request_id"],
        "copy": copy["name"],
        "subject": copy["arguments"]["subject"],
        "key": plain[0] if len(plain) == 1 else plain,
        "datasource": copy["datasource"],
    }


def _tell(target: CopySettings, message: Mapping[str, Any], send: Send) -> None:
    if target.task and target.queue:
        send(target.task, target.queue, message)
        return
    url, body = str(target.url), canonical(message)
    headers = {"Content-Type": "application/json"}
    if target.secret_file:
        signed = hmac.new(_secret(target.secret_file), body, hashlib.sha256).hexdigest()
        headers[SIGNATURE] = f"sha256={signed}"
    failed = f"{posting.place(url)} was not asked"
    status = posting.post(url, body, headers, patience=PATIENCE, failed=failed)
    if status not in posting.OK:
        refused = f"{failed}: HTTP {status}"
        raise OperationFailed(refused)


def _secret(path: Path) -> bytes:
    """Return the secret; its file is read each time, so that it can be renewed."""
    try:
        found = path.read_bytes().strip()
    except OSError as error:
        message = f"the secret {path} cannot be read: {error.strerror}"
        raise SettingsError(message) from None
    if not found:
        message = f"the secret {path} is empty; nothing was posted without a signature"
        raise SettingsError(message)
    return found
