"""What runs: one thin Celery task per operation. Importing this package registers them all."""

from tasks import audit, operations, retention, tenancy

__all__ = ["audit", "operations", "retention", "tenancy"]
