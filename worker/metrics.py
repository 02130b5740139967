"""What the workers count, out of the reports that tasks return.

A child process counts after its task has returned, that is after the commit: a process that is
killed in between has counted too little, never too much. The exact figure is the ledger, which
beat serves.

prometheus_client's multiprocess mode keeps one file per process id. Children are recycled, so
files and stale series would grow without end. Here the file belongs to the SLOT in the pool: the
process that takes over a slot goes on counting where the last one stopped.

Labels come from reports (that is, from the configuration) and from registered names, never from
a message.
"""

import fcntl
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from billiard import current_process
from celery import signals, states
from prometheus_client import CollectorRegistry, Counter, Histogram, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from aegis.errors import AegisError, Conflict, Interrupted, Refused, UsageError
from aegis.operations.runs import ERASURE
from aegis.operations.table import ROUTES

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_PREFIX = "aegis."
_QUEUES = frozenset(ROUTES.values())

#: The slot of the worker's main process.
MAIN = "main"


def slot() -> str:
    """Return the place in the pool that this process fills; `main` for the worker itself."""
    return str(getattr(current_process(), "index", MAIN))


# Read by prometheus_client whenever a series is made, so it must stand before the first count.
values.ValueClass = values.MultiProcessValue(slot)  # type: ignore[no-untyped-call]

ROWS_DELETED = Counter(
    "aegis_rows_deleted_total",
    "Rows deleted by this worker and committed.",
    ["policy", "table"],
    registry=None,
)
ROWS_HELD = Counter(
    "aegis_rows_held_total",
    "Rows past their time that a run left at its end, counted again by the next run.",
    ["policy", "reason"],
    registry=None,
)
ROWS_ANONYMIZED = Counter(
    "aegis_rows_anonymized_total",
    "Rows anonymized by this worker and committed.",
    ["operation", "table"],
    registry=None,
)
OPERATIONS = Counter(
    "aegis_operations_total",
    "Tasks that ended, by outcome.",
    ["operation", "outcome"],
    registry=None,
)
OPERATION_SECONDS = Histogram(
    "aegis_operation_duration_seconds",
    "How long one task took.",
    ["operation"],
    buckets=_SECONDS,
    registry=None,
)
BATCH_SECONDS = Histogram(
    "aegis_batch_duration_seconds",
    "How long one batch took in the database.",
    ["operation"],
    buckets=_SECONDS,
    registry=None,
)
GUARD_STOPS = Counter(
    "aegis_guard_stops_total",
    "Runs that a guard stopped before their first row.",
    ["policy", "guard"],
    registry=None,
)
TASKS_BEGUN = Counter(
    "aegis_tasks_begun_total",
    "Tasks that a process of this worker began, by the queue that they came from.",
    ["queue"],
    registry=None,
)
REDELIVERIES = Counter(
    "aegis_redeliveries_total",
    "Messages that Redis delivered again.",
    ["task"],
    registry=None,
)
MESSAGES_REFUSED = Counter(
    "aegis_messages_refused_total",
    "Entries of queues that were no message for a worker, and were put aside.",
    ["reason"],
    registry=None,
)


#: When this process began its task; Celery 5.6 does not say how long one took.
_BEGAN: list[float] = []


class SlotCollector(Collector):
    """Adds up the files of all slots."""

    def __init__(self, path: Path) -> None:
        """Take the folder of the files."""
        self._path = path

    def collect(self) -> Iterable[Metric]:
        """Return the sums."""
        # A file that a child is just making is empty: it has counted nothing, and cannot be read.
        files = [str(file) for file in self._path.glob("*.db") if file.stat().st_size]
        found: Iterable[Metric] = MultiProcessCollector.merge(files, accumulate=True)  # type: ignore[no-untyped-call]
        return found


class MetricsFolder:
    """The folder with the counters of one worker, one small set of files per slot."""

    def __init__(self, home: Path, worker: str) -> None:
        """Take the folder of the worker with that node name and empty it.

        Raises:
            Conflict: a worker of that name is running on this home.

        """
        self.path = home / "metrics" / f"worker-{re.sub(r'[^A-Za-z0-9.@_-]', '_', worker)}"
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = self._take(worker)
        for file in self.path.glob("*.db"):
            file.unlink()
        # prometheus_client looks here, in this process and in its children.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self.path)

    def registry(self) -> CollectorRegistry:
        """Return a registry that adds up the files of all slots."""
        registry = CollectorRegistry()
        registry.register(SlotCollector(self.path))
        return registry

    def _take(self, worker: str) -> IO[str]:
        file = (self.path / "lock").open("w")
        try:
            # A record lock: children do not inherit it, and it ends with the process.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            message = f"a worker named {worker} already runs here: give each one its own name with -n"
            raise Conflict(message) from None
        return file


def count_report(report: object) -> None:
    """Count what a task says it has done and committed; what it does not say is not counted."""
    for one in _reports(report):
        operation = one.get("operation")
        if not operation:
            continue
        if one.get("outcome"):
            OPERATIONS.labels(operation, one["outcome"]).inc()
        for seconds in one.get("batch_seconds") or ():
            BATCH_SECONDS.labels(operation).observe(seconds)
        if one.get("guard") and one.get("policy"):
            GUARD_STOPS.labels(one["policy"], one["guard"]["guard"]).inc()
        if one.get("policy"):
            for reason, rows in (one.get("held") or {}).items():
                ROWS_HELD.labels(one["policy"], reason).inc(rows)
        _count_rows(operation, one)


def operation_of(task: str) -> str:
    """Return the operation that a task of this registered name carries out."""
    return task.removeprefix(_PREFIX)


def outcome_of(error: BaseException) -> str:
    """Return the outcome that an error means: one of three words."""
    if isinstance(error, Interrupted):
        return "interrupted"
    return "refused" if isinstance(error, Refused | UsageError) else "failed"


def connect() -> None:
    """Count what the tasks of this worker report from now on."""
    signals.task_prerun.connect(_on_start)
    signals.task_success.connect(_on_success)
    signals.task_failure.connect(_on_failure)
    signals.task_postrun.connect(_on_end)


def _on_start(sender: Any, task: Any, **_: Any) -> None:
    _BEGAN[:] = [time.monotonic()]
    delivery = task.request.delivery_info or {}
    if delivery.get("routing_key") in _QUEUES:
        TASKS_BEGUN.labels(delivery["routing_key"]).inc()
    if delivery.get("redelivered"):
        REDELIVERIES.labels(sender.name).inc()


def _on_success(sender: Any, result: object, **_: Any) -> None:
    count_report(result)
    for began in _BEGAN:
        OPERATION_SECONDS.labels(operation_of(sender.name)).observe(time.monotonic() - began)


def _on_failure(sender: Any, exception: BaseException, **_: Any) -> None:
    operation, outcome = operation_of(sender.name), outcome_of(exception)
    count_report({"operation": operation, **(_done_before(exception) or {}), "outcome": outcome})


def _on_end(sender: Any, state: str | None = None, **_: Any) -> None:
    if state == states.REJECTED:
        count_report({"operation": operation_of(sender.name), "outcome": "retry"})


def _done_before(error: BaseException) -> Mapping[str, Any] | None:
    """Return what a task had committed when it failed."""
    return error.report if isinstance(error, AegisError) else None


def _reports(report: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(report, Mapping):
        yield report
    elif isinstance(report, list):
        yield from (one for one in report if isinstance(one, Mapping))


def _count_rows(operation: str, report: Mapping[str, Any]) -> None:
    for name, rows in (report.get("changed") or {}).items():
        action, _, table = name.partition(":")
        if action == "delete":
            ROWS_DELETED.labels(ERASURE, table).inc(rows)
        elif action == "anonymize":
            ROWS_ANONYMIZED.labels(operation, table).inc(rows)
    table = report.get("table")
    # A run with two stages says what it did by action; its own is only the first.
    actions = report.get("actions") or {report.get("action"): report.get("rows")}
    deleted, anonymized = actions.get("delete"), actions.get("anonymize")
    if table and deleted and report.get("policy"):
        ROWS_DELETED.labels(report["policy"], table).inc(deleted)
    if table and anonymized:
        ROWS_ANONYMIZED.labels(operation, table).inc(anonymized)
