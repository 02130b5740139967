"""How much of each privacy budget is spent."""

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aegis.federated.accounts import Account


class BudgetCollector(Collector):
    """How much of each privacy budget is spent, read at every scrape."""

    def __init__(self, budgets: Callable[[], list[Account]]) -> None:
        """Take what reads the budgets."""
        self.budgets = budgets

    def collect(self) -> Iterator[Metric]:
        """Yield both as the epsilon of the budget's delta; an error goes up, so that the scrape fails."""
        labels = ["account", "period"]
        text = "Epsilon spent of a privacy budget, in its window and ever."
        spent = GaugeMetricFamily("aegis_dp_epsilon_spent", text, labels=labels)
        text = "The most that may be spent of it; no series where there is no limit."
        limit = GaugeMetricFamily("aegis_dp_epsilon_limit", text, labels=labels)
        for account in self.budgets():
            for period in account.periods:
                spent.add_metric([account.name, period.name], period.epsilon_spent)
                if period.epsilon_limit is not None:
                    limit.add_metric([account.name, period.name], period.epsilon_limit)
        yield from (spent, limit)
