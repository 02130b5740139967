"""Windows: the hours in which a policy may change rows, by the clocks of a zone.

    22:00-06:00              every night; the part after midnight belongs to the day it began on
    Mon-Fri 20:00-06:00      on these days
    Sat,Sun 00:00-24:00      all day

A window is open whenever the zone's clocks show a time in it: an hour that they show twice is in
it twice, one that they skip is not there. Several windows are open together.
"""

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aegis.datamap.zones import change_between, wall_of, zone_named
from aegis.errors import InvalidPolicy

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY: Final = dt.timedelta(days=1)
_WEEK: Final = 7
_MIDNIGHT: Final = 24 * 60
_FORM: Final = re.compile(
    r"(?:(?P<days>[A-Za-z,-]{3,60}) )?(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)", re.ASCII
)
_TIME: Final = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00", re.ASCII)
#: A week's windows, and the week after for one that falls into a skipped hour.
_AHEAD: Final = 16
#: A policy has at most so many windows.
_MOST: Final = 50
#: No zone moves its clocks twice within this time.
_STRIDE: Final = dt.timedelta(hours=6)


@dataclass(frozen=True, kw_only=True)
class Window:
    """One span of hours, on some days of the week."""

    #: 0 is Monday.
    days: frozenset[int]
    #: Minutes after midnight; an end that is not after the start is on the next day.
    start: int
    end: int

    def shows(self, shown: dt.datetime) -> bool:
        """Whether a wall clock lies in it."""
        minute, day = shown.hour * 60 + shown.minute, shown.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        began_yesterday = (day - 1) % _WEEK in self.days
        return (day in self.days and minute >= self.start) or (began_yesterday and minute < self.end)


def parse_window(text: str) -> Window:
    """Read a window.

    Raises:
        InvalidPolicy: it is none.

    """
    match = _FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise _unreadable(text)
    start, end = _minute(match["start"], text), _minute(match["end"], text)
    if start in {end, _MIDNIGHT}:
        raise _unreadable(text)
    return Window(days=_days(match["days"], text), start=start, end=end)


def check_windows(name: str, windows: Any, zone: str) -> None:
    """Refuse windows that cannot be meant.

    Raises:
        InvalidPolicy: one cannot be read, or they never open.

    """
    if isinstance(windows, str) or not isinstance(windows, Sequence) or len(windows) > _MOST:
        message = f"policy {name}: windows: expected a list of at most {_MOST} windows such as 22:00-06:00"
        raise InvalidPolicy(message)
    for window in windows:
        parse_window(window)
    zone_named(zone)


def is_open(windows: Sequence[str], zone: str, at: dt.datetime) -> bool:
    """Whether rows may be changed at an instant; without windows, always."""
    shown = wall_of(at, zone_named(zone))
    return not windows or any(parse_window(window).shows(shown) for window in windows)


def opens_at(windows: Sequence[str], zone: str, at: dt.datetime) -> dt.datetime:
    """Return the first instant from `at` on at which one is open, in UTC.

    Raises:
        InvalidPolicy: none opens within two weeks.

    """
    if is_open(windows, zone, at):
        return at
    found = [turn for turn in _turns(windows, zone, at) if is_open(windows, zone, turn)]
    if not found:
        message = f"the windows {', '.join(windows)} do not open in {zone} within two weeks"
        raise InvalidPolicy(message)
    return min(found)


def closes_at(windows: Sequence[str], zone: str, at: dt.datetime) -> dt.datetime | None:
    """Return the first instant from `at` on at which all are closed; None: not within two weeks."""
    if not is_open(windows, zone, at):
        return at
    return min((turn for turn in _turns(windows, zone, at) if not is_open(windows, zone, turn)), default=None)


def _turns(windows: Sequence[str], zone_name: str, at: dt.datetime) -> Iterator[dt.datetime]:
    """Return every instant after `at` at which a window can open or close."""
    zone, at = zone_named(zone_name), at.astimezone(dt.UTC)
    minutes = {minute for window in map(parse_window, windows) for minute in (window.start, window.end)}
    today = wall_of(at, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    turns = [
        (today + days * _DAY + dt.timedelta(minutes=minute))
        .replace(tzinfo=zone, fold=fold)
        .astimezone(dt.UTC)
        for days in range(-1, _AHEAD)
        for minute in minutes
        for fold in (0, 1)
    ]
    begin = at.replace(microsecond=0)
    steps = range(_AHEAD * _DAY // _STRIDE)
    moved = [change_between(zone, begin + n * _STRIDE, begin + (n + 1) * _STRIDE) for n in steps]
    return (turn for turn in (*turns, *moved) if turn is not None and turn > at)


def _days(text: str | None, whole: str) -> frozenset[int]:
    if text is None:
        return frozenset(range(_WEEK))
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            raise _unreadable(whole)
        begin = _DAYS.index(first)
        span = (_DAYS.index(last) - begin) % _WEEK if dash else 0
        found |= {(begin + step) % _WEEK for step in range(span + 1)}
    return frozenset(found)


def _minute(text: str, whole: str) -> int:
    if not _TIME.fullmatch(text):
        raise _unreadable(whole)
    return int(text[:2]) * 60 + int(text[3:])


def _unreadable(text: Any) -> InvalidPolicy:
    shown = repr(text)[:60]
    return InvalidPolicy(
        f"window: expected hours such as 22:00-06:00 or Sat,Sun 00:00-24:00 (Mon to Sun), got {shown}"
    )
