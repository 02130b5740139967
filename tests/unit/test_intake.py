"""The gate before Celery: what it lets in, and why it refuses the rest."""

import json
from typing import Any, Final

import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st

from aegis.operations.deadletters import Reason
from aegis.operations.table import ROUTES
from tests.hostile import CANARY, ENTRIES, QUEUE, REASONS, entry, raw
from worker.intake import Unfit, admit

TASKS: Final = {"test.count": QUEUE, "test.fail": "erasure"}
#: As another language writes it: no more than has to be there.
_SMALL: Final = entry() | {"headers": {"task": "test.count", "id": "1", "lang": "go"}}


def reason(made: Any) -> Reason:
    """Return why an entry is refused."""
    with pytest.raises(Unfit) as told:
        admit(QUEUE, raw(made), TASKS)
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
    admit(QUEUE, raw(made), TASKS)


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
    admit(ROUTES[task], sent, ROUTES)
    with pytest.raises(Unfit):
        admit("another", sent, ROUTES)


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
    with pytest.raises(Unfit):
        admit(QUEUE, made, TASKS)
