"""The audit log, for a service that installs Aegis beside its own code.

The same functions as `api.audit`, without a top-level `api` that could collide with the service's.
"""

#: True for the type checker in a checkout only, where no `aegis._app.api` lies on disk.
IN_CHECKOUT = False

if not IN_CHECKOUT:
    from aegis._app.api.audit import get_audit_events, record_audit
else:
    from api.audit import get_audit_events, record_audit

__all__ = ["get_audit_events", "record_audit"]
