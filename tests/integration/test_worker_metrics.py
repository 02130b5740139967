"""The worker's counters, scraped from a real prefork worker."""

import contextlib
import functools
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from prometheus_client import CollectorRegistry

from aegis.embedded.redis import EmbeddedRedis
from aegis.errors import SettingsError
from tests.repeats import LONG
from tests.workerkit import WorkerProcess, client, listens, parse, program, sender, wait_until, worker
from worker.endpoint import Endpoint
from worker.gauges.ledger import LedgerCollector, LedgerRow
from worker.metrics import SlotCollector

TASKS = 400 if LONG else 100
DONE = "aegis_operations_total{operation=test.count,outcome=done}"
SECONDS = "aegis_operation_duration_seconds_count{operation=test.count}"
ROWS = "aegis_rows_deleted_total{policy=p,table=t}"
#: What a process is soon after it was told to stop.
SUSPENDED = {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of its own."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def port() -> Iterator[str]:
    """A port that is taken."""
    with Endpoint("127.0.0.1", 0, CollectorRegistry()) as taken:
        yield str(taken.server_port)


def is_suspended(child: psutil.Process) -> bool:
    """Say whether a process that was told to stop has done so, or is dead."""
    return child.status() in SUSPENDED


class Watch:
    """Scrapes a worker and fails as soon as a counter goes back or runs ahead of the tasks."""

    def __init__(self, running: WorkerProcess, broker: EmbeddedRedis) -> None:
        """Take the worker, and the Redis to which its tasks tell that they ran."""
        self.running = running
        self.redis = client(broker.url)
        self.last: dict[str, float] = {}

    @property
    def ran(self) -> int:
        """How often a task ran, a repeated one counted again."""
        return int(self.redis.llen("ran"))

    def look(self) -> float:
        """Scrape once and return how many tasks were counted."""
        now = self.running.scrape()
        assert all(now.get(name, -1.0) >= value for name, value in self.last.items())
        self.last = now
        done = now.get(DONE, 0.0)
        assert done <= self.ran
        assert now.get(ROWS, 0.0) <= 3 * self.ran
        return done

    def reaches(self, number: int) -> bool:
        """Scrape once and say whether so many tasks were counted."""
        return self.look() >= number

    def kill_child(self) -> bool:
        """Kill a child that is alive, the one that ran the last task if it is; say whether there was one.

        A child that has just been recycled takes a signal and dies of nothing: only one that can
        still be stopped is alive.
        """
        last = int(str(self.redis.lindex("pids", -1)))
        children = psutil.Process(self.running.process.pid).children()
        for child in sorted(children, key=lambda child: child.pid != last):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.suspend()
                wait_until(functools.partial(is_suspended, child), "it is stopped, or gone")
                if child.status() == psutil.STATUS_STOPPED:
                    child.kill()
                    return True
        return False


def send(broker: EmbeddedRedis, begin: int) -> None:
    """Send the tasks with the numbers from `begin` on."""
    with sender(broker.url) as app:
        for number in range(begin, begin + TASKS):
            app.send_task("test.count", kwargs={"number": number})


def test_counters_are_exact_under_recycling_and_never_ahead_under_sigkill(
    broker: EmbeddedRedis, tmp_path: Path
) -> None:
    """All tasks count with children recycled every 10; 3 killed children cost 3 counts at most."""
    options = ("--concurrency", "2", "--max-tasks-per-child", "10")
    with worker(tmp_path / "worker", broker.url, *options) as running:
        watch = Watch(running, broker)
        send(broker, 0)
        wait_until(lambda: watch.look() == TASKS and watch.last[SECONDS] == TASKS, "every task is counted")
        assert watch.last[ROWS] == 3 * TASKS
        assert watch.last["aegis_batch_duration_seconds_count{operation=test.count}"] == 2 * TASKS

        send(broker, TASKS)
        for mark in (20, 40, 60):
            wait_until(functools.partial(watch.reaches, TASKS + mark), "more tasks are counted")
            wait_until(watch.kill_child, "a child is killed")
        wait_until(lambda: len(set(watch.redis.lrange("ran", 0, -1))) == 2 * TASKS, "every task ran")
        wait_until(lambda: watch.reaches(watch.ran - 3), "all but those of killed children are counted")
        wait_until(
            lambda: running.log.count("exited with 'signal 9 (SIGKILL)'") == 3,
            "the worker has seen all three die",
        )

        # A counter and a histogram file for each of two slots, and for the main process.
        assert len(list((running.home / "metrics").rglob("*.db"))) <= 2 * 3
        assert running.stop() is not None
        assert not listens(running.metrics_url)


def test_failures_and_redeliveries_are_counted(broker: EmbeddedRedis, tmp_path: Path) -> None:
    """A failed, a refused and a redelivered task each show in their own series."""
    with (
        worker(tmp_path / "worker", broker.url, "--concurrency", "1") as running,
        sender(broker.url) as app,
    ):
        app.send_task("test.fail", kwargs={"how": "plain", "secret": "x"})
        app.send_task("test.fail", kwargs={"how": "refused", "secret": "x"})
        app.send_task("test.wait", kwargs={"gate": str(tmp_path / "gate")})
        begun = tmp_path / "gate.begun"
        pid = wait_until(lambda: begun.exists() and begun.read_text("ascii").strip(), "the task runs")
        os.kill(int(pid), signal.SIGKILL)
        (tmp_path / "gate").touch()
        again = "aegis_redeliveries_total{task=test.wait}"
        wait_until(
            lambda: running.scrape().get("aegis_operations_total{operation=test.wait,outcome=done}"), "done"
        )
        seen = running.scrape()
        assert seen[again] == 1
        assert seen["aegis_operations_total{operation=test.fail,outcome=failed}"] == 1
        assert seen["aegis_operations_total{operation=test.fail,outcome=refused}"] == 1


def test_a_restarted_worker_starts_from_zero_in_the_same_folder(
    broker: EmbeddedRedis, tmp_path: Path
) -> None:
    """The files of a killed worker are gone when the next one of that name starts, and its port is free."""
    count_one_and_die(broker, tmp_path / "worker")
    count_one_and_die(broker, tmp_path / "worker")


def count_one_and_die(broker: EmbeddedRedis, folder: Path) -> None:
    """Run a worker that has counted nothing, let it count one task, and kill it."""
    with worker(folder, broker.url, "--concurrency", "1") as running, sender(broker.url) as app:
        assert running.scrape() == {}
        app.send_task("test.count", kwargs={"number": 1})
        wait_until(lambda: running.scrape().get(DONE) == 1, "the task is counted")
        url = running.metrics_url
        running.stop(signal.SIGKILL)
        wait_until(lambda: not listens(url), "the children are gone and hold no socket")


def test_a_taken_port_ends_the_worker_at_start(broker: EmbeddedRedis, tmp_path: Path, port: str) -> None:
    """A second worker on the same port exits with an error that names the port and the setting."""
    with worker(tmp_path / "worker", broker.url, ready=False, AEGIS_WORKER__METRICS_PORT=port) as running:
        assert running.process.wait(30) != 0
        assert f"metrics cannot be served on 127.0.0.1:{port}" in running.log
        assert "AEGIS_WORKER__METRICS_PORT" in running.log
        assert " ready." not in running.log


def test_two_workers_of_one_name_do_not_share_counters(broker: EmbeddedRedis, tmp_path: Path) -> None:
    """The second worker of that name on the same home exits and leaves the first one's counters alone."""
    with (
        worker(tmp_path / "worker", broker.url, "--concurrency", "1") as first,
        sender(broker.url) as app,
    ):
        app.send_task("test.count", kwargs={"number": 1})
        wait_until(lambda: first.scrape().get(DONE) == 1, "the task is counted")
        home = str(first.home)
        with worker(tmp_path / "other", broker.url, ready=False, AEGIS_HOME=home) as second:
            assert second.process.wait(30) != 0
            assert "give each one its own name" in second.log
        assert first.scrape()[DONE] == 1


def test_a_file_that_a_child_is_just_making_fails_no_scrape(tmp_path: Path) -> None:
    """It is empty at first, and has counted nothing."""
    (tmp_path / "counter_0.db").touch()
    assert not list(SlotCollector(tmp_path).collect())


def ledger_of(rows: list[LedgerRow]) -> Iterator[Endpoint]:
    """Serve a ledger."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerCollector(lambda: list(rows), lambda: 7.0))
    with Endpoint("127.0.0.1", 0, registry) as endpoint:
        endpoint.start()
        yield endpoint
        endpoint.shutdown()


def test_beat_serves_the_ledger_and_its_last_tick() -> None:
    """The endpoint shows each row of the ledger under its policy, table and action."""
    for endpoint in ledger_of([("p", "t", "delete", 5), ("p", "u", "anonymize", 2)]):
        url = f"http://127.0.0.1:{endpoint.server_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert parse(answer.read().decode()) == {
                "aegis_ledger_rows_total{action=delete,policy=p,table=t}": 5,
                "aegis_ledger_rows_total{action=anonymize,policy=p,table=u}": 2,
                "aegis_beat_last_tick_timestamp_seconds{}": 7,
            }


def test_a_ledger_that_cannot_be_read_fails_the_scrape() -> None:
    """An error is answered with status 500 and its type, never with zeros and never with its text."""

    def broken() -> list[LedgerRow]:
        message = "secret"
        raise ConnectionError(message)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerCollector(broken, lambda: 7.0))
    with Endpoint("127.0.0.1", 0, registry) as endpoint:
        endpoint.start()
        url = f"http://127.0.0.1:{endpoint.server_port}/metrics"
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url, timeout=10)
        endpoint.shutdown()
    with caught.value as answer:
        assert (answer.code, answer.read()) == (500, b"ConnectionError\n")


def test_a_port_can_be_served_again_right_after_a_scrape() -> None:
    """Connections of earlier scrapes that linger do not keep a restarted worker out."""
    first = Endpoint("127.0.0.1", 0, CollectorRegistry())
    first.start()
    with urllib.request.urlopen(f"http://127.0.0.1:{first.server_port}/metrics", timeout=5) as answer:
        assert answer.read() == b""
    first.stop()
    Endpoint("127.0.0.1", first.server_port, CollectorRegistry()).server_close()


def test_an_address_that_is_not_ours_is_a_settings_error() -> None:
    """The message names the address and what to change."""
    with pytest.raises(SettingsError, match=r"metrics cannot be served on 192\.0\.2\.1:1"):
        Endpoint("192.0.2.1", 1, CollectorRegistry())


def test_beat_exits_when_its_port_is_taken(broker: EmbeddedRedis, tmp_path: Path, port: str) -> None:
    """Beat, too, ends at start with an error that names the port."""
    command = ("beat", "--scheduler", "celery.beat:Scheduler")
    with program(tmp_path / "beat", broker.url, *command, AEGIS_WORKER__BEAT_METRICS_PORT=port) as beat:
        assert beat.process.wait(30) != 0
        assert f"metrics cannot be served on 127.0.0.1:{port}" in beat.log
