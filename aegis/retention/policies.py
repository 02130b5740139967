"""The policies as they are stored: their versions, their states, and whether they may change rows."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from aegis.db.engines import CONTROL, reading
from aegis.db.tables import DataRetentionPolicy
from aegis.errors import Refused, UnknownName
from aegis.operations import approvals
from aegis.operations.approvals import Subject
from aegis.operations.states import PolicyState
from aegis.operations.system import System
from aegis.retention.definition import Definition


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
        message = f"there is no policy {', '.join(missing)}; `aegis policy list` lists those there are"
        raise UnknownName(message)
    return found


def by_id(system: System, policy_id: str) -> DataRetentionPolicy:
    """Return one version of a policy."""
    return _load(system, sa.select(DataRetentionPolicy).where(DataRetentionPolicy.id == policy_id))[0]


def subject_of(policy: DataRetentionPolicy) -> Subject:
    """Return what an approval of this version of a policy is for."""
    return Subject(
        type="policy",
        id=policy.id,
        digest=policy.digest,
        digest_version=policy.digest_version,
        command=f"aegis policy approve {policy.name} --actor NAME",
    )


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


def _load(system: System, query: sa.Select[Any]) -> list[DataRetentionPolicy]:
    with reading(system.databases.control, CONTROL) as connection:
        rows = connection.execute(query.with_only_columns(*DataRetentionPolicy.__table__.c)).mappings()
        return [DataRetentionPolicy(**row) for row in rows]
