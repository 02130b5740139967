"""A worker's and beat's signs of life, for the probes of whoever runs them.

A worker says that it is alive from its main loop, and while that is off because the broker is away, from the
loop that connects again: an outage of the broker restarts no worker, and a process that hangs says nothing.
"""

from typing import Any

from celery import bootsteps

from aegis.operations.heartbeats import BEAT_SECONDS, Heartbeat
from worker.redaction import QuietConsumer


class WatchedConsumer(QuietConsumer):
    """A consumer that tells when its loop turns."""

    def on_ready(self) -> None:
        """Begin to tell; Celery ends its timers with each connection, and comes here with the next."""
        self._alive()
        self.timer.call_repeatedly(BEAT_SECONDS, self._alive)
        super().on_ready()

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, and tell at every try in vain."""
        connect = conn.ensure_connection

        def connecting(*args: Any, callback: Any, **options: Any) -> Any:
            def trying() -> None:
                self._alive()
                callback()

            return connect(*args, callback=trying, **options)

        conn.ensure_connection = connecting
        return super().ensure_connected(conn)

    def _alive(self) -> None:
        _of_worker(self).beat()


class HealthStep(bootsteps.StartStopStep):
    """Takes the worker's sign of life away when it ends as it should."""

    def start(self, parent: Any) -> None:
        """Tell once, before the broker is asked for anything."""
        _of_worker(parent).beat()

    def stop(self, parent: Any) -> None:
        """Take it away."""
        _of_worker(parent).end()

    terminate = stop


def _of_worker(process: Any) -> Heartbeat:
    return Heartbeat(process.app.settings.home, "worker", process.hostname)
