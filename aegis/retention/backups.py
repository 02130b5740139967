"""Attestations: a person's or a program's word that a backup of a data source was made.

The word stands in the audit log and nowhere else. A policy may require that it is young.
"""

import datetime as dt

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.actions import Action
from aegis.audit.recorder import Note
from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import AuditLog, DataRetentionPolicy
from aegis.errors import Refused, UsageError
from aegis.operations.system import System


def attest(system: System, datasource: str, moment: dt.datetime, *, actor: str) -> str:
    """Record that a backup of a data source was complete at an instant; return the event's id.

    Raises:
        UsageError: the instant has no zone, or is not past.

    """
    datasource = system.settings.source_name(datasource)
    if moment.tzinfo is None:
        message = "the time of a backup needs its zone, such as 2030-01-31T02:00:00+00:00"
        raise UsageError(message)
    if moment > _now(system):
        message = "the time of a backup lies in the future; nothing was recorded"
        raise UsageError(message)
    note = Note(
        action=Action.BACKUP_ATTEST,
        actor=actor,
        target_type="source",
        target_id=datasource,
        details={"datasource": datasource, "at": events.stamp(moment)},
    )
    return system.recorder.record(note).id


def newest(system: System, datasource: str, since: dt.datetime) -> dt.datetime | None:
    """Return the time of the newest backup after `since` that somebody attested; None when there is none."""
    # Nobody can attest a backup before it was made, so older events cannot speak of younger backups.
    query = sa.select(AuditLog.entry).where(
        AuditLog.action == Action.BACKUP_ATTEST, AuditLog.target_ref == datasource, AuditLog.time >= since
    )
    with reading(system.databases.control, CONTROL) as connection:
        entries = list(connection.scalars(query))
    moments = [dt.datetime.fromisoformat(events.details_of(entry)["at"]) for entry in entries]
    return max((moment for moment in moments if moment >= since), default=None)


def refuse_old(system: System, policy: DataRetentionPolicy, hours: int) -> None:
    """Refuse a run of a policy whose data source has no backup that is young enough.

    Raises:
        Refused: names the command that attests one.

    """
    if newest(system, policy.datasource, _now(system) - dt.timedelta(hours=hours)) is None:
        message = (
            f"policy {policy.name} requires a backup of data source {policy.datasource} that is younger than "
            f"{hours} hours, and nobody attested one. Make it, then: aegis retention attest-backup "
            f"--datasource {policy.datasource} --at TIME --actor YOU. Nothing was changed"
        )
        raise Refused(message)


def _now(system: System) -> dt.datetime:
    with reading(system.databases.control, CONTROL) as connection:
        return dialects.now(connection)
