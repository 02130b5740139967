"""The Prometheus endpoints: the worker's counters and beat's gauges.

The worker serves from its main process, on a thread, so that a scrape is answered while the
broker is away. Its children let go of the socket at once. A port that is taken is an error at
start: a worker that nobody can watch does not work.
"""

import logging
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from celery import bootsteps, signals
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from aegis.errors import Conflict, SettingsError
from worker import metrics

log = logging.getLogger(__name__)


class Endpoint(ThreadingHTTPServer):
    """Serves one registry at /metrics."""

    daemon_threads = True
    # Two workers on one port would share the scrapes between them.
    allow_reuse_port = False

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        """Bind the address; port 0 takes a free one.

        Raises:
            SettingsError: the address is taken or cannot be bound.

        """
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.registry = registry
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            message = (
                f"metrics cannot be served on {host}:{port}: {error.strerror}. Is another worker running? "
                "Choose another port (AEGIS_WORKER__METRICS_PORT, AEGIS_WORKER__BEAT_METRICS_PORT; 0: any)"
            )
            raise SettingsError(message) from error

    def server_bind(self) -> None:
        """Bind without asking the name service for the host's name."""
        # Connections of earlier scrapes linger for a minute; they must not keep a restarted worker out.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        socket.socket.bind(self.socket, self.server_address)
        self.server_name, self.server_port = self.socket.getsockname()[:2]

    def start(self) -> None:
        """Serve from now on, on a thread."""
        threading.Thread(target=self.serve_forever, name="metrics", daemon=True).start()
        log.info("Metrics are served on http://%s:%d/metrics", self.server_name, self.server_port)

    def stop(self) -> None:
        """Stop serving and close the socket."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint
    #: Seconds that a scraper may keep a thread waiting.
    timeout = 5

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self._answer(404, "text/plain", b"see /metrics\n")
            return
        encode, kind = choose_encoder(self.headers.get("Accept", ""))
        try:
            body = encode(self.server.registry)
        except Exception as error:  # noqa: BLE001 - whatever it is, the scrape must fail and not show zeros
            log.warning("The metrics cannot be read: %s", type(error).__name__)
            self._answer(500, "text/plain", f"{type(error).__name__}\n".encode())
            return
        self._answer(200, kind, body)

    def log_message(self, *_: object) -> None:
        """Say nothing: a scrape is no event."""

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class MetricsStep(bootsteps.StartStopStep):
    """Serves the worker's counters from its main process."""

    def create(self, worker: Any) -> Endpoint:  # type: ignore[override] # the stubs forget what it is for
        """Bind before any child process exists; a taken port ends the worker here.

        Raises:
            SystemExit: the port is taken, or a worker of that name is running.

        """
        settings = worker.app.settings
        try:
            folder = metrics.MetricsFolder(settings.home, worker.hostname)
            endpoint = Endpoint(
                settings.worker.metrics_host,
                settings.worker.metrics_port,
                folder.registry(),
            )
        except (SettingsError, Conflict) as error:
            raise SystemExit(str(error)) from error
        # The step lives as long as the worker: its lock and its hook must, too.
        self.folder = folder
        self.close_in_child = endpoint.socket.close
        signals.worker_process_init.connect(self._after_fork)
        metrics.connect()
        return endpoint

    def _after_fork(self, **_: Any) -> None:
        # A pool without processes says this of the worker itself.
        if metrics.slot() != metrics.MAIN:
            self.close_in_child()


@signals.beat_init.connect
def _serve_beat(sender: Any, **_: Any) -> None:
    # Here, and not above: a worker needs none of the doors behind them.
    from worker.gauges.registry import registry_of  # noqa: PLC0415

    settings = sender.app.settings.worker
    try:
        Endpoint(settings.metrics_host, settings.beat_metrics_port, registry_of(sender.scheduler)).start()
    except SettingsError as error:
        raise SystemExit(str(error)) from error
