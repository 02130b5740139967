"""The data sources: the database, its journal, and what the control database knows of it."""

from typing import Final

import sqlalchemy as sa

from aegis.audit.events import made
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading
from aegis.db.journal import HEADER, NIL, VERSION, Journal
from aegis.db.tables import Source
from aegis.doctor import servers
from aegis.doctor.findings import Found, fault, note, ok, span
from aegis.doctor.patient import Patient
from aegis.settings import masked

#: Journal rows that wait longer have nobody who relays them.
RELAY_SECONDS: Final = 300.0


def check_source(patient: Patient, name: str) -> Found:
    """Check that a data source answers, has a journal, and is the database that it was."""
    label, settings = f"data source {name}", patient.settings.sources[name]
    if patient.fresh and settings == patient.settings.control:
        yield note(label, "it is the control database, which is not made yet")
        return
    engine = patient.system.databases.source(name)
    journal = Journal(engine.dialect.name)
    with reading(engine, label) as connection:
        server = servers.ask(patient, label, connection)
        patient.answering.add(name)
        yield ok(label, f"{masked(settings.url)}: {server.label}")
        yield from servers.remarks(label, server)
        if not journal.exists(connection):
            yield fault(label, "it has no journal", f"aegis migrate --datasource {name}")
            return
        here = journal.source(connection)
        if here.version != VERSION:
            text = f"its journal has version {here.version}, expected {VERSION}"
            yield fault(label, text, f"aegis migrate --datasource {name}")
        yield from _check_waiting(label, connection, journal)
    yield from servers.pooler(label, engine)
    if patient.control_ready:
        yield from _check_identity(label, patient.system.databases.control, name, here.identity)


def _check_waiting(label: str, connection: sa.Connection, journal: Journal) -> Found:
    """Check that somebody moves the journal's rows into the log."""
    table = journal.table
    waits = table.c.relayed_at.is_(None) & (table.c.number > HEADER) & (table.c.run != NIL)
    count = int(connection.scalar(sa.select(sa.func.count()).select_from(table).where(waits)) or 0)
    oldest = connection.scalar(sa.select(table.c.event_id).where(waits).order_by(table.c.event_id).limit(1))
    age = (dialects.now(connection) - made(oldest)).total_seconds() if oldest else 0.0
    if age > RELAY_SECONDS:
        text = f"{count:,} journal rows are not in the log yet, the oldest since {span(age)}"
        yield fault(label, text, "start beat and a worker: aegis beat, aegis worker")
    else:
        yield ok(label, f"its journal is there; {count:,} rows of it wait for the log")


def _check_identity(label: str, control: sa.Engine, name: str, identity: str) -> Found:
    """Check a source against what the control database keeps of it; one never used is in order."""
    query = sa.select(table_of(Source)).where(Source.name == name)
    with reading(control, CONTROL) as connection:
        known = connection.execute(query).one_or_none()
    if known is None:
        return
    if known.identity != identity:
        text = f"it is another database than before (identity {identity}, expected {known.identity})"
        yield fault(label, text, "correct its URL, or give the new database a name of its own")
    if known.state != "ok":
        text = f"nothing runs on it, it is {known.state}: {known.reason}"
        how = f"aegis retention resume --datasource {name}" if known.state == "reverted" else "do not go on"
        yield fault(label, text, f"compare journal and log; then {how}")
