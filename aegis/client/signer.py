"""Signatures on what a service sends."""

import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from celery import Celery
from kombu.serialization import dumps

from aegis.keys import client_key
from aegis.producers import HEADER, Message, checked_producer, sign


class Signer:
    """A service as a producer of messages.

    Args:
        producer: its name, as the workers' `[producers.NAME]` has it.
        key_file: its own key (`aegis client-key --new FILE`); read again for each message.

    Raises:
        ValueError: the name has another form, or is Aegis's own.

    """

    def __init__(self, producer: str, key_file: Path) -> None:
        self._producer, self._key_file = checked_producer(producer), key_file

    def options(self, app: Celery, task: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return what makes `app.send_task(task, kwargs=kwargs, **options)` a signed message."""
        number = str(uuid.uuid4())
        headers = self.headers(app, task, kwargs, task_id=number)
        # Nothing is declared: a producer's user may write into its queues and nowhere else.
        return {"task_id": number, "serializer": "json", "headers": headers, "declare": []}

    def headers(self, app: Celery, task: str, kwargs: Mapping[str, Any], *, task_id: str) -> dict[str, Any]:
        """Return the headers that sign a message with this id, sent as JSON."""
        # Made as send_task makes it, so that it is the same to the byte; nothing is made for logs.
        body = app.amqp.create_task_message(task_id, task, (), dict(kwargs), argsrepr="", kwargsrepr="").body
        _, _, text = dumps(body, serializer="json")
        message = Message(task=task, id=task_id, body=text.encode() if isinstance(text, str) else text)
        key, now = client_key(self._key_file), int(time.time())
        return {HEADER: sign(message, key, producer=self._producer, time=now)}
