"""The tables of a data source: whether the database lets rows of them go at all."""

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa

from aegis.db import obstacles
from aegis.db.engines import reading
from aegis.doctor.findings import Finding, Found, fault, note, ok
from aegis.doctor.patient import Patient
from aegis.doctor.work import Work

_JOURNAL: Final = "aegis_journal"


def check_tables(patient: Patient, name: str) -> Found:
    """Check storage engines, the identity of published rows, and replication slots."""
    if patient.fresh:
        return
    label, work = f"tables of {name}", patient.work(name)
    with reading(patient.system.databases.source(name), f"data source {name}") as connection:
        found = [*_stored(connection, label, work), *_published(connection, label)]
        found += _kept_log(connection, label, patient.settings.throttle.slot_megabytes)
    yield from found
    if not found:
        yield ok(label, f"{len(work.tables)} are worked on; nothing keeps their rows from going")


def _stored(connection: sa.Connection, label: str, work: Work) -> Iterator[Finding]:
    for table, engine in obstacles.without_transactions(connection).items():
        text = f"table {table} is stored by {engine}, which has no transactions"
        cure = f"ALTER TABLE {table} ENGINE = InnoDB"
        if table in work.tables or table == _JOURNAL:
            yield fault(label, f"{text}: nothing of it is changed", cure)
        else:
            yield note(label, f"{text}: a policy on it would be refused", cure)


def _published(connection: sa.Connection, label: str) -> Iterator[Finding]:
    for table in obstacles.without_identity(connection):
        text = f"table {table} is published without a replica identity: no row of it can be changed or go"
        yield fault(label, text, f"give it a primary key, or ALTER TABLE {table} REPLICA IDENTITY FULL")


def _kept_log(connection: sa.Connection, label: str, most: float) -> Iterator[Finding]:
    for slot, megabytes in obstacles.idle_slots(connection).items():
        if most and megabytes > most:
            text = f"nobody reads from replication slot {slot}, which keeps {megabytes:,.0f} MB of log"
            yield fault(label, text, f"start its subscriber, or SELECT pg_drop_replication_slot('{slot}')")
