"""Aegis's own databases: the control database and the key store."""

import socket
from collections.abc import Generator
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from aegis.db import facts
from aegis.db.engines import CONTROL, reading
from aegis.db.keystore import Epoch
from aegis.db.schema import Store
from aegis.db.tables import Run
from aegis.doctor import servers
from aegis.doctor.findings import Finding, Found, fault, note, ok
from aegis.doctor.patient import Patient
from aegis.settings import SourceSettings, masked

KEY_STORE: Final = "key store"


def check_control(patient: Patient) -> Found:
    """Check the control database, and that one host alone uses it where it is a file."""
    where = patient.settings.control
    patient.control_ready = yield from _check_store(patient, "control", CONTROL, where)
    if patient.control_ready and facts.sqlite_file(where.url) is not None:
        yield from _check_hosts(patient.system.databases.control)


def check_keystore(patient: Patient) -> Found:
    """Check the key store, and that its epochs and the key files belong together."""
    where = patient.settings.keys
    if not (yield from _check_store(patient, "keys", KEY_STORE, where)):
        return
    yield from _check_epochs(patient)
    if where.url == patient.settings.control.url:
        text = "it stands in the control database: one backup holds the log and its keys"
        yield note(KEY_STORE, text, "give it a database of its own: AEGIS_KEYS_URL")


def _check_store(
    patient: Patient, store: Store, label: str, where: SourceSettings
) -> Generator[Finding, None, bool]:
    """Check what both have in common; return whether the store can be used."""
    path = facts.sqlite_file(where.url)
    if path is not None:
        if not path.exists():
            yield _not_made(patient, label, where)
            return False
        yield from _check_file(label, path)
    databases = patient.system.databases
    engine = databases.control if store == "control" else databases.keys
    with reading(engine, label) as connection:
        server = servers.ask(patient, label, connection)
    revision = patient.system.migrations.revision(store)
    if not revision.current:
        found = revision.found or "no tables of Aegis"
        text = f"{masked(where.url)}: found {found}, expected revision {revision.wanted}"
        yield fault(label, text, "aegis migrate")
        return False
    yield ok(label, f"{masked(where.url)}: {server.label}, revision {revision.wanted}")
    yield from servers.remarks(label, server)
    yield from servers.pooler(label, engine)
    return True


def _not_made(patient: Patient, label: str, where: SourceSettings) -> Finding:
    if patient.fresh:
        return note(label, "not made yet; the first command that needs it makes it")
    return fault(label, f"{masked(where.url)} does not exist", "aegis migrate")


def _check_file(label: str, path: Path) -> Found:
    kind = facts.remote_file_system(path)
    if kind:
        text = f"{path} is on a network file system ({kind}), where SQLite's locks cannot be relied on"
        yield fault(label, text, "move it to a local disk, or use PostgreSQL: AEGIS_DATABASE_URL")


def _check_hosts(control: sa.Engine) -> Found:
    query = sa.select(Run.lease_owner).where(Run.lease_owner.is_not(None)).distinct()
    with reading(control, CONTROL) as connection:
        owners = {str(owner).partition("/")[0] for owner in connection.scalars(query)}
    others = sorted(owners - {socket.gethostname()})
    if others:
        text = f"an SQLite file serves one host, but runs are also claimed from {', '.join(others)}"
        yield fault(CONTROL, text, "use PostgreSQL for it: AEGIS_DATABASE_URL")


def _check_epochs(patient: Patient) -> Found:
    query = sa.select(Epoch.number, Epoch.key_id).where(Epoch.destroyed_at.is_(None))
    with reading(patient.system.databases.keys, KEY_STORE) as connection:
        epochs = connection.execute(query).all()
    if not epochs:
        yield fault(KEY_STORE, "it has no epoch yet", "aegis migrate")
    for epoch in epochs:
        held = patient.system.key_files.epoch(epoch.number).key_id
        if held != epoch.key_id:
            text = f"epoch {epoch.number} was wrapped with key {epoch.key_id}, the file is {held}"
            yield fault(KEY_STORE, text, "restore the epoch key that belongs to this key store")
