"""The servers behind the databases: versions, rights, poolers, clocks."""

import datetime as dt
from typing import Final

import sqlalchemy as sa

from aegis.db import dialects, facts
from aegis.db.engines import translated
from aegis.doctor.findings import Found, Skipped, fault, note, ok, span
from aegis.doctor.patient import Patient

#: Clocks may differ by so much: leases and instants are decided by more than one of them.
CLOCK_SECONDS: Final = 5.0


def ask(patient: Patient, label: str, connection: sa.Connection) -> facts.Server:
    """Ask a server what it is, and remember its time for the check of the clocks."""
    server = facts.read_server(connection)
    patient.offsets[label] = _offset(connection)
    return server


def remarks(label: str, server: facts.Server) -> Found:
    """Tell what is not as it should be with a server; nothing when all is well."""
    if not server.tested:
        text = f"{server.label} is not tested (PostgreSQL 15, MariaDB 10.11, SQLite 3.40 or newer is)"
        yield note(label, text)
    if server.read_only:
        text = "it can be read only: a replica, or the file's rights"
        yield fault(label, text, "name the primary's address")


def pooler(label: str, engine: sa.Engine) -> Found:
    """Tell of a pooler between Aegis and a server, and of what its mode does not let."""
    with translated(label, engine):
        mode = facts.pooler_mode(engine)
    if mode == "transaction":
        text = "a pooler in transaction mode stands in between: all works, but partitions are locked to go"
        yield note(label, text, "to have them detached without waiting, name the server's own address")
    elif mode == "session":
        yield ok(label, "a pooler stands in between, in session mode")


def check_clocks(patient: Patient) -> Found:
    """Check that this host and every database that was asked agree on the time."""
    if patient.fresh and not patient.offsets:
        return
    if not patient.offsets:
        message = "no database could be asked for its time"
        raise Skipped(message)
    clocks = {"this host": 0.0, **patient.offsets}
    first, last = min(clocks, key=clocks.__getitem__), max(clocks, key=clocks.__getitem__)
    spread = clocks[last] - clocks[first]
    if spread > CLOCK_SECONDS:
        text = f"{last} is {span(spread)} ahead of {first}"
        yield fault("clocks", text, "synchronize them (timedatectl set-ntp true)")
    else:
        yield ok("clocks", f"this host and its databases agree within {max(spread, 0.1):.1f} s")


def _offset(connection: sa.Connection) -> float:
    """Return how far the database's clock is ahead of this host's, in seconds."""
    before = dt.datetime.now(dt.UTC)
    there = dialects.now(connection)
    after = dt.datetime.now(dt.UTC)
    return (there - (before + (after - before) / 2)).total_seconds()
