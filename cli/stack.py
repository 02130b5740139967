"""Everything on one machine: an embedded Redis, a worker and beat, each a process of its own."""

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.request import urlopen

from aegis.embedded.process import see_off, start_child, stop_child, wait_until
from aegis.embedded.redis import EmbeddedRedis
from aegis.embedded.server import free_port
from aegis.errors import OperationFailed, SettingsError
from aegis.settings import Settings

_START_SECONDS: Final = 60.0
NAMES: Final = ("worker", "beat")


class Stack:
    """Redis, worker and beat; `with` starts and stops them. Killed, it takes them along."""

    def __init__(
        self,
        settings: Settings,
        *,
        log: Path | None = None,
        environment: Mapping[str, str],
        keep: Sequence[int] = (),
    ) -> None:
        """Take the settings.

        Args:
            settings: what the processes run with; the broker is replaced by the embedded one.
            log: where worker and beat write; none: to this terminal.
            environment: the processes' environment, which names the same settings.
            keep: file descriptors that worker and beat inherit.

        """
        self._ports = {
            name: port or free_port()
            for name, port in zip(
                NAMES, (settings.worker.metrics_port, settings.worker.beat_metrics_port), strict=True
            )
        }
        self.settings = settings
        self.redis = EmbeddedRedis(settings.home / "redis")
        self._log = log
        self._temporary = settings.home / "tmp"
        self._environment = dict(environment)
        self._keep = tuple(keep)
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        """Start Redis, then worker and beat side by side, and wait until both answer."""
        with contextlib.ExitStack() as undo:
            undo.callback(self.stop)
            for name in NAMES:
                self._need_port(name)
            self._temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.redis.start()
            for name in NAMES:
                self._begin(name)
            for name in NAMES:
                self._await(name)
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop them all."""
        self.stop()

    def stop(self) -> None:
        """Stop beat and worker side by side, then Redis."""
        for child in self._children.values():
            child.send_signal(signal.SIGTERM)
        while self._children:
            see_off(self._children.popitem()[1])
        self.redis.stop()

    def wait(self) -> str:
        """Return the name of the first process that ended by itself; for ever while all run."""
        while True:
            for name, child in self._children.items():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(0.2)
                    return name

    def metrics(self, name: str) -> str:
        """Return what a process exports to Prometheus."""
        with urlopen(self.address(name), timeout=10) as answer:  # noqa: S310 - our own address
            return str(answer.read().decode())

    def address(self, name: str) -> str:
        """Return where a process exports its metrics."""
        return f"http://{self.settings.worker.metrics_host}:{self._ports[name]}/metrics"

    def pid(self, name: str) -> int:
        """Return the process id of the worker or of beat."""
        return self._children[name].pid

    def start(self, name: str) -> None:
        """Start the worker or beat, also in the place of one that has ended, and wait until it answers.

        Raises:
            OperationFailed: it ended again, or does not answer.

        """
        earlier = self._children.pop(name, None)
        if earlier is not None:
            stop_child(earlier, signal.SIGTERM)
        self._begin(name)
        self._await(name)

    def _begin(self, name: str) -> None:
        self._children[name] = start_child(
            [sys.executable, "-m", "aegis.home", name],
            folder=Path.cwd(),
            log=self._log,
            death=signal.SIGTERM,
            keep=self._keep,
            environment={
                **self._environment,
                "AEGIS_BROKER_URL": self.redis.url,
                # Chosen here where the settings leave it open, or nobody would know where to ask.
                "AEGIS_WORKER__METRICS_PORT": str(self._ports["worker"]),
                "AEGIS_WORKER__BEAT_METRICS_PORT": str(self._ports["beat"]),
                # The pool leaves an empty folder there when it is killed.
                "TMPDIR": str(self._temporary),
            },
        )

    def _need_port(self, name: str) -> None:
        """Look before anything starts: whoever has the port would answer in place of ours."""
        host, port = self.settings.worker.metrics_host, self._ports[name]
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            # As the endpoint does: connections of earlier scrapes linger.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                setting = "worker.metrics_port" if name == "worker" else "worker.beat_metrics_port"
                message = (
                    f"the {name} cannot serve its metrics on {host}:{port}: {error.strerror}. Does another "
                    f"`aegis up` run? Choose another port: {setting}"
                )
                raise SettingsError(message) from error

    def _await(self, name: str) -> None:
        if not wait_until(self._children[name], lambda: _answers(self.address(name)), _START_SECONDS):
            where = f"; see {self._log}" if self._log else ""
            message = f"the {name} did not start ({self.address(name)}){where}"
            raise OperationFailed(message)


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=5) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)  # noqa: PLR2004 - HTTP's own number
    except OSError:
        return False
