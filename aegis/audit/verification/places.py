"""Every event has exactly one place: a leaf, or a mark that it waits for one."""

from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.verification.findings import MOST, Findings, Kind, Said
from aegis.db.columns import table_of
from aegis.db.tables import AuditLeaf, AuditLog, AuditPending

#: Events that are listed, one more than are named, so that it is seen that there are more.
_LISTED: Final = MOST + 1


def check(connection: sa.Connection, size: int, missing: int | None, findings: Findings) -> None:
    """Name events without a place, or with two, and places without an event.

    Args:
        connection: of the control database, in a snapshot.
        size: leaves of the tree.
        missing: leaves whose event is gone, where all of them were looked at.
        findings: takes what is found.

    """
    waiting = _check_marks(connection, findings)
    _check_beyond(connection, size, findings)
    unique = _unique(connection)
    if not unique:
        _check_unique(connection, findings)
    # To count them is quick, and tells enough where every leaf is of an event of its own.
    if not unique or missing is None or _strays(connection, waiting - missing):
        _name_strays(connection, findings)


def _check_marks(connection: sa.Connection, findings: Findings) -> int:
    """Check the marks of waiting events; return how many events really wait."""
    log, leaves, pending = table_of(AuditLog), table_of(AuditLeaf), table_of(AuditPending)
    both = pending.outerjoin(log, log.c.id == pending.c.id).outerjoin(leaves, leaves.c.id == pending.c.id)
    marks = sa.select(pending.c.id, leaves.c.leaf).select_from(both)
    for row in connection.execute(marks.where(log.c.id.is_(None)).limit(_LISTED)):
        findings.add(Kind.MISSING, event=row.id, expected=Said(text="the event of a pending mark"), got=None)
    for row in connection.execute(marks.where(leaves.c.leaf.is_not(None)).limit(_LISTED)):
        expected, got = Said(text="a leaf or a pending mark"), Said(text="both")
        findings.add(Kind.PENDING, leaf=row.leaf, event=row.id, expected=expected, got=got)
    waits = log.c.id.is_not(None) & leaves.c.leaf.is_(None)
    return _count(connection, sa.select(sa.func.count()).select_from(both).where(waits))


def _strays(connection: sa.Connection, beside: int) -> bool:
    """Say whether there are other events than those of the leaves and so many beside them."""
    events = _count(connection, sa.select(sa.func.count()).select_from(AuditLog))
    leaves = _count(connection, sa.select(sa.func.count()).select_from(AuditLeaf))
    return events != leaves + beside


def _name_strays(connection: sa.Connection, findings: Findings) -> None:
    placed = sa.exists().where(AuditLeaf.id == AuditLog.id)
    waits = sa.exists().where(AuditPending.id == AuditLog.id)
    query = sa.select(AuditLog.id).where(~placed, ~waits).limit(_LISTED)
    for event in connection.scalars(query):
        findings.add(Kind.STRAY, event=event, expected=Said(text="a leaf or a pending mark"), got=None)


def _check_beyond(connection: sa.Connection, size: int, findings: Findings) -> None:
    outside = (AuditLeaf.leaf >= size) | (AuditLeaf.leaf < 0)
    query = sa.select(AuditLeaf.leaf, AuditLeaf.id).where(outside).order_by(AuditLeaf.leaf).limit(_LISTED)
    for row in connection.execute(query):
        expected, got = Said(text=f"no leaf beyond a tree of {size}"), Said(text="an event")
        findings.add(Kind.LEAF, leaf=row.leaf, event=row.id, expected=expected, got=got)


def _unique(connection: sa.Connection) -> bool:
    """Say whether the database itself keeps an event from having several leaves."""
    table, look = table_of(AuditLeaf), sa.inspect(connection)
    constraints = look.get_unique_constraints(table.name)
    indexes = [found for found in look.get_indexes(table.name) if found["unique"]]
    return any(found["column_names"] == [table.c.id.name] for found in (*constraints, *indexes))


def _check_unique(connection: sa.Connection, findings: Findings) -> None:
    """Name events with several leaves."""
    table = table_of(AuditLeaf)
    several = sa.select(table.c.id, sa.func.min(table.c.leaf).label("leaf"), sa.func.count().label("leaves"))
    query = several.group_by(table.c.id).having(sa.func.count() > 1).limit(_LISTED)
    for row in connection.execute(query):
        expected = Said(text="one leaf")
        findings.add(Kind.LEAF, leaf=row.leaf, event=row.id, expected=expected, got=int(row.leaves))


def _count(connection: sa.Connection, query: sa.Select[Any]) -> int:
    return int(connection.scalar(query) or 0)
