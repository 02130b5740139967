"""The gate before Celery: which entries of a queue are messages for this worker.

kombu and Celery trust what lies in a queue. Some entries that are no message end a worker, whose successor
takes the next one; and whoever may write to one queue can name any task, or hang another one on as a
callback. So an entry is looked at when it comes from Redis, before either of them sees it. Services send a
task of the queue by name, with keyword arguments; everything else in Celery's protocol is ours to decide,
and refused. Once producers are configured, a message is signed by one that may send its task.

The half about broken entries is needless as soon as kombu's Redis transport outlives them (celery's issue
4308, open with 5.7.0): take the gate out of `worker/transport.py` and run
`tests/faults/test_hostile_entries.py`. What a task may ask for stays ours to say.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from kombu.utils import json

from aegis.operations.deadletters import Reason
from aegis.operations.senders import Senders
from aegis.operations.statuses import is_id
from aegis.producers import HEADER, Message
from worker.redaction import named

#: Only we decide on these: header → what it may be, if it is there.
_UNTOUCHED: Final[Mapping[str, tuple[Any, ...]]] = {
    "eta": (None,),
    "retries": (None, 0),
    "timelimit": (None, [None, None]),
    "group": (None,),
    "compression": (None,),
    "meth": (None,),
}
_ENVELOPE: Final = ("body", "content-type", "content-encoding", "headers", "properties")
_PRIORITIES: Final = range(10)


class Unfit(Exception):
    """An entry that is not for us."""

    def __init__(self, reason: Reason, task: str | None = None) -> None:
        """Take why, and the task that it names."""
        super().__init__(reason.value)
        self.reason, self.task = reason, task


def admit(queue: str, entry: bytes, routes: Mapping[str, str], senders: Senders | None, now: float) -> None:
    """Do nothing for an entry that Celery may have.

    Args:
        queue: where it lay.
        entry: its bytes.
        routes: task → its queue; other tasks there are none.
        senders: who may send what; None: whoever can write to the queue.
        now: in seconds since 1970.

    Raises:
        Unfit: it may not.

    """
    found = _parsed(entry)
    if not isinstance(found, dict) or not all(name in found for name in _ENVELOPE):
        raise Unfit(Reason.MALFORMED)
    headers, properties = found["headers"], found["properties"]
    if not isinstance(headers, dict) or not isinstance(properties, dict):
        raise Unfit(Reason.MALFORMED)
    task = named(headers.get("task"))
    if not _is_carried(found, properties) or not isinstance(headers.get("id"), str) or not headers["id"]:
        raise Unfit(Reason.MALFORMED, task)
    if headers.get("task") not in routes:
        raise Unfit(Reason.UNKNOWN_TASK, task)
    if routes[headers["task"]] != queue:
        raise Unfit(Reason.WRONG_QUEUE, task)
    if any(headers.get(name) not in allowed for name, allowed in _UNTOUCHED.items()):
        raise Unfit(Reason.FORBIDDEN, task)
    if not _goes_back(properties["delivery_info"], queue):
        raise Unfit(Reason.FORBIDDEN, task)
    body = _decoded(found["body"], task)
    if senders is not None:
        message = Message(task=headers["task"], id=headers["id"], body=body)
        if reason := senders.objection(headers.get(HEADER), message, now):
            raise Unfit(reason, task)
    _look_into(body, task)


def request_named(entry: bytes) -> str | None:
    """Return the id of the request that an entry names, which need not be fit for us; None: it names none."""
    try:
        found = _parsed(entry)
        _, kwargs, _ = _parsed(_decoded(found["body"], None))
        named = kwargs.get("request_id") or found["headers"]["id"]
    except (Unfit, LookupError, TypeError, ValueError, AttributeError):
        return None
    return named if is_id(named) else None


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text.decode())
    # kombu's decoders of special values may raise anything, and would there as well.
    except Exception:  # noqa: BLE001
        raise Unfit(Reason.UNREADABLE) from None


def _is_carried(found: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    """Whether kombu can carry it: with a tag to acknowledge it by, and a body of the one form we read."""
    priority = properties.get("priority", 0)
    return (
        isinstance(properties.get("delivery_tag"), str)
        and bool(properties["delivery_tag"])
        and isinstance(properties.get("delivery_info"), dict)
        and properties.get("body_encoding") == "base64"
        and isinstance(found["body"], str)
        and found["content-type"] == "application/json"
        and str(found["content-encoding"]).lower() == "utf-8"
        and type(priority) is int
        and priority in _PRIORITIES
    )


def _goes_back(delivery: Mapping[str, Any], queue: str) -> bool:
    """Whether a worker that cannot finish it puts it back to where it came from."""
    return delivery.get("exchange") in {"", queue} and delivery.get("routing_key") == queue


def _decoded(body: str, task: str | None) -> bytes:
    try:
        return base64.b64decode(body, validate=True)
    except (ValueError, binascii.Error):
        raise Unfit(Reason.UNREADABLE, task) from None


def _look_into(body: bytes, task: str | None) -> None:
    try:
        content = _parsed(body)
    except Unfit:
        raise Unfit(Reason.UNREADABLE, task) from None
    if not isinstance(content, list) or len(content) != 3:  # noqa: PLR2004 - args, kwargs, embedded
        raise Unfit(Reason.MALFORMED, task)
    args, kwargs, embedded = content
    if not isinstance(args, list) or not isinstance(kwargs, dict) or not isinstance(embedded, dict):
        raise Unfit(Reason.MALFORMED, task)
    if args or any(embedded.values()):
        raise Unfit(Reason.FORBIDDEN, task)
