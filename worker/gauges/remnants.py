"""What should be gone elsewhere, and is not yet."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class RemnantCollector(Collector):
    """Copies of erased people that nobody confirmed, and rows that are still in the files."""

    def __init__(
        self, copies: Callable[[], Mapping[str, int]], purges: Callable[[], Mapping[str, int]]
    ) -> None:
        """Take what counts them."""
        self.copies = copies
        self.purges = purges

    def collect(self) -> Iterator[Metric]:
        """Yield them; what is in time has no series. An error goes up, so that the scrape fails."""
        text = "Copies of erased people elsewhere that nobody has confirmed in time."
        copies = GaugeMetricFamily("aegis_erasure_copies_overdue", text, labels=["copy"])
        for name, count in self.copies().items():
            copies.add_metric([name], count)
        text = "Runs whose rows are in the files of the database for longer than they may."
        purges = GaugeMetricFamily("aegis_purges_overdue", text, labels=["policy"])
        for policy, count in self.purges().items():
            purges.add_metric([policy], count)
        yield from (copies, purges)
