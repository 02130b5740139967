"""Keeping tenants apart: a check that services call before they hand out a resource."""

from typing import Any

from aegis.audit.actions import Action, Outcome
from aegis.audit.recorder import Note
from aegis.errors import Denied, UsageError
from aegis.operations.system import System


def check_isolation(system: System, requesting: Any, resource: Any) -> None:
    """Refuse a missing or a different tenant; record each refusal.

    Values of different types are different tenants: `1` is not `"1"`.

    Raises:
        UsageError: a tenant is missing (None or empty).
        Denied: the tenants differ.

    """
    if _missing(requesting) or _missing(resource):
        _record(system, requesting, resource, "missing")
        side = "requesting" if _missing(requesting) else "resource"
        message = f"the {side} tenant is missing: without it nothing is shown"
        raise UsageError(message)
    if type(requesting) is not type(resource) or requesting != resource:
        _record(system, requesting, resource, "different")
        message = "the resource belongs to another tenant"
        raise Denied(message)


def _missing(tenant: Any) -> bool:
    return tenant is None or (isinstance(tenant, str) and not tenant.strip())


def _record(system: System, requesting: Any, resource: Any, reason: str) -> None:
    details = {"reason": reason, "requesting": _text(requesting), "resource": _text(resource)}
    note = Note(
        action=Action.TENANT_DENY,
        actor="system",
        target_type="system",
        target_id="tenant-isolation",
        outcome=Outcome.DENIED,
        details=details,
    )
    system.recorder.record(note)


def _text(tenant: Any) -> str | None:
    return None if _missing(tenant) else str(tenant)
