"""A message whose task ends the process that carries it out, each time or by taking too long."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis.embedded.redis import EmbeddedRedis
from aegis.operations.deadletters import DeadLetters, Reason
from tests.workerkit import client, raw_client, sender, wait_until, worker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of its own."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


def test_a_message_that_kills_every_process_is_put_aside(broker: EmbeddedRedis, tmp_path: Path) -> None:
    """It is tried max_attempts times and once more, then waits for a person; the worker goes on."""
    options = ("--concurrency", "1")
    with (
        worker(tmp_path / "worker", broker.url, *options, AEGIS_OPERATIONS__MAX_ATTEMPTS="3") as running,
        sender(broker.url) as app,
        client(broker.url) as redis,
        raw_client(broker.url) as raw,
    ):
        app.send_task("test.die", kwargs={"name": "always"})
        app.send_task("test.die", kwargs={"name": "twice", "times": 2})
        wait_until(lambda: redis.llen("survived"), "the one that dies twice is done at last")
        (letter,) = wait_until(lambda: DeadLetters(raw).read(), "the other one is put aside")
        assert (letter.queue, letter.reason, letter.task) == ("retention", Reason.DEADLY, "test.die")
        wait_until(lambda: not redis.hlen("unacked") and not redis.llen("retention"), "no message is left")
        assert (redis.llen("died always"), redis.llen("died twice")) == (4, 2)
        assert running.alive
        assert running.scrape()["aegis_messages_refused_total{reason=deadly}"] == 1
        # Requeued, it is the message that it was.
        assert DeadLetters(raw).requeue(letter.id)
        wait_until(lambda: redis.llen("died always") == 5, "it is carried out again")
        wait_until(lambda: DeadLetters(raw).read(), "and put aside again")


def test_a_message_that_takes_too_long_is_put_aside(broker: EmbeddedRedis, tmp_path: Path) -> None:
    """Killed by its time limit, a task that only a message asks for is kept for a person."""
    limits: Any = {"AEGIS_WORKER__HARD_TIME_LIMIT_SECONDS": "2", "AEGIS_RETENTION__COUNT_SECONDS": "0.4"}
    limits["AEGIS_RETENTION__SLICE_SECONDS"] = "1"
    with (
        worker(tmp_path / "worker", broker.url, "--concurrency", "1", **limits) as running,
        sender(broker.url) as app,
        raw_client(broker.url) as raw,
    ):
        app.send_task("test.wait", kwargs={"gate": str(tmp_path / "gate")})
        (letter,) = wait_until(lambda: DeadLetters(raw).read(), "it is put aside")
        assert (letter.reason, letter.task) == (Reason.TOO_LONG, "test.wait")
        assert running.alive
