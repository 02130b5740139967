"""Rows by the month of their clock, told by the very bounds that a cutoff has.

The months are those of the clock's own calendar. What is older than the oldest month that is told
apart is one group, so that a stray time of the year 1 costs nothing.
"""

import datetime as dt
from typing import Any, Final

import sqlalchemy as sa

from aegis.datamap.zones import zone_named
from aegis.retention.clocks import Clock

#: Months that are told apart, counted back from the cutoff's.
MOST: Final = 120


class Months:
    """Numbers the months before a cutoff: 0 is everything before the first one that is told apart."""

    def __init__(self, clock: Clock, column: sa.ColumnElement[Any], cutoff: dt.datetime) -> None:
        self._clock = clock
        self._column = column
        self._starts = starts(cutoff, clock.calendar)

    def number(self) -> sa.ColumnElement[int]:
        """Return the number of a row's month: a tree of comparisons, seven deep."""
        return self._between(0, len(self._starts)).label(None)

    def name(self, number: int) -> str:
        """Return `2024-05`, or `before 2015-01` for number 0."""
        start = self._starts[max(number, 1) - 1]
        return f"{start:%Y-%m}" if number else f"before {start:%Y-%m}"

    def _between(self, low: int, high: int) -> sa.ColumnElement[int]:
        if low == high:
            return sa.literal_column(str(low), sa.Integer)
        middle = (low + high + 1) // 2
        before = self._clock.earlier(self._column, self._starts[middle - 1])
        return sa.case((before, self._between(low, middle - 1)), else_=self._between(middle, high))


def starts(cutoff: dt.datetime, zone: str) -> list[dt.datetime]:
    """Return when the months up to the cutoff's began in a zone, the oldest first."""
    local = cutoff.astimezone(zone_named(zone))
    last = local.year * 12 + local.month - 1
    return [
        dt.datetime(number // 12, number % 12 + 1, 1, tzinfo=local.tzinfo)
        for number in range(max(12, last - MOST + 1), last + 1)
    ]
