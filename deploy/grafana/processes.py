"""The page of workers, beat and broker."""

from typing import Any

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.parts import AMBER, FEW_ARE_WELL, GREEN, RED, Query, lines, number, page, words


def processes() -> dashboard.Dashboard:
    """Return the page."""
    made = page("aegis-processes", "Aegis: processes", "Workers, beat, queues.").time("now-6h", "now")
    for place, panel in enumerate(_panels(), 1):
        made = made.with_panel(panel.id(place))
    return made


def _panels() -> list[Any]:
    p95 = "histogram_quantile(0.95, sum by (operation, le) (rate({}_bucket[$__rate_interval])))"
    return [
        number(
            "Workers", "That answer Prometheus.", 'sum(up{job="aegis-worker"})', ((None, RED), (1, GREEN))
        ),
        number("Beats", "That answer Prometheus.", 'sum(up{job="aegis-beat"})', ((None, RED), (1, GREEN))),
        number(
            "Beat looked",
            "Since beat last looked for due policies.",
            "time() - max(aegis_beat_last_tick_timestamp_seconds)",
            ((None, GREEN), (60, AMBER), (300, RED)),
            "s",
        ),
        words(
            number("Redis", "As beat sees it.", "max(aegis_broker_up)", ((None, RED), (1, GREEN))),
            "away",
            "answers",
        ),
        number(
            "Dead letters",
            "Entries that were put aside: `aegis worker dead-letters`.",
            "max(aegis_dead_letters)",
            FEW_ARE_WELL,
        ),
        number(
            "Undelivered messages",
            "In all queues together.",
            "sum(max by (queue) (aegis_queue_length))",
            ((None, GREEN),),
        ),
        lines(
            "Tasks that end",
            "By outcome. `failed` is an error that Aegis did not expect.",
            Query(
                expr="sum by (outcome) (rate(aegis_operations_total[$__rate_interval]))", legend="{{outcome}}"
            ),
            unit="ops",
        ),
        lines(
            "Messages in queues",
            "A queue that never comes back to zero has too few workers, or none.",
            Query(expr="max by (queue) (aegis_queue_length)", legend="{{queue}}"),
        ),
        lines(
            "How long tasks take",
            "95 of 100 take no longer.",
            Query(expr=p95.format("aegis_operation_duration_seconds"), legend="{{operation}}"),
            unit="s",
        ),
        lines(
            "How long batches hold their locks",
            "95 of 100 hold them no longer; `retention.batch_milliseconds` is what a batch aims at.",
            Query(expr=p95.format("aegis_batch_duration_seconds"), legend="{{operation}}"),
            unit="s",
        ),
        lines(
            "Rows by these workers",
            "A second. The account is the other dashboard's: this one forgets what a killed worker counted.",
            Query(
                expr="sum by (policy) (rate(aegis_rows_deleted_total[$__rate_interval]))",
                legend="deleted · {{policy}}",
            ),
            Query(
                expr="sum by (operation) (rate(aegis_rows_anonymized_total[$__rate_interval]))",
                legend="masked · {{operation}}",
            ),
            unit="ops",
        ),
        lines(
            "Refused, delivered again, stopped",
            "Messages that were none, messages that Redis delivered twice, runs that a guard stopped.",
            Query(expr="sum by (reason) (aegis_messages_refused_total)", legend="refused · {{reason}}"),
            Query(expr="sum by (task) (aegis_redeliveries_total)", legend="again · {{task}}"),
            Query(
                expr="sum by (policy, guard) (aegis_guard_stops_total)",
                legend="stopped · {{policy}} · {{guard}}",
            ),
        ),
    ]
