"""Holds that somebody has to look at again, and sources that still have to hear of theirs.

A hold never lapses: when its review date has passed the rows stay, and the log, the doctor and
the list of holds say so until a person releases it.
"""

import logging

import sqlalchemy as sa

from aegis.audit.actions import Action, Outcome
from aegis.audit.recorder import Note, store
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading, writing
from aegis.db.tables import Hold
from aegis.errors import AegisError
from aegis.operations import holds
from aegis.operations.system import System

log = logging.getLogger(__name__)


def look_after(system: System) -> list[str]:
    """Put in force what waits for its source, and tell the log of review dates that have passed.

    Returns:
        The ids of the holds that are overdue since this call.

    """
    for name in _behind(system):
        try:
            holds.put_placed_in_force(system, name)
        except AegisError as error:
            log.warning("A hold waits for its source: %s", error, extra={"action": "hold_waits"})
    return [hold.id for hold in _overdue(system) if _tell(system, hold)]


def _behind(system: System) -> list[str]:
    """Return the configured sources that have not heard of a hold or of its release."""
    behind = Hold.state.in_([holds.PLACED, holds.RELEASING])
    with reading(system.databases.control, CONTROL) as connection:
        names = set(connection.scalars(sa.select(Hold.datasource).where(behind)))
    return sorted(names & set(system.settings.sources))


def _overdue(system: System) -> list[sa.Row[tuple[object, ...]]]:
    with reading(system.databases.control, CONTROL) as connection:
        today = dialects.now(connection).date()
        past = (Hold.review_by < today) & (Hold.state != holds.RELEASED) & Hold.overdue_at.is_(None)
        return list(connection.execute(sa.select(table_of(Hold)).where(past)))


def _tell(system: System, hold: sa.Row[tuple[object, ...]]) -> bool:
    """Record that a review date has passed, once."""
    details = {"datasource": hold.datasource, "table": hold.table_name, "policy": hold.policy}
    note = Note(
        action=Action.HOLD_OVERDUE,
        actor="system",
        target_type="hold",
        target_id=hold.id,
        outcome=Outcome.FAILURE,
        details=details | {"review_by": str(hold.review_by)},
    )
    event = system.recorder.prepare(note)
    with writing(system.databases.control, CONTROL) as connection:
        first = sa.update(Hold).where(Hold.id == hold.id, Hold.overdue_at.is_(None))
        told = connection.execute(first.values(overdue_at=dialects.now(connection))).rowcount == 1
        if told:
            store(connection, event)
    if told:
        log.warning(
            "The %s %s should have been reviewed by %s; it stays in force",
            hold.kind,
            hold.id,
            hold.review_by,
            extra={"action": "hold_overdue"},
        )
    return told
