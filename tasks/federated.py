"""The task of federated aggregates. A message has an envelope or a reference, and never an aggregate."""

import logging
import time
from typing import Any, Final

from celery import Task, shared_task
from celery.exceptions import Reject

from aegis.errors import AegisError
from aegis.operations.table import PROTECT
from api import federated

#: Seconds before a message that could not be worked on goes back to its queue: nobody else has its aggregate.
PAUSE: Final = 5.0

log = logging.getLogger(__name__)


@shared_task(name=PROTECT, bind=True)
def protect(
    self: Task[Any, Any], /, *aggregate: Any, request_id: str | None = None, **message: Any
) -> dict[str, Any]:
    """Protect an aggregate and keep the sealed answer; what is refused is an outcome."""
    if aggregate:
        # As one would call the function; it is refused, and says so where its producer looks.
        message = {"aggregated_value": None}
    try:
        return federated.protect_request(request_id or str(self.request.id), **message)
    except Exception as error:  # noqa: BLE001 - whatever it was, the message alone has the aggregate
        # The row counts attempts, so that one that breaks every time comes to an end.
        why = str(error) if isinstance(error, AegisError) else type(error).__name__
        log.warning("A request for a protected aggregate goes back to its queue (%s)", why)
        time.sleep(PAUSE)
        raise Reject(why, requeue=True) from None
