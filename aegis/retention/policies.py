"""The register of policies: versions, states, approval.

The same name with the same digest is the same policy. Another digest is a new version that waits
for its own approval, and the version that was approved stops.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.actions import Action
from aegis.audit.recorder import Note, store
from aegis.datamap.keeping import keeping as keeping_in_map
from aegis.datamap.model import Keeping, Minimum
from aegis.db import dialects, transactions
from aegis.db.engines import reading, writing
from aegis.db.tables import DataRetentionPolicy
from aegis.errors import InvalidPolicy, Refused, UnknownName
from aegis.operations import approvals, runs
from aegis.operations.approvals import Subject
from aegis.operations.states import PolicyState
from aegis.operations.system import System
from aegis.retention import definition as definitions
from aegis.retention.anonymizing import deletes, refuse_unfit_masks
from aegis.retention.branches import every
from aegis.retention.children import refuse_cascades
from aegis.retention.cutoffs import refuse_same_tenant
from aegis.retention.definition import Definition
from aegis.retention.minimums import refuse_kept_along, refuse_shorter
from aegis.retention.sessions import refuse_without_sessions
from aegis.retention.target import Rule, Target, read_target

_CONTROL: Final = "control database"
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
    with writing(system.databases.control, _CONTROL) as connection:
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


def inspect(
    system: System,
    definition: Definition,
    *,
    census: bool = True,
    version: int = definitions.DIGEST_VERSION,
) -> tuple[str, Target]:
    """Check a definition against the live database; return its digest's document, and its table.

    Args:
        system: this process's Aegis.
        definition: the policy.
        census: read a text clock's column to see that it has one form.
        version: of the document.

    """
    source = system.source_row(definition.datasource)
    system.relay.register(definition.datasource)
    engine = system.databases.source(definition.datasource)
    with reading(engine, f"data source {definition.datasource}") as connection:
        refuse_without_sessions(connection, definition)
        # A clock that is text is read: rows that nobody sees would have any form.
        transactions.see_every_row(connection)
        keeping = keeping_of(system, definition)
        target = read_target(
            connection, definition.table, definition, keeping=keeping, forms=None if census else {}
        )
        refuse_shorter(definition.name, definition, target.clock_column, target.floors)
        along = [branch.layout.label for branch in every(target.branches)]
        refuse_kept_along(definition.name, {label: keeping_of(system, definition, label) for label in along})
        refuse_unfit_masks(connection, target, definition)
        if deletes(definition):
            refuse_cascades(target, definition.cascades, definition.name)
        refuse_same_tenant(definition.name, definition.tenant_days, target)
        text = definitions.document(
            definition, target, identity=source.identity, connection=connection, version=version
        )
        return text, target


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
    with writing(system.databases.control, _CONTROL) as connection:
        # Under the policy's lock, so that of two people the second sees the first.
        _versions(connection, name)
        if approvals.keep(system, connection, subject_of(policy), given).enough:
            moment = dialects.now(connection)
            pending = _update(policy.id).where(DataRetentionPolicy.state == PolicyState.PENDING)
            values = {"state": PolicyState.APPROVED, "approved_at": moment, "planned_until": moment}
            connection.execute(pending.values(**values))
        store(connection, event)
    return find(system, name)


def subject_of(policy: DataRetentionPolicy) -> Subject:
    """Return what an approval of this version of a policy is for."""
    return Subject(
        type="policy",
        id=policy.id,
        digest=policy.digest,
        digest_version=policy.digest_version,
        command=f"aegis policy approve {policy.name} --actor NAME",
    )


def disable(system: System, name: str, *, actor: str) -> DataRetentionPolicy:
    """Stop a policy for good; registering it again makes a new version."""
    policy = find(system, name)
    details = {"version": policy.version}
    event = system.recorder.prepare(
        Note(action=Action.POLICY_DISABLE, actor=actor, target_type="policy", target_id=name, details=details)
    )
    with writing(system.databases.control, _CONTROL) as connection:
        values = {"state": PolicyState.DISABLED, "disabled_at": dialects.now(connection)}
        connection.execute(_update(policy.id).values(**values))
        store(connection, event)
    return find(system, name)


def find(system: System, name: str) -> DataRetentionPolicy:
    """Return the newest version of a policy.

    Raises:
        UnknownName: there is no such policy.

    """
    found = newest(system, [name])
    return found[0]


def newest(system: System, names: Sequence[str] | None = None) -> list[DataRetentionPolicy]:
    """Return the newest version of each policy, by name.

    Raises:
        UnknownName: one of the names is not registered.

    """
    top = sa.select(DataRetentionPolicy.name, sa.func.max(DataRetentionPolicy.version).label("version"))
    top_versions = top.group_by(DataRetentionPolicy.name).subquery()
    joined = sa.and_(
        DataRetentionPolicy.name == top_versions.c.name, DataRetentionPolicy.version == top_versions.c.version
    )
    query = sa.select(DataRetentionPolicy).join(top_versions, joined).order_by(DataRetentionPolicy.name)
    if names is not None:
        query = query.where(DataRetentionPolicy.name.in_(names))
    found = _load(system, query)
    missing = sorted(set(names or []) - {policy.name for policy in found})
    if missing:
        message = f"there is no policy {', '.join(missing)}; `aegis policy list` shows those there are"
        raise UnknownName(message)
    return found


def by_id(system: System, policy_id: str) -> DataRetentionPolicy:
    """Return one version of a policy."""
    return _load(system, sa.select(DataRetentionPolicy).where(DataRetentionPolicy.id == policy_id))[0]


def refuse_changed(system: System, policy: DataRetentionPolicy) -> Target:
    """Refuse a policy whose table is not what it was when its digest was made; return the table.

    Raises:
        Refused: names what changed.

    """
    text, target = inspect(system, definition_of(policy), census=False, version=policy.digest_version)
    if definitions.digest(text) != policy.digest:
        changed = definitions.changes(json.loads(policy.definition), json.loads(text))
        message = (
            f"policy {policy.name} version {policy.version}: the table or its database changed since it was "
            f"registered ({', '.join(changed)}). Register it again and have it approved"
        )
        raise Refused(message)
    return target


def permitted(system: System, policy: DataRetentionPolicy) -> bool:
    """Whether the policy may change rows: approved, or approval is switched off."""
    if system.settings.approval == "off":
        return policy.state in {PolicyState.APPROVED, PolicyState.PENDING}
    return policy.state == PolicyState.APPROVED and approvals.stands(system, subject_of(policy)).enough


def why_not_permitted(system: System, policy: DataRetentionPolicy) -> str:
    """Return the sentence that tells a caller what is missing."""
    if policy.state not in {PolicyState.PENDING, PolicyState.APPROVED}:
        return f"the policy is {policy.state}"
    subject = subject_of(policy)
    found = approvals.stands(system, subject)
    stopped = f"; version {policy.version - 1} has stopped" if policy.version > 1 else ""
    return (
        f"version {policy.version} waits for approval{stopped}: {found.lacking(subject) or subject.command}"
    )


def refuse_forged(system: System, policy: DataRetentionPolicy) -> None:
    """Refuse a policy whose state says more than the approvals that people gave.

    Raises:
        Refused: names what does not hold.

    """
    found = approvals.stands(system, subject_of(policy))
    if policy.state == PolicyState.APPROVED and found.forged:
        message = (
            f"policy {policy.name} version {policy.version} is marked as approved, but that is not what "
            f"people approved: {found.lacking(subject_of(policy))}. Find out who wrote to the control "
            "database"
        )
        raise Refused(message)


def definition_of(policy: DataRetentionPolicy) -> Definition:
    """Return the definition that a stored policy was registered with."""
    label = f"{policy.schema_name}.{policy.table_name}" if policy.schema_name else policy.table_name
    same = {name: getattr(policy, name) for name in Definition.__dataclass_fields__ if name != "table"}
    return Definition(table=label, **same)


def read_policy_target(
    connection: sa.Connection,
    policy: DataRetentionPolicy,
    system: System | None = None,
    forms: Mapping[str, str] | None = None,
    known: Target | None = None,
) -> Target:
    """Read the policy's table from the live database, with what must be kept as it was approved.

    That the data map still says the same is a part of the digest, and looked at before every slice.

    Args:
        connection: the data source.
        policy: as it is stored.
        system: knows the policies of other tables; without it a hold on any of them is obeyed.
        forms: of the text clocks, where they are known.
        known: the table as it was read a moment ago.

    """
    rule: Rule = definition_of(policy)
    approved = json.loads(policy.definition)
    minimums = [
        Minimum(period=item["period"], column=item["column"], basis=item["basis"])
        for item in approved.get("minimum", ())
    ]
    keeping = Keeping(minimums=tuple(minimums), holds=tuple(approved.get("hold", ())))
    label = definition_of(policy).table
    target = read_target(connection, label, rule, keeping=keeping, forms=forms, known=known)
    if system is None or not target.branches:
        return target
    return replace(target, owners=_owners(system, policy.datasource))


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


def _owners(system: System, datasource: str) -> dict[str, frozenset[str]]:
    """Return the policies on each table of a data source, of whatever version."""
    table = DataRetentionPolicy
    query = sa.select(table.schema_name, table.table_name, table.name).where(table.datasource == datasource)
    found: dict[str, set[str]] = {}
    with reading(system.databases.control, _CONTROL) as connection:
        for schema, name, policy in connection.execute(query.distinct()):
            found.setdefault(f"{schema}.{name}" if schema else name, set()).add(policy)
    return {label: frozenset(names) for label, names in found.items()}


def keeping_of(system: System, definition: Definition, table: str | None = None) -> Keeping:
    """Return what the data map of a policy's source says about keeping its table, or another one."""
    path = system.settings.source(definition.datasource).datamap
    return keeping_in_map(path, table or definition.table)


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


def _load(system: System, query: sa.Select[Any]) -> list[DataRetentionPolicy]:
    with reading(system.databases.control, _CONTROL) as connection:
        rows = connection.execute(query.with_only_columns(*DataRetentionPolicy.__table__.c)).mappings()
        return [DataRetentionPolicy(**row) for row in rows]
