"""When policies are due: a pure function of the clock, the schedules and what was done last."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping

from aegis.errors import InvalidPolicy
from aegis.retention import cron

#: Skipped instants of one policy are counted up to here.
MOST_COUNTED = 50
_SECOND = dt.timedelta(seconds=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """When one policy runs."""

    policy: str
    #: Five fields, as in `0 2 * * *`.
    cron: str
    #: The IANA zone that the fields are read in.
    zone: str
    #: The approval: the policy never runs for an instant at or before it.
    since: dt.datetime


@dataclasses.dataclass(frozen=True, kw_only=True)
class Due:
    """A policy runs now, for this instant."""

    policy: str
    scheduled_for: dt.datetime


@dataclasses.dataclass(frozen=True, kw_only=True)
class Missed:
    """Instants of a policy that passed without a run and are not made up."""

    policy: str
    first: dt.datetime
    last: dt.datetime
    #: How many, from the first to the last; MOST_COUNTED means at least so many.
    count: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What one look at the clock found."""

    due: tuple[Due, ...]
    missed: tuple[Missed, ...]


def plan(
    now: dt.datetime, schedules: Iterable[Schedule], last: Mapping[str, dt.datetime], catch_up: dt.timedelta
) -> Plan:
    """Return what is due and what was missed.

    Of each policy's instants after its last one, up to and including now, the newest is due if
    it is at most `catch_up` old; the older ones are missed. To be told of each instant once,
    pass the newest of both as `last` the next time.

    Args:
        now: the present instant.
        schedules: the approved policies.
        last: the newest instant of each policy that was dispatched or noted as missed.
        catch_up: how old an instant may be and still run.

    """
    now = _instant(now)
    due, missed = [], []
    for schedule in schedules:
        after = _instant(max(schedule.since, last.get(schedule.policy, schedule.since)))
        first = next_instant(schedule, after)
        if first > now:
            continue
        newest = _newest(schedule, first, now)
        made_up = now - newest <= catch_up
        if made_up:
            due.append(Due(policy=schedule.policy, scheduled_for=newest))
        if first < newest or not made_up:
            end = newest - _SECOND if made_up else newest
            missed.append(_missed(schedule, first, end))
    return Plan(due=tuple(due), missed=tuple(missed))


def next_instant(schedule: Schedule, after: dt.datetime) -> dt.datetime:
    """Return the schedule's first instant after `after`, in UTC.

    Raises:
        InvalidPolicy: the expression or the zone is wrong, or there is no such instant.

    """
    return cron.next_instant(schedule.cron, schedule.zone, _instant(after))


def _missed(schedule: Schedule, first: dt.datetime, end: dt.datetime) -> Missed:
    count, instant = 1, first
    while count < MOST_COUNTED and (instant := next_instant(schedule, instant)) <= end:
        count += 1
    return Missed(policy=schedule.policy, first=first, last=_newest(schedule, first, end), count=count)


def _newest(schedule: Schedule, first: dt.datetime, end: dt.datetime) -> dt.datetime:
    """Return the newest instant up to `end` by bisection; `first` is one of them."""
    newest, after = first, end.replace(microsecond=0)
    while newest < after:
        middle = newest + ((after - newest) // _SECOND // 2) * _SECOND
        following = next_instant(schedule, middle)
        if following <= end:
            newest = following
        else:
            after = middle
    return newest


def _instant(value: dt.datetime) -> dt.datetime:
    if value.utcoffset() is None:
        message = "a schedule needs aware datetimes, got a naive one"
        raise InvalidPolicy(message)
    return value.astimezone(dt.UTC)
