"""What runs: one thin Celery task per operation. Importing this package registers them all."""

from tasks import audit, catalog, erasure, federated, operations, retention, tenancy

__all__ = ["audit", "catalog", "erasure", "federated", "operations", "retention", "tenancy"]
