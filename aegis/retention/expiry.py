"""Looking after archives: complete what a dead worker left open, destroy what has expired.

An archive that a legal hold may touch is kept, and so is each while its source is stopped. What cannot be
told is kept as well.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.db.journal import Journal
from aegis.db.tables import Hold
from aegis.errors import AegisError
from aegis.operations import archives, holds, runs
from aegis.operations.scopes import Scope
from aegis.operations.states import FINAL, STUCK
from aegis.operations.system import System
from aegis.retention import archiving, policies

#: After this time a run that ended has no worker any more that could still add to its archive.
_QUIET: Final = dt.timedelta(hours=1)


def tend(system: System) -> dict[str, str]:
    """Look after every archive; return what happened to those to which something did: id → what.

    What hinders one archive stops no other.
    """
    with reading(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
    done = {}
    for row in archives.listing(system, states=["open", "complete"]):
        try:
            what = _tend_one(system, row, moment)
        except AegisError as error:
            what = f"not now: {error}"
        if what:
            done[row["id"]] = what
    return done


def kept_by(system: System, row: Mapping[str, Any]) -> str | None:
    """Return why an archive must be kept past its time; None when nothing keeps it."""
    try:
        scopes = [*_placed(system, row["datasource"]), *_in_force(system, row["datasource"])]
    except AegisError as error:
        return f"cannot tell whether a legal hold touches it: {error}"
    touching = [scope for scope in scopes if _touches(scope, row)]
    if any(scope.stops for scope in touching):
        return f"data source {row['datasource']} is stopped; `aegis start` lets it go on"
    return f"legal hold {touching[0].id}" if touching else None


def _tend_one(system: System, row: Mapping[str, Any], moment: dt.datetime) -> str | None:
    if row["state"] == "open":
        return _complete(system, row, moment)
    if row["expires_at"] > moment:
        return None
    why = kept_by(system, row)
    if why is not None:
        return f"kept: {why}"
    archives.destroy(system, row)
    return "expired"


def _complete(system: System, row: Mapping[str, Any], moment: dt.datetime) -> str | None:
    run = runs.fetch(system, row["run"])
    if run["state"] not in FINAL | STUCK:
        return None
    ended = run["finished_at"]
    policy = policies.by_id(system, run["policy_id"])
    archiving.complete(system, run, policy, over=ended is not None and ended < moment - _QUIET)
    return "completed"


def _placed(system: System, datasource: str) -> list[Scope]:
    """Return the holds of the control database, those that are not yet in force included."""
    query = sa.select(Hold.id, Hold.kind, Hold.policy, Hold.table_name, Hold.tenant).where(
        Hold.datasource == datasource, Hold.state != "released"
    )
    with reading(system.databases.control, CONTROL) as connection:
        return [
            Scope(id=hold.id, kind=hold.kind, policy=hold.policy, table=hold.table_name, tenant=hold.tenant)
            for hold in connection.execute(query)
        ]


def _in_force(system: System, datasource: str) -> list[Scope]:
    """Return the holds of the data source itself; the control database may have been restored."""
    engine = system.databases.source(datasource)
    with reading(engine, f"data source {datasource}") as connection:
        return list(holds.read(connection, Journal(engine.dialect.name), system.worker_key))


def _touches(scope: Scope, row: Mapping[str, Any]) -> bool:
    """Whether a hold can speak of rows of the archive; of their times and keys nothing is known here."""
    other_tenant = None not in {scope.tenant, row["tenant"]} and scope.tenant != row["tenant"]
    return not other_tenant and scope.touches(policy=row["policy"], table=row["table_name"])
