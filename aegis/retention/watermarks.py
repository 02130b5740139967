"""Per policy and tenant: nothing older than this remains, but for rows that are named with their reason.

Numbers are counted by the runs and stored with them; whoever asks later reads them and counts nothing.
A run that left rows that are due does not move the watermark: the earlier one stays true.
"""

import collections
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading, writing
from aegis.db.tables import DataRetentionPolicy, Watermark
from aegis.operations.system import System
from aegis.retention.counting import Counter
from aegis.retention.cutoffs import Cutoffs
from aegis.retention.target import Target

#: The tenant under which a policy's whole table stands.
ALL: Final = ""
#: Tenants whose leftovers are told apart, those with the most rows first.
MOST_TENANTS: Final = 1_000
#: Over so many days the rows are counted that become due next.
ARRIVAL_DAYS: Final = 7

#: tenant → reason → rows
Leftovers = Mapping[str, Mapping[str, int]]


def arriving_per_day(
    counter: Counter, target: Target, policy: DataRetentionPolicy, cutoffs: Cutoffs
) -> float:
    """Return how many rows become due in a day, from the clocks of those that are due next."""
    days = min(ARRIVAL_DAYS, policy.retention_days)
    until = cutoffs.base + dt.timedelta(days=days)
    clock, column = target.clock, target.clock_column
    soon = sa.and_(clock.expired(column, until), sa.not_(clock.earlier(column, cutoffs.base)))
    return counter.count(sa.and_(soon, target.chosen(), target.due)) / days


def begun(
    system: System,
    run: Mapping[str, Any],
    policy: DataRetentionPolicy,
    *,
    due: int | None,
    arriving: float | None,
) -> None:
    """Note what a run found before its first row; a run of one tenant tells nothing of the table."""
    found = {"overdue": due, "arriving_per_day": arriving}
    values = {name: value for name, value in found.items() if value is not None}
    if run["tenant"] is not None or not values:
        return
    with writing(system.databases.control, CONTROL) as connection:
        _put(connection, run, policy.name, ALL, values)


def leftovers(
    counter: Counter,
    target: Target,
    *,
    expired: sa.ColumnElement[bool],
    due: sa.ColumnElement[bool],
    left: Mapping[str, int],
    tenant: Any,
) -> Leftovers:
    """Return what a run left past its time, by tenant and reason; it groups only what was counted."""
    if target.tenant_column is None:
        return {}
    by: list[sa.ColumnElement[Any]] = [target.tenant_column]
    unclocked = sa.and_(target.clock_column.is_(None), target.chosen(tenant))
    kept = sa.and_(expired, sa.func.coalesce(due, sa.false()).is_(sa.false()))
    found: dict[str, collections.Counter[str]] = {}
    for reason, which in {"due": due, "held": kept, "null_clock": unclocked}.items():
        # What is under a minimum period stays for as good a reason as what is held.
        some = left.get(reason) or (reason == "held" and left.get("kept"))
        groups = counter.groups(by, which) if some else ()
        for owner, rows in groups:
            found.setdefault(str(owner), collections.Counter())[reason] += rows
    largest = sorted(found, key=lambda owner: (-found[owner].total(), owner))
    return {owner: found[owner] for owner in largest[:MOST_TENANTS]}


def ended(
    run: Mapping[str, Any], *, cutoffs: Cutoffs, left: Mapping[str, int], by_tenant: Leftovers
) -> Callable[[sa.Connection], None]:
    """Return the function that writes a run's watermarks in the transaction of its end."""

    def write(connection: sa.Connection) -> None:
        whole = run["tenant"] is None
        own = {str(tenant): cutoff for tenant, cutoff in cutoffs.by_tenant.items()}
        if whole:
            stale = sa.delete(Watermark).where(
                Watermark.policy == run["policy"], Watermark.tenant.not_in([ALL, *own, *by_tenant])
            )
            connection.execute(stale)
            _mark(connection, run, ALL, cutoffs.earliest, left)
        for tenant in own.keys() | by_tenant.keys() if whole else [run["tenant"]]:
            reasons = by_tenant.get(tenant, {}) if whole else left
            _mark(connection, run, tenant, own.get(tenant, cutoffs.base), reasons)

    return write


def read(system: System, policy: str) -> list[dict[str, Any]]:
    """Return a policy's watermarks, that of all tenants first."""
    query = sa.select(table_of(Watermark)).where(Watermark.policy == policy).order_by(Watermark.tenant)
    with reading(system.databases.control, CONTROL) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def _mark(
    connection: sa.Connection,
    run: Mapping[str, Any],
    tenant: str,
    cutoff: dt.datetime,
    left: Mapping[str, int],
) -> None:
    due = left.get("due", 0)
    values: dict[str, Any] = {"remaining": {reason: rows for reason, rows in left.items() if rows}}
    values |= {"overdue": due}
    if not due:
        values["nothing_older_than"] = cutoff
    _put(connection, run, run["policy"], tenant, values)


def _put(
    connection: sa.Connection, run: Mapping[str, Any], policy: str, tenant: str, values: Mapping[str, Any]
) -> None:
    values = {
        **values,
        "datasource": run["datasource"],
        "table_name": run["table_name"],
        "run": run["id"],
        "measured_at": dialects.now(connection),
    }
    new = {**values, "policy": policy, "tenant": tenant}
    if not dialects.insert_missing(connection, table_of(Watermark), new):
        mine = (Watermark.policy == policy) & (Watermark.tenant == tenant)
        connection.execute(sa.update(Watermark).where(mine).values(**values))
