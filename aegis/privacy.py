"""The privacy operations, for a service that installs Aegis beside its own code.

The same functions as `api.privacy`, without a top-level `api` that could collide with the service's.
"""

#: True for the type checker in a checkout only, where no `aegis._app.api` lies on disk.
IN_CHECKOUT = False

if not IN_CHECKOUT:
    from aegis._app.api.privacy import (
        advance_run,
        approve_retention_policy,
        enforce_retention_policies,
        register_retention_policy,
        tenant_isolation_check,
    )
else:
    from api.privacy import (
        advance_run,
        approve_retention_policy,
        enforce_retention_policies,
        register_retention_policy,
        tenant_isolation_check,
    )

__all__ = [
    "advance_run",
    "approve_retention_policy",
    "enforce_retention_policies",
    "register_retention_policy",
    "tenant_isolation_check",
]
