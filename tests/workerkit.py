"""Real servers and a real prefork worker for the tests of the process.

`celery -A tests.workerkit_app` is the application under test: the one that is shipped, with the
tasks of `tests/workerkit_tasks.py` in place of the real ones.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import redis
from prometheus_client.parser import text_string_to_metric_families

from aegis.settings import Settings
from worker.app import AegisApp, build_app

#: The queue of each task of the tests.
ROUTES = {
    "test.wait": "retention",
    "test.count": "retention",
    "test.fail": "erasure",
    "test.echo": "retention",
    "test.send": "retention",
    "test.die": "retention",
}
ROOT = Path(__file__).parent.parent
#: Longer than anything here takes on a busy machine; nothing waits this long unless it is broken.
DEADLINE = 60.0

T = TypeVar("T")


def wait_until(probe: Callable[[], T], what: str, seconds: float = DEADLINE) -> T:
    """Return what the probe returns as soon as that is true; fail after the deadline."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = probe()
        if found:
            return found
        time.sleep(0.02)
    message = f"after {seconds} s still not: {what}"
    raise AssertionError(message)


def parse(text: str) -> dict[str, float]:
    """Return the samples of a scrape by name and labels, as in `name{label=value}`."""
    return {
        f"{sample.name}{{{','.join(f'{k}={v}' for k, v in sorted(sample.labels.items()))}}}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def listens(url: str) -> bool:
    """Say whether anybody answers at the URL's address."""
    parts = urllib.parse.urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname or "", parts.port or 0)) == 0


class WorkerProcess:
    """One `celery worker` (or `beat`) as a subprocess, with its log in a file."""

    def __init__(
        self,
        folder: Path,
        broker: str,
        *,
        command: tuple[str, ...],
        environ: Mapping[str, str],
        application: str = "tests.workerkit_app",
    ) -> None:
        """Start it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.home = folder / "home"
        self.log_path = folder / "log"
        self._log = self.log_path.open("wb")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AEGIS_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", application, *command],
            cwd=ROOT,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={
                **kept,
                "AEGIS_BROKER_URL": broker,
                "AEGIS_HOME": str(self.home),
                "AEGIS_WORKER__METRICS_PORT": "0",
                "AEGIS_WORKER__BEAT_METRICS_PORT": "0",
                "TEST_REDIS": broker,
                "TMPDIR": str(folder),
                **environ,
            },
        )

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self.log_path.read_text("utf-8", "replace")

    @property
    def alive(self) -> bool:
        """Whether the main process runs."""
        return self.process.poll() is None

    @property
    def metrics_url(self) -> str:
        """Where it serves its metrics."""
        return self.log.partition("Metrics are served on ")[2].split()[0]

    def wait_for(self, text: str, seconds: float = DEADLINE) -> None:
        """Wait until the log contains the text.

        Raises:
            AssertionError: it ended before, or the deadline passed.

        """

        def said() -> bool:
            found = text in self.log
            assert found or self.alive, f"it ended before it said {text!r}:\n{self.log}"
            return found

        wait_until(said, f"the log contains {text!r}", seconds)

    def scrape(self) -> dict[str, float]:
        """Return every sample by its name and labels, as in `name{label=value}`."""
        with urllib.request.urlopen(self.metrics_url, timeout=DEADLINE) as answer:
            return parse(answer.read().decode())

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        if self.alive:
            self.process.send_signal(number)
        code = self.process.wait(DEADLINE)
        self._log.close()
        return code


@contextlib.contextmanager
def worker(
    folder: Path,
    broker: str,
    *options: str,
    ready: bool = True,
    application: str = "tests.workerkit_app",
    **environ: str,
) -> Iterator[WorkerProcess]:
    """Run a worker while the block runs; other keyword arguments are environment variables."""
    command = ("worker", "--loglevel", "INFO", "--without-mingle", "--without-gossip", *options)
    with program(folder, broker, *command, application=application, **environ) as process:
        if ready:
            process.wait_for(" ready.")
        yield process


@contextlib.contextmanager
def program(
    folder: Path, broker: str, *command: str, application: str = "tests.workerkit_app", **environ: str
) -> Iterator[WorkerProcess]:
    """Run a command of `celery -A …` while the block runs."""
    process = WorkerProcess(folder, broker, command=command, environ=environ, application=application)
    try:
        yield process
    finally:
        if process.alive:
            process.process.kill()
        process.stop()


@contextlib.contextmanager
def sender(broker: str) -> Iterator[AegisApp]:
    """Return the shipped application as a producer for that broker."""
    app = build_app(Settings(broker_url=broker), imports=(), routes=ROUTES)
    try:
        yield app
    finally:
        app.close()


def client(url: str) -> redis.Redis:
    """Return a client for looking into the broker from a test."""
    return redis.Redis.from_url(url, protocol=2, decode_responses=True)


def raw_client(url: str) -> redis.Redis:
    """Return a client whose answers are bytes."""
    return redis.Redis.from_url(url, protocol=2)
