"""What left through any door, and whether beat looks at the clock."""

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

#: One row of the ledger: policy, table, action, rows.
LedgerRow = tuple[str, str, str, int]


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
