"""Cron expressions: five fields that mean what Debian's cron means, in a named zone.

- A job whose minute and hour are both stated runs once for each local day. An instant that
  the clocks skip runs as soon as they have moved; one that they repeat runs the first time.
- A job whose minute or hour field begins with `*` runs at every real instant that matches, so
  it follows the clocks: nothing runs in a skipped hour, a repeated hour has its runs twice.
- When both day fields are restricted, a day that fits either of them fits.

cronsim reads the expression and walks the calendar. The way from wall clock to instant is
ours: cronsim's own loops for ever in zones that change at a minute past the hour.
"""

import copy
import datetime as dt
import functools

from cronsim import CronSim, CronSimError

from aegis.datamap.zones import SECOND, change_between, first_real, wall_of, zone_named
from aegis.errors import InvalidPolicy

_LONGEST = 200
#: Longer than any zone ever moved its clocks at once.
_STRIDE = dt.timedelta(days=2)
_FIELDS = "minute hour day-of-month month day-of-week"


def next_instant(cron: str, zone: str, after: dt.datetime) -> dt.datetime:
    """Return the first instant after `after`, an aware datetime, in UTC.

    Raises:
        InvalidPolicy: the expression or the zone is wrong, or there is no such instant.

    """
    return _next(cron, zone, after.astimezone(dt.UTC))


def check_cron(cron: str, zone: str) -> None:
    """Check an expression and its zone.

    Raises:
        InvalidPolicy: naming the field that cannot be read, or the zone that is not known.

    """
    zone_named(zone)
    _next(str(cron), zone, dt.datetime(2024, 1, 1, tzinfo=dt.UTC))


@functools.lru_cache(maxsize=8192)
def _next(cron: str, zone_name: str, after: dt.datetime) -> dt.datetime:
    pattern, zone = _pattern(cron), zone_named(zone_name)
    minute, hour = pattern.parts[1:3]
    find = _next_wild if minute.startswith("*") or hour.startswith("*") else _next_fixed
    try:
        return find(pattern, zone, after)
    except (StopIteration, OverflowError):  # pragma: no cover - CronSim takes no day that never comes
        message = f"cron {cron!r} never comes to an instant; check the day and month fields"
    raise InvalidPolicy(message)


def _next_fixed(pattern: CronSim, zone: dt.tzinfo, after: dt.datetime) -> dt.datetime:
    wall = wall_of(after, zone)
    while True:
        wall = _match(pattern, wall)
        instant = first_real(wall, zone)
        if instant > after:
            return instant


def _next_wild(pattern: CronSim, zone: dt.tzinfo, after: dt.datetime) -> dt.datetime:
    start = after.replace(microsecond=0) + SECOND
    while True:
        wall = wall_of(start, zone)
        wait = _match(pattern, wall - SECOND) - wall
        change = change_between(zone, start, start + min(wait, _STRIDE))
        if change is not None:
            start = change
        elif wait <= _STRIDE:
            return start + wait
        else:
            # However the clocks move in between, no wall clock matches earlier than this.
            start += max(wait - _STRIDE, _STRIDE)


def _match(pattern: CronSim, wall: dt.datetime) -> dt.datetime:
    walker = copy.copy(pattern)
    walker.dt = wall.replace(microsecond=0)
    return next(walker)


@functools.lru_cache(maxsize=4096)
def _pattern(cron: str) -> CronSim:
    if len(cron) > _LONGEST or len(cron.split()) != len(_FIELDS.split()):
        message = f"cron expected five fields ({_FIELDS}) as in '0 2 * * *', got {cron!r}"
        raise InvalidPolicy(message)
    try:
        return CronSim(cron, dt.datetime(2024, 1, 1))  # noqa: DTZ001 -- a wall clock
    except CronSimError as error:
        field = str(error).removeprefix("Bad ")
    except (ValueError, TypeError, AssertionError):
        field = "expression"
    message = f"cron {cron!r}: the {field} cannot be read; the fields are {_FIELDS}"
    raise InvalidPolicy(message)
