"""What every embedded server has: a folder, a lock on it, a password, a port, a life."""

import abc
import contextlib
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Self

from aegis.embedded.process import kill_child, start_child, stop_child, wait_until
from aegis.errors import Busy, NotPrepared, OperationFailed

HOST = "127.0.0.1"
#: Below the range from which systems take the ports of outgoing connections: while the server is
#: down nobody is given its port by chance, and a client that reconnects cannot reach itself.
PORTS = range(20_000, 32_000)
START_SECONDS = 60.0
#: How long a folder may stay in use by the remains of an earlier server.
LOCK_SECONDS = 10.0
ATTEMPTS = 5
#: The pause before a fixed port, which somebody else uses, is tried again.
PORT_SECONDS = 0.5
#: Lines of the server's log that an error repeats.
TAIL_LINES = 15


class EmbeddedServer(abc.ABC):
    """A server process with its data in one folder; `with` starts and stops it.

    The lock on the folder is inherited by every process of the server, so it says exactly whether
    any of them is still alive.
    """

    #: What people call the server.
    name: ClassVar[str]
    #: Ends it cleanly; also sent to it when its starter is gone.
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    #: What its log says when it is ready; before that whoever answers is somebody else.
    ready_words: ClassVar[str]

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        """Name the folder; nothing is started or created yet."""
        self.folder = Path(folder).absolute()
        self.log = self.folder / "server.log"
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the server."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the server's process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The server's process id.

        Raises:
            NotPrepared: it was never started.

        """
        if self._process is None:
            raise self._not_started()
        return self._process.pid

    @property
    def port(self) -> int:
        """The port on 127.0.0.1; it stays the same when this object starts the server again."""
        if self._port is None:
            raise self._not_started()
        return self._port

    @property
    def password(self) -> str:
        """The password, made on first use and kept in the folder."""
        path = self.folder / "password"
        if not path.exists():
            self._make_folder()
            write_private(path, secrets.token_hex(24))
        return path.read_text("utf-8")

    def start(self) -> Self:
        """Start the server and wait until it answers; do nothing when it runs.

        Raises:
            NotPrepared: the server's program is missing.
            Busy: another server uses the folder.
            OperationFailed: it does not start; the message carries the end of its log.

        """
        if not self.running:
            self._make_folder()
            with self._locked() as lock:
                self._prepare(lock)
                self._process = self._launch(lock)
        return self

    def stop(self) -> None:
        """Stop the server cleanly and wait until all its processes are gone."""
        if self._process is not None:
            stop_child(self._process, self.stop_signal)
            self._await_end()

    def kill(self) -> None:
        """Kill the server without warning, as a crash would; `start` recovers its data."""
        if self._process is not None:
            kill_child(self._process)
            self._await_end()

    @abc.abstractmethod
    def _prepare(self, lock: int) -> None:
        """Make what the server needs in its folder."""

    @abc.abstractmethod
    def _command(self, port: int) -> list[str | Path]:
        """Return the program and its arguments."""

    @abc.abstractmethod
    def _answers(self, port: int) -> bool:
        """Say whether the server answers to our password."""

    def _identity(self) -> str:
        return "same"

    def _launch(self, lock: int) -> subprocess.Popen[bytes]:
        for attempt in range(ATTEMPTS):
            port = self._port or free_port()
            begin = self._log_size()
            process = self._spawn(self._command(port), lock)
            if self._await_ready(process, port, begin):
                self._port = port
                return process
            said = self._log_since(begin)
            if "Address already in use" not in said or attempt == ATTEMPTS - 1:
                break
            if self._port is not None:
                time.sleep(PORT_SECONDS)
        raise self._failed(said, process.returncode, "did not start")

    def _await_ready(self, process: subprocess.Popen[bytes], port: int, begin: int) -> bool:
        def answers() -> bool:
            return self.ready_words in self._log_since(begin) and self._answers(port)

        ready = False
        try:
            ready = wait_until(process, answers, START_SECONDS)
        finally:
            if not ready:
                kill_child(process)
        return ready

    def _spawn(
        self, command: list[str | Path], lock: int, stdin: IO[bytes] | int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        return start_child(
            command,
            folder=self.folder,
            log=self.log,
            death=self.stop_signal,
            identity=self._identity(),
            keep=[lock],
            stdin=stdin,
        )

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not lock_within(lock, LOCK_SECONDS):
                message = (
                    f"{self.name}: another server is using {self.folder}; stop it, or give another folder"
                )
                raise Busy(message)
            yield lock
        finally:
            os.close(lock)

    def _await_end(self) -> None:
        with contextlib.suppress(FileNotFoundError), self._locked():
            pass

    def _log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def _log_since(self, begin: int) -> str:
        with self.log.open("rb") as log:
            log.seek(begin)
            return log.read().decode("utf-8", "replace")

    def _failed(self, said: str, code: int | None, what: str) -> OperationFailed:
        tail = "\n".join(f"    {line}" for line in said.splitlines()[-TAIL_LINES:])
        message = (
            f"{self.name} {what} in {self.folder} (exit code {code}). Its log ends with:\n{tail}\n"
            f"Cure what it names and start again, or give another folder. The whole log: {self.log}"
        )
        return OperationFailed(message)

    def _not_started(self) -> NotPrepared:
        message = f"{self.name} in {self.folder} was not started yet: call start() first"
        return NotPrepared(message)


def free_port() -> int:
    """Return a port on 127.0.0.1 on which nobody listens at this moment."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    new.rename(path)


def lock_within(lock: int, seconds: float) -> bool:
    """Take the lock on an open file; False: somebody else has it for all that time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True
