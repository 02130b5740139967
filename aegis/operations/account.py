"""The account of a policy: rows gone by its journal, its log, its reports and the ledger."""

from dataclasses import dataclass

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.actions import Action
from aegis.db.engines import reading
from aegis.db.journal import Journal
from aegis.db.tables import AuditLog, Ledger, Run
from aegis.operations.states import FINAL
from aegis.operations.system import System


@dataclass(frozen=True, kw_only=True)
class Account:
    """Figures that must agree; each comes from another table, rows of named cascades included."""

    policy: str
    #: Rows gone, summed over the journals of the policy's runs.
    journal: int
    #: Rows gone whose journal rows were lost with them: they came back when the source was restored.
    reverted: int
    #: Rows gone, summed over the events of their batches in the audit log.
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
        gone = self.journal + self.reverted
        return gone == self.log == self.reports == self.ledger and not self.open_runs


def account(system: System, policy: str) -> Account:
    """Add up a policy's account; relay first, or the log is behind by what waits in the journal."""
    with reading(system.databases.control, "control database") as connection:
        columns = (Run.id, Run.datasource, Run.state, Run.rows, Run.report)
        query = sa.select(*columns).where(Run.policy == policy)
        runs = connection.execute(query).all()
        # Rows that came back, from an archive or with a restored source, have lines of their own.
        mine = Ledger.policy == policy
        back = Ledger.action.startswith("reverted_", autoescape=True)
        total = sa.select(sa.func.sum(Ledger.rows))
        ledger = connection.scalar(total.where(mine, Ledger.action != "restore", sa.not_(back)))
        reverted = connection.scalar(total.where(mine, back, Ledger.action != "reverted_restore"))
        batches = sa.select(AuditLog.entry).where(
            AuditLog.action == Action.RETENTION_BATCH, AuditLog.correlation_id.in_([run.id for run in runs])
        )
        told = [events.details_of(entry) for entry in connection.scalars(batches)]
    return Account(
        policy=policy,
        journal=sum(_journal(system, run.datasource, run.id) for run in runs),
        reverted=int(reverted or 0),
        log=sum(details["rows"] + sum(details["along"].values()) for details in told),
        reports=sum(int(run.rows or 0) + sum((run.report or {}).get("along", {}).values()) for run in runs),
        ledger=int(ledger or 0),
        open_runs=sum(run.state not in FINAL for run in runs),
    )


def _journal(system: System, datasource: str, run: str) -> int:
    engine = system.databases.source(datasource)
    with reading(engine, f"data source {datasource}") as connection:
        journal = Journal(engine.dialect.name)
        return journal.rows_gone(connection, run) + journal.along(connection, run).total()
