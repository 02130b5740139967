"""Making a proof: an event's entry, its audit path, and the newest checkpoint."""

import sqlalchemy as sa

from aegis.audit import head, proofs
from aegis.audit.proofs import Proof
from aegis.audit.tlog import merkle, notes
from aegis.db.engines import CONTROL, Databases, snapshot
from aegis.db.tables import AuditLeaf, AuditLog, AuditPending
from aegis.errors import Busy, UnknownName


def prove(databases: Databases, event_id: str) -> Proof:
    """Return the proof that an event stands in the log.

    Raises:
        Busy: it has no leaf yet.
        UnknownName: there is no such event, or its entry was pruned.

    """
    with snapshot(databases.control, CONTROL) as connection:
        query = sa.select(AuditLeaf.leaf, AuditLog.entry).join(AuditLog, AuditLog.id == AuditLeaf.id)
        found = connection.execute(query.where(AuditLeaf.id == event_id)).one_or_none()
        note = head.newest(connection)
        if found is None or note is None:
            raise _missing(connection, event_id)
        size = notes.checkpoint(note).size
        path = merkle.inclusion(found.leaf, size, head.node_of(connection))
    return Proof(extra=proofs.about(found.entry), index=found.leaf, path=tuple(path), note=note)


def _missing(connection: sa.Connection, event_id: str) -> Exception:
    waits = connection.scalar(sa.select(AuditPending.id).where(AuditPending.id == event_id))
    if waits:
        return Busy(f"event {event_id} has no place in the log yet; seal first: `aegis audit seal`")
    return UnknownName(f"there is no event {event_id} in the log; events that were pruned cannot be proved")
