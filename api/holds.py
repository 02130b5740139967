"""The doors of legal holds and of the kill switch."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from aegis.arguments import Long, door
from aegis.errors import UsageError
from aegis.operations import holds, rowkeys, stops
from aegis.operations.scopes import Scope
from aegis.operations.system import current


@door
def place_hold(
    *,
    matter: Long,
    owner: str,
    review_by: dt.date,
    datasource: str = "default",
    key: Mapping[str, Any] | None = None,
    **scope: Any,
) -> str:
    """Place a legal hold and return its id once it is in force: the next batch obeys it.

    Args:
        matter: what it is about.
        owner: who answers for it.
        review_by: when somebody looks at it again; past it the hold alarms and stays.
        datasource: the name in `aegis.toml`.
        key: one row of `table`: each column of its primary key → the value. Kept sealed, never logged.
        scope: what narrows it: `policy`, `table`, `tenant`, `since`, `until`.

    Raises:
        ValueError: a policy, a table or a row of that name does not exist.
        aegis.errors.Unreachable: the hold is kept and NOT yet in force.

    """
    if key is not None:
        scope["key"] = rowkeys.spell(key)
    return holds.place(
        current(), Scope(**scope), datasource=datasource, matter=matter, owner=owner, review_by=review_by
    )


@door
def list_holds(*, everything: bool = False) -> list[dict[str, Any]]:
    """Return the holds and stops that are not over, or all of them."""
    return holds.listed(current(), everything=everything)


@door
def release_hold(hold_id: str, actor: str) -> None:
    """Release a legal hold; runs that waited for it go on."""
    holds.release(current(), hold_id, actor=actor)


@door
def stop_operations(
    reason: Long, actor: str, *, datasource: str | None = None, everywhere: bool = False
) -> list[stops.Switched]:
    """Stop everything that changes rows in one data source, or everywhere, from the next batch on."""
    system = current()
    return stops.stop(system, _sources(datasource, everywhere=everywhere), reason=reason, actor=actor)


@door
def start_operations(
    actor: str, *, datasource: str | None = None, everywhere: bool = False
) -> list[stops.Switched]:
    """Let what was stopped go on."""
    return stops.start(current(), _sources(datasource, everywhere=everywhere), actor=actor)


def _sources(datasource: str | None, *, everywhere: bool) -> list[str]:
    settings = current().settings
    if everywhere and datasource is not None:
        message = "name one data source or all of them, not both"
        raise UsageError(message)
    return sorted(settings.sources) if everywhere else [settings.source_name(datasource)]
