"""What a policy would do with another period: counted beside today's, never registered."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from aegis.datamap.periods import parse_period
from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import DataRetentionPolicy
from aegis.errors import UsageError
from aegis.operations.system import System
from aegis.retention import policies
from aegis.retention.capacity import rows_a_day
from aegis.retention.looking import looks
from aegis.retention.preview import Preview
from aegis.retention.tempo import Tempo


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """Two answers from one snapshot."""

    today: Preview
    then: Preview
    #: When a run would be through that begins now and works whenever it may; None: nothing tells.
    finishes: dt.datetime | None

    @property
    def difference(self) -> int:
        """Rows that would go more than today; fewer when negative."""
        return self.then.rows - self.today.rows


def what_if(
    system: System,
    policy: DataRetentionPolicy,
    *,
    days: int | None = None,
    period: str | None = None,
    tenant: Any = None,
) -> WhatIf:
    """Count what a policy would do with other days, or another period; nothing is changed.

    Raises:
        UsageError: neither or both are given, or they cannot be meant.

    """
    if (days is None) == (period is None):
        message = f"policy {policy.name}: say what if with either --days or --period"
        raise UsageError(message)
    other = _with(policy, days=days, period=period)
    today, then = looks(system, [policy, other], tenant=tenant, in_full=True)
    with reading(system.databases.control, CONTROL) as connection:
        now = dialects.now(connection)
    return WhatIf(today=today, then=then, finishes=_finishes(policy, then, now))


def _with(policy: DataRetentionPolicy, *, days: int | None, period: str | None) -> DataRetentionPolicy:
    """Return the policy with another period, as it is never stored."""
    values = {column.name: getattr(policy, column.name) for column in policy.__table__.columns}
    if period is not None:
        days = parse_period(period).fewest_days
    values |= {"period": period, "retention_days": days}
    changed = DataRetentionPolicy(**values)
    policies.definition_of(changed).check()
    return changed


def _finishes(policy: DataRetentionPolicy, then: Preview, now: dt.datetime) -> dt.datetime | None:
    if then.estimate is None or then.estimate.seconds is None:
        return None
    if not then.rows or not then.estimate.seconds:
        return now
    pace = Tempo(rows_per_second=then.rows / then.estimate.seconds, runs=0)
    return now + dt.timedelta(days=then.rows / rows_a_day(policies.definition_of(policy), pace, now))
