"""deploy/Dockerfile really built and run, with buildah, on a base that debootstrap makes.

Without a registry, Debian's own Python takes the place of the base image. Everything else is the file's.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from aegis.embedded import EmbeddedRedis
from tests.containers import HOME, ROOT
from tests.hostile import entry
from tests.repeats import LONG
from tests.workerkit import client, wait_until

TOOLS: Final = ("buildah", "debootstrap", "unshare", "chroot")
MISSING: Final = [tool for tool in TOOLS if not shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin")]
USER: Final = "10001:10001"
#: A root file system that is read-only but for the home and /tmp, entered as the image's user.
ENTER: Final = """
mount --bind "$ROOT" "$ROOT"
mount -o remount,bind,ro "$ROOT"
mount -t tmpfs -o mode=1777 tmpfs "$ROOT/tmp"
mount --bind "$VOLUME" "$ROOT$AEGIS_HOME"
mount -t proc proc "$ROOT/proc"
mount --bind /dev "$ROOT/dev"
mount -t tmpfs -o mode=1777 tmpfs "$ROOT/dev/shm"
cd "$ROOT"
exec chroot --userspec="$IMAGE_USER" "$ROOT" sh -c 'cd "$AEGIS_HOME" && exec "$@"' sh "$@"
"""

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1_200),
    pytest.mark.skipif(not LONG, reason="builds an image, some minutes: LONG_TESTS=1"),
    pytest.mark.skipif(bool(MISSING), reason=f"not on this machine: {', '.join(MISSING)}"),
    pytest.mark.skipif(os.getuid() != 0, reason="debootstrap and mounts need root"),
]


@dataclass(frozen=True, kw_only=True)
class Image:
    """The image, unpacked."""

    root: Path
    configuration: dict[str, Any]
    volume: Path

    def start(self, *command: str, **environ: str) -> subprocess.Popen[str]:
        """Start a command in it, as its user, on a root file system that is read-only."""
        said = dict(variable.split("=", 1) for variable in self.configuration["Env"])
        outside = {
            "ROOT": str(self.root),
            "VOLUME": str(self.volume),
            "IMAGE_USER": self.configuration["User"],
        }
        return subprocess.Popen(
            [
                shutil.which("unshare") or "",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-ec",
                ENTER,
                "sh",
                *command,
            ],
            env={**said, "PATH": f"{said['PATH']}:/usr/sbin:/sbin", **outside, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str, **environ: str) -> tuple[int, str]:
        """Run a command in it until it ends."""
        with self.start(*command, **environ) as process:
            said, _ = process.communicate(timeout=120)
        return process.returncode, said


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image, built from this checkout."""
    # On a disk: it is larger than what a memory's file system should hold.
    folder = Path(ROOT / ".pytest_tmp_image")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        base = folder / "base"
        packages = "python3,python3-venv,ca-certificates"
        _do("debootstrap", "--variant=minbase", f"--include={packages}", _release(), base)
        buildah = _Buildah(folder)
        container = buildah("from", "scratch")
        buildah("add", "--quiet", container, base, "/")
        buildah("commit", "--quiet", container, "localhost/base")
        certificates = "/etc/ssl/certs"
        buildah(
            "build",
            *("--format", "docker", "--file", ROOT / "deploy/Dockerfile", "--tag", "localhost/aegis"),
            *("--build-arg", "BASE=localhost/base"),
            # Whom this machine trusts: its index may have a certificate of its own.
            *("--volume", f"{certificates}:{certificates}:ro"),
            *("--env", f"PIP_CERT={certificates}/ca-certificates.crt"),
            ROOT,
        )
        configuration = json.loads(buildah("inspect", "--type", "image", "localhost/aegis"))["Docker"][
            "config"
        ]
        root = Path(buildah("mount", buildah("from", "localhost/aegis")))
        volume = tmp_path_factory.mktemp("volume")
        os.chown(volume, *map(int, USER.split(":")))
        yield Image(root=root, configuration=configuration, volume=volume)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_the_image_says_what_it_is(image: Image) -> None:
    """Its user is no root, it starts a worker and checks that worker's health, and it says what is in it."""
    said = image.configuration
    assert said["User"] == USER
    assert (said["Entrypoint"], said["Cmd"]) == (["aegis"], ["worker"])
    assert said["Healthcheck"]["Test"] == ["CMD", "aegis", "worker", "health"]
    assert said["Labels"]["org.opencontainers.image.title"] == "aegis-privacy-worker"


def test_the_image_has_no_secret_no_pip_and_no_tests(image: Image) -> None:
    """Only what runs is in it: no key, no checkout, nothing that could install more."""
    assert not (image.root / "src").exists()
    found = [path.name for path in (image.root / "opt/aegis/bin").iterdir()]
    assert "aegis" in found
    assert not [name for name in found if name.startswith("pip")]
    home = image.root / HOME.removeprefix("/")
    assert list(home.iterdir()) == []
    assert (home.stat().st_uid, home.stat().st_mode & 0o777) == (10001, 0o700)


def test_the_command_line_runs_as_nobody_in_particular_on_a_file_system_that_is_read_only(
    image: Image,
) -> None:
    """The version is the project's; only home and /tmp can be written; the doctor looks at a fresh home."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert image.run("aegis", "--version") == (0, f"aegis {version}\n")
    assert image.run("id", "-u") == (0, "10001\n")
    code, said = image.run(
        "sh", "-c", "for place in / /opt/aegis /etc; do touch $place/x && echo $place; done; true"
    )
    assert (code, said.count("Read-only file system")) == (0, 3)
    code, said = image.run("aegis", "doctor", AEGIS_BROKER_URL="redis://127.0.0.1:1/0")
    assert code == 1
    assert re.search("✗ +broker +redis://127.0.0.1:1/0 does not answer", said), said


def test_a_worker_of_the_image_does_a_task_and_ends_when_it_is_told(image: Image, tmp_path: Path) -> None:
    """It takes a task from a real Redis, is healthy, and is gone after SIGTERM."""
    with EmbeddedRedis(tmp_path / "redis") as server, client(server.url) as broker:
        environ = {"AEGIS_BROKER_URL": server.url, "AEGIS_WORKER__METRICS_PORT": "0"}
        with image.start("aegis", "worker", **environ) as process:
            try:
                assert process.stdout is not None
                said = iter(process.stdout.readline, "")
                assert any(" ready." in line for line in said)
                wanted = {"action": "noted", "actor": "app", "target_type": "policy", "target_id": "p"}
                sent = entry(
                    body=[[], wanted, {}],
                    headers={"task": "aegis.audit.record"},
                    properties={"delivery_info": {"exchange": "", "routing_key": "audit"}},
                )
                broker.lpush("audit", json.dumps(sent))
                wait_until(
                    lambda: not broker.llen("audit") and not broker.hlen("unacked"), "the task is done"
                )
                exported = ("aegis", "audit", "export", "--format", "jsonl", "--to", "-", "--from", "0")
                image.run("aegis", "audit", "seal", **environ)
                assert "custom:noted" in image.run(*exported, **environ)[1]
                assert image.run("aegis", "worker", "health", **environ)[0] == 0
                _tell_to_end(process)
                assert process.wait(60) == 0, process.stdout.read()
            finally:
                process.kill()
        assert image.run("aegis", "worker", "health", **environ)[0] == 1


class _Buildah:
    """buildah with its store in a folder, and without a daemon or namespaces of its own."""

    def __init__(self, folder: Path) -> None:
        self._places = ("--root", folder / "store", "--runroot", folder / "run", "--storage-driver", "vfs")

    def __call__(self, *arguments: str | Path) -> str:
        return _do("buildah", *self._places, *arguments, BUILDAH_ISOLATION="chroot").strip()


def _do(*command: str | Path, **environ: str) -> str:
    done = subprocess.run(
        command, env={**os.environ, **environ}, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def _release() -> str:
    """Return the code name of this Debian, whose Python is new enough; the machine can reach its packages."""
    said = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text("utf-8").split("\n") if "=" in line
    )
    return said["VERSION_CODENAME"].strip('"')


def _tell_to_end(process: subprocess.Popen[str]) -> None:
    """Send SIGTERM to what runs in the image: `unshare` stands before it."""
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii").split()
    os.kill(int(child), signal.SIGTERM)
