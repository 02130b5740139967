"""Sending tasks that are not ours, to the queues of whoever works on them."""

from collections.abc import Mapping
from typing import Any

from celery import current_app
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError

from aegis.errors import Unreachable


def send(task: str, queue: str, message: Mapping[str, Any]) -> None:
    """Send a task by its name.

    Raises:
        Unreachable: the broker does not take it.

    """
    # The queue is given whole: one that is known by name only must be among our own.
    whole: Any = Queue(queue, Exchange(queue), routing_key=queue)
    try:
        current_app.send_task(task, kwargs=dict(message), queue=whole)
    except OperationalError as error:
        failed = f"the broker does not take {task}: {type(error).__name__}"
        raise Unreachable(failed) from None
