"""The doors to the last stage of a run: whether its rows are gone from the files too."""

from collections.abc import Mapping
from typing import Any

from aegis.arguments import door
from aegis.operations.system import current
from aegis.retention import purges


def retention_purges(limit: int = 20) -> list[Mapping[str, Any]]:
    """Return whether the rows of the newest runs are gone from the files too; open ones first."""
    return purges.recent(current(), limit)


@door
def purge_run(run: str, *, execute: bool = False) -> Mapping[str, Any]:
    """Look whether a run's rows are gone from the files too.

    Args:
        run: its id.
        execute: vacuum the tables first (PostgreSQL), or empty the write-ahead log (SQLite).

    Raises:
        ValueError: the run has nothing to purge.
        aegis.errors.Refused: the server would not vacuum, or only a rebuild helps.

    """
    system = current()
    return purges.execute(system, run) if execute else purges.look(system, purges.fetch(system, run))


def look_after_purges() -> int:
    """Look at the runs whose rows may still be in the files; return how many are gone by now."""
    return purges.look_after(current())
