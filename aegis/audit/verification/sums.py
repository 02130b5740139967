"""What events of retention add up to: rows by policy, table and action, as the ledger counts them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aegis.audit.actions import Action

#: Policy, table and action.
Key = tuple[str, str, str]

#: Before the action of rows that came back with a restored source.
REVERTED: Final = "reverted_"
#: Events that the ledger counts.
COUNTED: Final = frozenset(
    {Action.RETENTION_BATCH, Action.RETENTION_RESTORE, Action.RETENTION_RETURNED, Action.ERASURE_BATCH}
)
#: Those of them that tell what a batch of a run did.
BATCHES: Final = (Action.RETENTION_BATCH, Action.ERASURE_BATCH)


def of(entry: Mapping[str, Any]) -> Counter[Key]:
    """Return the rows of one of these events: those of its own table, and those of others."""
    policy, details = entry["target"], entry["details"]
    back = REVERTED if entry["action"] == Action.RETENTION_RETURNED else ""
    sums = Counter({(policy, details["table"], back + details["action"]): details["rows"]})
    for name, rows in details.get("along", {}).items():
        action, _, table = name.partition(":")
        sums[policy, table, back + action] += rows
    return sums


def total(entries: Iterable[Mapping[str, Any]]) -> Counter[Key]:
    """Return the rows of several of these events."""
    sums: Counter[Key] = Counter()
    for entry in entries:
        sums.update(of(entry))
    return sums


def spelled(sums: Mapping[Key, int]) -> dict[str, int]:
    """Return sums as an event tells them: `policy action:table` → rows."""
    return {f"{policy} {action}:{table}": rows for (policy, table, action), rows in sorted(sums.items())}
