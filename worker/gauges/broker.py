"""What lies in the broker."""

import logging
from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aegis.errors import Unreachable
from aegis.operations.deadletters import Load

log = logging.getLogger(__name__)


class BrokerCollector(Collector):
    """What lies in the broker; that it is away is a figure too, and does not hide the others."""

    def __init__(self, load: Callable[[], Load]) -> None:
        """Take what looks into it."""
        self.load = load

    def collect(self) -> Iterator[Metric]:
        """Yield whether it answers, and what it says if it does."""
        try:
            load = self.load()
        except Unreachable as error:
            log.warning("%s", error)
            yield GaugeMetricFamily("aegis_broker_up", "Whether the broker answers beat.", 0)
            return
        yield GaugeMetricFamily("aegis_broker_up", "Whether the broker answers beat.", 1)
        waiting = GaugeMetricFamily(
            "aegis_queue_length", "Messages that no worker has taken yet.", labels=["queue"]
        )
        for queue, length in load.messages.items():
            waiting.add_metric([queue], length)
        yield waiting
        text = "Entries of queues that were put aside and wait for a person."
        yield GaugeMetricFamily("aegis_dead_letters", text, load.dead_letters)
