"""Whether a policy keeps up: what becomes due in a day beside what it lets go in a day."""

import collections
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import DataRetentionPolicy, Run, Watermark
from aegis.operations.states import PolicyState, State
from aegis.operations.system import System
from aegis.retention import policies, watermarks
from aegis.retention.capacity import rows_a_day
from aegis.retention.tempo import recent_runs, tempo


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """A policy's backlog; None is not known yet."""

    policy: DataRetentionPolicy
    #: Watermarks, that of all tenants first.
    marks: Sequence[Mapping[str, Any]]
    last_success: dt.datetime | None
    #: Rows a day, were it at work whenever it may.
    leaving_per_day: float | None

    @property
    def mark(self) -> Mapping[str, Any]:
        """The watermark of all tenants together; empty before the first run."""
        return next((mark for mark in self.marks if mark["tenant"] == watermarks.ALL), {})

    @property
    def overdue(self) -> int | None:
        """Rows that were due at the newest count."""
        return self.mark.get("overdue")

    @property
    def arriving_per_day(self) -> float | None:
        """Rows that become due in a day."""
        return self.mark.get("arriving_per_day")

    @property
    def never(self) -> bool:
        """Whether more becomes due than goes."""
        arriving, leaving = self.arriving_per_day, self.leaving_per_day
        return arriving is not None and leaving is not None and arriving > leaving

    @property
    def days_behind(self) -> float | None:
        """Days of work until nothing is overdue."""
        if not self.overdue or not self.leaving_per_day or self.never:
            return None
        return self.overdue / (self.leaving_per_day - (self.arriving_per_day or 0.0))

    def rates(self) -> dict[str, int | None]:
        """Return the two rates as the report of a run keeps them: whole rows."""
        found = {"arriving_per_day": self.arriving_per_day, "leaving_per_day": self.leaving_per_day}
        return {name: None if rate is None else round(rate) for name, rate in found.items()}

    def sentence(self) -> str:
        """Return what to expect, in one sentence."""
        if self.arriving_per_day is None or self.leaving_per_day is None:
            return "no forecast yet: a run has to be measured first"
        rates = (
            f"{self.arriving_per_day:,.0f} rows a day arrive, it deletes {self.leaving_per_day:,.0f} a day"
        )
        if self.never:
            return f"this policy will never catch up: {rates}"
        behind = f"; {self.days_behind:,.1f} days of work are left" if self.days_behind else ""
        return f"it keeps up: {rates} at most{behind}"


def forecast(system: System, policy: DataRetentionPolicy) -> Forecast:
    """Read a policy's stored numbers, and its runs' pace from the journal; no table is counted."""
    runs = recent_runs(system, policy)
    source = policy.datasource
    with reading(system.databases.source(source), f"data source {source}") as connection:
        pace, now = tempo(connection, runs), dialects.now(connection)
    return Forecast(
        policy=policy,
        marks=watermarks.read(system, policy.name),
        last_success=_last_success(system, policy.name),
        leaving_per_day=None if pace is None else rows_a_day(policies.definition_of(policy), pace, now),
    )


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What beat's endpoint says of a policy, from stored numbers alone."""

    policy: str
    datasource: str
    table: str
    overdue: int | None
    last_success: dt.datetime | None
    #: Rows that become due in a day, and rows that the policy can let go in one, as its last run found.
    arriving: int | None = None
    leaving: int | None = None
    #: Rows past their time that stay, by the reason, as its last run left them.
    staying: Mapping[str, int] = field(default_factory=dict)
    #: Runs that wait for a person because of a guard, by the guard.
    stopped: Mapping[str, int] = field(default_factory=dict)


def figures(system: System) -> list[Figures]:
    """Return the figures of every policy that may run."""
    policy, mark = DataRetentionPolicy, Watermark
    done = (
        sa.select(Run.policy, sa.func.max(Run.finished_at, type_=Run.finished_at.type).label("at"))
        .where(Run.state == State.DONE, Run.tenant.is_(None))
        .group_by(Run.policy)
        .subquery()
    )
    whole = sa.and_(mark.policy == policy.name, mark.tenant == watermarks.ALL)
    query = sa.select(
        policy.name,
        policy.datasource,
        policy.schema_name,
        policy.table_name,
        mark.overdue,
        mark.remaining,
        done.c.at,
    )
    query = query.outerjoin(mark, whole).outerjoin(done, done.c.policy == policy.name)
    query = query.where(policy.state.in_([PolicyState.APPROVED, PolicyState.PENDING]))
    last = sa.select(Run.policy, Run.report).join(
        done, sa.and_(done.c.policy == Run.policy, done.c.at == Run.finished_at)
    )
    stuck = sa.select(Run.policy, Run.report).where(Run.state == State.BLOCKED)
    with reading(system.databases.control, CONTROL) as connection:
        stopped = collections.Counter(
            (row.policy, row.report["guard"])
            for row in connection.execute(stuck)
            if "guard" in (row.report or {})
        )
        reports = {row.policy: row.report or {} for row in connection.execute(last)}
        return [
            Figures(
                policy=row.name,
                datasource=row.datasource,
                table=".".join(part for part in (row.schema_name, row.table_name) if part),
                overdue=row.overdue,
                last_success=row.at,
                arriving=reports.get(row.name, {}).get("arriving_per_day"),
                leaving=reports.get(row.name, {}).get("leaving_per_day"),
                staying={reason: rows for reason, rows in (row.remaining or {}).items() if reason != "due"},
                stopped={guard: runs for (name, guard), runs in stopped.items() if name == row.name},
            )
            for row in connection.execute(query.order_by(policy.name))
        ]


def _last_success(system: System, policy: str) -> dt.datetime | None:
    newest = sa.select(Run.finished_at).where(
        Run.policy == policy, Run.state == State.DONE, Run.tenant.is_(None)
    )
    with reading(system.databases.control, CONTROL) as connection:
        return connection.scalar(newest.order_by(Run.finished_at.desc()).limit(1))
