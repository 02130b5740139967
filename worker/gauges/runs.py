"""Runs that are not finished."""

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aegis.operations.unfinished import Runs


class RunCollector(Collector):
    """How many runs are in each state that is not final, through any door."""

    def __init__(self, runs: Callable[[], Runs]) -> None:
        """Take what counts them."""
        self.runs = runs

    def collect(self) -> Iterator[Metric]:
        """Yield every state, also at 0; an error goes up, so that the scrape fails."""
        known = self.runs()
        text = "Runs that are not finished, those of erasures too."
        states = GaugeMetricFamily("aegis_runs", text, labels=["state"])
        for state, count in known.by_state.items():
            states.add_metric([state.value], count)
        text = "Runs that wait, by what they wait for."
        waiting = GaugeMetricFamily("aegis_runs_waiting", text, labels=["policy", "reason"])
        for (policy, reason), count in known.waiting.items():
            waiting.add_metric([policy, reason], count)
        yield from (states, waiting)
