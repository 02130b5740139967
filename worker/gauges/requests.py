"""Requests that somebody waits for, by the legal clock."""

import datetime as dt
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from aegis.operations.unfinished import Ended, Requests

_DAY = 86_400.0
_DAYS = (1, 2, 3, 5, 7, 10, 14, 21, 28, 30, 60, 90)
#: Seconds, from a minute to 90 days; GDPR allows one month, and two more.
_BOUNDS = (60.0, 600.0, 3_600.0, 21_600.0, *(days * _DAY for days in _DAYS))

#: What returns the requests that ended after an instant, and up to which one.
Reading = Callable[[dt.datetime | None], tuple[dt.datetime, list[Ended]]]


class RequestCollector(Collector):
    """Open requests, from the control database."""

    def __init__(self, requests: Callable[[], list[Requests]]) -> None:
        """Take what counts them."""
        self.requests = requests

    def collect(self) -> Iterator[Metric]:
        """Yield them; an operation of which none is open has no series. An error goes up."""
        labels = ["operation"]
        text = "Requests with a legal date that are not finished."
        unfinished = GaugeMetricFamily("aegis_requests_open", text, labels=labels)
        text = "Seconds since the oldest of them was received."
        oldest = GaugeMetricFamily("aegis_oldest_open_request_age_seconds", text, labels=labels)
        text = "How many of them are past their date."
        overdue = GaugeMetricFamily("aegis_requests_overdue", text, labels=labels)
        for known in self.requests():
            unfinished.add_metric([known.operation], known.open)
            oldest.add_metric([known.operation], known.oldest_seconds)
            overdue.add_metric([known.operation], known.overdue)
        yield from (unfinished, oldest, overdue)


class AgeCollector(Collector):
    """How old requests were when they ended: exact through all doors, for it is read from their rows.

    Each is read once, and all of them when beat starts: the counts go on where they were.
    """

    def __init__(self, ended: Reading) -> None:
        """Take what reads them."""
        self.ended = ended
        self._after: dt.datetime | None = None
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0] * (len(_BOUNDS) + 1))
        self._seconds: dict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        """Yield the histogram; an error goes up, so that the scrape fails."""
        text = "From the receipt of a request with a legal date to its end."
        ages = HistogramMetricFamily("aegis_request_age_seconds", text, labels=["operation"])
        with self._lock:
            self._after, ended = self.ended(self._after)
            for one in ended:
                self._count(one)
            for operation, counts in self._counts.items():
                ages.add_metric([operation], _cumulated(counts), self._seconds[operation])
        yield ages

    def _count(self, one: Ended) -> None:
        place = next((place for place, bound in enumerate(_BOUNDS) if one.seconds <= bound), len(_BOUNDS))
        self._counts[one.operation][place] += 1
        self._seconds[one.operation] += one.seconds


def _cumulated(counts: list[int]) -> list[tuple[str, float]]:
    bounds = [*map(str, _BOUNDS), "+Inf"]
    return [(bound, float(sum(counts[: place + 1]))) for place, bound in enumerate(bounds)]
