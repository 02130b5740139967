"""The page for a platform engineer and a privacy officer."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard, table
from grafana_foundation_sdk.models import dashboard as models

from deploy.grafana.parts import (
    AMBER,
    DAY,
    FEW_ARE_WELL,
    GREEN,
    NONE_IS_WELL,
    RED,
    SOURCE,
    Query,
    gauge,
    lines,
    number,
    page,
    target,
    thresholds,
    variable,
    words,
)

#: Several beats tell the same: the greatest of them, never the sum.
LEDGER: Final = 'max by (policy, table, action) (aegis_ledger_rows_total{policy=~"$policy|erasure"})'
LEDGER_BEFORE: Final = LEDGER.replace('"})', '"} offset 1d)')
OVERDUE: Final = 'max by (policy, table) (aegis_policy_rows_overdue{policy=~"$policy"})'
_HERE: Final = '{datasource=~"$source"}'
#: How a table shows a number in the colour of its threshold.
_COLOURED: Final = {"type": "color-text"}


def overview() -> dashboard.Dashboard:
    """Return the page."""
    made = page("aegis", "Aegis", "What is due, what is late, what is proven.")
    made = made.with_variable(
        variable("source", "Data source", "label_values(aegis_policy_info, datasource)")
    ).with_variable(
        variable("policy", "Policy", 'label_values(aegis_policy_info{datasource=~"$source"}, policy)')
    )
    place = 0
    for title, panels in _ROWS.items():
        made = made.with_row(dashboard.Row(title).id(place := place + 1))
        for panel in panels():
            made = made.with_panel(panel.id(place := place + 1))
    return made


def policies() -> table.Panel:
    """Return the table with one line for each policy."""
    columns = {
        "overdue": OVERDUE,
        "due a day": 'max by (policy) (aegis_policy_rows_arriving_per_day{policy=~"$policy"})',
        "can go a day": 'max by (policy) (aegis_policy_rows_leaving_per_day{policy=~"$policy"})',
        "staying": 'sum by (policy) (max by (policy, reason) (aegis_policy_rows_staying{policy=~"$policy"}))',
        "last through": (
            'time() - max by (policy) (aegis_policy_last_success_timestamp_seconds{policy=~"$policy"})'
        ),
    }
    info = 'max by (policy, datasource) (aegis_policy_info{policy=~"$policy", datasource=~"$source"})'
    names = {f"Value #{chr(ord('B') + place)}": name for place, name in enumerate(columns)}
    panel = (
        table.Panel()
        .title("Policies")
        .description(
            "One line for each policy: rows past their time, rows that become due in a day and rows that it "
            "can let go in one, rows that stay for a reason, and how long ago it was through."
        )
        .datasource(SOURCE)
        .span(24)
        .height(8)
        .with_target(target(Query(expr=info), 0, instant=True, columns=True))
        .with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            models.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {"Time": True, "Value #A": True},
                    "renameByName": {**names, "datasource": "data source"},
                    "indexByName": {"policy": 0, "datasource": 1},
                },
            )
        )
        .override_by_name(
            "overdue", [models.DynamicConfigValue(id_val="custom.cellOptions", value=_COLOURED)]
        )
        .override_by_name("last through", [models.DynamicConfigValue(id_val="unit", value="s")])
        .thresholds(thresholds(FEW_ARE_WELL))
    )
    for place, expr in enumerate(columns.values()):
        panel = panel.with_target(target(Query(expr=expr), place + 1, instant=True, columns=True))
    return panel


def _glance() -> list[Any]:
    return [
        number(
            "Rows past their time",
            "Rows that should be gone and are there.",
            f"sum({OVERDUE})",
            FEW_ARE_WELL,
        ),
        number(
            "Requests past their date",
            "Erasures that are not done and whose legal date has passed: somebody acts now.",
            "sum(max by (operation) (aegis_requests_overdue))",
            NONE_IS_WELL,
        ),
        number(
            "Oldest open request",
            "Since its receipt. Amber from 20 days on, red from 30, the default of `erasure.due_days`.",
            "max(aegis_oldest_open_request_age_seconds) or vector(0)",
            ((None, GREEN), (20 * DAY, AMBER), (30 * DAY, RED)),
            "s",
        ),
        number(
            "Runs that wait for a person",
            "Blocked by a guard or an error, or quarantined: `aegis retention status` says why.",
            'sum(max by (state) (aegis_runs{state=~"blocked|quarantined"}))',
            FEW_ARE_WELL,
        ),
        words(
            number(
                "Audit log",
                "Halted: somebody has seen another log, or more of it than there is.",
                "max(aegis_audit_halted)",
                NONE_IS_WELL,
            ),
            "sound",
            "HALTED",
        ),
        number(
            "Alerts",
            "Of pages and tickets; the runbook has an entry for each.",
            'count(ALERTS{alertstate="firing", severity=~"page|ticket"}) or vector(0)',
            FEW_ARE_WELL,
        ),
    ]


def _retention() -> list[Any]:
    return [
        policies(),
        lines(
            "Rows past their time, by policy",
            "When the newest run of each policy began, or ended. It should come back to zero with every run.",
            Query(expr=f"sum by (policy) ({OVERDUE})", legend="{{policy}}"),
        ),
        lines(
            "Rows gone or masked in 24 hours",
            "From the audit log, through every door. `restore` and `reverted_…` are rows that came back.",
            Query(
                expr=f"sum by (policy, action) ({LEDGER} - ({LEDGER_BEFORE} or {LEDGER} * 0))",
                legend="{{policy}} · {{action}}",
            ),
        ),
        lines(
            "Unfinished runs",
            "By state, those of erasures too. `blocked` and `quarantined` wait for a person.",
            Query(expr="max by (state) (aegis_runs)", legend="{{state}}"),
            bars=True,
        ),
        lines(
            "Rows that stay for a reason",
            "Past their time and left on purpose: under a hold, excepted, without a time.",
            Query(
                expr='max by (policy, reason) (aegis_policy_rows_staying{policy=~"$policy"})',
                legend="{{policy}} · {{reason}}",
            ),
        ),
    ]


def _requests() -> list[Any]:
    return [
        lines(
            "Open requests",
            "Accepted and not done, by operation.",
            Query(expr="max by (operation) (aegis_requests_open)", legend="{{operation}}"),
        ),
        lines(
            "Age of the oldest open request",
            "The legal clock. The dashed lines: 20 and 30 days.",
            Query(expr="max by (operation) (aegis_oldest_open_request_age_seconds)", legend="{{operation}}"),
            unit="s",
            limits=((None, GREEN), (20 * DAY, AMBER), (30 * DAY, RED)),
        ),
        lines(
            "Late elsewhere",
            "Copies that have not confirmed an erasure, and runs whose rows may still be in the files.",
            Query(expr="max by (copy) (aegis_erasure_copies_overdue)", legend="copy {{copy}}"),
            Query(expr="max by (policy) (aegis_purges_overdue)", legend="files of {{policy}}"),
        ),
        lines(
            "Legal holds and stops",
            "A hold past its review stays in force, and somebody has to look at it. A stop holds everything.",
            Query(expr=f"max by (datasource) (aegis_holds{_HERE})", legend="holds on {{datasource}}"),
            Query(
                expr=f"max by (datasource) (aegis_holds_review_overdue{_HERE})",
                legend="past their review on {{datasource}}",
            ),
            Query(expr=f"max by (datasource) (aegis_stop_active{_HERE})", legend="stop of {{datasource}}"),
        ),
    ]


def _proof() -> list[Any]:
    return [
        lines(
            "Leaves of the audit log",
            "Under a signed checkpoint, and as each witness has seen it: the lines lie on each other.",
            Query(expr="max(aegis_audit_checkpoint_size)", legend="signed"),
            Query(expr="max by (witness) (aegis_audit_witness_size)", legend="witness {{witness}}"),
        ),
        lines(
            "How long the log waits",
            "The oldest event without a leaf, and what was done in each data source and is not in the log.",
            Query(expr="max(aegis_audit_oldest_pending_age_seconds)", legend="oldest event"),
            Query(
                expr='max by (datasource) (aegis_relay_lag_seconds{datasource=~"$source"})',
                legend="journal of {{datasource}}",
            ),
            unit="s",
            limits=((None, GREEN), (900, AMBER)),
        ),
        gauge(
            "Privacy budgets",
            "Spent of each, in its window and ever. At 100 % releases are refused.",
            Query(
                expr=(
                    "max by (account, period) (aegis_dp_epsilon_spent)"
                    " / max by (account, period) (aegis_dp_epsilon_limit)"
                ),
                legend="{{account}} · {{period}}",
            ),
            ((None, GREEN), (0.8, AMBER), (1, RED)),
        ),
        lines(
            "Columns that nobody has decided on",
            "Above zero nobody is erased in that data source. No line: it could not be looked at.",
            Query(
                expr='max by (datasource) (aegis_catalog_undecided_columns{datasource=~"$source"})',
                legend="{{datasource}}",
            ),
        ),
    ]


#: The panels of each row, by its title.
_ROWS: Final[Mapping[str, Callable[[], list[Any]]]] = {
    "At a glance": _glance,
    "Retention": _retention,
    "Requests": _requests,
    "Proof and privacy": _proof,
}
