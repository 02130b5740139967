"""What can happen, and which details of it may stand in the log in clear.

A field that is not listed here is sealed. Clear fields are numbers, enumerations and names from
the configuration; never a value from a row, and never a person.
"""

import enum
from collections.abc import Mapping
from typing import Any, Final


class Action(enum.StrEnum):
    """Every action that Aegis itself records."""

    RETENTION_BATCH = "retention:batch"
    RETENTION_RUN = "retention:run"
    RETENTION_MISSED = "retention:missed"
    RETENTION_REVERTED = "retention:reverted"
    RETENTION_TAMPERED = "retention:tampered"
    RETENTION_RETURNED = "retention:returned"
    RETENTION_PAUSE = "retention:pause"
    RETENTION_RESUME = "retention:resume"
    RETENTION_CANCEL = "retention:cancel"
    RETENTION_PURGE = "retention:purge"
    POLICY_REGISTER = "policy:register"
    POLICY_APPROVE = "policy:approve"
    POLICY_DISABLE = "policy:disable"
    POLICY_CONFIRM = "policy:confirm"
    APPROVER_ADD = "approver:add"
    APPROVER_REMOVE = "approver:remove"
    TENANT_DENY = "tenant:deny"
    HOLD_PLACE = "hold:place"
    HOLD_RELEASE = "hold:release"
    HOLD_OVERDUE = "hold:overdue"
    OPERATIONS_STOP = "operations:stop"
    OPERATIONS_START = "operations:start"
    SOURCE_REGISTER = "source:register"
    RETENTION_RESTORE = "retention:restore"
    ARCHIVE_COMPLETE = "archive:complete"
    ARCHIVE_EXPIRE = "archive:expire"
    BACKUP_ATTEST = "backup:attest"
    KEY_ADD = "key:add"
    KEY_RETIRE = "key:retire"
    AUDIT_HALT = "audit:halt"
    AUDIT_PRUNE = "audit:prune"
    AUDIT_EXPORT = "audit:export"
    AUDIT_RECOVER = "audit:recover"
    WITNESS_ADD = "witness:add"
    WITNESS_REMOVE = "witness:remove"
    EPOCH_BEGIN = "epoch:begin"
    EPOCH_DESTROY = "epoch:destroy"
    ERASURE_EXPORT = "erasure:export"
    ERASURE_REQUEST = "erasure:request"
    ERASURE_APPROVE = "erasure:approve"
    ERASURE_BATCH = "erasure:batch"
    ERASURE_RUN = "erasure:run"
    ERASURE_RESUME = "erasure:resume"
    ERASURE_CANCEL = "erasure:cancel"
    ERASURE_COPY = "erasure:copy"
    ERASURE_CLOSE = "erasure:close"
    FEDERATED_RELEASE = "federated:release"
    BUDGET_CREATE = "budget:create"
    BUDGET_SET = "budget:set"
    MESSAGE_REFUSE = "message:refuse"
    MESSAGE_REQUEUE = "message:requeue"
    MESSAGE_DROP = "message:drop"


class Outcome(enum.StrEnum):
    """How it ended."""

    SUCCESS = "success"
    DENIED = "denied"
    FAILURE = "failure"
    INTENT = "intent"


#: What the public door may record of the caller's own; all its details are sealed.
CUSTOM: Final = "custom:"

_RUN: Final = {"table", "datasource", "action", "rows", "along", "cutoff", "run", "digest"}

CLEAR: Final[Mapping[Action, frozenset[str]]] = {
    Action.RETENTION_BATCH: frozenset(
        _RUN
        | {"shard", "number", "pass", "held", "incarnation"}
        | {"archive", "part", "part_rows", "part_bytes", "partition"}
    ),
    Action.RETENTION_RUN: frozenset(
        _RUN
        | {"state", "batches", "expected", "arrived_late", "held", "null_clock", "origin", "scheduled_for"}
        | {"kept", "left", "seconds", "throttled", "unmeasured", "uncounted", "skipped"}
        | {"arriving_per_day", "leaving_per_day"}
        | {"guard", "limit", "counted", "partitions", "forms"}
    ),
    Action.RETENTION_MISSED: frozenset({"first", "last", "count", "reason"}),
    Action.RETENTION_PAUSE: frozenset({"reason"}),
    Action.RETENTION_CANCEL: frozenset({"reason"}),
    Action.RETENTION_REVERTED: frozenset(
        {"datasource", "expected", "found", "incarnation", "first_missing", "last_missing"}
    ),
    Action.RETENTION_RETURNED: frozenset(
        {"datasource", "run", "shard", "first", "last", "table", "action", "rows", "along"}
        | {"batches", "incarnation"}
    ),
    Action.RETENTION_RESUME: frozenset({"reason", "datasource", "incarnation", "cancelled"}),
    Action.RETENTION_TAMPERED: frozenset({"datasource", "reason"}),
    Action.RETENTION_PURGE: frozenset({"run", "table", "datasource", "rows", "how", "changed_at"}),
    Action.POLICY_REGISTER: frozenset(
        {"version", "digest", "datasource", "table", "days", "action", "state"}
    ),
    Action.POLICY_APPROVE: frozenset({"version", "digest", "claimed", "scheme", "run", "counted"}),
    Action.POLICY_CONFIRM: frozenset({"version"}),
    Action.POLICY_DISABLE: frozenset({"version"}),
    Action.APPROVER_ADD: frozenset({"scheme", "from", "until"}),
    Action.APPROVER_REMOVE: frozenset({"scheme"}),
    Action.TENANT_DENY: frozenset({"reason"}),
    Action.MESSAGE_REFUSE: frozenset({"reason", "count"}),
    Action.MESSAGE_REQUEUE: frozenset({"reason"}),
    Action.MESSAGE_DROP: frozenset({"reason"}),
    Action.HOLD_PLACE: frozenset({"datasource", "table", "policy", "review_by", "in_force", "key_columns"}),
    Action.HOLD_RELEASE: frozenset({"datasource"}),
    Action.HOLD_OVERDUE: frozenset({"datasource", "table", "policy", "review_by"}),
    Action.OPERATIONS_STOP: frozenset({"datasource", "review_by"}),
    Action.OPERATIONS_START: frozenset({"datasource"}),
    Action.SOURCE_REGISTER: frozenset({"identity", "incarnation"}),
    Action.RETENTION_RESTORE: frozenset(_RUN | {"archive", "parts", "tombstones"}),
    Action.ARCHIVE_COMPLETE: frozenset({"table", "datasource", "policy", "rows", "parts", "manifest"}),
    Action.ARCHIVE_EXPIRE: frozenset({"table", "datasource", "policy", "rows", "parts", "manifest"}),
    Action.BACKUP_ATTEST: frozenset({"datasource", "at"}),
    Action.KEY_ADD: frozenset({"vkey"}),
    Action.KEY_RETIRE: frozenset({"vkey", "last_size", "lost"}),
    Action.AUDIT_HALT: frozenset({"reason", "size"}),
    Action.AUDIT_PRUNE: frozenset({"first", "last", "root", "before", "rows"}),
    Action.AUDIT_EXPORT: frozenset({"format", "first", "last"}),
    Action.AUDIT_RECOVER: frozenset({"incarnation", "size", "seen_origin", "seen_size", "seen_root"}),
    Action.WITNESS_ADD: frozenset({"vkey"}),
    Action.WITNESS_REMOVE: frozenset({"vkey"}),
    Action.EPOCH_BEGIN: frozenset({"key_id"}),
    Action.EPOCH_DESTROY: frozenset({"key_id", "lost"}),
    Action.ERASURE_EXPORT: frozenset({"datasource", "rows", "tables"}),
    Action.ERASURE_REQUEST: frozenset(
        {"datasource", "run", "digest", "due_at", "rows", "kept", "persons", "group"}
    ),
    Action.ERASURE_APPROVE: frozenset({"run", "digest", "claimed", "scheme"}),
    Action.ERASURE_BATCH: frozenset((_RUN - {"cutoff"}) | {"shard", "number"}),
    Action.ERASURE_RUN: frozenset(
        (_RUN - {"cutoff"}) | {"state", "origin", "persons", "passes", "receipt", "erased", "retained"}
    ),
    Action.ERASURE_RESUME: frozenset({"run"}),
    Action.ERASURE_CANCEL: frozenset({"run"}),
    Action.ERASURE_COPY: frozenset({"run", "request", "copy", "kind", "due_at"}),
    Action.ERASURE_CLOSE: frozenset({"run", "request", "copies"}),
    Action.FEDERATED_RELEASE: frozenset(
        {"mechanism", "epsilon", "delta", "sensitivity", "sensitivity_is", "coordinates", "minimum"}
        | {"participants"}
    ),
    Action.BUDGET_CREATE: frozenset(
        {"parent", "composition", "rdp_order", "delta", "window_days", "window_limit", "lifetime_limit"}
    ),
    Action.BUDGET_SET: frozenset(
        {"window_limit", "lifetime_limit", "window_limit_before", "lifetime_limit_before"}
    ),
}

#: Kinds of target that name no person; every other kind is kept as a keyed reference.
CLEAR_TARGETS: Final = frozenset(
    {"policy", "table", "run", "source", "hold", "budget", "key", "system", "archive"}
    | {"log", "witness", "epoch"}
)
#: Aegis's own actions, as against those that an application names.
_OWN: Final = frozenset(Action)


def split(action: str, details: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide details into those that may stand in clear and those to seal."""
    allowed = CLEAR.get(Action(action), frozenset()) if action in _OWN else frozenset()
    clear = {name: value for name, value in details.items() if name in allowed and _plain(value)}
    return clear, {name: value for name, value in details.items() if name not in clear}


def public_name(action: str) -> str:
    """Return the name under which the public door records an action: always `custom:…`.

    Aegis's own actions are what the account is proved with, so nobody else may write them.
    """
    return action if action.startswith(CUSTOM) else CUSTOM + action


def _plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        # Counts by name; the names are those of tables, actions and reasons.
        return all(isinstance(count, int) for count in value.values())
    return value is None or isinstance(value, str | int)
