"""The services of docker-compose.yml as processes of this machine, where no container can be run.

What the file says is run as it says it: entrypoint, command, environment, health check, a service's own
secrets and volumes. Only places are others: a container's path is one below the test's folder, and its host
a port.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml

from tests.workerkit import DEADLINE

ROOT: Final = Path(__file__).parents[1]
#: What the image says: deploy/Dockerfile.
HOME: Final = "/var/lib/aegis"
ENTRYPOINT: Final = ("aegis",)


def compose() -> dict[str, Any]:
    """Return docker-compose.yml as it is read."""
    read: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return read


def is_aegis(service: Mapping[str, Any]) -> bool:
    """Say whether a service runs the project's own image."""
    return str(service["image"]).startswith("aegis-privacy-worker:")


class Site:
    """A folder with what all containers have: named volumes, secrets, and the programs of their images."""

    def __init__(
        self, folder: Path, hosts: Mapping[str, str], ports: Mapping[str, str], programs: Mapping[str, Path]
    ) -> None:
        """Make it.

        Args:
            folder: an empty folder.
            hosts: how a host stands in the files → how it is reached here.
            ports: variables that tell programs of the images another port than their usual one.
            programs: what the images bring besides `aegis`, by name.

        """
        self.folder, self.hosts, self.ports = folder, hosts, ports
        self.programs = folder / "bin"
        self.programs.mkdir(parents=True)
        for name, program in programs.items():
            (self.programs / name).symlink_to(program)
        subprocess.run(
            ["/bin/sh", ROOT / "deploy/secrets.sh", folder / "secrets"], check=True, capture_output=True
        )

        self._made: dict[str, Container] = {}

    def __getitem__(self, name: str) -> "Container":
        """Return the container of a service; it is made on first use."""
        if name not in self._made:
            self._made[name] = Container(self, name, compose()["services"][name])
        return self._made[name]


class Container:
    """One service, where it has its places here."""

    def __init__(self, site: Site, name: str, said: Mapping[str, Any]) -> None:
        """Make its places: its secrets and no others, its volumes, its temporary folders."""
        self.site, self.name, self.said = site, name, said
        self.folder = site.folder / "containers" / name
        self._secrets()
        self._mounts()

    @cached_property
    def places(self) -> dict[str, str]:
        """What stands here for a path of the container or a host."""
        found = {"/run/secrets": self.folder / "secrets"}
        for target in self.said.get("tmpfs", []):
            found[str(target).partition(":")[0]] = self.folder / "tmpfs" / Path(target).name
        for source, target in self._volumes():
            bound = source.startswith(".")
            found[target] = (
                self.folder / "mounts" / source if bound else self.site.folder / "volumes" / source
            )
        return {**{target: str(path) for target, path in found.items()}, **self.site.hosts}

    @property
    def log(self) -> str:
        """What it has said so far; nothing where something else stands for it."""
        path = self.folder / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def moved(self, text: object) -> str:
        """Return a text with this machine's places in it."""
        targets = sorted(self.places, key=len, reverse=True)
        one = re.compile("|".join(map(re.escape, targets)))
        return one.sub(lambda found: self.places[found.group()], str(text))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run it until it ends; words stand in place of its command."""
        return self._run(self._command(command))

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside what it runs."""
        return self._run(self._words(command))

    def check(self) -> subprocess.CompletedProcess[str]:
        """Run its health check."""
        kind, *words = self.said["healthcheck"]["test"]
        return self._run(self._words(["sh", "-c", *words] if kind == "CMD-SHELL" else words))

    @contextlib.contextmanager
    def up(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run it while the block runs."""
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(
                self._command(()), cwd=self._cwd, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def _volumes(self) -> list[tuple[str, str]]:
        parts = (str(volume).split(":") for volume in self.said.get("volumes", []))
        return [(source, target) for source, target, *_ in parts]

    def _secrets(self) -> None:
        own = self.folder / "secrets"
        own.mkdir(parents=True)
        for name in self.said.get("secrets", []):
            shutil.copy2(self.site.folder / "secrets" / name, own / name)

    def _mounts(self) -> None:
        """Copy what the project brings, with this machine's places in it; make the other folders."""
        for source, target in self._volumes():
            original, here = ROOT / source, Path(self.places[target])
            if source.startswith(".") and original.is_dir():
                shutil.copytree(original, here)
                for file in filter(Path.is_file, here.rglob("*")):
                    file.write_text(self.moved(file.read_text("utf-8")), encoding="utf-8")
            elif source.startswith("."):
                here.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(original, here)
        for target, path in self.places.items():
            if target not in self.site.hosts and not Path(path).exists():
                Path(path).mkdir(parents=True)

    @property
    def _cwd(self) -> str | Path:
        return self.places.get(HOME, self.folder)

    @property
    def _environment(self) -> dict[str, str]:
        own: dict[str, Any] = {}
        if is_aegis(self.said):
            # A container has every port to itself. One child each is enough here.
            own = {
                "AEGIS_HOME": HOME,
                "AEGIS_WORKER__CONCURRENCY": 1,
                "AEGIS_WORKER__METRICS_PORT": 0,
                "AEGIS_WORKER__BEAT_METRICS_PORT": 0,
                "TMPDIR": "/tmp",  # noqa: S108 - a container's own
            }
        moved = {
            name: self.moved(value) for name, value in {**own, **self.said.get("environment", {})}.items()
        }
        path = f"{self.site.programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {"PATH": path, **self.site.ports, **moved}

    def _command(self, instead: Sequence[str]) -> list[str]:
        return self._words(
            [*self.said.get("entrypoint", ENTRYPOINT), *(instead or self.said.get("command", []))]
        )

    def _words(self, words: Sequence[object]) -> list[str]:
        return [self.moved(word).replace("$$", "$") for word in words]

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self._cwd,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE,
            check=False,
        )
