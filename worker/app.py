"""The Celery application.

The database is the truth and a message only wakes a worker up: tasks are claimed, short and safe
to run twice. The settings below follow from that; those that look unusual say why.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import redis
from celery import Celery, signals
from kombu import Exchange, Queue

from aegis.doctor.broker import refuse_wrong_login
from aegis.errors import AegisError
from aegis.operations import system
from aegis.operations.brokers import verified
from aegis.operations.table import ROUTES
from aegis.settings import Settings, load_settings, masked
from schedules.entries import entries
from worker import endpoint, health, statuses, traces, transport
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

    task_cls = "worker.redaction:QuietTask"
    log_cls = "worker.logs:AegisLogging"

    def __init__(self, settings: Settings, **options: Any) -> None:
        """Take Aegis's settings, and Celery's own keyword arguments."""
        self.settings = settings
        self.signing = Signing(settings)
        super().__init__("aegis", **options)

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


@signals.celeryd_init.connect
def _check_worker(instance: Any, **_: Any) -> None:
    _refuse_to_start(instance.app)


@signals.beat_init.connect
def _check_beat(sender: Any, **_: Any) -> None:
    _refuse_to_start(sender.app)


def _refuse_to_start(app: AegisApp) -> None:
    """End at once where Celery would try a wrong password for ever, or every message would be refused."""
    try:
        refuse_wrong_login(app.settings)
        app.signing.senders  # noqa: B018 - what is wrong with a producer is told now
    except AegisError as error:
        print(f"aegis: {error}", file=sys.stderr)  # noqa: T201 - a worker has no log yet
        raise SystemExit(error.exit_code) from None


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


@signals.worker_ready.connect
def _check_broker(sender: Any, **_: Any) -> None:
    """Warn when Redis may throw messages away to make room."""
    try:
        with sender.connection.default_channel.conn_or_acquire() as client:
            policy = client.info("memory").get("maxmemory_policy")
    except redis.RedisError:
        # A user with less than ours may not ask, and an outage is reported elsewhere.
        return
    if policy not in (None, "noeviction"):
        log.warning(
            "Redis at %s has maxmemory-policy %s: under memory pressure it drops messages unseen. "
            "Set it to noeviction",
            masked(sender.app.settings.broker_url),
            policy,
        )


app = build_app(load_settings(), routes=ROUTES)
