"""What holds each data source, and how far its journal is in the log."""

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aegis.operations.sources import Standing


class SourceCollector(Collector):
    """Every configured data source."""

    def __init__(self, standings: Callable[[], list[Standing]]) -> None:
        """Take what reads it."""
        self.standings = standings

    def collect(self) -> Iterator[Metric]:
        """Yield it; an error goes up, so that the scrape fails."""
        labels = ["datasource"]
        text = "1 while somebody holds the kill switch of the data source."
        stop = GaugeMetricFamily("aegis_stop_active", text, labels=labels)
        text = "Legal holds on the data source that are not released."
        holds = GaugeMetricFamily("aegis_holds", text, labels=labels)
        text = "Legal holds that are past their review date; they go on."
        unreviewed = GaugeMetricFamily("aegis_holds_review_overdue", text, labels=labels)
        text = "Holds and stops that are not in force there yet, or whose release it has not heard of."
        pending = GaugeMetricFamily("aegis_holds_pending", text, labels=labels)
        text = "1 while nothing runs on the data source, because it was restored or tampered with."
        refused = GaugeMetricFamily("aegis_datasource_refused", text, labels=labels)
        text = "Seconds since all of the data source's journal was in the log, to about ten."
        lag = GaugeMetricFamily("aegis_relay_lag_seconds", text, labels=labels)
        for known in self.standings():
            where = [known.datasource]
            stop.add_metric(where, known.stopped)
            holds.add_metric(where, known.holds)
            unreviewed.add_metric(where, known.holds_unreviewed)
            pending.add_metric(where, known.holds_pending)
            refused.add_metric(where, known.refused)
            if known.relay_lag is not None:
                lag.add_metric(where, known.relay_lag)
        yield from (stop, holds, unreviewed, pending, refused, lag)
