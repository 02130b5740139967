"""The audit log: it has a key, events get their leaves, and its witnesses agree."""

from typing import Final

import sqlalchemy as sa

from aegis.audit import head
from aegis.audit.witnesses import Known
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import AuditWitness
from aegis.doctor.findings import Found, Skipped, fault, note, ok
from aegis.doctor.patient import Patient

#: Seconds that an event may wait for its leaf; beat seals each second, and on a laptop it may not run.
PATIENCE: Final = 3_600.0
_NAME: Final = "audit log"


def check_log(patient: Patient) -> Found:
    """Check that the log is sealed, and that nobody objects to it."""
    if patient.fresh:
        return
    if not patient.control_ready:
        message = "cannot be read while the control database is not ready"
        raise Skipped(message)
    with reading(patient.system.databases.control, CONTROL) as connection:
        state, behind = head.begun(connection), head.backlog(connection)
        rows = connection.execute(sa.select(table_of(AuditWitness)).order_by(AuditWitness.name)).mappings()
        witnesses = [Known(**row) for row in rows]
    if state is None:
        cure = "aegis audit keys init, on the machine that is to seal it"
        yield fault(_NAME, "it has no signing key: events are recorded and nothing is sealed", cure)
        return
    if state.halted:
        cure = "find out why; after a restore that was meant: aegis audit recover --new-incarnation"
        yield fault(_NAME, state.halted, cure)
    if behind.oldest_seconds > PATIENCE:
        text = f"{behind.pending:,} events wait for their leaf, the oldest for {behind.oldest_seconds:,.0f} s"
        yield fault(_NAME, text, "start beat, and a worker for the queue `seal`; or aegis audit seal")
    for one in witnesses:
        if one.failed_at is not None:
            yield fault(_NAME, f"witness {one.name}: {one.reason}", "`aegis audit witness push` tries again")
    counted = f"{len(witnesses)} witness{'es' * (len(witnesses) > 1)}" if witnesses else "no witness"
    yield ok(_NAME, f"{behind.size:,} leaves, {behind.pending:,} events wait for theirs, {counted}")
    if not witnesses:
        text = "nobody else has seen its checkpoints: whoever holds its key could rewrite it unseen"
        yield note(_NAME, text, "aegis audit witness add NAME KEY URL --actor YOU")
