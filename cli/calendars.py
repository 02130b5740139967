"""Rows by month as a page shows them: every month in its place, and years where there are many."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aegis.retention.months import NONE

#: Months that are shown one by one; more are shown by the year.
MOST_MONTHS: Final = 36
_BEFORE: Final = "before "
_SINCE: Final = "since "


@dataclass(kw_only=True)
class Period:
    """A month, a year, or everything before the first of them."""

    name: str
    #: Series → rows.
    rows: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """Rows by period, the oldest first, without a gap."""

    periods: list[Period]
    #: Series → rows without a timestamp.
    undated: Mapping[str, int]
    #: How many periods, and parts of one, lie before the cutoff.
    cutoff: float


def calendar(series: Mapping[str, Mapping[str, int]], cutoff: dt.datetime) -> Calendar:
    """Return rows by period.

    Args:
        series: name of a series → month as `aegis.retention.months` names it → rows.
        cutoff: in the calendar of the months.

    """
    cut = cutoff.year * 12 + cutoff.month - 1
    numbers = {_number(name) for months in series.values() for name in months if _dated(name)} | {cut}
    step = 1 if max(numbers) - min(numbers) < MOST_MONTHS else 12
    first, last = min(numbers) // step, max(numbers) // step
    early = sorted({name for months in series.values() for name in months if name.startswith(_BEFORE)})
    periods = [Period(name=early[0])] if early else []
    periods += [Period(name=_named(number, step)) for number in range(first, last + 1)]
    offset = len(early[:1])
    for key, months in series.items():
        for period in periods:
            period.rows[key] = 0
        for name, rows in months.items():
            if name != NONE:
                place = offset + _number(name) // step - first if _dated(name) else 0
                periods[place].rows[key] += rows
    within = (cut % step + _part(cutoff)) / step
    undated = {key: months[NONE] for key, months in series.items() if NONE in months}
    return Calendar(periods=periods, undated=undated, cutoff=offset + cut // step - first + within)


def _dated(name: str) -> bool:
    return name != NONE and not name.startswith(_BEFORE)


def _number(name: str) -> int:
    year, _, month = name.removeprefix(_SINCE).partition("-")
    return int(year) * 12 + int(month) - 1


def _named(number: int, step: int) -> str:
    return f"{number // 12:04}-{number % 12 + 1:02}" if step == 1 else f"{number:04}"


def _part(cutoff: dt.datetime) -> float:
    """Return how much of its month had passed."""
    start = cutoff.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = (start + dt.timedelta(days=32)).replace(day=1)
    return (cutoff - start) / (end - start)
