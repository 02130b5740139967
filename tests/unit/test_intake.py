"""The gate before Celery: what it lets in, and why it refuses the rest."""

import base64
import json
from typing import Any, Final

import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st

from aegis.keys import Secret
from aegis.operations.deadletters import Reason
from aegis.operations.senders import Sender, Senders
from aegis.operations.table import ROUTES
from aegis.producers import Message, producer_public_key, sign
from tests.hostile import CANARY, ENTRIES, QUEUE, REASONS, entry, raw
from worker.intake import Unfit, admit

TASKS: Final = {"test.count": QUEUE, "test.fail": "erasure"}
NOW: Final = 1_790_000_000.5
KEY: Final = Secret(key_id="0" * 8, material=bytes(range(32)))
SENDERS: Final = Senders({"shop": Sender(keys=(producer_public_key(KEY),), tasks=frozenset(TASKS))})
#: As another language writes it: no more than has to be there.
_SMALL: Final = entry() | {"headers": {"task": "test.count", "id": "1", "lang": "go"}}


def reason(made: Any, senders: Senders | None = None) -> Reason:
    """Return why an entry is refused."""
    with pytest.raises(Unfit) as told:
        admit(QUEUE, raw(made), TASKS, senders, NOW)
    assert CANARY not in str(told.value)
    assert told.value.task is None or CANARY not in told.value.task
    return told.value.reason


@pytest.mark.parametrize("name", ENTRIES)
def test_refused(name: str) -> None:
    """With the reason that a person needs to mend its sender."""
    assert reason(ENTRIES[name]) == REASONS.get(name, Reason.MALFORMED)


@pytest.mark.parametrize(
    "made",
    [
        entry(),
        _SMALL,
        entry(headers={"expires": "2099-01-01T00:00:00+00:00", "retries": 0, "timelimit": [None, None]}),
        entry(properties={"priority": 0, "reply_to": "", "delivery_mode": 2}),
        entry(properties={"delivery_info": {"exchange": QUEUE, "routing_key": QUEUE}}),
        entry(body=[[], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]),
        entry() | {"content-encoding": "UTF-8"},
    ],
)
def test_let_in(made: Any) -> None:
    """What a service may send."""
    admit(QUEUE, raw(made), TASKS, None, NOW)


@pytest.mark.parametrize("task", ROUTES)
def test_every_task_as_celery_itself_sends_it(task: str) -> None:
    """Celery's own producer, with an expiry as beat gives it, is let into the task's queue and no other."""
    with Celery("service", broker="memory://", set_as_current=False) as app:
        app.conf.task_serializer = "json"
        with app.connection_for_write() as connection, connection.channel() as plain:
            channel: Any = plain
            app.send_task(task, kwargs={"n": 1}, queue=ROUTES[task], expires=60, connection=connection)
            message = channel.basic_get(ROUTES[task])
    assert message is not None
    sent = json.dumps(message.serializable()).encode()
    admit(ROUTES[task], sent, ROUTES, None, NOW)
    with pytest.raises(Unfit):
        admit("another", sent, ROUTES, None, NOW)


@given(
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(sorted(entry())), inner),
        max_leaves=20,
    ).map(lambda made: json.dumps(made).encode())
)
def test_anything_at_all(made: bytes) -> None:
    """Nothing but a refusal comes of it."""
    for senders in (None, SENDERS):
        with pytest.raises(Unfit):
            admit(QUEUE, made, TASKS, senders, NOW)


@pytest.mark.parametrize("name", ENTRIES)
def test_refused_before_its_signature_is_looked_at(name: str) -> None:
    """With producers configured nothing else is let in than without; what has no signature says so."""
    assert reason(ENTRIES[name], SENDERS) in {REASONS.get(name, Reason.MALFORMED), Reason.UNSIGNED}


def signed(made: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return an entry with its producer's signature, then changed at the top of its headers."""
    headers = made["headers"]
    body = base64.b64decode(made["body"])
    header = sign(
        Message(task=headers["task"], id=headers["id"], body=body), KEY, producer="shop", time=int(NOW)
    )
    return made | {"headers": {**headers, "aegis": header, **changed}}


def test_signed() -> None:
    """By its producer it is let in, and again when it comes back from a worker; changed it is not."""
    made = signed(entry())
    admit(QUEUE, raw(made), TASKS, SENDERS, NOW)
    made["headers"]["redelivered"] = made["properties"]["delivery_info"]["redelivered"] = True
    admit(QUEUE, raw(made), TASKS, SENDERS, NOW + 3_600)
    assert reason(entry(), SENDERS) is Reason.UNSIGNED
    assert reason(signed(entry(), aegis=None), SENDERS) is Reason.UNSIGNED
    assert reason(signed(entry(), aegis="shop"), SENDERS) is Reason.MALFORMED
    assert reason(signed(entry(), id="another"), SENDERS) is Reason.FORGED
    assert reason(signed(entry()) | {"body": entry(body=[[], {}, {}])["body"]}, SENDERS) is Reason.FORGED
    assert reason(signed(entry(headers={"task": "test.fail"})), SENDERS) is Reason.WRONG_QUEUE
    assert reason(signed(entry(), eta="2099-01-01T00:00:00+00:00"), SENDERS) is Reason.FORBIDDEN


def test_what_is_not_asked_for_is_not_looked_at() -> None:
    """While no producer is configured a signature proves nothing: whoever cannot make one leaves it out."""
    for header in (None, "x", {"producer": "nobody", "time": 0, "signature": "x"}):
        admit(QUEUE, raw(signed(entry(), aegis=header)), TASKS, None, NOW)
