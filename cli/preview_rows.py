"""What would go and what would stay, by month and by tenant, as a page shows it."""

from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree.ElementTree import Element
from zoneinfo import ZoneInfo

from aegis.retention.briefing import Briefing
from aegis.retention.preview import Preview, Spread
from cli import output, plots
from cli.calendars import Calendar, calendar
from cli.markup import Content, section, table, tag
from cli.preview import MOST_TENANTS

_GOES: Final = "goes"
_STAYS: Final = "stays"
_WOULD: Final = {"delete": "deleted", "anonymize": "anonymized"}


def _staying_spread(found: Briefing) -> Spread | None:
    return found.preview.beside.staying if found.preview.beside else None


def _series(found: Briefing) -> dict[str, str]:
    actions = [_WOULD.get(name, name) for name in found.preview.actions]
    action = f"would be {' or '.join(actions)}"
    return {_GOES: action} | ({_STAYS: "would stay"} if _staying_spread(found) else {})


def _uncounted(found: Briefing) -> Element | None:
    if _staying_spread(found):
        return None
    said = "What would stay is not counted here: counting it takes longer than retention.count_seconds."
    return tag("p", said, class_="note")


def months(found: Briefing) -> Iterator[Element]:
    """Yield the rows by the month of their timestamp, with the cutoff."""
    seen, stays = found.preview, _staying_spread(found)
    cutoff = seen.cutoff.astimezone(ZoneInfo(seen.target.clock.calendar))
    months = {_GOES: seen.spread.months} | ({_STAYS: stays.months} if stays else {})
    shown, series = calendar(months, cutoff), _series(found)
    line = plots.Line(at=shown.cutoff, name=f"cutoff {cutoff:%Y-%m-%d}")
    what = f"{_sentence(seen, shown)} The table below has the numbers."
    drawn = [plots.Column(name=period.name, values=period.rows) for period in shown.periods]
    whose = " of the tenants that have none of their own" if seen.cutoffs.by_tenant else ""
    yield section(
        "By month",
        f"The rows by the month of their timestamp. The line is the cutoff{whose}: what lies to its left is "
        "past its time, and what of that would stay has one of the reasons below.",
        _uncounted(found),
        plots.columns(what, series, drawn, line),
        _numbers("Month", series, shown),
    )


def _sentence(seen: Preview, shown: Calendar) -> str:
    first, last = shown.periods[0].name, shown.periods[-1].name
    changed = output.number(sum(seen.spread.months.values()))
    return f"Rows by month from {first} to {last}: {changed} of them would be changed."


def _numbers(heading: str, series: Mapping[str, str], shown: Calendar) -> Element:
    names = {key: name.capitalize() for key, name in series.items()}
    lines: list[list[Content]] = [
        [period.name, *[output.number(period.rows[key]) for key in series]]
        for period in shown.periods
        if any(period.rows.values())
    ]
    if shown.undated:
        lines.append(["no timestamp", *[output.number(shown.undated.get(key, 0)) for key in series]])
    made = table([heading, *names.values()], lines, right=[*names.values()], narrow=True)
    return tag("details", tag("summary", "The numbers of this plot"), made, open="open")


def tenants(found: Briefing) -> Iterator[Element]:
    """Yield the rows by tenant, where the policy tells tenants apart."""
    seen, stays = found.preview, _staying_spread(found)
    if seen.policy.tenant_column is None:
        return
    series = _series(found)
    names = {key: name.capitalize() for key, name in series.items()}
    lines = _tenant_lines(seen.spread, stays)
    most = max([1, *[sum(values.values()) for _, values, own in lines if own]])
    cells: list[list[Content]] = [
        [name, *[output.number(values[key]) for key in series], plots.bar(values, most) if own else None]
        for name, values, own in lines
    ]
    made = table(["Tenant", *names.values(), ""], cells, right=[*names.values()]) if cells else None
    intro = f"As column {seen.policy.tenant_column} tells them apart, those of whom most rows go first."
    yield section(
        "By tenant", intro, _uncounted(found), plots.legend(series) if made is not None else None, made
    )


def _tenant_lines(goes: Spread, stays: Spread | None) -> list[tuple[str, dict[str, int], bool]]:
    """Return the tenants of whom most rows go, and the others together; the last says whether it is one."""
    staying = stays.tenants if stays else {}
    each = [
        (name, {_GOES: goes.tenants.get(name, 0)} | ({_STAYS: staying.get(name, 0)} if stays else {}), True)
        for name in sorted({*goes.tenants, *staying})
    ]
    each.sort(key=lambda line: [-rows for rows in line[1].values()])
    beyond = {_GOES: goes.other_tenants} | ({_STAYS: stays.other_tenants} if stays else {})
    rest = each[MOST_TENANTS:]
    if not rest and not any(beyond.values()):
        return each
    summed = {key: sum(values[key] for _, values, _ in rest) + more for key, more in beyond.items()}
    name = "all others" if any(beyond.values()) else f"{len(rest):,} others"
    return [*each[:MOST_TENANTS], (name, summed, False)]
