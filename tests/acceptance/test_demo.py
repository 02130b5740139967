"""`aegis demo`, as a person types it."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

LONG = bool(os.environ.get("LONG_TESTS"))


@pytest.mark.parametrize("options", [[], ["--postgres"]] if LONG else [[]])
def test_the_demo_balances_its_account_and_leaves_nothing_behind(tmp_path: Path, options: list[str]) -> None:
    """It ends with exit code 0 and the sentence; no process, no port and no file stays."""
    command = [sys.executable, "-m", "aegis.home", "demo", *options]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AEGIS_")}
    done = subprocess.run(
        command, cwd=tmp_path, env=plain, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every account balances." in done.stdout
    assert list(tmp_path.iterdir()) == []
    left = [process for process in psutil.process_iter(["cmdline"]) if _is_ours(process, tmp_path)]
    assert left == []


def test_an_interrupted_demo_stops_every_server(tmp_path: Path) -> None:
    """Stopped while it waits: the servers are gone and so is the folder."""
    command = [sys.executable, "-u", "-m", "aegis.home", "demo"]
    demo = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if "Waiting for" in line:
            break
    # Not SIGINT: whoever runs the tests in the background may have it ignored.
    demo.terminate()
    rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 3, rest
    assert list(tmp_path.iterdir()) == []
    assert [process for process in psutil.process_iter(["cmdline"]) if _is_ours(process, tmp_path)] == []


def _is_ours(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.cwd().startswith(str(folder)) or str(folder) in " ".join(process.cmdline())
    except psutil.Error:
        return False
