"""The kill switch: nothing is changed in a data source from the next batch on, until it is started again.

A stop is a hold over everything. It is obeyed where holds are obeyed, in the batch's own
transaction; what changes nothing in a source, but destroys or rewrites something, asks `stopped`.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.errors import AegisError, Refused
from aegis.operations import holds
from aegis.operations.scopes import STOP, Scope
from aegis.operations.states import Wait, Waits
from aegis.operations.system import System

_STOPPED: Final = "everything in this data source is stopped; `aegis start` lets it go on"
#: After so long somebody should say whether it is still meant.
REVIEW: Final = dt.timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Switched:
    """What became of one data source."""

    datasource: str
    #: Whether the source itself has it; if not, `reason` says why.
    in_force: bool
    reason: str | None = None


def stop(system: System, datasources: Iterable[str], *, reason: str, actor: str) -> list[Switched]:
    """Stop everything in these sources; a source that cannot be reached is told apart, and tried again."""
    with reading(system.databases.control, CONTROL) as connection:
        review_by = (dialects.now(connection) + REVIEW).date()

    def place(name: str) -> None:
        scope = Scope(kind=STOP)
        holds.place(system, scope, datasource=name, matter=reason, owner=actor, review_by=review_by)

    return [_switched(name, place) for name in datasources]


def start(system: System, datasources: Iterable[str], *, actor: str) -> list[Switched]:
    """Release every stop of these sources; one that was not stopped is left out."""

    def release(name: str) -> None:
        for found in _active(system, name):
            holds.release(system, found["id"], actor=actor)

    return [_switched(name, release) for name in datasources if _active(system, name)]


def stopped(system: System, datasource: str | None = None) -> str | None:
    """Return why nothing may be changed in a source, or destroyed for it; None when it may.

    A stop counts from the moment it is asked for, in force there or not.

    Args:
        system: this process's Aegis.
        datasource: the source; None: what belongs to all of them, such as the log, and any stop stops it.

    """
    for found in _active(system, datasource):
        since = f"{found['placed_at']:%Y-%m-%d %H:%M} UTC"
        return f"data source {found['datasource']} is stopped since {since}; `aegis start` lets it go on"
    return None


def refuse_if_stopped(system: System, datasource: str | None = None) -> None:
    """Refuse what must not happen while somebody holds the kill switch.

    Raises:
        Refused: says since when, and what lets it go on.

    """
    if why := stopped(system, datasource):
        raise Refused(why)


def wait_if_stopped(scopes: Sequence[Scope]) -> None:
    """Let a batch go on only while no stop is among the holds that it read.

    Raises:
        Waits: there is one.

    """
    if any(scope.stops for scope in scopes):
        raise Waits(Wait.HOLD, _STOPPED)


def refuse_if_among(scopes: Sequence[Scope]) -> None:
    """Refuse what a person asked for while a stop is among the holds that its transaction read.

    Raises:
        Refused: there is one.

    """
    if any(scope.stops for scope in scopes):
        raise Refused(_STOPPED)


def _switched(name: str, act: Callable[[str], None]) -> Switched:
    try:
        act(name)
    except AegisError as error:
        return Switched(datasource=name, in_force=False, reason=str(error))
    return Switched(datasource=name, in_force=True)


def _active(system: System, datasource: str | None) -> list[dict[str, Any]]:
    found = holds.kept(system, kind=STOP)
    return [hold for hold in found if datasource in {None, hold["datasource"]}]
