"""How far each policy is."""

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aegis.retention.forecast import Figures


class PolicyCollector(Collector):
    """How far each policy is, from the numbers that its runs stored; a scrape counts nothing."""

    def __init__(self, figures: Callable[[], list[Figures]]) -> None:
        """Take what reads the stored numbers."""
        self.figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yield what is known; an error goes up, so that the scrape fails."""
        info = GaugeMetricFamily(
            "aegis_policy_info",
            "1: joins a policy's figures to its data source.",
            labels=["policy", "datasource", "table"],
        )
        overdue = GaugeMetricFamily(
            "aegis_policy_rows_overdue",
            "Rows that were due when the policy's newest run began, or that it left at its end.",
            labels=["policy", "table"],
        )
        success = GaugeMetricFamily(
            "aegis_policy_last_success_timestamp_seconds",
            "When the policy was last through with its whole table.",
            labels=["policy"],
        )
        arriving = GaugeMetricFamily(
            "aegis_policy_rows_arriving_per_day",
            "Rows that become due in a day.",
            labels=["policy"],
        )
        leaving = GaugeMetricFamily(
            "aegis_policy_rows_leaving_per_day",
            "Rows that the policy can let go in a day, at its pace and in its windows and budget.",
            labels=["policy"],
        )
        staying = GaugeMetricFamily(
            "aegis_policy_rows_staying",
            "Rows past their time that stay for a reason, when the policy was last through.",
            labels=["policy", "reason"],
        )
        stopped = GaugeMetricFamily(
            "aegis_policy_runs_stopped",
            "Runs that a guard has stopped and that wait for a person, through any door.",
            labels=["policy", "guard"],
        )
        for known in self.figures():
            at = None if known.last_success is None else known.last_success.timestamp()
            info.add_metric([known.policy, known.datasource, known.table], 1)
            if known.overdue is not None:
                overdue.add_metric([known.policy, known.table], known.overdue)
            for gauge, value in ((success, at), (arriving, known.arriving), (leaving, known.leaving)):
                if value is not None:
                    gauge.add_metric([known.policy], value)
            for gauge, found in ((staying, known.staying), (stopped, known.stopped)):
                for word, count in found.items():
                    gauge.add_metric([known.policy, word], count)
        yield from (info, overdue, success, arriving, leaving, staying, stopped)
