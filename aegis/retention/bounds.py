"""Which partitions are wholly past by their bounds, and why one of them would go in batches all the same."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from aegis.db import dialects, partitions
from aegis.db.partitions import Leaf
from aegis.retention.cutoffs import Cutoffs
from aegis.retention.target import Target


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A partition that is wholly past, and why it goes in batches all the same, if it does."""

    leaf: Leaf
    why_not: str | None


def why_in_batches(target: Target, policy: Any, tenant: Any) -> str | None:
    """Return what keeps partitions of a table from being dropped whole; None: nothing that is known."""
    if policy.action != "delete":
        return "only a policy that deletes drops partitions"
    if (policy.archive or {}).get("keep_days"):
        return "their rows are archived first"
    if tenant is not None:
        return "the run is for one tenant"
    if target.layout.references:
        return f"{', '.join(item.table_label for item in target.layout.references)} refers to their rows"
    return None


def wholly_past(connection: sa.Connection, target: Target, cutoffs: Cutoffs) -> list[Whole]:
    """Return the partitions whose bounds leave no room for a row that is not past everybody's time."""
    found = partitions.leaves(connection, target.layout.table)
    if not found:
        return []
    expired = target.clock.expired(target.clock_column, cutoffs.earliest)
    stays = sa.or_(sa.not_(expired), target.clock_column.is_(None))
    young = partitions.holding(connection, target.layout.table, stays)
    return [
        Whole(leaf=leaf, why_not=_why_not(leaf)) for leaf in found if (leaf.schema, leaf.name) not in young
    ]


def _why_not(leaf: Leaf) -> str | None:
    if leaf.hindered or leaf.owned or leaf.tended:
        return leaf.hindered
    parent = f"{leaf.parent_schema}.{leaf.parent_name}"
    return f"Aegis's role does not own it and {parent}; `aegis grants` prints a function for their owner"


def told(connection: sa.Connection, target: Target, policy: Any, cutoffs: Cutoffs, tenant: Any) -> str | None:
    """Return what a preview says of partitions; None where none of them is wholly past."""
    possible = connection.dialect.name == dialects.POSTGRESQL and target.layout.partitioned
    if not possible or policy.action != "delete":
        return None
    over_all = why_in_batches(target, policy, tenant)
    found = [
        (whole.leaf.label, over_all or whole.why_not) for whole in wholly_past(connection, target, cutoffs)
    ]
    whole = ", ".join(label for label, why in found if why is None)
    parts = [f"dropped whole: {whole}"] if whole else []
    for reason in dict.fromkeys(why for _, why in found if why is not None):
        labels = ", ".join(label for label, why in found if why == reason)
        parts.append(f"wholly past, but in batches: {labels} ({reason})")
    return "; ".join(parts) or None
