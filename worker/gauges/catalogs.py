"""How far the review of each data source's columns is."""

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aegis.catalog.standing import Review


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
