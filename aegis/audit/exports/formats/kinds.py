"""What each action is called in the classes of a SIEM: one table for all formats."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aegis.audit.actions import Action, Outcome

#: Classes of OCSF 1.8, with their captions.
ENTITY: Final = 3004
DATASTORE: Final = 6005
API: Final = 6003
LOG: Final = 1008
CLASSES: Final[Mapping[int, str]] = {
    ENTITY: "Entity Management",
    DATASTORE: "Datastore Activity",
    API: "API Activity",
    LOG: "Event Log Activity",
}

#: Severities of OCSF.
INFORMATIONAL: Final = 1
MEDIUM: Final = 3
HIGH: Final = 4
CRITICAL: Final = 5

#: What is no activity of its class: it is named by its verb.
OTHER: Final = 99


@dataclass(frozen=True, kw_only=True)
class Kind:
    """An action as an OCSF class has it."""

    #: The class's number.
    class_uid: int
    #: The activity's number within its class, and what it is called there.
    activity_id: int
    activity: str
    severity: int


_ACTIVITIES: Final[Mapping[int, Mapping[str, int]]] = {
    ENTITY: {
        "Create": 1,
        "Update": 3,
        "Delete": 4,
        "Enable": 8,
        "Disable": 9,
        "Activate": 10,
        "Deactivate": 11,
        "Suspend": 12,
        "Resume": 13,
    },
    DATASTORE: {"Read": 1, "Update": 2, "Write": 5, "Delete": 7},
    API: {},
    LOG: {"Delete": 2, "Export": 3, "Stop": 7, "Restart": 8},
}

#: Class and activity of each action; an activity that the class lacks is its verb.
_KINDS: Final[Mapping[str, tuple[int, str]]] = {
    Action.RETENTION_RUN: (DATASTORE, ""),
    Action.RETENTION_BATCH: (DATASTORE, ""),
    Action.RETENTION_REVERTED: (DATASTORE, ""),
    Action.RETENTION_RETURNED: (DATASTORE, ""),
    Action.RETENTION_PURGE: (DATASTORE, "Delete"),
    Action.RETENTION_RESTORE: (DATASTORE, "Write"),
    Action.ARCHIVE_COMPLETE: (DATASTORE, "Write"),
    Action.ARCHIVE_EXPIRE: (DATASTORE, "Delete"),
    Action.BACKUP_ATTEST: (DATASTORE, ""),
    Action.ERASURE_EXPORT: (DATASTORE, "Read"),
    Action.ERASURE_REQUEST: (DATASTORE, ""),
    Action.ERASURE_APPROVE: (DATASTORE, ""),
    Action.ERASURE_BATCH: (DATASTORE, ""),
    Action.ERASURE_RUN: (DATASTORE, ""),
    Action.ERASURE_RESUME: (DATASTORE, ""),
    Action.ERASURE_CANCEL: (DATASTORE, ""),
    Action.ERASURE_COPY: (DATASTORE, ""),
    Action.ERASURE_CLOSE: (DATASTORE, ""),
    Action.FEDERATED_RELEASE: (DATASTORE, "Read"),
    Action.RETENTION_MISSED: (ENTITY, ""),
    Action.RETENTION_PAUSE: (ENTITY, "Suspend"),
    Action.RETENTION_RESUME: (ENTITY, "Resume"),
    Action.RETENTION_CANCEL: (ENTITY, "Deactivate"),
    Action.POLICY_REGISTER: (ENTITY, "Create"),
    Action.POLICY_APPROVE: (ENTITY, "Enable"),
    Action.POLICY_CONFIRM: (ENTITY, "Activate"),
    Action.POLICY_DISABLE: (ENTITY, "Disable"),
    Action.HOLD_OVERDUE: (ENTITY, ""),
    Action.OPERATIONS_STOP: (ENTITY, "Suspend"),
    Action.OPERATIONS_START: (ENTITY, "Resume"),
    Action.MESSAGE_DROP: (ENTITY, "Delete"),
    Action.KEY_RETIRE: (ENTITY, "Deactivate"),
    Action.AUDIT_HALT: (LOG, "Stop"),
    Action.AUDIT_PRUNE: (LOG, "Delete"),
    Action.AUDIT_EXPORT: (LOG, "Export"),
    Action.AUDIT_RECOVER: (LOG, "Restart"),
}
#: The same by what an action is about, and by its verb.
_CLASS_OF: Final[Mapping[str, int]] = {
    "retention": DATASTORE,
    "archive": DATASTORE,
    "backup": DATASTORE,
    "erasure": DATASTORE,
    "policy": ENTITY,
    "approver": ENTITY,
    "hold": ENTITY,
    "operations": ENTITY,
    "source": ENTITY,
    "key": ENTITY,
    "witness": ENTITY,
    "epoch": ENTITY,
    "budget": ENTITY,
    "message": ENTITY,
    "audit": LOG,
    "tenant": API,
    "custom": API,
}
_ACTIVITY_OF: Final[Mapping[str, str]] = {
    "add": "Create",
    "begin": "Create",
    "create": "Create",
    "destroy": "Delete",
    "place": "Create",
    "register": "Create",
    "release": "Delete",
    "remove": "Delete",
    "set": "Update",
}
#: What a retention run does to rows.
_CHANGES: Final[Mapping[str, str]] = {"delete": "Delete", "cascade": "Delete", "restore": "Write"}
_SEVERITIES: Final[Mapping[str, int]] = {
    Action.AUDIT_HALT: CRITICAL,
    Action.AUDIT_RECOVER: HIGH,
    Action.RETENTION_REVERTED: HIGH,
    Action.RETENTION_RETURNED: HIGH,
    Action.HOLD_OVERDUE: MEDIUM,
    Action.RETENTION_MISSED: MEDIUM,
}
_BY_OUTCOME: Final[Mapping[str, int]] = {Outcome.DENIED: MEDIUM, Outcome.FAILURE: HIGH}


def kind_of(fields: Mapping[str, Any]) -> Kind:
    """Return what an entry is to a SIEM; a caller's own action is an API activity."""
    action = fields["action"]
    subject, _, verb = action.partition(":")
    class_uid, activity = _KINDS.get(
        action, (_CLASS_OF.get(subject, API), _ACTIVITY_OF.get(verb, "") if subject != "custom" else "")
    )
    change = fields["details"].get("action")
    if class_uid == DATASTORE and not activity and change:
        activity = _CHANGES.get(str(change), "Update")
    number = _ACTIVITIES[class_uid].get(activity, OTHER)
    if number == OTHER:
        activity = verb or action
    severity = max(_SEVERITIES.get(action, INFORMATIONAL), _BY_OUTCOME.get(fields["outcome"], INFORMATIONAL))
    return Kind(class_uid=class_uid, activity_id=number, activity=activity, severity=severity)
