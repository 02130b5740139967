"""The order that policies declare with `after`: one waits until those that come first are through."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aegis.db.tables import DataRetentionPolicy
from aegis.errors import InvalidPolicy
from aegis.operations import runs
from aegis.operations.states import PolicyState, State, Wait, Waits
from aegis.operations.system import System
from aegis.retention import policies
from aegis.retention.cron import next_instant


def in_order(chosen: Sequence[DataRetentionPolicy]) -> list[DataRetentionPolicy]:
    """Return the policies so that each comes after those that it names, else as they came."""
    by_name = {policy.name: policy for policy in chosen}
    found: dict[str, DataRetentionPolicy] = {}

    def visit(policy: DataRetentionPolicy, way: tuple[str, ...]) -> None:
        refuse_circle(policy.name, way)
        for name in sorted(set(policy.after or ()) & by_name.keys() - found.keys()):
            visit(by_name[name], (*way, policy.name))
        found.setdefault(policy.name, policy)

    for policy in chosen:
        if policy.name not in found:
            visit(policy, ())
    return list(found.values())


def refuse_circle(name: str, way: Iterable[str]) -> None:
    """Refuse policies that wait for each other.

    Raises:
        InvalidPolicy: says in which circle.

    """
    if name in (way := tuple(way)):
        circle = " after ".join((*way[way.index(name) :], name))
        message = f"policies wait for each other: {circle}; take one of them out of `after`"
        raise InvalidPolicy(message)


def wait_for_others(system: System, policy: DataRetentionPolicy, run: Mapping[str, Any]) -> None:
    """Let a run begin only when the policies that it comes after are through with what was due.

    Raises:
        Waits: names the policy that is not.

    """
    if not policy.after or run["cutoff"] is not None:
        return
    for other in policies.newest(system, list(policy.after)):
        _wait_for(system, other, run)


def _wait_for(system: System, other: DataRetentionPolicy, run: Mapping[str, Any]) -> None:
    newest = next((row for row in runs.newest(system, other.name) if row["state"] != State.CANCELLED), None)
    if newest is not None and newest["state"] != State.DONE:
        why = f"policy {other.name} comes first, and its run {newest['id']} is {newest['state']}"
        raise Waits(Wait.AFTER, why)
    instant = run["scheduled_for"]
    if instant is None or other.state != PolicyState.APPROVED:
        return
    since = other.planned_until or other.created_at
    if next_instant(other.cron, other.cron_zone, since) <= instant:
        raise Waits(Wait.AFTER, f"policy {other.name} comes first, and its run of that time is not made yet")
