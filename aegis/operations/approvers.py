"""The keys of those who may approve: who, with which key, from when until when.

A row is never deleted, and each carries a MAC, so that a key which somebody writes into the table
by SQL signs nothing.
"""

import datetime as dt
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.actions import Action
from aegis.audit.recorder import Note, store
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading, writing
from aegis.db.tables import Approver, AuditLog
from aegis.errors import Conflict, UnknownName, UsageError
from aegis.operations.signatures import PublicKey, fingerprint
from aegis.operations.system import System


@dataclass(frozen=True, kw_only=True)
class Key:
    """A registered key."""

    id: str
    name: str
    actor_ref: str
    scheme: str
    raw: bytes
    since: dt.datetime
    until: dt.datetime | None
    removed_at: dt.datetime | None
    #: Whether the row is as Aegis wrote it.
    genuine: bool

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint as `ssh-keygen -l` prints it."""
        return fingerprint(self.raw)

    def valid_at(self, moment: dt.datetime) -> bool:
        """Whether its owner may approve with it at this moment."""
        ends = [end for end in (self.until, self.removed_at) if end is not None]
        return self.genuine and self.since <= moment and all(moment < end for end in ends)


def add(
    system: System,
    name: str,
    key: PublicKey,
    *,
    owner: str,
    actor: str,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> Key:
    """Register the public key of an approver.

    Args:
        name: what the key is called.
        owner: who approves with it; kept as a keyed reference.
        actor: who registers it.
        since: from when it is valid; none: from now on.
        until: until when; none: until it is removed.

    Raises:
        UsageError: the times are the wrong way round.
        Conflict: the name or the key is registered already.

    """
    owner_ref = system.recorder.actor_ref(owner)
    with reading(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
    since = since or moment
    if until is not None and until <= max(since, moment):
        message = f"key {name} would be valid until {until:%Y-%m-%d %H:%M} UTC, which is before it begins"
        raise UsageError(message)
    key_id = events.uuid7()
    details = {"scheme": key.scheme, "from": events.stamp(since), "until": until and events.stamp(until)}
    more = {"name": name, "fingerprint": key.fingerprint, "owner": owner_ref}
    event = system.recorder.prepare(
        Note(
            action=Action.APPROVER_ADD,
            actor=actor,
            target_type="key",
            target_id=key_id,
            details=details | more,
        )
    )
    values = {
        "id": key_id,
        "name": name,
        "actor_ref": owner_ref,
        "scheme": key.scheme,
        "public_key": key.raw,
        "from_time": since,
        "until_time": until,
        "added_by": event.actor_ref,
        "added_at": moment,
        "removed_at": None,
    }
    with writing(system.databases.control, CONTROL) as connection:
        _refuse_known(read(system, connection), name, key.raw)
        connection.execute(sa.insert(Approver).values(**values, mac=_mac(system, values)))
        store(connection, event)
    return find(system, name)


def remove(system: System, name: str, *, actor: str) -> Key:
    """End a key's time; what was signed with it until now stays valid.

    Raises:
        UnknownName: there is no such key.

    """
    found = find(system, name)
    note = Note(
        action=Action.APPROVER_REMOVE,
        actor=actor,
        target_type="key",
        target_id=found.id,
        details={"scheme": found.scheme, "name": name},
    )
    event = system.recorder.prepare(note)
    with writing(system.databases.control, CONTROL) as connection:
        query = sa.select(table_of(Approver)).where(Approver.id == found.id).with_for_update()
        row = dict(connection.execute(query).mappings().one())
        row["removed_at"] = dialects.now(connection)
        update = sa.update(Approver).where(Approver.id == found.id)
        connection.execute(update.values(removed_at=row["removed_at"], mac=_mac(system, row)))
        store(connection, event)
    return next(key for key in everyone(system) if key.id == found.id)


def find(system: System, name: str) -> Key:
    """Return the key of that name that was not removed.

    Raises:
        UnknownName: there is none.

    """
    for key in everyone(system):
        if key.name == name and key.removed_at is None:
            return key
    message = f"there is no approver key {name}; `aegis approver list` lists those there are"
    raise UnknownName(message)


def everyone(system: System) -> list[Key]:
    """Return every key that was ever registered, the oldest first."""
    with reading(system.databases.control, CONTROL) as connection:
        return read(system, connection)


def read(system: System, connection: sa.Connection) -> list[Key]:
    """Return every key that was ever registered, in the caller's transaction."""
    query = sa.select(table_of(Approver)).order_by(Approver.added_at, Approver.id)
    return [_key(system, dict(row)) for row in connection.execute(query).mappings()]


def ever(connection: sa.Connection) -> bool:
    """Whether a key was registered at any time, as the table or the log has it.

    Who empties the table by SQL does not get back to approvals that are only claimed.
    """
    logged = sa.select(AuditLog.id).where(AuditLog.action == Action.APPROVER_ADD).limit(1)
    registered = sa.select(Approver.id).limit(1)
    return any(connection.scalar(query) is not None for query in (registered, logged))


def _refuse_known(keys: list[Key], name: str, raw: bytes) -> None:
    for key in keys:
        if key.removed_at is None and (key.name == name or key.raw == raw):
            message = f"this name or this key is registered already, as {key.name} ({key.fingerprint})"
            raise Conflict(message)


def _key(system: System, row: Mapping[str, Any]) -> Key:
    return Key(
        id=row["id"],
        name=row["name"],
        actor_ref=row["actor_ref"],
        scheme=row["scheme"],
        raw=row["public_key"],
        since=row["from_time"],
        until=row["until_time"],
        removed_at=row["removed_at"],
        genuine=hmac.compare_digest(row["mac"], _mac(system, row)),
    )


def _mac(system: System, row: Mapping[str, Any]) -> bytes:
    return authenticated(system, {name: value for name, value in row.items() if name != "mac"})


def authenticated(system: System, values: Mapping[str, Any]) -> bytes:
    """Return the MAC over the fields of a row; only a process with the worker key can make it."""
    key = system.worker_key.subkey("approval")
    return hmac.digest(
        key, events.canonical({name: _plain(value) for name, value in values.items()}), "sha256"
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return events.stamp(value)
    return value.hex() if isinstance(value, bytes) else value
