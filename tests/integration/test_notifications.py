"""Who hears of what: a real Prometheus with the shipped rules, a real Alertmanager, a receiver."""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tests.monitoring import Prometheus, alertmanager, prometheus
from tests.receivers import HttpServer
from tests.workerkit import wait_until
from worker.endpoint import Endpoint

POLICIES: Final = [f"policy_{number:02}" for number in range(40)]


class Figures(Collector):
    """What beat would tell of forty policies in one data source; the test changes it."""

    def __init__(self) -> None:
        self.overdue = 7
        self.stopped = 0
        self.waiting: set[str] = set()
        self.halted = 0

    def collect(self) -> Iterator[Metric]:
        """Yield it."""
        info = GaugeMetricFamily("aegis_policy_info", "", labels=["policy", "table", "datasource"])
        overdue = GaugeMetricFamily("aegis_policy_rows_overdue", "", labels=["policy", "table"])
        waiting = GaugeMetricFamily("aegis_runs_waiting", "", labels=["policy", "reason"])
        for name in POLICIES:
            info.add_metric([name, "t", "app"], 1)
            overdue.add_metric([name, "t"], self.overdue)
        for name in self.waiting:
            waiting.add_metric([name, "paused"], 1)
        stop = GaugeMetricFamily("aegis_stop_active", "", labels=["datasource"])
        stop.add_metric(["app"], self.stopped)
        yield from (info, overdue, waiting, stop)
        yield GaugeMetricFamily("aegis_audit_halted", "", self.halted)
        yield CounterMetricFamily("aegis_operations", "", value=time.monotonic())


class Receivers:
    """What was sent to each receiver."""

    def __init__(self, page: HttpServer, ticket: HttpServer) -> None:
        self.servers: Mapping[str, HttpServer] = {"page": page, "ticket": ticket}

    def got(self, receiver: str, alert: str, status: str = "firing") -> list[dict[str, Any]]:
        """Return the notifications of an alert."""
        sent = [json.loads(body) for body in self.servers[receiver].bodies]
        return [one for one in sent if one["groupLabels"]["alertname"] == alert and one["status"] == status]


@pytest.fixture
def figures() -> Figures:
    """What beat tells."""
    return Figures()


@pytest.fixture
def watched(figures: Figures, tmp_path: Path) -> Iterator[tuple[Prometheus, Receivers, Endpoint]]:
    """Prometheus, which asks an endpoint for the figures, Alertmanager, and its two receivers."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(figures)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(HttpServer().running()) for _ in range(2)]
        endpoint = stack.enter_context(Endpoint("127.0.0.1", 0, registry))
        endpoint.start()
        stack.callback(endpoint.shutdown)
        hooks = {"page": servers[0].url, "ticket": servers[1].url}
        manager = stack.enter_context(alertmanager(tmp_path / "alertmanager", hooks))
        targets = {"aegis-beat": f"127.0.0.1:{endpoint.server_port}"}
        running = stack.enter_context(prometheus(tmp_path / "prometheus", targets, manager))
        yield running, Receivers(*servers), endpoint


def test_who_hears_of_what(figures: Figures, watched: tuple[Prometheus, Receivers, Endpoint]) -> None:
    """Forty policies overdue in one data source are one ticket that names them all, and nobody is woken.

    While somebody has stopped the data source, what is overdue there is told to nobody, and so is a policy
    that somebody paused. The log that halts comes to whoever is on call. Without beat there is one page.
    """
    running, receivers, endpoint = watched
    figures.stopped, figures.overdue, figures.waiting = 1, 7, {POLICIES[0]}
    running.fires("AegisRowsOverdue")
    wait_until(lambda: receivers.got("ticket", "AegisStopped"), "the stop is told")
    # Whoever is told of this was told after a later look at all that fires.
    figures.halted = 1
    wait_until(lambda: receivers.got("page", "AegisAuditHalted"), "the page came")
    assert not receivers.got("ticket", "AegisRowsOverdue")

    figures.stopped = 0
    (told,) = wait_until(lambda: receivers.got("ticket", "AegisRowsOverdue"), "the ticket came")
    assert told["groupLabels"] == {"alertname": "AegisRowsOverdue", "datasource": "app"}
    assert sorted(alert["labels"]["policy"] for alert in told["alerts"]) == POLICIES[1:]
    assert told["commonAnnotations"]["runbook_url"] == "docs/runbook.md#aegisrowsoverdue"
    figures.overdue = 0
    (over,) = wait_until(lambda: receivers.got("ticket", "AegisRowsOverdue", "resolved"), "it is over")
    assert len(over["alerts"]) == len(POLICIES) - 1
    assert len(receivers.got("ticket", "AegisRowsOverdue")) == 1

    endpoint.shutdown()
    endpoint.server_close()
    running.fires("AegisWorkerSilent")
    wait_until(lambda: receivers.got("page", "AegisBeatSilent"), "the page came")
    assert not receivers.got("page", "AegisWorkerSilent")
    sent = [body for server in receivers.servers.values() for body in server.bodies]
    assert not any(b"AegisPolicyWaits" in body for body in sent)
    assert {one["groupLabels"]["alertname"] for one in map(json.loads, receivers.servers["page"].bodies)} == {
        "AegisAuditHalted",
        "AegisBeatSilent",
    }
