"""What a run may still do: while its window is open, and until its budget is spent.

Scheduled runs and those that a service asked for are held to the windows. A call of somebody's
own, who stands beside it, is not; its report says when it was outside.
"""

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import DataRetentionPolicy
from aegis.operations import runs
from aegis.operations.pace import aim_seconds
from aegis.operations.states import Wait, Waits
from aegis.operations.system import System
from aegis.retention.counting import count
from aegis.retention.target import Target
from aegis.retention.walkers import nth_key, up_to
from aegis.retention.windows import closes_at, opens_at

#: A batch is begun only when there is time for so many like the one before.
FITS_BATCHES: Final = 2
#: Origins of runs that nobody stands beside.
_UNATTENDED: Final = frozenset({"schedule", "task"})


@dataclass(kw_only=True)
class Allowance:
    """The rest of one run's window and budget, as this slice finds and spends it."""

    budget: Mapping[str, int]
    #: Rows and seconds of work that are left.
    rows: int | None
    seconds: float | None
    #: When the window closes, on this process's monotonic clock.
    closes: float | None = None
    #: What the report says about the window.
    note: str | None = None

    def fits(self, seconds: float) -> bool:
        """Whether another batch, like one that took so many seconds, ends before the window closes."""
        return self.closes is None or time.monotonic() + FITS_BATCHES * seconds < self.closes

    def worked(self, rows: int, seconds: float) -> None:
        """Take a batch off the budget."""
        if self.rows is not None:
            self.rows -= rows
        if self.seconds is not None:
            self.seconds -= seconds

    @property
    def spent(self) -> str | None:
        """Which budget is spent: rows or seconds."""
        if self.rows is not None and self.rows <= 0:
            return "rows"
        return "seconds" if self.seconds is not None and self.seconds <= 0 else None

    def told(self, left: int | None) -> dict[str, Any]:
        """Return what the report says of rows that are past their time and still there; None: not counted."""
        if self.spent is None:
            return {"arrived_late": left, "left": {}}
        return {"arrived_late": 0, "left": {} if left == 0 else {f"budget_{self.spent}": left}}

    def says(self, left: int | None) -> str | None:
        """Return what the run's reason says when it ends with so many rows left."""
        which = self.spent
        if not which or left == 0:
            return self.note
        rest = "what is" if left is None else f"{left:,} rows are"
        end = f"the budget of {self.budget[which]:,} {which} is spent: {rest} left for the next run"
        return f"{self.note}; {end}" if self.note else end


def allowed(system: System, policy: DataRetentionPolicy, run: Mapping[str, Any]) -> Allowance:
    """Return what the run may do in this slice.

    Raises:
        Waits: its window is closed, until the next opening.

    """
    budget = policy.budget or {}
    rows, seconds = budget.get("rows"), budget.get("seconds")
    worked = (run["tally"] or {}).get("worked_ms", 0) / 1000
    allowance = Allowance(
        budget=budget,
        rows=None if rows is None else rows - runs.rows_gone(system, run),
        seconds=None if seconds is None else seconds - worked,
    )
    if policy.windows:
        _heed_windows(system, policy, run, allowance)
    return allowance


def at_most(
    connection: sa.Connection, target: Target, where: sa.ColumnElement[bool], rows: int | None
) -> sa.ColumnElement[bool]:
    """Narrow a batch to so many rows, where it comes near; the whole predicate is kept."""
    if rows is None or 2 * count(connection, target, where) <= rows:
        return where
    if rows < 1:
        return sa.and_(where, sa.false())
    key: Sequence[sa.ColumnElement[Any]] = target.layout.key
    if connection.dialect.name == dialects.SQLITE:
        # As it is stored: KeyWalker says why.
        key = [sa.type_coerce(column, sa.types.NullType()) for column in key]
    # A value, no subquery: two statements of one batch must mean the same rows.
    last = nth_key(connection, key, where, rows)
    return where if last is None else sa.and_(where, up_to(key, last))


def _heed_windows(
    system: System, policy: DataRetentionPolicy, run: Mapping[str, Any], allowance: Allowance
) -> None:
    with reading(system.databases.control, CONTROL) as connection:
        now, here = dialects.now(connection), time.monotonic()
    opening = opens_at(policy.windows, policy.cron_zone, now)
    closing = closes_at(policy.windows, policy.cron_zone, opening)
    dialect = system.databases.source(policy.datasource).dialect.name
    batch = dt.timedelta(seconds=FITS_BATCHES * aim_seconds(system.settings.retention, dialect))
    if closing is not None and closing - now < batch:
        opening = opens_at(policy.windows, policy.cron_zone, closing)
    hours = f"{', '.join(policy.windows)} ({policy.cron_zone})"
    if run["origin"] not in _UNATTENDED:
        outside = f"outside its window {hours}: a call of one's own is not held to it"
        allowance.note = outside if opening > now else None
    elif opening > now:
        why = f"the window {hours} opens at {opening:%Y-%m-%d %H:%M:%S} UTC"
        raise Waits(Wait.WINDOW, why, seconds=(opening - now).total_seconds())
    elif closing is not None:
        allowance.closes = here + (closing - now).total_seconds()
