"""Open Cybersecurity Schema Framework 1.8: one JSON object a line."""

from collections.abc import Mapping
from typing import Any, Final

from aegis.audit.actions import Outcome
from aegis.audit.exports.batches import Leaf
from aegis.audit.exports.formats import text
from aegis.audit.exports.formats.kinds import API, CLASSES, DATASTORE, ENTITY, LOG, OTHER, kind_of

VERSION: Final = "1.8.0"
BEGINS: Final = b'{"metadata":'

#: Status number and caption.
_STATUS: Final[Mapping[str, tuple[int, str]]] = {
    Outcome.SUCCESS: (1, "Success"),
    Outcome.DENIED: (2, "Failure"),
    Outcome.FAILURE: (2, "Failure"),
}
_POLICY: Final = 5
_APPLICATION: Final = 2
_RELATIONAL: Final = 1
#: Aegis sees no client's address: what acts is the service.
_SERVICE: Final = {"svc_name": "aegis"}


def render(leaf: Leaf) -> bytes:
    """Return an event as a line."""
    fields, kind = leaf.fields, kind_of(leaf.fields)
    status_id, status = _STATUS.get(fields["outcome"], (OTHER, fields["outcome"]))
    document = {
        "metadata": _metadata(leaf),
        "time": text.milliseconds(fields),
        "category_uid": kind.class_uid // 1000,
        "class_uid": kind.class_uid,
        "class_name": CLASSES[kind.class_uid],
        "activity_id": kind.activity_id,
        "activity_name": kind.activity,
        "type_uid": kind.class_uid * 100 + kind.activity_id,
        "severity_id": kind.severity,
        "status_id": status_id,
        "status": status,
        "status_detail": fields["outcome"],
        "message": text.printable(f"{fields['action']} {fields['target_type']} {fields['target']}"),
        "actor": {"user": {"uid": fields["actor"]}, "app_name": "aegis"},
        **_ABOUT[kind.class_uid](leaf),
        "unmapped": {
            "aegis": dict(text.details(fields)),
            "leaf_hash": leaf.hash.hex(),
            "sealed": fields["sealed"] is not None,
        },
    }
    return text.spelled(document)


def _metadata(leaf: Leaf) -> dict[str, Any]:
    fields = leaf.fields
    more = {"tenant_uid": fields["tenant"], "correlation_uid": fields["correlation"]}
    return {
        "version": VERSION,
        "product": {"name": "Aegis", "vendor_name": "Aegis"},
        # What a receiver recognizes a repetition by, and what shows it a gap.
        "uid": fields["id"],
        "sequence": leaf.index,
        "log_name": leaf.origin,
        "event_code": fields["action"],
        "original_time": fields["time"],
        **{name: value for name, value in more.items() if value is not None},
    }


def _entity(leaf: Leaf) -> dict[str, Any]:
    name, kind = leaf.fields["target"], leaf.fields["target_type"]
    if kind == "policy":
        version = leaf.fields["details"].get("version")
        policy = {"name": name} | ({} if version is None else {"version": str(version)})
        return {"entity": {"uid": name, "name": name, "type": "Policy", "type_id": _POLICY, "policy": policy}}
    return {"entity": {"uid": name, "type": kind, "type_id": OTHER}}


def _datastore(leaf: Leaf) -> dict[str, Any]:
    details = leaf.fields["details"]
    found: dict[str, Any] = {"src_endpoint": _SERVICE}
    if details.get("table"):
        found |= {"table": {"name": str(details["table"])}, "type_id": 3, "type": "Table"}
    source = details.get("datasource")
    if source:
        found["database"] = {"name": str(source), "type_id": _RELATIONAL}
    elif "table" not in found:
        kind = leaf.fields["target_type"]
        found["database"] = {"uid": leaf.fields["target"], "type_id": OTHER, "type": kind}
    return found


def _api(leaf: Leaf) -> dict[str, Any]:
    target = {"uid": leaf.fields["target"], "type": leaf.fields["target_type"]}
    return {"api": {"operation": leaf.fields["action"]}, "src_endpoint": _SERVICE, "resources": [target]}


def _log(leaf: Leaf) -> dict[str, Any]:
    return {
        "log_name": leaf.origin,
        "log_provider": "Aegis",
        "log_type_id": _APPLICATION,
        "log_type": "Application",
        "src_endpoint": _SERVICE,
    }


_ABOUT: Final = {ENTITY: _entity, DATASTORE: _datastore, API: _api, LOG: _log}
