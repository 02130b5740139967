"""The account of a policy: rows gone by its journal, its log, its reports and the ledger."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.actions import Action
from aegis.audit.verification import sums
from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.db.journal import Journal
from aegis.db.tables import AuditLog, AuditPruned, Ledger, RelayMark, Run
from aegis.operations.states import FINAL
from aegis.operations.system import System

#: The action of rows that came back from an archive.
_RESTORE: Final = "restore"


@dataclass(frozen=True, kw_only=True)
class Account:
    """Figures that must agree; each comes from another table, rows of named cascades included."""

    policy: str
    #: Rows gone, summed over the journals of the policy's runs.
    journal: int
    #: Rows gone whose journal rows were lost with them: they came back when the source was restored.
    reverted: int
    #: Rows gone of old runs, by their reports: their journals were removed after the horizon.
    forgotten: int
    #: Rows gone, summed over the events of their batches in the audit log, and over those that it pruned.
    log: int
    #: Rows gone, summed over the reports of the runs that have ended.
    reports: int
    #: What is exported as `aegis_ledger_rows_total`.
    ledger: int
    #: Runs that have not ended.
    open_runs: int

    @property
    def balances(self) -> bool:
        """Whether all four agree and nothing is open."""
        gone = self.journal + self.reverted + self.forgotten
        return gone == self.log == self.reports == self.ledger and not self.open_runs


def account(system: System, policy: str) -> Account:
    """Add up a policy's account; relay first, or the log is behind by what waits in the journal."""
    with reading(system.databases.control, CONTROL) as connection:
        columns = (Run.id, Run.datasource, Run.state, Run.rows, Run.report, Run.finished_at)
        query = sa.select(*columns).where(Run.policy == policy)
        runs = connection.execute(query).all()
        # Rows that came back, from an archive or with a restored source, have lines of their own.
        mine = Ledger.policy == policy
        back = Ledger.action.startswith(sums.REVERTED, autoescape=True)
        total = sa.select(sa.func.sum(Ledger.rows))
        ledger = connection.scalar(total.where(mine, Ledger.action != _RESTORE, sa.not_(back)))
        reverted = connection.scalar(total.where(mine, back, Ledger.action != sums.REVERTED + _RESTORE))
        told = _told(connection, sums.BATCHES, [run.id for run in runs])
        pruned, pruned_back = _pruned(connection, policy)
        forgotten = _forgotten(system, connection, runs)
        came_back = _told(connection, (Action.RETENTION_RETURNED,), [run.id for run in forgotten])
    return Account(
        policy=policy,
        journal=sum(_journal(system, run.datasource, run.id) for run in runs if run not in forgotten),
        reverted=int(reverted or 0),
        # What came back of theirs is among `reverted`, where all of it is.
        forgotten=sum(map(_reported, forgotten)) - came_back - pruned_back,
        log=told + pruned,
        reports=sum(map(_reported, runs)),
        ledger=int(ledger or 0),
        open_runs=sum(run.state not in FINAL for run in runs),
    )


def _reported(run: sa.Row[Any]) -> int:
    """Return the rows that a run says are gone, those of named cascades included."""
    along: Mapping[str, int] = (run.report or {}).get("along", {})
    return int(run.rows or 0) + sum(along.values())


def _told(connection: sa.Connection, actions: Sequence[Action], runs: Sequence[str]) -> int:
    """Return the rows that the events of these runs tell of."""
    query = sa.select(AuditLog.entry).where(AuditLog.action.in_(actions), AuditLog.correlation_id.in_(runs))
    told = [events.details_of(entry) for entry in connection.scalars(query)]
    return sum(details["rows"] + sum(details["along"].values()) for details in told)


def _pruned(connection: sa.Connection, policy: str) -> tuple[int, int]:
    """Return the rows that pruned events told of: gone, and come back with a restored source."""
    query = sa.select(AuditPruned.action, AuditPruned.rows).where(AuditPruned.policy == policy)
    gone = back = 0
    for action, rows in connection.execute(query):
        # Restores are lines of their own, and are never pruned.
        if action.startswith(sums.REVERTED):
            back += int(rows)
        elif action != _RESTORE:
            gone += int(rows)
    return gone, back


def _forgotten(
    system: System, connection: sa.Connection, runs: Sequence[sa.Row[Any]]
) -> Sequence[sa.Row[Any]]:
    """Return the runs whose journals were removed: they ended before the horizon, and no mark is left."""
    marked = set(
        connection.scalars(sa.select(RelayMark.run).where(RelayMark.run.in_([run.id for run in runs])))
    )
    horizon = dialects.now(connection) - dt.timedelta(days=system.settings.operations.journal_days)
    return [
        run
        for run in runs
        if run.id not in marked and run.finished_at is not None and run.finished_at < horizon
    ]


def _journal(system: System, datasource: str, run: str) -> int:
    engine = system.databases.source(datasource)
    with reading(engine, f"data source {datasource}") as connection:
        journal = Journal(engine.dialect.name)
        return journal.rows_gone(connection, run) + journal.along(connection, run).total()
