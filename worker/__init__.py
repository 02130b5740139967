"""The process: Celery app, transport, metrics and logs. `celery -A worker worker` starts it."""

from worker.shutdown import remap_sigterm

remap_sigterm()

from worker.app import app  # noqa: E402 - Celery reads the mapping when its worker is imported

__all__ = ["app"]
