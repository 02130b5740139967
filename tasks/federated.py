"""The task of federated aggregates. A message has an envelope or a reference, and never an aggregate."""

from typing import Any

from celery import Task, shared_task

from aegis.operations.table import PROTECT
from api import federated


@shared_task(name=PROTECT, bind=True)
def protect(
    self: "Task[Any, Any]", /, *aggregate: Any, request_id: str | None = None, **message: Any
) -> dict[str, Any]:
    """Protect an aggregate and keep the sealed answer; what is refused is an outcome."""
    if aggregate:
        # As one would call the function; it is refused, and says so where its producer looks.
        message = {"aggregated_value": None}
    return federated.protect_request(request_id or str(self.request.id), **message)
