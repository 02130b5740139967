"""What the log says of itself: its keys, its prunes, its recoveries. Their entries are never pruned."""

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.actions import Action
from aegis.audit.tlog import merkle, notes, trust
from aegis.audit.tlog.notes import Checkpoint
from aegis.audit.tlog.trust import Policy
from aegis.audit.verification import sums
from aegis.audit.verification.findings import Findings, Kind, Said, shown
from aegis.audit.verification.tree import Tree
from aegis.db.tables import AuditKey, AuditLeaf, AuditLog, AuditPruned
from aegis.errors import UsageError

#: What their details have to hold.
_SHAPES: Final[Mapping[str, Mapping[str, type]]] = {
    Action.KEY_ADD: {"vkey": str},
    Action.KEY_RETIRE: {"vkey": str, "last_size": int},
    Action.AUDIT_PRUNE: {"first": int, "last": int, "root": str, "before": str, "rows": dict},
    Action.AUDIT_RECOVER: {"incarnation": int, "seen_origin": str, "seen_size": int},
}
#: The events that make the history.
ACTIONS: Final = frozenset(_SHAPES)


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One event of the history."""

    event: str
    #: None before it has its place.
    leaf: int | None
    action: str
    details: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class History:
    """All of them, in the order of the log; those that wait for their leaf at the end."""

    facts: Sequence[Fact]

    def of(self, action: Action) -> Iterator[Fact]:
        """Yield the events of one action."""
        return (fact for fact in self.facts if fact.action == action)

    def sealed(self, action: Action) -> Iterator[Fact]:
        """Yield those that have their leaf: the others may still be anybody's."""
        return (fact for fact in self.of(action) if fact.leaf is not None)

    def extend(self, policy: Policy) -> Policy:
        """Return the policy for old checkpoints: with the keys that the log itself has retired since."""
        told = (fact.details for fact in self.sealed(Action.KEY_RETIRE))
        retired = {notes.verifier(details["vkey"]): details["last_size"] for details in told}
        logs = tuple(key for key in policy.logs if key not in retired)
        nobody = replace(policy, quorum=trust.NONE, groups=(), witnesses=())
        return replace(nobody, logs=logs, retired=retired | dict(policy.retired))

    def recovered_from(self, seen: Checkpoint) -> bool:
        """Say whether the log went on under a new name after this checkpoint of an old one."""
        return any(
            fact.details["seen_origin"] == seen.origin and seen.size <= fact.details["seen_size"]
            for fact in self.sealed(Action.AUDIT_RECOVER)
        )

    @property
    def incarnation(self) -> int:
        """How often the log was begun."""
        return max((fact.details["incarnation"] for fact in self.sealed(Action.AUDIT_RECOVER)), default=1)


def read(connection: sa.Connection, tree: Tree, since: int, findings: Findings) -> History:
    """Read the history; an entry that is not the one of its leaf tells nothing.

    Args:
        connection: of the control database.
        tree: the leaf hashes.
        since: from this leaf on somebody else names entries that are not those of their leaves.
        findings: takes the others.

    """
    facts: list[Fact] = []
    for row in _rows(connection):
        if row.leaf is None or _genuine(row, tree, since, findings):
            facts.extend(_fact(row))
    return History(facts=sorted(facts, key=_order))


def prunes(connection: sa.Connection) -> Sequence[Fact]:
    """Return what was ever told to be pruned, in the order of the log; nothing of it is checked."""
    facts = (fact for row in _rows(connection) for fact in _fact(row))
    return sorted((fact for fact in facts if fact.action == Action.AUDIT_PRUNE), key=_order)


def pruned_before(connection: sa.Connection) -> dt.datetime | None:
    """Return the moment before which the log was pruned, as far as a leaf has told it; None if never."""
    told = [fact for fact in prunes(connection) if fact.leaf is not None]
    return max((dt.datetime.fromisoformat(fact.details["before"]) for fact in told), default=None)


def check_keys(connection: sa.Connection, history: History, policy: Policy, findings: Findings) -> None:
    """Compare the table of keys, and the policy, with what the log says of its keys."""
    added = {fact.details["vkey"]: fact for fact in history.of(Action.KEY_ADD)}
    retired = {fact.details["vkey"]: fact.details["last_size"] for fact in history.of(Action.KEY_RETIRE)}
    query = sa.select(AuditKey.vkey, AuditKey.retired_size)
    rows = {row.vkey: row.retired_size for row in connection.execute(query)}
    for vkey in sorted(added.keys() | rows.keys()):
        if vkey not in added:
            findings.add(Kind.KEY, column=_id(vkey), expected=Said(text="a leaf key:add"), got=None)
        elif vkey not in rows:
            findings.add(
                Kind.KEY,
                leaf=added[vkey].leaf,
                event=added[vkey].event,
                column=_id(vkey),
                expected=Said(text="a row of the table of keys"),
                got=None,
            )
        elif rows[vkey] != retired.get(vkey):
            _retired(findings, vkey, "the table of keys", retired.get(vkey), rows[vkey])
    for key, size in policy.retired.items():
        if key.vkey in added and size != retired.get(key.vkey):
            _retired(findings, key.vkey, "the policy", retired.get(key.vkey), size)


def check_prunes(tree: Tree, history: History, minimum: int, findings: Findings) -> int:
    """Check what the prunes claim; return the leaf below which entries may be missing.

    Each has to begin where the one before ended, to lie below its own leaf, and to name the root
    of the tree that ends with its last leaf. One that waits for its leaf counts for nothing.
    """
    covered = 0
    for fact in history.sealed(Action.AUDIT_PRUNE):
        first, end = fact.details["first"], fact.details["last"] + 1
        possible = first == covered < end <= (fact.leaf or 0)
        root = merkle.root(end, tree.node).hex() if possible else None
        if root == fact.details["root"]:
            covered = end
            continue
        expected = Said(
            text=f"leaves from {covered} on, below leaf {fact.leaf}, root {root or 'of that tree'}"
        )
        got = Said(text=f"leaves {first} to {end - 1}, root {shown(fact.details['root'])}")
        findings.add(Kind.PRUNE, leaf=fact.leaf, event=fact.event, expected=expected, got=got)
    if minimum > covered:
        expected = Said(text=f"at most {covered}: nothing more was told to be pruned")
        findings.add(Kind.PRUNE, column="minimum", expected=expected, got=minimum)
    return min(minimum, covered)


def check_sums(connection: sa.Connection, history: History, minimum: int, findings: Findings) -> None:
    """Compare the sums of pruned events with what the prunes told; of one at work a part may be there."""
    least: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for fact in history.sealed(Action.AUDIT_PRUNE):
        if fact.details["first"] < minimum:
            most.update(fact.details["rows"])
        if fact.details["last"] < minimum:
            least.update(fact.details["rows"])
    query = sa.select(AuditPruned.policy, AuditPruned.table_name, AuditPruned.action, AuditPruned.rows)
    kept = sums.spelled({(row[0], row[1], row[2]): int(row[3]) for row in connection.execute(query)})
    for name in sorted(most.keys() | kept.keys()):
        if not least[name] <= kept.get(name, 0) <= most[name]:
            column = name if name in most else shown(name)
            findings.add(Kind.SUMS, column=column, expected=least[name], got=kept.get(name, 0))


def _rows(connection: sa.Connection) -> Sequence[Any]:
    query = sa.select(AuditLog.id, AuditLog.entry, AuditLeaf.leaf)
    query = query.outerjoin(AuditLeaf, AuditLeaf.id == AuditLog.id)
    return connection.execute(query.where(AuditLog.action.in_(sorted(ACTIONS)))).all()


def _order(fact: Fact) -> tuple[bool, int, str]:
    return fact.leaf is None, fact.leaf or 0, fact.event


def _genuine(row: Any, tree: Tree, since: int, findings: Findings) -> bool:
    if not 0 <= row.leaf < tree.size:
        return False
    expected, got = tree.node(0, row.leaf), merkle.leaf_hash(row.entry)
    if expected != got and row.leaf < since:
        findings.add(Kind.ENTRY, leaf=row.leaf, event=row.id, expected=expected, got=got)
    return expected == got


def _fact(row: Any) -> Iterator[Fact]:
    """Yield what an entry says, if it is of the history; the column may say otherwise."""
    try:
        fields = json.loads(row.entry)
        action, details = fields["action"], fields["details"]
        if all(isinstance(details[name], kind) for name, kind in _SHAPES[action].items()):
            if "vkey" in details:
                notes.verifier(details["vkey"])
            yield Fact(event=row.id, leaf=row.leaf, action=action, details=details)
    except (ValueError, KeyError, TypeError):
        # Not what Aegis writes: what it should have told is missing then, and that is found.
        return


def _retired(findings: Findings, vkey: str, where: str, expected: int | None, got: int | None) -> None:
    says = [
        Said(text="a key that signs" if size is None else f"retired at {size}") for size in (expected, got)
    ]
    findings.add(Kind.KEY, column=f"{_id(vkey)} in {where}", expected=says[0], got=says[1])


def _id(vkey: str) -> str:
    try:
        return notes.verifier(vkey).key_id.hex()
    except UsageError:
        return shown(vkey)
