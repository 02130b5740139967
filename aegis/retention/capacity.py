"""How many rows a policy can let go in a day: its pace, its quiet hours and its budget."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from aegis.retention.cron import next_instant
from aegis.retention.tempo import Tempo
from aegis.retention.windows import parse_window

_DAY: Final = dt.timedelta(days=1)
#: Runs of one day that are counted; a policy that runs more often is not limited by their number.
_MOST_RUNS: Final = 48


class Timed(Protocol):
    """The part of a policy that says when, and how long, it works."""

    @property
    def cron(self) -> str: ...  # noqa: D102
    @property
    def cron_zone(self) -> str: ...  # noqa: D102
    @property
    def windows(self) -> Sequence[str] | None: ...  # noqa: D102
    @property
    def budget(self) -> Mapping[str, int] | None: ...  # noqa: D102


def rows_a_day(rule: Timed, pace: Tempo, now: dt.datetime) -> float:
    """Return how many rows go in a day of steady work at this pace."""
    most = pace.rows_per_second * open_seconds(rule.windows or ())
    budget = rule.budget or {}
    each = [float(budget["rows"])] if budget.get("rows") else []
    each += [budget["seconds"] * pace.rows_per_second] if budget.get("seconds") else []
    return min(most, min(each) * _runs_a_day(rule, now)) if each else most


def open_seconds(windows: Sequence[str]) -> float:
    """Return how long these windows are open in a day, over a plain week; all of it without any."""
    found = [parse_window(window) for window in windows]
    minutes = sum(len(one.days) * ((one.end - one.start) % 1440 or 1440) for one in found)
    return 60.0 * min(1440.0, minutes / 7) if found else _DAY.total_seconds()


def _runs_a_day(rule: Timed, now: dt.datetime) -> float:
    """Return how often the policy's cron fires in a day, over the week to come."""
    instant, fired = now, 0
    while fired < 7 * _MOST_RUNS:
        instant = next_instant(rule.cron, rule.cron_zone, instant)
        if instant > now + 7 * _DAY:
            break
        fired += 1
    return fired / 7
