"""Redis dies while a worker works."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from aegis.embedded.redis import EmbeddedRedis
from tests.workerkit import DEADLINE, client, sender, wait_until, worker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis that a test may kill."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


def send(broker: EmbeddedRedis, gate: Path) -> None:
    """Send a task that waits for the gate, and wait until it runs."""
    with sender(broker.url) as app:
        app.send_task("test.wait", kwargs={"gate": str(gate)})
    wait_until(gate.with_name(f"{gate.name}.begun").exists, "the task runs")


def test_worker_survives_redis_death_while_a_late_acknowledged_task_runs(
    broker: EmbeddedRedis, tmp_path: Path
) -> None:
    """With a free slot and a task running, Redis dies, the task ends, Redis returns: it goes on."""
    with worker(tmp_path / "worker", broker.url, "--concurrency", "2") as running:
        send(broker, tmp_path / "first")
        broker.kill()
        running.wait_for("Connection to broker lost")
        (tmp_path / "first").touch()
        wait_until((tmp_path / "first.done").exists, "the task ends although Redis is away")
        running.wait_for("Trying again")
        broker.start()
        (tmp_path / "second").touch()
        send(broker, tmp_path / "second")
        wait_until((tmp_path / "second.done").exists, "the same worker does the next task")
        assert running.alive
        assert "Unrecoverable error" not in running.log


@pytest.mark.parametrize("ends", [True, False], ids=["a task that ends", "a task that does not"])
def test_a_worker_that_is_told_to_end_ends_although_redis_is_gone(
    broker: EmbeddedRedis, tmp_path: Path, *, ends: bool
) -> None:
    """Both are told to end at the same time: the worker does not wait for a Redis that never comes back."""
    with worker(tmp_path / "worker", broker.url, "--concurrency", "1") as running:
        send(broker, tmp_path / "gate")
        running.process.terminate()
        running.wait_for("Initiating Soft Shutdown")
        broker.kill()
        if ends:
            (tmp_path / "gate").touch()
        running.process.wait(60)
        running.wait_for("ends without waiting longer")
    child = int((tmp_path / "gate.begun").read_text("ascii"))
    wait_until(lambda: not psutil.pid_exists(child), "its child ends with it")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT], ids=lambda number: number.name)
def test_a_signal_interrupts_nothing_that_the_end_needs(
    broker: EmbeddedRedis, tmp_path: Path, number: signal.Signals
) -> None:
    """A worker that is told to end while it hands a task to a child does so; what did not end comes again."""
    told = tmp_path / "told"
    words: Any = {
        "application": "tests.signalled_app",
        "TEST_TOLD": str(told),
        "TEST_SIGNAL": str(number.value),
    }
    with worker(tmp_path / "worker", broker.url, "--concurrency", "2", **words) as running:
        send(broker, tmp_path / "gate")
        with sender(broker.url) as app:
            app.send_task("test.echo", kwargs={})
        wait_until(told.exists, "it is told to end")
        assert running.process.wait(DEADLINE) == 0, running.log
        assert "ends without waiting longer" not in running.log
    with client(broker.url) as looking:
        assert looking.llen("retention")
        assert not looking.hlen("unacked")
