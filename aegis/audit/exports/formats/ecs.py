"""Elastic Common Schema: one JSON object a line."""

from collections.abc import Mapping
from typing import Any, Final

from aegis.audit.actions import Outcome
from aegis.audit.exports.batches import Leaf
from aegis.audit.exports.formats import text
from aegis.audit.exports.formats.kinds import (
    API,
    CRITICAL,
    DATASTORE,
    ENTITY,
    HIGH,
    INFORMATIONAL,
    LOG,
    MEDIUM,
    kind_of,
)

VERSION: Final = "8.17.0"
BEGINS: Final = b'{"@timestamp":'

_OUTCOMES: Final[Mapping[str, str]] = {
    Outcome.SUCCESS: "success",
    Outcome.DENIED: "failure",
    Outcome.FAILURE: "failure",
}
_CATEGORIES: Final[Mapping[int, str]] = {
    ENTITY: "configuration",
    DATASTORE: "database",
    API: "api",
    LOG: "configuration",
}
#: Only types that the schema expects of the category.
_TYPES: Final[Mapping[tuple[int, str], str]] = {
    (ENTITY, "Create"): "creation",
    (ENTITY, "Delete"): "deletion",
    (DATASTORE, "Delete"): "change",
    (DATASTORE, "Update"): "change",
    (DATASTORE, "Write"): "change",
    (API, "deny"): "denied",
    (LOG, "Delete"): "deletion",
    (LOG, "Export"): "access",
}
_DEFAULTS: Final[Mapping[int, str]] = {ENTITY: "change", DATASTORE: "info", API: "info", LOG: "change"}
_LEVELS: Final[Mapping[int, str]] = {
    INFORMATIONAL: "info",
    MEDIUM: "warning",
    HIGH: "error",
    CRITICAL: "critical",
}


def render(leaf: Leaf) -> bytes:
    """Return an event as a line."""
    fields, kind = leaf.fields, kind_of(leaf.fields)
    found_type = _TYPES.get((kind.class_uid, kind.activity), _DEFAULTS[kind.class_uid])
    document: dict[str, Any] = {
        "@timestamp": fields["time"],
        "ecs": {"version": VERSION},
        "event": {
            # What a receiver recognizes a repetition by, and what shows it a gap.
            "id": fields["id"],
            "sequence": leaf.index,
            "kind": "event",
            "category": [_CATEGORIES[kind.class_uid]],
            "type": [found_type],
            "action": fields["action"],
            "outcome": _OUTCOMES.get(fields["outcome"], "unknown"),
            "module": "aegis",
            "dataset": "aegis.audit",
            "provider": leaf.origin,
            "hash": leaf.hash.hex(),
        },
        "log": {"level": _LEVELS[kind.severity]},
        "message": text.printable(f"{fields['action']} {fields['target_type']} {fields['target']}"),
        "user": {"id": fields["actor"]},
        "aegis": {
            "outcome": fields["outcome"],
            "target": {"type": fields["target_type"], "id": fields["target"]},
            "details": dict(text.details(fields)),
            "sealed": fields["sealed"] is not None,
        },
    }
    if fields["tenant"] is not None:
        document["organization"] = {"id": fields["tenant"]}
    if fields["correlation"] is not None:
        document["aegis"]["correlation"] = fields["correlation"]
    return text.spelled(document)
