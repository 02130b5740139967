"""Tenancy tasks."""

from typing import Any

from celery import shared_task

from aegis.errors import Denied, UsageError
from aegis.operations.table import TENANCY_CHECK
from api import privacy


@shared_task(name=TENANCY_CHECK)
def check(*, requesting_tenant: str | int | None, resource_tenant: str | int | None) -> dict[str, Any]:
    """Check two tenants; a denial is recorded and is an outcome, not a failure of the task."""
    try:
        privacy.tenant_isolation_check(requesting_tenant, resource_tenant)
    except (Denied, UsageError):
        return {"operation": "tenancy.check", "outcome": "denied"}
    return {"operation": "tenancy.check", "outcome": "same"}
