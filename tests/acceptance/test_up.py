"""`aegis up`, as a person types it."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from aegis.embedded.server import free_port
from tests.acceptance.test_demo import environment, nobody_is_left
from tests.workerkit import wait_until

UP = [sys.executable, "-u", "-m", "aegis.home", "up"]


def test_it_serves_until_it_is_ended(tmp_path: Path) -> None:
    """Worker and beat answer; SIGTERM ends all of it with exit code 0, and no process stays."""
    ports = {name: str(free_port()) for name in ("METRICS_PORT", "BEAT_METRICS_PORT")}
    told = environment(**{f"AEGIS_WORKER__{name}": port for name, port in ports.items()})
    said = tmp_path / "said"
    with said.open("w") as file, subprocess.Popen(UP, cwd=tmp_path, env=told, stderr=file) as up:
        try:
            wait_until(lambda: "\n  ledger " in said.read_text(), "it is up", 60)
            addresses = re.findall(r"^  (worker|ledger) +(\S+)$", said.read_text(), re.MULTILINE)
            assert addresses == [
                (name, f"http://127.0.0.1:{port}/metrics")
                for name, port in zip(("worker", "ledger"), ports.values(), strict=True)
            ]
            with urlopen(addresses[0][1], timeout=10) as answer:
                assert answer.status == 200
            with urlopen(addresses[1][1], timeout=10) as answer:
                assert "aegis_beat_last_tick_timestamp_seconds" in answer.read().decode()
            up.terminate()
            assert up.wait(60) == 0, said.read_text()
        finally:
            up.kill()
    assert "aegis is down; what was running resumes at the next start" in said.read_text()
    nobody_is_left(tmp_path)


@pytest.mark.parametrize(("taken", "name"), [("METRICS_PORT", "worker"), ("BEAT_METRICS_PORT", "beat")])
def test_a_port_that_is_taken(tmp_path: Path, taken: str, name: str) -> None:
    """It is told before anything is started, with the setting to change."""
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        port = somebody.getsockname()[1]
        told = environment(AEGIS_WORKER__METRICS_PORT=str(free_port()))
        told |= {f"AEGIS_WORKER__{taken}": str(port)}
        done = subprocess.run(
            UP, cwd=tmp_path, env=told, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1] == (
        f"aegis: the {name} cannot serve its metrics on 127.0.0.1:{port}: {os.strerror(98)}. Does another "
        f"`aegis up` run? Choose another port: worker.{taken.lower()}"
    )
    nobody_is_left(tmp_path)
