"""What makes, approves and stops a version of a policy.

The same name with the same digest is the same policy. Another digest is a new version that waits
for its own approval, and the version that was approved stops.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.actions import Action
from aegis.audit.recorder import Note, store
from aegis.db import dialects
from aegis.db.engines import CONTROL, writing
from aegis.db.tables import DataRetentionPolicy
from aegis.errors import InvalidPolicy, Refused
from aegis.operations import approvals, runs
from aegis.operations.states import PolicyState
from aegis.operations.system import System
from aegis.retention import definition as definitions
from aegis.retention.definition import Definition
from aegis.retention.inspecting import inspect, refuse_changed
from aegis.retention.policies import find, newest, permitted, subject_of

#: What an approval does not cover: changed in place.
IN_PLACE: Final = ("cron", "cron_zone", "windows", "budget", "parallel", "categories", "review_by")


def register(
    system: System, definition: Definition, *, actor: str, owner: str | None = None
) -> DataRetentionPolicy:
    """Register a policy and return it; `pending` until somebody approves it.

    Args:
        system: this process's Aegis.
        definition: the policy.
        actor: who registers it.
        owner: who answers for it; kept as a keyed reference.

    Raises:
        UsageError: the policy cannot mean what it says; nothing was changed.
        UnsafeTable: the table must not be touched, or its deletion would cascade.

    """
    definition.check()
    _refuse_disorder(system, definition)
    text, _ = inspect(system, definition)
    digest = definitions.digest(text)
    note = Note(
        action=Action.POLICY_REGISTER,
        actor=actor,
        target_type="policy",
        target_id=definition.name,
        details={
            "digest": digest,
            "datasource": definition.datasource,
            "table": definition.table,
            "days": definition.retention_days,
            "action": definition.action,
            "state": PolicyState.PENDING.value,
        },
    )
    event = system.recorder.prepare(note)
    owner_ref = None if owner is None else system.recorder.actor_ref(owner)
    with writing(system.databases.control, CONTROL) as connection:
        earlier = _versions(connection, definition.name)
        newest = earlier[-1] if earlier else None
        if (
            newest
            and newest["digest"] == digest
            and newest["state"] in {PolicyState.PENDING, PolicyState.APPROVED}
        ):
            values = {name: getattr(definition, name) for name in IN_PLACE} | {"owner_ref": owner_ref}
            connection.execute(_update(newest["id"]).values(**values))
            runs.wake_windowed(connection, newest["id"])
        else:
            version = (newest["version"] if newest else 0) + 1
            _insert(connection, definition, text, event, version=version, owner_ref=owner_ref)
            store(connection, event)
    return find(system, definition.name)


def approve(
    system: System, name: str, *, actor: str, digest: str | None = None, signature: bytes | None = None
) -> DataRetentionPolicy:
    """Approve the newest version of a policy, as it stands against the live database now.

    Args:
        actor: who approves; without approver keys this is what they claim to be.
        digest: what was looked at; refused when the policy has another digest by now.
        signature: over the policy's message, as its file holds it.

    Returns:
        The policy; still pending while a second person has to approve it.

    Raises:
        UnknownName: there is no such policy.
        Refused: it is disabled, it is not what it was when it was registered, or the signature is
            missing or wrong.

    """
    policy = find(system, name)
    if digest is not None and digest != policy.digest:
        message = f"policy {name} has digest {policy.digest[:12]}…, not {digest[:12]}…; preview it again"
        raise Refused(message)
    if policy.state == PolicyState.APPROVED and permitted(system, policy):
        return policy
    if policy.state not in {PolicyState.PENDING, PolicyState.APPROVED}:
        message = f"policy {name} is {policy.state}; register it again to bring it back"
        raise Refused(message)
    refuse_changed(system, policy)
    given = approvals.check(system, subject_of(policy), actor=actor, signature=signature)
    note = Note(
        action=Action.POLICY_APPROVE,
        actor=actor,
        target_type="policy",
        target_id=name,
        details=approvals.told(given) | {"version": policy.version, "digest": policy.digest},
    )
    event = system.recorder.prepare(note)
    with writing(system.databases.control, CONTROL) as connection:
        # Under the policy's lock, so that of two people the second sees the first.
        _versions(connection, name)
        if approvals.keep(system, connection, subject_of(policy), given).enough:
            moment = dialects.now(connection)
            pending = _update(policy.id).where(DataRetentionPolicy.state == PolicyState.PENDING)
            values = {"state": PolicyState.APPROVED, "approved_at": moment, "planned_until": moment}
            connection.execute(pending.values(**values))
        store(connection, event)
    return find(system, name)


def disable(system: System, name: str, *, actor: str) -> DataRetentionPolicy:
    """Stop a policy for good; registering it again makes a new version."""
    policy = find(system, name)
    details = {"version": policy.version}
    event = system.recorder.prepare(
        Note(action=Action.POLICY_DISABLE, actor=actor, target_type="policy", target_id=name, details=details)
    )
    with writing(system.databases.control, CONTROL) as connection:
        values = {"state": PolicyState.DISABLED, "disabled_at": dialects.now(connection)}
        connection.execute(_update(policy.id).values(**values))
        store(connection, event)
    return find(system, name)


def _refuse_disorder(system: System, definition: Definition) -> None:
    """Refuse an order that names a policy that is not there, or that goes round in a circle."""
    newest(system, list(definition.after or ()))
    known = {policy.name: tuple(policy.after or ()) for policy in newest(system)} if definition.after else {}
    known[definition.name] = tuple(definition.after or ())
    ahead, seen = list(known[definition.name]), set[str]()
    while ahead:
        name = ahead.pop()
        if name == definition.name:
            message = (
                f"policy {name}: `after` goes round in a circle: {', '.join(sorted(seen))} comes after {name}"
            )
            raise InvalidPolicy(message)
        if name not in seen:
            seen.add(name)
            ahead += known.get(name, ())


def _insert(
    connection: sa.Connection,
    definition: Definition,
    text: str,
    event: events.Event,
    *,
    version: int,
    owner_ref: str | None,
) -> None:
    body: dict[str, Any] = json.loads(text)
    schema, _, table = definition.table.rpartition(".")
    values = {name: value for name, value in asdict(definition).items() if name != "table"}
    values |= {
        "id": events.uuid7(),
        "version": version,
        "state": PolicyState.PENDING,
        "schema_name": schema or None,
        "table_name": table,
        "key_columns": [column["name"] for column in body["key"]],
        "filter_sql": body["condition"],
        "owner_ref": owner_ref,
        "definition": text,
        "digest": definitions.digest(text),
        "digest_version": definitions.DIGEST_VERSION,
        "created_by": event.actor_ref,
        "created_at": dialects.now(connection),
    }
    stopped = sa.update(DataRetentionPolicy).where(
        DataRetentionPolicy.name == definition.name,
        DataRetentionPolicy.state.in_([PolicyState.PENDING, PolicyState.APPROVED]),
    )
    connection.execute(stopped.values(state=PolicyState.SUPERSEDED))
    connection.execute(sa.insert(DataRetentionPolicy).values(**values))


def _update(policy_id: str) -> sa.Update:
    return sa.update(DataRetentionPolicy).where(DataRetentionPolicy.id == policy_id)


def _versions(connection: sa.Connection, name: str) -> Sequence[sa.RowMapping]:
    columns = DataRetentionPolicy
    query = sa.select(columns.id, columns.version, columns.digest, columns.state).where(columns.name == name)
    return connection.execute(query.order_by(columns.version).with_for_update()).mappings().all()
