"""Sending runs to the queue. A message only wakes a worker up; the row is the truth."""

import logging
from collections.abc import Iterable

from celery import current_app
from kombu.exceptions import OperationalError

from aegis.operations.table import ROUTES, RUN

log = logging.getLogger(__name__)


def wake(run_ids: Iterable[str], task: str = RUN) -> None:
    """Send one message per run; one that cannot be sent now is sent by the reconciler later."""
    for run_id in run_ids:
        try:
            current_app.send_task(task, kwargs={"run_id": run_id}, queue=ROUTES[task])
        except OperationalError as error:
            log.warning(
                "The broker does not take run %s (%s); it will be sent again", run_id, type(error).__name__
            )
            return
