"""Archives of rows that went: list them, bring rows back, and attest backups."""

import datetime as dt
from collections.abc import Callable
from typing import Any

from aegis.arguments import door
from aegis.operations import archives
from aegis.operations.system import current
from aegis.retention import backups, expiry, restoring


def list_archives() -> list[dict[str, Any]]:
    """Return every archive, the newest first; `state` is open, complete or expired."""
    return archives.listing(current())


@door
def restore_archive(
    archive: str,
    *,
    actor: str = "system",
    dry_run: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Bring the rows of an archive back into their table, all of them or none.

    Args:
        archive: its id, which is the id of the run that wrote it.
        actor: who asks for it.
        dry_run: read and check everything, and change nothing.
        on_progress: is told after each part how many rows were dealt with, and how many there are.

    Returns:
        archive, policy, table, executed, rows, missing, parts, takers, tombstones, expires_at.

    Raises:
        ValueError: there is no such archive.
        aegis.errors.Refused: it has expired, the table changed, or the rows are there already.
        aegis.errors.Tampered: it is not what the audit log says was written.

    """
    execute = dry_run is False
    done = restoring.restore(current(), archive, actor=actor, execute=execute, on_progress=on_progress)
    return dict(vars(done))


def tend_archives() -> dict[str, str]:
    """Complete archives that a dead worker left open, and destroy those that have expired."""
    return expiry.tend(current())


@door
def attest_backup(datasource: str, moment: dt.datetime, *, actor: str) -> str:
    """Record that a backup of a data source was complete at an instant; return the event's id.

    Raises:
        ValueError: no such data source, or an instant without a zone or in the future.

    """
    return backups.attest(current(), datasource, moment, actor=actor)
