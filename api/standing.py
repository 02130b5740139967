"""The doors of beat's gauges: how everything stands, in stored numbers; no source is asked."""

import datetime as dt
from collections.abc import Mapping
from typing import Final

from aegis.erasure import copies
from aegis.operations import sources, unfinished
from aegis.operations.sources import Standing
from aegis.operations.system import current
from aegis.operations.unfinished import Ended, Requests, Runs
from aegis.retention import agenda, purges
from aegis.retention.agenda import Item

#: Longer than a transaction of the control database takes.
_SETTLED: Final = dt.timedelta(seconds=60)


def unfinished_runs() -> Runs:
    """Return how many runs are in each state that is not final, and what they wait for."""
    return unfinished.runs(current())


def open_requests() -> list[Requests]:
    """Return how many requests with a date are open, how old they are, and how many are late."""
    return unfinished.requests(current())


def ended_requests(after: dt.datetime | None) -> tuple[dt.datetime, list[Ended]]:
    """Return the requests with a date that ended since, and the instant to ask from the next time."""
    return unfinished.ended(current(), after, _SETTLED)


def policy_agenda() -> list[Item]:
    """Return when each policy is due, whether its window is open, and what it missed."""
    return agenda.agenda(current())


def source_standings() -> list[Standing]:
    """Return what holds each data source, and how far its journal is in the log."""
    return sources.standings(current())


def overdue_copies() -> Mapping[str, int]:
    """Return how many copies of erased people nobody confirmed in time, by the copy."""
    return copies.counted_overdue(current())


def overdue_purges() -> Mapping[str, int]:
    """Return how many runs left rows in the files for too long, by the policy."""
    return purges.overdue(current())
