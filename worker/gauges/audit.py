"""How far the audit log is."""

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aegis.audit.head import Backlog


class AuditCollector(Collector):
    """How far the audit log is behind what was recorded."""

    def __init__(self, backlog: Callable[[], Backlog]) -> None:
        """Take what reads it."""
        self.backlog = backlog

    def collect(self) -> Iterator[Metric]:
        """Yield the figures; an error goes up, so that the scrape fails."""
        known = self.backlog()
        yield GaugeMetricFamily("aegis_audit_pending", "Events that wait for their leaf.", known.pending)
        age = "How long the oldest event has waited for its leaf."
        yield GaugeMetricFamily("aegis_audit_oldest_pending_age_seconds", age, known.oldest_seconds)
        signed = "Leaves under the newest signed checkpoint."
        yield GaugeMetricFamily("aegis_audit_checkpoint_size", signed, known.size)
        behind = "1 while nothing is signed, because the log is behind what was seen of it."
        yield GaugeMetricFamily("aegis_audit_halted", behind, known.halted)
