"""All that is known of one run, for somebody who has to answer for it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.db.journal import Journal
from aegis.db.tables import DataRetentionPolicy
from aegis.errors import UnknownName, UsageError
from aegis.operations import approvals, archives, holds
from aegis.operations.approvals import Word
from aegis.operations.courses import Course, course_of
from aegis.operations.states import FINAL
from aegis.operations.system import System
from aegis.retention import guards, policies, purges, watermarks
from aegis.retention.standing import Standing, standing


@dataclass(frozen=True, kw_only=True)
class Dossier:
    """One run with everything around it."""

    read_at: dt.datetime
    standing: Standing
    policy: DataRetentionPolicy
    course: Course
    #: Rows gone by the journal in the data source, those that went along included; None: it was removed
    #: there, as it is for every run when its horizon has passed.
    journal: int | None
    #: Whether batches stand in the journal that the log does not have yet.
    unrelayed: bool
    approvals: Sequence[Word]
    #: Approvals of this one run, after a guard had stopped it.
    lifted: Sequence[Word]
    #: Holds and stops that could cover its rows while it was at work; what they are about is not told.
    holds: Sequence[Mapping[str, Any]]
    archive: Mapping[str, Any] | None
    purge: Mapping[str, Any] | None
    #: Tenant → reason → rows that are past their time and still there, where this run was the newest.
    left: Mapping[str, Mapping[str, int]]

    @property
    def reported(self) -> int | None:
        """Rows gone by the run's own report, those that went along included; None before its end."""
        run = self.standing.run
        if run["rows"] is None:
            return None
        along: Mapping[str, int] = (run["report"] or {}).get("along") or {}
        return int(run["rows"]) + sum(along.values())

    @property
    def balances(self) -> bool | None:
        """Whether journal, log and report agree; None: not yet, or not any more, to be told."""
        if self.standing.run["state"] not in FINAL or self.reported is None:
            return None
        figures = {self.course.gone, self.reported}
        if self.journal is not None:
            figures.add(self.journal + self.course.returned)
        agree = len(figures) == 1
        return None if not agree and (self.unrelayed or self.course.pruned) else agree


def dossier(system: System, run_id: str) -> Dossier:
    """Gather what is known of a run; no table of the application is read.

    Raises:
        UnknownName: there is no such run.
        UsageError: it is an erasure, which has a receipt of its own.

    """
    now = standing(system, run_id)
    run = now.run
    if run["policy_id"] is None:
        message = f"run {run_id} is an erasure, not of a policy: `aegis erasure receipt` tells what it did"
        raise UsageError(message)
    policy = policies.by_id(system, run["policy_id"])
    with reading(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
    gone, unrelayed = _journal(system, run, moment)
    return Dossier(
        read_at=moment,
        standing=now,
        policy=policy,
        course=course_of(system, run),
        journal=gone,
        unrelayed=unrelayed,
        approvals=approvals.words(system, policies.subject_of(policy)),
        lifted=approvals.words(system, guards.subject_of(run, policy)),
        holds=_holds(system, run, moment),
        archive=next(iter(archives.listing(system, run=run_id)), None),
        purge=_purge(system, run_id),
        left={
            mark["tenant"]: mark["remaining"] or {}
            for mark in watermarks.read(system, policy.name)
            if mark["run"] == run_id
        },
    )


def _journal(system: System, run: Mapping[str, Any], moment: dt.datetime) -> tuple[int | None, bool]:
    engine = system.databases.source(run["datasource"])
    journal = Journal(engine.dialect.name)
    with reading(engine, f"data source {run['datasource']}") as connection:
        gone = journal.rows_gone(connection, run["id"]) + journal.along(connection, run["id"]).total()
        waits = bool(journal.waiting_of(connection, [run["id"]]))
    horizon = moment - dt.timedelta(days=system.settings.operations.journal_days)
    removed = not gone and run["finished_at"] is not None and run["finished_at"] < horizon
    return (None if removed else gone), waits


def _holds(system: System, run: Mapping[str, Any], moment: dt.datetime) -> list[dict[str, Any]]:
    """Return the holds that were in force at any time between the run's begin and its end."""
    found = holds.touching(
        system,
        datasource=run["datasource"],
        policy=run["policy"],
        table=run["table_name"],
        everything=True,
    )
    begin, end = run["started_at"] or run["created_at"], run["finished_at"] or moment
    return [
        hold
        for hold in found
        if hold["placed_at"] <= end and (hold["released_at"] is None or hold["released_at"] >= begin)
    ]


def _purge(system: System, run_id: str) -> Mapping[str, Any] | None:
    try:
        return purges.fetch(system, run_id)
    except UnknownName:
        return None
