"""Time zones by name, and the way between an instant and the wall clock of a zone."""

import datetime as dt
import functools
import zoneinfo

from aegis.errors import InvalidPolicy

SECOND = dt.timedelta(seconds=1)


def zone_named(name: str) -> zoneinfo.ZoneInfo:
    """Return the IANA time zone of that name.

    Raises:
        InvalidPolicy: there is none; the machine's own `localtime` is not a name.

    """
    if not isinstance(name, str) or name not in _zone_names():
        message = f"time zone {name!r} is not known; write an IANA name such as Europe/Berlin or UTC"
        raise InvalidPolicy(message)
    return zoneinfo.ZoneInfo(name)


def wall_of(instant: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """Return what the zone's clocks show at an instant, as a naive datetime."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def first_real(shown: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """Return the first instant that shows a wall clock, or that skips it."""
    instant = shown.replace(tzinfo=zone, fold=0).astimezone(dt.UTC)
    if wall_of(instant, zone) == shown:
        return instant
    before = shown.replace(tzinfo=zone, fold=1).astimezone(dt.UTC)
    return change_between(zone, before, instant) or instant


def change_between(zone: dt.tzinfo, start: dt.datetime, end: dt.datetime) -> dt.datetime | None:
    """Return the instant in (start, end] from which another offset holds, to the second."""
    offset = start.astimezone(zone).utcoffset()
    if end.astimezone(zone).utcoffset() == offset:
        return None
    while end - start > SECOND:
        middle = start + ((end - start) // SECOND // 2) * SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            start = middle
        else:
            end = middle
    return end


@functools.cache
def _zone_names() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones()) - {"localtime", "Factory"}
