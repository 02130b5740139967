"""Rows by the month of their clock, told by the very bounds that a cutoff has.

The months are those of the clock's own calendar. What is older than the oldest month that is told
apart is one group, so that a stray time of the year 1 costs nothing.
"""

import datetime as dt
from typing import Any, Final

import sqlalchemy as sa

from aegis.datamap.zones import zone_named
from aegis.retention.clocks import Clock

#: Months that are told apart, counted back from the cutoff's, and as many after it.
MOST: Final = 120
#: What stands for the month of a row without a timestamp.
NONE: Final = "none"


class Months:
    """Numbers the months before a cutoff: 0 is everything before the first one that is told apart.

    With `until` the months after it too, of any row: the last one is everything since it began.
    """

    def __init__(
        self,
        clock: Clock,
        column: sa.ColumnElement[Any],
        cutoff: dt.datetime,
        until: dt.datetime | None = None,
    ) -> None:
        self._clock = clock
        self._column = column
        self._starts = starts(cutoff, clock.calendar, until)
        self._open = until is not None

    def number(self) -> sa.ColumnElement[int]:
        """Return the number of a row's month: a tree of comparisons, eight deep; -1 without a time."""
        tree = self._between(0, len(self._starts))
        if self._open:
            tree = sa.case((self._column.is_(None), sa.literal_column("-1", sa.Integer)), else_=tree)
        return tree.label(None)

    def name(self, number: int) -> str:
        """Return `2024-05`, `before 2015-01`, `since 2026-05` or `none`."""
        if number < 0:
            return NONE
        start = self._starts[max(number, 1) - 1]
        if not number:
            return f"before {start:%Y-%m}"
        return f"since {start:%Y-%m}" if self._open and number == len(self._starts) else f"{start:%Y-%m}"

    def _between(self, low: int, high: int) -> sa.ColumnElement[int]:
        if low == high:
            return sa.literal_column(str(low), sa.Integer)
        middle = (low + high + 1) // 2
        before = self._clock.earlier(self._column, self._starts[middle - 1])
        return sa.case((before, self._between(low, middle - 1)), else_=self._between(middle, high))


def starts(cutoff: dt.datetime, zone: str, until: dt.datetime | None = None) -> list[dt.datetime]:
    """Return when the months up to the cutoff's, or up to `until`'s, began in a zone, the oldest first."""
    last = _number(cutoff, zone)
    end = last if until is None else min(_number(until, zone), last + MOST)
    return [
        dt.datetime(number // 12, number % 12 + 1, 1, tzinfo=zone_named(zone))
        for number in range(max(12, last - MOST + 1), max(last, end) + 1)
    ]


def _number(instant: dt.datetime, zone: str) -> int:
    local = instant.astimezone(zone_named(zone))
    return local.year * 12 + local.month - 1
