"""Where one run stands: what its journal has, how fast it goes, and what is left."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aegis.db.engines import reading
from aegis.db.journal import Journal
from aegis.operations import runs
from aegis.operations.states import FINAL
from aegis.operations.system import System
from aegis.retention.tempo import tempo


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One run, as the control database and the journal have it at this moment."""

    #: The run's row.
    run: Mapping[str, Any]
    #: Rows changed so far, each committed.
    rows: int
    #: Batches that changed rows.
    batches: int
    #: None before the second batch.
    rows_per_second: float | None

    @property
    def remaining(self) -> int | None:
        """Rows that were counted and have not been reached; None before the count, and when it has ended."""
        expected = self.run["rows_expected"]
        if expected is None or self.run["state"] in FINAL:
            return None
        return max(0, int(expected) - self.rows)

    @property
    def remaining_seconds(self) -> float | None:
        """Seconds of work that are left at this pace."""
        if self.remaining is None or not self.rows_per_second:
            return None
        return self.remaining / self.rows_per_second


def standing(system: System, run_id: str) -> Standing:
    """Return where a run stands.

    A run that has ended long ago has no journal any more: its report has its rows.

    Raises:
        UnknownName: there is no such run.

    """
    run = runs.fetch(system, run_id)
    engine = system.databases.source(run["datasource"])
    journal = Journal(engine.dialect.name)
    with reading(engine, f"data source {run['datasource']}") as connection:
        gone, batches = journal.rows_gone(connection, run_id), journal.batches(connection, run_id)
        pace = tempo(connection, [run])
    return Standing(
        run=run,
        rows=gone if run["rows"] is None else int(run["rows"]),
        batches=batches,
        rows_per_second=None if pace is None else pace.rows_per_second,
    )
