"""What a policy file would change in the register, and changing it.

Everything is checked before anything is registered: the file, each policy, and its table in the
live database. What is registered is what `register` makes of it: a new version is pending, and
what an approval does not cover changes in place. A policy that is not in the file stays.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aegis.db.tables import DataRetentionPolicy
from aegis.errors import Refused, UsageError
from aegis.operations.states import PolicyState
from aegis.operations.system import System
from aegis.retention import definition as definitions
from aegis.retention import files, inspecting, policies, registering
from aegis.retention.files import Filed
from aegis.retention.words import KEY_OF, OWNER

NEW: Final = "new"
CHANGED: Final = "changed"
UNCHANGED: Final = "unchanged"
ONLY_HERE: Final = "only in the database"
_LIVE: Final = frozenset({PolicyState.PENDING, PolicyState.APPROVED})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """What one policy's part of a file means to the register."""

    policy: str
    status: str
    #: key → (old, new)
    changes: Mapping[str, tuple[Any, Any]] = dataclasses.field(default_factory=dict)
    #: The state that the register has it in; none: it is not there.
    state: str | None = None
    #: Whether it becomes a version that waits for its own approval.
    new_version: bool = False

    @property
    def differs(self) -> bool:
        """Whether the register is not what the file says."""
        return self.status in {NEW, CHANGED}

    def report(self) -> dict[str, Any]:
        """Return plain data."""
        changes = [{"key": key, "old": old, "new": new} for key, (old, new) in self.changes.items()]
        return {**vars(self), "changes": changes}


def plan(system: System, text: str, file: str) -> tuple[list[Step], list[Filed]]:
    """Compare a file with the register and the live databases; changes nothing.

    Returns:
        A step for each policy, those that nobody accepted and those that are not in the file last; and
        the accepted policies of the file.

    Raises:
        InvalidFile: has one line for each fault.
        Unreachable: a data source does not answer.

    """
    known = {policy.name: policy for policy in policies.newest(system)}
    steps, filed, faults = list[Step](), list[Filed](), list[tuple[Filed, Exception]]()
    for written in files.read(text, file):
        try:
            item = _in_its_source(system, written)
            steps.append(_step(system, item, known.get(item.definition.name)))
            filed.append(item)
        except (UsageError, Refused) as error:
            faults.append((written, error))
    if faults:
        raise files.refused(file, faults)
    named = {item.definition.name for item in filed}
    others = [policy for name, policy in known.items() if name not in named and policy.state in _LIVE]
    steps += [Step(policy=it.name, status=it.status) for it in files.waiting(text, file)]
    return steps + [Step(policy=it.name, status=ONLY_HERE, state=it.state) for it in others], filed


def carry_out(system: System, steps: Sequence[Step], filed: Sequence[Filed], *, actor: str) -> None:
    """Register what is new or changed, in the order of the file.

    Each policy is registered for itself: stopped in the middle, the same file again does the rest.
    """
    differing = {step.policy for step in steps if step.differs}
    for item in filed:
        if item.definition.name in differing:
            registering.register(system, item.definition, actor=actor, owner=item.owner)


def export(system: System, names: Sequence[str] | None = None) -> str:
    """Return the register's policies, or those named, as a file.

    Raises:
        UnknownName: one of the names is not registered.
        Refused: one that was named is disabled.

    """
    found = policies.newest(system, names)
    stopped = [policy.name for policy in found if policy.state not in _LIVE]
    if names is not None and stopped:
        message = f"policy {', '.join(stopped)} is disabled, and a file would bring it back: leave it out"
        raise Refused(message)
    kept = [policy for policy in found if policy.state in _LIVE]
    owners = system.reader.actors({policy.owner_ref for policy in kept if policy.owner_ref})
    return files.write(
        [
            Filed(definition=policies.definition_of(policy), owner=owners.get(policy.owner_ref or ""))
            for policy in kept
        ]
    )


def _in_its_source(system: System, item: Filed) -> Filed:
    name = system.settings.source_name(item.definition.datasource)
    return dataclasses.replace(item, definition=dataclasses.replace(item.definition, datasource=name))


def _step(system: System, item: Filed, stored: DataRetentionPolicy | None) -> Step:
    wanted = item.definition
    if stored is None:
        inspecting.inspect(system, wanted)
        return Step(policy=wanted.name, status=NEW, new_version=True)
    text, _ = inspecting.inspect(system, wanted, version=stored.digest_version)
    same = definitions.digest(text) == stored.digest and stored.state in _LIVE
    changes = _uncovered(system, item, stored) | ({} if same else _covered(wanted, stored, text))
    return Step(
        policy=wanted.name,
        status=CHANGED if changes else UNCHANGED,
        changes=changes,
        state=stored.state,
        new_version=bool(changes) and not (same and stored.digest_version == definitions.DIGEST_VERSION),
    )


def _uncovered(system: System, item: Filed, stored: DataRetentionPolicy) -> dict[str, tuple[Any, Any]]:
    """Return what differs of that which an approval does not cover."""
    changes = _differences(policies.definition_of(stored), item.definition, registering.IN_PLACE)
    wanted = None if item.owner is None else system.recorder.actor_ref(item.owner)
    if wanted != stored.owner_ref:
        known = stored.owner_ref and system.reader.actors({stored.owner_ref}).get(stored.owner_ref)
        changes[OWNER] = (known or stored.owner_ref, item.owner)
    return changes


def _covered(
    wanted: definitions.Definition, stored: DataRetentionPolicy, text: str
) -> dict[str, tuple[Any, Any]]:
    """Return what differs of that which an approval covers: the policy's words, or the live table."""
    before, after = json.loads(stored.definition), json.loads(text)
    ours = dataclasses.replace(wanted, filter_sql=after["condition"])
    words = [field for field in KEY_OF if field not in registering.IN_PLACE]
    changes = _differences(policies.definition_of(stored), ours, words)
    if stored.state not in _LIVE:
        changes["state"] = (stored.state, PolicyState.PENDING.value)
    if not changes:
        changes = dict.fromkeys(definitions.changes(before, after), ("as registered", "changed"))
    return changes


def _differences(
    before: definitions.Definition, after: definitions.Definition, fields: Sequence[str]
) -> dict[str, tuple[Any, Any]]:
    pairs = {name: (files.plain(getattr(before, name)), files.plain(getattr(after, name))) for name in fields}
    return {KEY_OF[name]: pair for name, pair in pairs.items() if pair[0] != pair[1]}
