"""Periods by the calendar, as ISO 8601 writes them: P90D, P2W, P6M, P1Y6M, P2Y, PT36H.

A period is taken back from an instant on the calendar of a time zone: months and years first,
then days, then hours. Where the calendar leaves a choice, the reading that keeps rows longer:

    the day is missing     31 March back to February is its last day; the days of March that
                           February has no number for wait with it, at its midnight
    an hour is shown twice the first of the two, and while it runs for the first time, its beginning
    an hour is skipped     the moment at which the clocks move
    the clocks moved       never less than `fewest_days` times 24 hours
"""

import calendar
import datetime as dt
import functools
import re
from dataclasses import dataclass
from typing import Final

from aegis.datamap.zones import change_between, first_real, wall_of, zone_named
from aegis.errors import InvalidPolicy

#: The longest time that anything is kept by a rule of ours.
LONGEST_DAYS: Final = 36_500
_DAY: Final = dt.timedelta(days=1)
_MONTHS: Final = 12
#: After so many years the calendar repeats itself.
_CYCLE: Final = 400
_WEEK: Final = 7
_FORM: Final = re.compile(
    r"P(?:(?P<weeks>\d{1,5})W|(?:(?P<years>\d{1,5})Y)?(?:(?P<months>\d{1,5})M)?(?:(?P<days>\d{1,5})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,8})M)?(?:(?P<seconds>\d{1,9})S)?)?)",
    re.ASCII,
)


@dataclass(frozen=True, kw_only=True)
class Period:
    """A span of the calendar, as it was written."""

    text: str
    months: int = 0
    days: int = 0
    time: dt.timedelta = dt.timedelta()

    @property
    def fewest_days(self) -> int:
        """The fewest whole days, of 24 hours each, that it can mean."""
        return _month_days(self.months)[0] + (self.days * _DAY + self.time) // _DAY

    @property
    def most_days(self) -> int:
        """The most whole days that it can mean; one for a clock that is moved is among them."""
        return _month_days(self.months)[1] - (-(self.days * _DAY + self.time) // _DAY) + 1

    @property
    def words(self) -> str:
        """The period as people say it, in English."""
        years, months = divmod(self.months, _MONTHS)
        seconds = round(self.time.total_seconds())
        hours, rest = divmod(seconds, 3_600)
        minutes, seconds = divmod(rest, 60)
        parts = {
            "year": years,
            "month": months,
            "day": self.days,
            "hour": hours,
            "minute": minutes,
            "second": seconds,
        }
        return " ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in parts.items() if count)

    def before(self, now: dt.datetime, zone: str) -> dt.datetime:
        """Return the instant that lies this period before `now`, in UTC.

        Args:
            now: an aware instant.
            zone: the IANA zone whose calendar counts.

        Raises:
            InvalidPolicy: `now` is naive, the zone is not known, or the calendar does not go back so far.

        """
        if now.utcoffset() is None:
            message = "a period needs an aware datetime, got a naive one"
            raise InvalidPolicy(message)
        now = now.astimezone(dt.UTC)
        try:
            return min(self._by_the_calendar(now, zone), now - self.fewest_days * _DAY)
        except (OverflowError, ValueError):
            message = f"period {self.text}: so long before now is before the year 1"
            raise InvalidPolicy(message) from None

    def _by_the_calendar(self, now: dt.datetime, zone_name: str) -> dt.datetime:
        zone = zone_named(zone_name)
        shown = _months_before(_settled_wall(now, zone), self.months) - self.days * _DAY
        return first_real(shown, zone) - self.time


def parse_period(text: str) -> Period:
    """Read a period.

    Raises:
        InvalidPolicy: it is no ISO 8601 period, shorter than a day, or longer than 100 years.

    """
    match = _FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None or not any(match.groupdict().values()):
        shown = repr(text)[:40]
        message = (
            f"period: expected an ISO 8601 period such as P90D, P6M, P2Y, P1Y6M, P2W or PT36H, got {shown}"
        )
        raise InvalidPolicy(message)
    parts = {name: int(value or 0) for name, value in match.groupdict().items()}
    period = Period(
        text=text,
        months=parts["years"] * _MONTHS + parts["months"],
        days=parts["weeks"] * _WEEK + parts["days"],
        time=dt.timedelta(hours=parts["hours"], minutes=parts["minutes"], seconds=parts["seconds"]),
    )
    if period.months > _CYCLE * _MONTHS or not 1 <= period.fewest_days <= LONGEST_DAYS:
        message = f"period {text}: expected at least one day and at most {LONGEST_DAYS} days"
        raise InvalidPolicy(message)
    return period


@functools.lru_cache(maxsize=256)
def _month_days(months: int) -> tuple[int, int]:
    """Return the fewest and the most days that so many months can have, over the whole calendar."""
    fewest, most = LONGEST_DAYS * 10, 0
    for later in range(months, months + _CYCLE * _MONTHS):
        first, last = _month(later), _month(later).replace(day=_length(later))
        fewest = min(fewest, (first - _month(later - months)).days)
        most = max(most, (last - _month(later - months)).days + 1 - min(last.day, _length(later - months)))
    return fewest, most


def _months_before(shown: dt.datetime, months: int) -> dt.datetime:
    """Return the wall clock so many months before; the last day of a month stands for those it lacks."""
    if not months:
        return shown
    year, month = divmod(shown.year * _MONTHS + shown.month - 1 - months, _MONTHS)
    last = calendar.monthrange(year, month + 1)[1]
    if shown.day < last:
        return shown.replace(year=year, month=month + 1)
    at_the_end = shown.day == calendar.monthrange(shown.year, shown.month)[1]
    back = shown.replace(year=year, month=month + 1, day=last)
    return back if at_the_end else back.replace(hour=0, minute=0, second=0, microsecond=0)


def _settled_wall(now: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """Return what the clocks show; while they show it for the first of two times, what they go back to."""
    shown = wall_of(now, zone)
    again = shown.replace(tzinfo=zone, fold=1).astimezone(dt.UTC)
    if again <= now:
        return shown
    turned = change_between(zone, now.replace(microsecond=0), again.replace(microsecond=0))
    return shown if turned is None else min(shown, wall_of(turned, zone))


def _month(number: int) -> dt.date:
    return dt.date(2000 + number // _MONTHS, number % _MONTHS + 1, 1)


def _length(number: int) -> int:
    return calendar.monthrange(2000 + number // _MONTHS, number % _MONTHS + 1)[1]
