"""Who else keeps the head of the audit log."""

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aegis.audit.witnesses import Known


class WitnessCollector(Collector):
    """What each witness has cosigned."""

    def __init__(self, witnesses: Callable[[], list[Known]]) -> None:
        """Take what lists them."""
        self.witnesses = witnesses

    def collect(self) -> Iterator[Metric]:
        """Yield it; an error goes up, so that the scrape fails."""
        labels = ["witness"]
        text = "Leaves under the newest checkpoint that the witness has cosigned."
        size = GaugeMetricFamily("aegis_audit_witness_size", text, labels=labels)
        text = "1 while the witness does not cosign: it is away, or refuses what it is shown."
        failing = GaugeMetricFamily("aegis_audit_witness_failing", text, labels=labels)
        for known in self.witnesses():
            size.add_metric([known.name], known.size)
            failing.add_metric([known.name], known.failed_at is not None)
        yield from (size, failing)
