"""Each policy by the clock: when it is due next, whether its window is open, and what it missed."""

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import DataRetentionPolicy
from aegis.operations.states import PolicyState
from aegis.operations.system import System
from aegis.retention import scheduling, windows
from aegis.retention.cron import next_instant


@dataclass(frozen=True, kw_only=True)
class Item:
    """One policy."""

    policy: str
    #: The first instant that nobody has begun; past: it is late. None: it runs by no clock.
    next_instant: dt.datetime | None
    #: Whether rows may be changed now.
    window_open: bool
    #: Instants that passed without a run, ever, of all its versions.
    missed: int


def agenda(system: System) -> list[Item]:
    """Return every policy that may run, or will when somebody approves it."""
    table = DataRetentionPolicy
    active = table.state.in_([PolicyState.APPROVED, PolicyState.PENDING])
    query = sa.select(table.name, table.windows, table.cron_zone).where(active)
    missed = sa.select(table.name, sa.func.sum(table.instants_missed)).group_by(table.name)
    with reading(system.databases.control, CONTROL) as connection:
        now = dialects.now(connection)
        counts = {name: int(count) for name, count in connection.execute(missed)}
        # Of an approved version and its successor that waits, the approved one is what runs: it comes last.
        rows = {row.name: row for row in connection.execute(query.order_by(table.name, table.state.desc()))}
    due = {
        policy.policy: next_instant(policy.cron, policy.zone, policy.since)
        for policy in scheduling.scheduled(system)
    }
    return [
        Item(
            policy=name,
            next_instant=due.get(name),
            window_open=windows.is_open(row.windows or (), row.cron_zone, now),
            missed=counts[name],
        )
        for name, row in rows.items()
    ]
