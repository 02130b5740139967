"""What runs: one thin Celery task per operation. Importing this package registers them all."""

from tasks import audit, erasure, operations, retention, tenancy

__all__ = ["audit", "erasure", "operations", "retention", "tenancy"]
