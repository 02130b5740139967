"""What a worker shows of its tasks: neither their arguments nor the texts of foreign errors."""

import base64
import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from aegis.embedded.redis import EmbeddedRedis
from tests.workerkit import client, sender, wait_until, worker

CANARY = "carol@example.com"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of its own."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def events(broker: EmbeddedRedis) -> Iterator[list[dict[str, Any]]]:
    """Every task event, as a dashboard would see them."""
    seen: list[dict[str, Any]] = []
    with sender(broker.url) as app, app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": seen.append})
        thread = threading.Thread(target=receiver.capture, kwargs={"limit": None, "timeout": None})
        thread.start()
        yield seen
        receiver.should_stop = True
        thread.join()


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """Return the types of the events."""
    return [event["type"] for event in events]


def test_arguments_show_in_no_event_log_or_inspection(
    broker: EmbeddedRedis, events: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Also when a foreign producer put them into the headers that Celery shows."""
    foreign = Celery("foreign", broker=broker.url, set_as_current=False)
    revealing: dict[str, Any] = {"argsrepr": CANARY, "kwargsrepr": CANARY, "shadow": CANARY}
    # While no producer is named nobody has looked at it.
    revealing["headers"] = {"aegis": {"producer": CANARY}}
    with (
        worker(tmp_path / "worker", broker.url, "--concurrency", "2", "--loglevel", "DEBUG") as running,
        sender(broker.url) as app,
    ):
        gates = [tmp_path / "one", tmp_path / "two"]
        app.send_task("test.wait", kwargs={"gate": str(gates[0]), "who": CANARY})
        words = {"gate": str(gates[1]), "who": CANARY}
        foreign.send_task("test.wait", kwargs=words, queue="retention", **revealing)
        for gate in gates:
            wait_until(gate.with_name(f"{gate.name}.begun").exists, "both tasks run")
        inspect = app.control.inspect(timeout=1.0)
        shown = [inspect.active(safe=False), inspect.stats(), inspect.conf(with_defaults=True)]
        for gate in gates:
            gate.touch()
        wait_until(lambda: kinds(events).count("task-succeeded") == 2, "both are reported done")
        running.wait_for("succeeded")
        foreign.close()
    assert "test.wait" in json.dumps(shown[0])
    assert CANARY not in json.dumps(shown)
    assert CANARY not in json.dumps(events)
    assert CANARY not in running.log
    assert {"task-sent", "task-received", "task-started"} <= set(kinds(events))


FAILURES = {
    "plain": "test.fail failed: LookupError",
    "database": "test.fail failed: OperationalError [SQLITE_ERROR]",
    "refused": "Refused: the policy is not approved",
}


def test_a_failed_task_is_shown_by_type_and_code_only(
    broker: EmbeddedRedis, events: list[dict[str, Any]], tmp_path: Path
) -> None:
    """The log and the event name the error and where it happened, without its text."""
    with worker(tmp_path / "worker", broker.url, "--concurrency", "1") as running, sender(broker.url) as app:
        for how in FAILURES:
            app.send_task("test.fail", kwargs={"how": how, "secret": CANARY})
        wait_until(lambda: kinds(events).count("task-failed") == len(FAILURES), "the failures are reported")
        for shown in FAILURES.values():
            running.wait_for(shown)
        running.wait_for("workerkit_tasks.py:")
    assert CANARY not in running.log
    assert CANARY not in json.dumps(events)


def entry(body: bytes, headers: dict[str, Any]) -> str:
    """Return a queue entry as a producer in another language may write it."""
    properties = {
        "delivery_info": {"exchange": "", "routing_key": "erasure"},
        "delivery_tag": str(uuid.uuid4()),
        "body_encoding": "base64",
    }
    content = {"content-type": "application/json", "content-encoding": "utf-8"}
    return json.dumps(
        {"body": base64.b64encode(body).decode(), "headers": headers, "properties": properties} | content
    )


BROKEN = object()
ARGUMENTS = [[], {"who": CANARY}, {}]
REFUSED = [
    (ARGUMENTS, {"task": "test.unknown"}, "unknown-task"),
    (ARGUMENTS, {"task": CANARY}, "unknown-task"),
    ({"who": CANARY}, {"task": "test.fail"}, "malformed"),
    (BROKEN, {"task": "test.fail"}, "unreadable"),
    (ARGUMENTS, {"task": "test.fail", "eta": CANARY}, "forbidden"),
    # What our gate lets pass, Celery itself cannot read.
    (ARGUMENTS, {"task": "test.fail", "expires": CANARY}, "it cannot be read"),
]


def test_a_refused_message_is_not_printed(broker: EmbeddedRedis, tmp_path: Path) -> None:
    """The log says why a message was refused, and nothing that stood in it; the worker goes on."""
    with (
        worker(tmp_path / "worker", broker.url, "--concurrency", "1") as running,
        client(broker.url) as redis,
    ):
        for body, headers, shown in REFUSED:
            encoded = CANARY.encode() if body is BROKEN else json.dumps(body).encode()
            full = {"id": str(uuid.uuid4()), "kwargsrepr": CANARY, **headers}
            before = running.log.count(shown)
            redis.lpush("erasure", entry(encoded, full))
            wait_until(lambda was=before, text=shown: running.log.count(text) > was, shown)  # type: ignore[misc]
        wait_until(lambda: redis.hlen("unacked") == 0, "the messages are gone")
        assert running.alive
    assert CANARY not in running.log
