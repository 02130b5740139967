"""Removing journal rows that the log has had for longer than the backup horizon."""

import datetime as dt
from typing import Final

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.engines import CONTROL, reading, writing
from aegis.db.journal import Journal
from aegis.db.tables import RelayMark, Run
from aegis.operations.states import FINAL
from aegis.operations.system import System

#: Runs in one call, so that none takes long.
PORTION: Final = 100


def prune(system: System, datasource: str) -> int:
    """Remove the rows of old finished runs of one source, and their relay marks; return how many."""
    runs = _old_runs(system, datasource)
    if not runs:
        return 0
    engine = system.databases.source(datasource)
    journal = Journal(engine.dialect.name)
    with writing(engine, f"data source {datasource}") as connection:
        done = sorted(set(runs) - journal.waiting_of(connection, runs))
        removed = journal.forget(connection, done)
    with writing(system.databases.control, CONTROL) as connection:
        marks = sa.delete(RelayMark).where(RelayMark.datasource == datasource, RelayMark.run.in_(done))
        connection.execute(marks)
    return removed


def _old_runs(system: System, datasource: str) -> list[str]:
    with reading(system.databases.control, CONTROL) as connection:
        horizon = dialects.now(connection) - dt.timedelta(days=system.settings.operations.journal_days)
        old = sa.select(Run.id).join(RelayMark, RelayMark.run == Run.id)
        old = old.where(Run.datasource == datasource, Run.state.in_(sorted(FINAL)), Run.finished_at < horizon)
        return list(connection.scalars(old.distinct().limit(PORTION)))
