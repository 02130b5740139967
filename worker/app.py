"""The Celery application.

The database is the truth and a message only wakes a worker up: tasks are claimed, short and safe
to run twice. The settings below follow from that; those that look unusual say why.
"""

import logging
import os
import signal
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from celery import Celery, signals
from kombu import Exchange, Queue
from kombu.utils.objects import cached_property

from aegis.operations import system
from aegis.operations.brokers import verified
from aegis.operations.table import ROUTES
from aegis.settings import Settings, load_settings
from schedules.entries import entries
from worker import endpoint, health, start, statuses, traces, transport
from worker.metrics import MAIN, slot
from worker.redaction import REDACTED_OPTIONS
from worker.shutdown import GRACE_SECONDS
from worker.signing import Signing

#: Every queue there is; one that is not listed is an error, not a new queue.
QUEUES = ("retention", "erasure", "federated", "seal", "audit", "maintenance")

#: Where a task goes that names no queue: nothing waits behind it there.
DEFAULT_QUEUE = "maintenance"

#: Seconds without an answer after which a connection to Redis counts as dead.
SOCKET_SECONDS = 15.0

#: Called in every new child process, before its first task: to drop what it must not share with
#: its parent, first of all database connections.
AFTER_FORK: list[Callable[[], object]] = [system.after_fork]

log = logging.getLogger(__name__)


class AegisApp(Celery):
    """A Celery application that shows no task arguments and knows its settings."""

    task_cls = "worker.patience:PatientTask"
    log_cls = "worker.logs:AegisLogging"

    def __init__(self, settings: Settings, **options: Any) -> None:
        """Take Aegis's settings, and Celery's own keyword arguments."""
        self.settings = settings
        self.signing = Signing(settings)
        super().__init__("aegis", **options)

    @cached_property
    def Worker(self) -> type[Any]:  # noqa: N802 - Celery's name
        """Return the worker's class, which may be imported only once SIGTERM is remapped."""
        made: type[Any] = self.subclass_with_self("worker.leaving:LeavingWorker")  # type: ignore[arg-type]
        return made

    def send_task(self, *args: Any, **options: Any) -> Any:
        """Send a task; its arguments are shown in no event and no log, and its limits are its worker's.

        No queue is declared: a message goes into its list by name, and who sends need not write elsewhere.
        """
        ours: dict[str, Any] = {
            "time_limit": None,
            "soft_time_limit": None,
            "declare": [],
            **REDACTED_OPTIONS,
        }
        return super().send_task(*args, **{**options, **ours})


def build_app(
    settings: Settings,
    imports: Iterable[str] = ("tasks",),
    routes: Mapping[str, str] | None = None,
) -> AegisApp:
    """Return the application.

    Args:
        settings: Aegis's settings.
        imports: the modules that register tasks.
        routes: the queue of each task, by the task's name.

    """
    transport.install()
    statuses.connect()
    app = AegisApp(settings, broker=verified(settings.broker_url))
    app.conf.update(
        imports=tuple(imports),
        **_messages(routes or {}),
        **_broker(app, routes or {}),
        **_worker(settings),
    )
    app.steps["worker"].update({endpoint.MetricsStep, health.HealthStep})
    traces.connect()
    start.connect()
    return app


def _messages(routes: Mapping[str, str]) -> dict[str, Any]:
    return {
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
        # Results stand in the database; nothing is kept in Redis.
        "result_backend": None,
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
        "task_create_missing_queues": False,
        "task_default_queue": DEFAULT_QUEUE,
        "task_default_exchange": DEFAULT_QUEUE,
        "task_default_routing_key": DEFAULT_QUEUE,
        "task_routes": {name: {"queue": queue} for name, queue in routes.items()},
        "task_send_sent_event": True,
        "task_track_started": False,
        "timezone": "UTC",
        "enable_utc": True,
    }


def _broker(app: AegisApp, routes: Mapping[str, str]) -> dict[str, Any]:
    settings, password = app.settings, app.settings.broker_password_file
    return {
        "broker_connection_retry": True,
        "broker_connection_retry_on_startup": True,
        # For ever: a broker that comes back after a night finds its workers there.
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "visibility_timeout": settings.worker.visibility_timeout_seconds,
            "socket_timeout": SOCKET_SECONDS,
            "socket_connect_timeout": SOCKET_SECONDS,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "guarded": QUEUES,
            "routes": dict(routes),
            "signing": app.signing,
            **({"password_file": str(password)} if password else {}),
        },
    }


def _worker(settings: Settings) -> dict[str, Any]:
    return {
        "task_acks_late": True,
        # A killed child's message goes back. The claim's attempts stop a task that kills every child.
        "task_reject_on_worker_lost": True,
        "task_time_limit": settings.worker.hard_time_limit_seconds,
        "worker_prefetch_multiplier": 1,
        "worker_concurrency": settings.worker.concurrency,
        "worker_max_tasks_per_child": settings.worker.max_tasks_per_child,
        # A task does not need the broker, and its slice is short: an outage of Redis must not
        # interrupt work in the database. The message comes again and finds the work claimed or done.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_soft_shutdown_timeout": GRACE_SECONDS,
        "worker_send_task_events": True,
        "worker_consumer": "worker.health:WatchedConsumer",
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "beat_scheduler": "schedules.scheduler:PolicyScheduler",
        "beat_schedule": entries(settings.operations.resend_seconds),
    }


@signals.worker_process_init.connect
def _run_after_fork(**_: Any) -> None:
    try:
        for hook in AFTER_FORK:
            hook()
    except Exception as error:
        # Celery would log this and go on, with the parent's connections; and a worker whose
        # children cannot start would wait for ever. It ends, so that somebody starts another.
        log.critical("A child process cannot start, the worker ends", exc_info=True)
        if slot() != MAIN:
            os.kill(os.getppid(), signal.SIGTERM)
        raise SystemExit(1) from error


app = build_app(load_settings(), routes=ROUTES)
