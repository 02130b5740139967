"""Audit tasks."""

from typing import Any

from celery import Task, shared_task

from aegis.errors import Refused
from aegis.operations.table import EXPORT, RECORD, RELAY, SEAL
from api import audit


@shared_task(name=RECORD, bind=True)
def record(
    self: "Task[Any, Any]",
    *,
    action: str,
    actor: str,
    target_type: str,
    target_id: str,
    details: Any = None,
    sealed: str | None = None,
    request_id: str | None = None,
) -> dict[str, Any]:
    """Record an event, once per request; its details come in an envelope."""
    if details is not None:
        message = "details would travel through the broker in clear: seal them to the workers' public key"
        raise Refused(message)
    request = request_id or str(self.request.id)
    event = audit.record_audit_once(request, action, actor, target_type, target_id, sealed=sealed)
    return {"operation": "audit.record", "outcome": "done", "event": event}


@shared_task(name=RELAY)
def relay() -> dict[str, Any]:
    """Move what waits in the journals into the log."""
    moved = audit.relay_journals()
    return {"operation": "audit.relay", "outcome": "done", "events": sum(source.rows for source in moved)}


@shared_task(name=SEAL)
def seal() -> dict[str, Any]:
    """Give waiting events their leaves, and sign the log's head."""
    sealed = audit.seal_audit_log()
    return {"operation": "audit.seal", "outcome": "done", "leaves": sealed.leaves, "size": sealed.size}


@shared_task(name=EXPORT)
def export(*, name: str) -> dict[str, Any]:
    """Export the log to where `aegis.toml` says: a message names no file and no receiver."""
    done = audit.export_as_configured(name)
    return {"operation": "audit.export", "outcome": "done", "events": done.events, "next": done.next}
