"""Entries of a queue that are no message of ours, and why."""

import base64
import json
import uuid
from collections.abc import Mapping
from typing import Any, Final

from aegis.operations.deadletters import Reason

#: Stands in them, and must be seen nowhere.
CANARY: Final = "dave@example.com"
QUEUE: Final = "retention"


def entry(
    *,
    body: Any = None,
    headers: Mapping[str, Any] | None = None,
    properties: Mapping[str, Any] | None = None,
    **top: Any,
) -> dict[str, Any]:
    """Return an entry that would be run, but for what is said."""
    number = str(uuid.uuid4())
    plain = json.dumps([[], {"number": 1}, {}] if body is None else body).encode()
    return {
        "body": base64.b64encode(plain).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "test.count", "id": number, **(headers or {})},
        "properties": {
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "delivery_tag": number,
            **(properties or {}),
        },
        **top,
    }


def without(place: str, name: str) -> dict[str, Any]:
    """Return an entry that lacks something."""
    made = entry()
    del (made[place] if place else made)[name]
    return made


#: What it is → the entry.
ENTRIES: Final[Mapping[str, Any]] = {
    "no JSON": CANARY.encode(),
    "no text": b"\xff\xfe\x00",
    "nothing": b"",
    "deeper than can be read": b"[" * 100_000,
    "a number": 7,
    "a list": [CANARY],
    "no properties": without("", "properties"),
    "no headers": without("", "headers"),
    "headers that are a list": entry() | {"headers": [CANARY]},
    "no delivery tag": without("properties", "delivery_tag"),
    "a delivery tag that is a list": entry(properties={"delivery_tag": [1]}),
    "no delivery info": without("properties", "delivery_info"),
    "delivery info that is text": entry(properties={"delivery_info": CANARY}),
    "an encoding that nobody knows": entry(properties={"body_encoding": "rot13"}),
    "a body that is no base64": entry() | {"body": "%%%"},
    "a body that is an object": entry() | {"body": {"who": CANARY}},
    "no body": without("", "body"),
    "a body that is no JSON": entry() | {"body": base64.b64encode(CANARY.encode()).decode()},
    "pickles": entry() | {"content-type": "application/x-python-serialize"},
    "a charset that nobody knows": entry() | {"content-encoding": "klingon"},
    "a compressed body": entry(headers={"compression": "application/x-gzip"}),
    "a priority that is text": entry(properties={"priority": CANARY}),
    "no id": without("headers", "id"),
    "an id that is a list": entry(headers={"id": [1]}),
    "a special value that cannot be made": entry(body=[[], {"n": {"__type__": "uuid", "__value__": 7}}, {}]),
    "a task that does not exist": entry(headers={"task": CANARY}),
    "a task of Celery's own": entry(headers={"task": "celery.backend_cleanup"}),
    "a task of another queue": entry(headers={"task": "test.fail"}),
    "positional arguments": entry(body=[[1], {}, {}]),
    "a callback": entry(body=[[], {"number": 1}, {"callbacks": [{"task": "test.fail"}]}]),
    "an errback": entry(body=[[], {"number": 1}, {"errbacks": [{"task": "test.fail"}]}]),
    "a chain": entry(body=[[], {"number": 1}, {"chain": [{"task": "test.fail"}]}]),
    "a chord": entry(body=[[], {"number": 1}, {"chord": {"task": "test.fail"}}]),
    "another time": entry(headers={"eta": "2099-01-01T00:00:00+00:00"}),
    "a retry": entry(headers={"retries": 3}),
    "time limits": entry(headers={"timelimit": [None, 1]}),
    "a group": entry(headers={"group": "g"}),
    "another queue to go back to": entry(
        properties={"delivery_info": {"exchange": "", "routing_key": "erasure"}}
    ),
    "a message of the first protocol": entry(body={"task": "test.count", "id": "1", "kwargs": {"number": 1}}),
}
#: Why each is refused, if it is not malformed.
REASONS: Final[Mapping[str, Reason]] = {
    "no JSON": Reason.UNREADABLE,
    "no text": Reason.UNREADABLE,
    "nothing": Reason.UNREADABLE,
    "deeper than can be read": Reason.UNREADABLE,
    "a body that is no base64": Reason.UNREADABLE,
    "a body that is no JSON": Reason.UNREADABLE,
    "a special value that cannot be made": Reason.UNREADABLE,
    "a task that does not exist": Reason.UNKNOWN_TASK,
    "a task of Celery's own": Reason.UNKNOWN_TASK,
    "a task of another queue": Reason.WRONG_QUEUE,
    "positional arguments": Reason.FORBIDDEN,
    "a callback": Reason.FORBIDDEN,
    "an errback": Reason.FORBIDDEN,
    "a chain": Reason.FORBIDDEN,
    "a chord": Reason.FORBIDDEN,
    "another time": Reason.FORBIDDEN,
    "a retry": Reason.FORBIDDEN,
    "time limits": Reason.FORBIDDEN,
    "a group": Reason.FORBIDDEN,
    "another queue to go back to": Reason.FORBIDDEN,
    "a compressed body": Reason.FORBIDDEN,
}


def raw(made: Any) -> bytes:
    """Return an entry as it lies in Redis."""
    return made if isinstance(made, bytes) else json.dumps(made).encode()
