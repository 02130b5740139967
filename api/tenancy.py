"""The door between tenants."""

from typing import Any

from aegis.operations.system import current
from aegis.tenancy import check_isolation


def tenant_isolation_check(requesting_tenant: Any, resource_tenant: Any) -> None:
    """Return when both are the same tenant; otherwise raise and record the denial.

    Raises:
        ValueError: one of them is missing.
        PermissionError: they differ.

    """
    check_isolation(current(), requesting_tenant, resource_tenant)
