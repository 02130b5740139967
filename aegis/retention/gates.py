"""What a run has to pass: before it is worked on, and before its first row. Whoever says no raises."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from aegis.db.tables import DataRetentionPolicy
from aegis.operations import holds
from aegis.operations.scopes import Scope
from aegis.operations.states import PolicyState, Wait, Waits
from aegis.operations.system import System
from aegis.retention import archiving, guards, inspecting, policies
from aegis.retention.children import refuse_children
from aegis.retention.counting import Patient
from aegis.retention.cutoffs import Cutoffs
from aegis.retention.target import Target

#: `Waits` is raised by gates; it stands below, where a batch can raise it too.
__all__ = ["Cancelled", "Outlook", "Waits", "before_first", "before_slice", "under_holds"]


class Cancelled(Exception):
    """The policy was replaced or disabled: nobody will permit this run any more."""


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What is known of a run when everything is counted and nothing is changed."""

    system: System
    policy: DataRetentionPolicy
    run: Mapping[str, Any]
    connection: sa.Connection
    counter: Patient
    target: Target
    cutoffs: Cutoffs
    #: Rows that go for good, legal holds left aside; None when all of them stay.
    deleted: sa.ColumnElement[bool] | None
    #: How many rows are changed in all; None: counting them took too long.
    expected: int | None


def before_slice(system: System, policy: DataRetentionPolicy) -> Target:
    """Let a run be worked on only while its policy is permitted and its table as it was approved.

    Returns:
        The table.

    Raises:
        Waits: somebody must approve the policy first.
        Cancelled: the policy was replaced or disabled.
        Refused: the table is not what was approved, or its source is not in order.

    """
    system.relay.register(policy.datasource)
    holds.put_placed_in_force(system, policy.datasource)
    if policy.state in {PolicyState.SUPERSEDED, PolicyState.DISABLED}:
        raise Cancelled(policies.why_not_permitted(system, policy))
    if not policies.permitted(system, policy):
        policies.refuse_forged(system, policy)
        raise Waits(Wait.APPROVAL, policies.why_not_permitted(system, policy))
    return inspecting.refuse_changed(system, policy)


def under_holds(policy: DataRetentionPolicy, table: str, scopes: Sequence[Scope]) -> None:
    """Let a run go on only while no legal hold covers its whole table.

    Raises:
        Waits: one does.

    """
    touching = [hold for hold in scopes if hold.touches(policy=policy.name, table=table)]
    if any(hold.whole_table for hold in touching):
        raise Waits(Wait.HOLD, f"a legal hold covers table {table}")


def before_first(outlook: Outlook) -> list[str]:
    """Let a run change its first row only when nothing speaks against what was counted.

    Returns:
        What could not be told in time.

    Raises:
        Refused: says which guard stopped it, and what to do.

    """
    archiving.refuse_unkept(outlook.system, outlook.policy)
    counter, target = outlook.counter, outlook.target
    guards.refuse_too_many(
        outlook.system,
        outlook.policy,
        outlook.run,
        expected=outlook.expected,
        total=lambda: counter.within(lambda: counter.count(target.chosen(outlook.run["tenant"]))),
    )
    return [] if outlook.deleted is None or counter.within(lambda: _childless(outlook)) else ["children"]


def _childless(outlook: Outlook) -> bool:
    """Refuse rows that are referred to. Unseen ones are refused by the database, in the batch with them."""
    if outlook.deleted is not None:
        refuse_children(outlook.connection, outlook.target, outlook.deleted, outlook.policy.name)
    return True
