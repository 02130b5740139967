"""The parts of the dashboards: numbers, lines, bars, and an empty page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphDrawStyle,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${prometheus}")
DAY: Final = 86_400.0
#: What a threshold is worth.
GREEN, AMBER, RED = "green", "orange", "red"
Steps = Sequence[tuple[float | None, str]]
#: Nothing is wrong at zero, and everything else is.
NONE_IS_WELL: Final[Steps] = ((None, GREEN), (1, RED))
FEW_ARE_WELL: Final[Steps] = ((None, GREEN), (1, AMBER))


@dataclass(frozen=True, kw_only=True)
class Query:
    """One query of a panel."""

    expr: str
    legend: str = ""


def target(query: Query, place: int, *, instant: bool, columns: bool = False) -> prometheus.Dataquery:
    """Return a query for a panel."""
    made = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(chr(ord("A") + place))
    if columns:
        made = made.format(PromQueryFormat.TABLE)
    return made.instant() if instant else made.range()


def thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    """Return the colours of a panel."""
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=color) for value, color in steps])
    )


def number(title: str, means: str, expr: str, steps: Steps, unit: str = "short") -> stat.Panel:
    """Return one large number, in the colour of its threshold."""
    return (
        stat.Panel()
        .title(title)
        .description(means)
        .datasource(SOURCE)
        .unit(unit)
        .decimals(0)
        .span(4)
        .height(4)
        .no_value("none")
        .color_mode(BigValueColorMode.BACKGROUND)
        .graph_mode(BigValueGraphMode.NONE)
        .thresholds(thresholds(steps))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(target(Query(expr=expr), 0, instant=True))
    )


def words(panel: stat.Panel, zero: str, one: str) -> stat.Panel:
    """Show words in place of 0 and 1."""
    options = {"0": models.ValueMappingResult(text=zero), "1": models.ValueMappingResult(text=one)}
    return panel.mappings([models.ValueMap(options=options)])


def lines(
    title: str, means: str, *queries: Query, unit: str = "short", limits: Steps = (), bars: bool = False
) -> timeseries.Panel:
    """Return lines over time, or stacked bars."""
    made = (
        timeseries.Panel()
        .title(title)
        .description(means)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .span(12)
        .height(8)
        .fill_opacity(80 if bars else 8)
        .line_width(0 if bars else 2)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    if bars:
        made = made.draw_style(GraphDrawStyle.BARS).stacking(
            common.StackingConfig().mode(StackingMode.NORMAL)
        )
    if limits:
        made = made.thresholds(thresholds(limits)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
        )
    for place, query in enumerate(queries):
        made = made.with_target(target(query, place, instant=False))
    return made


def gauge(title: str, means: str, query: Query, steps: Steps) -> bargauge.Panel:
    """Return a bar from nothing to all for each series."""
    return (
        bargauge.Panel()
        .title(title)
        .description(means)
        .datasource(SOURCE)
        .unit("percentunit")
        .min(0)
        .max(1)
        .span(12)
        .height(8)
        .orientation(VizOrientation.HORIZONTAL)
        .thresholds(thresholds(steps))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(target(query, 0, instant=True))
    )


def page(uid: str, title: str, means: str) -> dashboard.Dashboard:
    """Return an empty dashboard with the variables and links that all have."""
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(means)
        .tags(["aegis"])
        .refresh("1m")
        .time("now-7d", "now")
        .timezone("browser")
        .editable()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(dashboard.DashboardLink("Aegis").type(models.DashboardLinkType.DASHBOARDS).tags(["aegis"]))
        .with_variable(dashboard.DatasourceVariable("prometheus").label("Prometheus").type("prometheus"))
    )


def variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    """Return a choice of label values, all of them at first."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".*")
        .current(models.VariableOption(text="All", value="$__all", selected=True))
    )
