"""Writing events: references and sealing first, then one insert in the caller's transaction."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit import actions, events
from aegis.audit.events import Event
from aegis.audit.keyring.keystore import KeyStore
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, Databases, writing
from aegis.db.tables import Actor, AuditLog, AuditPending


@dataclass(frozen=True, kw_only=True)
class Note:
    """What is to be recorded, before references and sealing."""

    action: str
    #: A person or a program; kept as a keyed reference only.
    actor: str
    target_type: str
    target_id: str
    outcome: str = actions.Outcome.SUCCESS
    details: Mapping[str, Any] = field(default_factory=dict)
    tenant: str | None = None
    correlation_id: str | None = None


class Recorder:
    """Turns notes into events and stores them."""

    def __init__(self, databases: Databases, keystore: KeyStore) -> None:
        self._databases = databases
        self._keystore = keystore
        self._known_actors: set[str] = set()

    def actor_ref(self, actor: str, connection: sa.Connection | None = None) -> str:
        """Return the keyed reference of an actor, whose name stays resolvable until erased.

        Args:
            actor: a person or a program.
            connection: the caller's open transaction of the control database; none: one of its own.

        """
        key = self._keystore.key("actor", actor)
        reference = key.reference(actor)
        if reference in self._known_actors:
            return reference
        sealed = key.seal(actor.encode("utf-8"), reference.encode())
        if connection is not None:
            # It may be rolled back, so that the next event has to look again.
            _put_actor(connection, reference, sealed)
            return reference
        with writing(self._databases.control, CONTROL) as own:
            _put_actor(own, reference, sealed)
        self._known_actors.add(reference)
        return reference

    def prepare(
        self, note: Note, moment: dt.datetime | None = None, connection: sa.Connection | None = None
    ) -> Event:
        """Build the final event; touches the key store and, for a new actor, the control database.

        Inside a transaction of the control database it needs that `connection`: on SQLite nobody else
        can write until it ends.

        Raises:
            UsageError: the details are too large or not plain data.

        """
        moment = moment or dt.datetime.now(dt.UTC)
        clear, hidden = actions.split(note.action, note.details)
        reference, key = note.target_id, None
        if note.target_type not in actions.CLEAR_TARGETS:
            owner = (note.tenant or "", note.target_type, note.target_id)
            key = self._keystore.key("subject", *owner)
            reference = key.reference(*owner)
        sealed, sealed_with = None, None
        if hidden:
            plain = events.canonical(hidden)
            year = str(moment.year)
            log = self._keystore.key("log", year)
            sealed = key.seal(plain) if key else log.seal(plain)
            sealed_with = reference if key else log.reference(year)
        return events.compose(
            action=note.action,
            outcome=note.outcome,
            actor_ref=self.actor_ref(note.actor, connection),
            target_type=note.target_type,
            target_ref=reference,
            moment=moment,
            clear=clear,
            tenant=note.tenant,
            correlation_id=note.correlation_id,
            sealed=sealed,
            sealed_with=sealed_with,
        )

    def record(self, note: Note) -> Event:
        """Record in a transaction of its own, committed on return."""
        event = self.prepare(note)
        with writing(self._databases.control, CONTROL) as connection:
            store(connection, event)
        return event


def store(connection: sa.Connection, *prepared: Event) -> None:
    """Insert events and their pending marks in the caller's transaction of the control database."""
    if not prepared:
        return
    if connection.dialect.name == dialects.POSTGRESQL:
        # One statement saves a round trip.
        connection.execute(_BOTH, [dict(vars(event)) for event in prepared])
        return
    connection.execute(sa.insert(AuditLog), [dict(vars(event)) for event in prepared])
    connection.execute(sa.insert(AuditPending), [{"id": event.id} for event in prepared])


def _both() -> sa.Insert:
    table = table_of(AuditLog)
    event = sa.insert(table).values(
        {column: sa.bindparam(column.name, type_=column.type) for column in table.c}
    )
    told = event.returning(table.c.id).cte("told")
    return sa.insert(AuditPending).from_select(["id"], sa.select(told.c.id))


_BOTH: Final = _both()


def _put_actor(connection: sa.Connection, reference: str, sealed: bytes) -> None:
    values = {"actor_ref": reference, "name_sealed": sealed, "created_at": dialects.now(connection)}
    dialects.insert_missing(connection, table_of(Actor), values)
