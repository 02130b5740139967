"""The part of the audit log that evidence rests on: all leaves of a span, or single proofs."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit import proving
from aegis.audit.exports import batches
from aegis.audit.exports.formats import jsonl
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import AuditLeaf, AuditLog, AuditPending
from aegis.errors import NotPrepared, Refused
from aegis.operations.system import System

#: Events that are proved one by one; more of them are proved together, by their span.
MOST_PROOFS: Final = 2_000


@dataclass(frozen=True, kw_only=True)
class Span:
    """Leaves side by side."""

    first: int
    last: int
    #: Events of that time that have no leaf yet.
    waiting: int


def span(system: System, start: dt.datetime, end: dt.datetime) -> Span | None:
    """Return the leaves from the first to the last event of a time; None where there is none.

    Events of other times can stand between them: nothing between two leaves is left out.
    """
    mine = sa.and_(AuditLog.time >= start, AuditLog.time < end)
    leaves = sa.select(sa.func.min(AuditLeaf.leaf), sa.func.max(AuditLeaf.leaf))
    leaves = leaves.join(AuditLog, AuditLog.id == AuditLeaf.id).where(mine)
    pending = sa.select(sa.func.count()).select_from(AuditPending)
    pending = pending.join(AuditLog, AuditLog.id == AuditPending.id).where(mine)
    with reading(system.databases.control, CONTROL) as connection:
        first, last = connection.execute(leaves).one()
        waiting = int(connection.scalar(pending) or 0)
    return None if first is None else Span(first=first, last=last, waiting=waiting)


def write_span(system: System, found: Span, path: Path) -> int:
    """Write the leaves of a span as lines that prove themselves; return how many events there are.

    Raises:
        aegis.errors.Tampered: the log is not what was sealed.

    """
    log, events = batches.newest(system.databases), 0
    with path.open("wb") as file:
        for batch in log.batches(found.first, found.last + 1) if log else ():
            file.writelines(line + b"\n" for line in jsonl.lines(batch))
            events += len(batch.leaves)
    return events


def write_proofs(system: System, events: Sequence[str], folder: Path) -> None:
    """Write a proof for each event.

    Raises:
        Refused: they are too many to be proved one by one.

    """
    if len(events) > MOST_PROOFS:
        message = (
            f"{len(events):,} events belong to it, more than the {MOST_PROOFS:,} that are proved one by one: "
            "ask for the days that they fell on, with --from and --to"
        )
        raise Refused(message)
    folder.mkdir()
    for event in events:
        (folder / f"{event}.tlog-proof").write_text(str(proving.prove(system.databases, event)), "utf-8")


def keys(system: System) -> list[dict[str, Any]]:
    """Return the public keys that sign the log, or did.

    Raises:
        NotPrepared: it has none: nothing in it was ever signed.

    """
    found = system.signing_keys.listed()
    if not found:
        message = "the audit log has no signing key yet, so nothing can be proved: `aegis audit keys init`"
        raise NotPrepared(message)
    return [{"vkey": key.verifier.vkey, "retired_size": key.retired_size} for key in found]
