"""How the worker process starts, listens to Redis and ends."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from aegis.embedded.redis import EmbeddedRedis
from tests.workerkit import DEADLINE, client, program, sender, wait_until, worker
from worker.app import AegisApp
from worker.shutdown import GRACE_SECONDS


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of its own."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


def test_sigterm_finishes_a_short_task_and_sends_a_long_one_back(
    broker: EmbeddedRedis, tmp_path: Path
) -> None:
    """The short task's end is seen, the long one's message is in the queue again, the worker is gone."""
    short, long = tmp_path / "short", tmp_path / "long"
    with (
        worker(tmp_path / "worker", broker.url, "--concurrency", "2") as running,
        sender(broker.url) as app,
        client(broker.url) as redis,
    ):
        for gate in (short, long):
            app.send_task("test.wait", kwargs={"gate": str(gate)})
        for gate in (short, long):
            wait_until(gate.with_name(f"{gate.name}.begun").exists, "both tasks run")
        # The child runs a task before the worker has heard that it does.
        wait_until(lambda: active(app) == 2, "the worker knows of both")
        running.process.terminate()
        running.wait_for("Initiating Soft Shutdown")
        short.touch()
        wait_until(short.with_name("short.done").exists, "the short task is finished")
        running.process.wait(GRACE_SECONDS + 20)
        assert not long.with_name("long.done").exists()
        assert redis.llen("retention") == 1
        assert redis.hlen("unacked") == 0


def active(app: AegisApp) -> int:
    """Return how many tasks the workers say they are at."""
    answers = app.control.inspect(timeout=1.0).active() or {}
    return sum(map(len, answers.values()))


@pytest.mark.parametrize("what", ["worker", "beat"])
def test_a_wrong_password_ends_it_at_once(broker: EmbeddedRedis, tmp_path: Path, what: str) -> None:
    """Worker and beat say which broker refuses the login and what to correct, and end with exit code 2."""
    wrong = broker.url.replace(quote(broker.password), "hunter2")
    with program(tmp_path / what, wrong, what, "--loglevel", "INFO") as running:
        assert running.process.wait(DEADLINE) == 2
        assert f"aegis: broker redis://:***@127.0.0.1:{broker.port}/0 refuses the login" in running.log
        assert "AEGIS_BROKER_URL" in running.log
        assert "hunter2" not in running.log
        assert "Traceback" not in running.log


def test_a_password_file_is_read_and_shown_nowhere(broker: EmbeddedRedis, tmp_path: Path) -> None:
    """The password may stand in a file and not in the URL; a task arrives, and no log line has it."""
    secret = tmp_path / "password"
    secret.write_text(f"{broker.password}\n", encoding="utf-8")
    bare = broker.url.replace(f":{quote(broker.password)}@", "")
    with (
        worker(
            tmp_path / "worker", bare, "--concurrency", "1", AEGIS_BROKER_PASSWORD_FILE=str(secret)
        ) as running,
        sender(broker.url) as app,
    ):
        gate = tmp_path / "gate"
        gate.touch()
        app.send_task("test.wait", kwargs={"gate": str(gate)})
        wait_until(gate.with_name("gate.done").exists, "the task ran")
        assert broker.password not in running.log


def test_json_logs_carry_the_task_and_nothing_of_it_afterwards(broker: EmbeddedRedis, tmp_path: Path) -> None:
    """Each line of the log is one JSON object; the lines of a task carry its name and id."""
    gate = tmp_path / "gate"
    gate.touch()
    with (
        worker(
            tmp_path / "worker", broker.url, "--concurrency", "1", AEGIS_WORKER__LOG_FORMAT="json"
        ) as running,
        sender(broker.url) as app,
    ):
        sent = app.send_task("test.wait", kwargs={"gate": str(gate)})
        running.wait_for("succeeded")
        lines = [json.loads(line) for line in running.log.splitlines() if line.startswith("{")]
    done = next(line for line in lines if "succeeded" in line["event"])
    assert (done["task"], done["task_id"], done["level"]) == ("test.wait", sent.id, "info")
    assert all("task" not in line for line in lines if "ready" in line["event"])


def test_unlisted_queues_are_refused(broker: EmbeddedRedis, tmp_path: Path) -> None:
    """A worker that is told to consume a queue that does not exist ends with an error that names it."""
    with worker(tmp_path / "worker", broker.url, "--queues", "retenion", ready=False) as running:
        assert running.process.wait(30) != 0
        assert "retenion" in running.log
