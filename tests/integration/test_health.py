"""`aegis worker health` and `aegis beat health`: what a container's probe hears of real processes."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis.embedded.redis import EmbeddedRedis
from aegis.operations.heartbeats import SILENT_SECONDS
from tests.shells import Shell, empty
from tests.workerkit import WorkerProcess, client, program, wait_until, worker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis that a test may kill."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """The command, with neither broker nor database to ask."""
    folder = tmp_path / "shell"
    folder.mkdir()
    made = empty(folder)
    made.environment["AEGIS_DATABASE_URL"] = "postgresql://nobody:x@127.0.0.1:1/nothing"
    return made


class Probe:
    """Asks after one process as a container does."""

    def __init__(self, shell: Shell, running: WorkerProcess, kind: str) -> None:
        """Take the command and the process."""
        self.shell, self.kind, self.home = shell, kind, running.home

    def __call__(self, *words: str) -> tuple[int, str]:
        """Return the exit code and the sentence."""
        said = self.shell(self.kind, "health", *words, AEGIS_HOME=str(self.home))
        assert not said.err
        return said.code, said.out

    def long_ago(self) -> None:
        """Make the last sign of life older than any that a living process has."""
        (sign,) = (self.home / "health").glob(f"{self.kind}-*")
        at = sign.stat().st_mtime - 2 * SILENT_SECONDS
        os.utime(sign, (at, at))

    def recovers(self) -> None:
        """Wait until the process was heard of again."""
        wait_until(lambda: self()[0] == 0, f"the {self.kind} is heard of")


def test_a_worker_that_hangs_fails_its_probe_and_one_without_a_broker_does_not(
    shell: Shell, broker: EmbeddedRedis, tmp_path: Path
) -> None:
    """The main loop and the loop that reconnects are signs of life; a stopped process gives none."""
    with worker(tmp_path / "worker", broker.url, "-n", "one@%h") as running:
        probe = Probe(shell, running, "worker")
        code, said = probe()
        assert (code, said[:11]) == (0, "worker one@")
        assert probe("-n", "one@%h")[0] == 0
        assert probe("-n", "other@%h")[0] == 1

        running.process.send_signal(signal.SIGSTOP)
        probe.long_ago()
        code, said = probe()
        assert code == 1
        assert "hangs" in said
        running.process.send_signal(signal.SIGCONT)
        probe.recovers()

        broker.kill()
        running.wait_for("Trying again")
        probe.long_ago()
        probe.recovers()
        broker.start()
        running.wait_for("Connected to")
        probe.long_ago()
        probe.recovers()

        running.stop()
        assert probe() == (
            1,
            "worker: none was heard of; is it running on this host, with this AEGIS_HOME?\n",
        )


def test_beat_tells_that_it_is_alive_at_every_tick(
    shell: Shell, broker: EmbeddedRedis, tmp_path: Path
) -> None:
    """A stopped beat fails its probe; one whose broker is away, even from its start, does not."""
    broker.kill()
    with program(tmp_path / "beat", broker.url, "beat", application="worker") as running:
        probe = Probe(shell, running, "beat")
        running.wait_for("The broker takes no messages")
        probe.long_ago()
        probe.recovers()
        running.process.send_signal(signal.SIGSTOP)
        probe.long_ago()
        said = probe("--json")
        assert said[0] == 1
        assert '"alive": false' in said[1]
        running.process.send_signal(signal.SIGCONT)
        probe.recovers()
        broker.start()
        with client(broker.url) as redis:
            wait_until(lambda: redis.llen("maintenance"), "beat sends")
        running.stop()
        assert probe() == (1, "beat: none was heard of; is it running on this host, with this AEGIS_HOME?\n")
