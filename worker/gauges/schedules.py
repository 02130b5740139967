"""Each policy by the clock."""

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aegis.retention.agenda import Item


class ScheduleCollector(Collector):
    """When policies are due, and what they missed; it is told although no beat begins anything."""

    def __init__(self, agenda: Callable[[], list[Item]]) -> None:
        """Take what reads it."""
        self.agenda = agenda

    def collect(self) -> Iterator[Metric]:
        """Yield it; an error goes up, so that the scrape fails."""
        labels = ["policy"]
        text = "The first instant of the policy that nobody has begun; in the past: it is late."
        following = GaugeMetricFamily("aegis_policy_next_instant_timestamp_seconds", text, labels=labels)
        text = "1 while the policy may change rows by its windows; always, without windows."
        window = GaugeMetricFamily("aegis_policy_window_open", text, labels=labels)
        text = "Instants of the policy that passed without a run, ever."
        missed = CounterMetricFamily("aegis_policy_instants_missed_total", text, labels=labels)
        for item in self.agenda():
            if item.next_instant is not None:
                following.add_metric([item.policy], item.next_instant.timestamp())
            window.add_metric([item.policy], item.window_open)
            missed.add_metric([item.policy], item.missed)
        yield from (following, window, missed)
