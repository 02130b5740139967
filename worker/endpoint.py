"""The Prometheus endpoints: the worker's counters and beat's exact ledger.

The worker serves from its main process, on a thread, so that a scrape is answered while the
broker is away. Its children let go of the socket at once. A port that is taken is an error at
start: a worker that nobody can watch does not work.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from celery import bootsteps, signals
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aegis.catalog.standing import Review
from aegis.errors import Conflict, SettingsError, Unreachable
from aegis.federated.accounts import Account
from aegis.retention.forecast import Figures
from worker import metrics

log = logging.getLogger(__name__)

#: One row of the ledger: policy, table, action, rows.
LedgerRow = tuple[str, str, str, int]

#: Events that wait, seconds of the oldest, leaves signed, and whether signing is refused.
AuditRow = tuple[int, float, int, int]


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


class LedgerCollector(Collector):
    """The rows that left by policy, table and action, read from the log at every scrape."""

    def __init__(self, ledger: Callable[[], list[LedgerRow]], last_tick: Callable[[], float | None]) -> None:
        """Take what reads the ledger and what tells when beat last looked for due runs."""
        self.ledger = ledger
        self.last_tick = last_tick

    def collect(self) -> Iterator[Metric]:
        """Yield the ledger; an error goes up, so that the scrape fails."""
        rows = CounterMetricFamily(
            "aegis_ledger_rows_total",
            "Rows that left or changed through any door, from the audit log.",
            labels=["policy", "table", "action"],
        )
        for policy, table, action, count in self.ledger():
            rows.add_metric([policy, table, action], count)
        yield rows
        tick = self.last_tick()
        if tick is not None:
            text = "When beat last looked for due runs."
            yield GaugeMetricFamily("aegis_beat_last_tick_timestamp_seconds", text, tick)


class PolicyCollector(Collector):
    """How far each policy is, from the numbers that its runs stored; a scrape counts nothing."""

    def __init__(self, figures: Callable[[], list[Figures]]) -> None:
        """Take what reads the stored numbers."""
        self.figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yield what is known; an error goes up, so that the scrape fails."""
        overdue = GaugeMetricFamily(
            "aegis_policy_rows_overdue",
            "Rows that were due when the policy's newest run began, or that it left at its end.",
            labels=["policy", "table"],
        )
        success = GaugeMetricFamily(
            "aegis_policy_last_success_timestamp_seconds",
            "When the policy was last through with its whole table.",
            labels=["policy"],
        )
        arriving = GaugeMetricFamily(
            "aegis_policy_rows_arriving_per_day",
            "Rows that become due in a day.",
            labels=["policy"],
        )
        leaving = GaugeMetricFamily(
            "aegis_policy_rows_leaving_per_day",
            "Rows that the policy can let go in a day, at its pace and in its windows and budget.",
            labels=["policy"],
        )
        staying = GaugeMetricFamily(
            "aegis_policy_rows_staying",
            "Rows past their time that stay for a reason, when the policy was last through.",
            labels=["policy", "reason"],
        )
        stopped = GaugeMetricFamily(
            "aegis_policy_runs_stopped",
            "Runs that a guard has stopped and that wait for a person, through any door.",
            labels=["policy", "guard"],
        )
        for known in self.figures():
            at = None if known.last_success is None else known.last_success.timestamp()
            if known.overdue is not None:
                overdue.add_metric([known.policy, known.table], known.overdue)
            for gauge, value in ((success, at), (arriving, known.arriving), (leaving, known.leaving)):
                if value is not None:
                    gauge.add_metric([known.policy], value)
            for gauge, found in ((staying, known.staying), (stopped, known.stopped)):
                for word, count in found.items():
                    gauge.add_metric([known.policy, word], count)
        yield from (overdue, success, arriving, leaving, staying, stopped)


class AuditCollector(Collector):
    """How far the audit log is behind what was recorded."""

    def __init__(self, backlog: Callable[[], AuditRow]) -> None:
        """Take what reads it."""
        self.backlog = backlog

    def collect(self) -> Iterator[Metric]:
        """Yield the figures; an error goes up, so that the scrape fails."""
        pending, oldest, size, halted = self.backlog()
        yield GaugeMetricFamily("aegis_audit_pending", "Events that wait for their leaf.", pending)
        age = "How long the oldest event has waited for its leaf."
        yield GaugeMetricFamily("aegis_audit_oldest_pending_age_seconds", age, oldest)
        signed = "Leaves under the newest signed checkpoint."
        yield GaugeMetricFamily("aegis_audit_checkpoint_size", signed, size)
        behind = "1 while nothing is signed, because the log is behind what was seen of it."
        yield GaugeMetricFamily("aegis_audit_halted", behind, halted)


class BudgetCollector(Collector):
    """How much of each privacy budget is spent, read at every scrape."""

    def __init__(self, budgets: Callable[[], list[Account]]) -> None:
        """Take what reads the budgets."""
        self.budgets = budgets

    def collect(self) -> Iterator[Metric]:
        """Yield both as the epsilon of the budget's delta; an error goes up, so that the scrape fails."""
        labels = ["account", "period"]
        text = "Epsilon spent of a privacy budget, in its window and ever."
        spent = GaugeMetricFamily("aegis_dp_epsilon_spent", text, labels=labels)
        text = "The most that may be spent of it; no series where there is no limit."
        limit = GaugeMetricFamily("aegis_dp_epsilon_limit", text, labels=labels)
        for account in self.budgets():
            for period in account.periods:
                spent.add_metric([account.name, period.name], period.epsilon_spent)
                if period.epsilon_limit is not None:
                    limit.add_metric([account.name, period.name], period.epsilon_limit)
        yield from (spent, limit)


class BrokerCollector(Collector):
    """What lies in the broker; that it is away is a figure too, and does not hide the others."""

    def __init__(self, lengths: Callable[[], Mapping[str, int]], dead_letters: Callable[[], int]) -> None:
        """Take what reads the queues' lengths and counts the entries that were put aside."""
        self.lengths = lengths
        self.dead_letters = dead_letters

    def collect(self) -> Iterator[Metric]:
        """Yield whether it answers, and what it says if it does."""
        try:
            lengths, dead = self.lengths(), self.dead_letters()
        except Unreachable as error:
            log.warning("%s", error)
            yield GaugeMetricFamily("aegis_broker_up", "Whether the broker answers beat.", 0)
            return
        yield GaugeMetricFamily("aegis_broker_up", "Whether the broker answers beat.", 1)
        waiting = GaugeMetricFamily(
            "aegis_queue_length", "Messages that no worker has taken yet.", labels=["queue"]
        )
        for queue, length in lengths.items():
            waiting.add_metric([queue], length)
        yield waiting
        text = "Entries of queues that were put aside and wait for a person."
        yield GaugeMetricFamily("aegis_dead_letters", text, dead)


def _lengths() -> Mapping[str, int]:
    from api import letters  # noqa: PLC0415

    return letters.queue_lengths()


def _dead_letters() -> int:
    from api import letters  # noqa: PLC0415

    return letters.dead_letter_count()


class CatalogCollector(Collector):
    """How many columns of each data source nobody has decided on, as beat's newest look found it."""

    def __init__(self, reviews: Callable[[], list[Review]]) -> None:
        """Take what reads the stored numbers."""
        self.reviews = reviews

    def collect(self) -> Iterator[Metric]:
        """Yield them; a source that could not be looked at has no series. An error goes up."""
        text = "Columns of the live schema that nobody has decided on; no series: it could not be looked at."
        undecided = GaugeMetricFamily("aegis_catalog_undecided_columns", text, labels=["datasource"])
        text = "When the data source was last looked at for that."
        looked = GaugeMetricFamily("aegis_catalog_last_look_timestamp_seconds", text, labels=["datasource"])
        for review in self.reviews():
            looked.add_metric([review.datasource], review.looked_at.timestamp())
            if review.undecided is not None:
                undecided.add_metric([review.datasource], review.undecided)
        yield from (undecided, looked)


def _reviews() -> list[Review]:
    from api import catalog  # noqa: PLC0415

    return catalog.catalog_reviews()


def _budgets() -> list[Account]:
    from api import budgets  # noqa: PLC0415

    return budgets.show_budgets()


def _backlog() -> AuditRow:
    from api import audit  # noqa: PLC0415

    known = audit.audit_backlog()
    return known.pending, known.oldest_seconds, known.size, int(known.halted)


def _figures() -> list[Figures]:
    from api import privacy  # noqa: PLC0415

    return privacy.policy_figures()


def _ledger() -> list[LedgerRow]:
    # Read at the scrape: beat must start, and say so, when the database is away.
    from api import audit  # noqa: PLC0415

    return audit.ledger()


@signals.beat_init.connect
def _serve_beat(sender: Any, **_: Any) -> None:
    settings = sender.app.settings.worker
    # A bare registry: registering the collector must not read the database yet.
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerCollector(_ledger, lambda: getattr(sender.scheduler, "last_tick", None)))
    registry.register(PolicyCollector(_figures))
    registry.register(AuditCollector(_backlog))
    registry.register(BudgetCollector(_budgets))
    registry.register(BrokerCollector(_lengths, _dead_letters))
    registry.register(CatalogCollector(_reviews))
    try:
        Endpoint(settings.metrics_host, settings.beat_metrics_port, registry).start()
    except SettingsError as error:
        raise SystemExit(str(error)) from error
