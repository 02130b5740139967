"""The witnesses of this log: added, removed, listed."""

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa

from aegis.audit.actions import Action
from aegis.audit.recorder import Note, Recorder, store
from aegis.audit.signing import SigningKeys
from aegis.audit.tlog import notes
from aegis.audit.tlog.notes import COSIGNATURE
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, Databases, reading, writing
from aegis.db.tables import AuditWitness
from aegis.errors import Conflict, UnknownName, UsageError


@dataclass(frozen=True, kw_only=True)
class Known:
    """A witness as the log knows it."""

    name: str
    vkey: str
    url: str
    #: The size of the newest checkpoint that it has cosigned.
    size: int
    cosigned_at: dt.datetime | None
    #: Since when it does not cosign, and why.
    failed_at: dt.datetime | None
    reason: str | None


class Witnesses:
    """The witnesses of one log."""

    def __init__(self, databases: Databases, recorder: Recorder, keys: SigningKeys) -> None:
        self._databases = databases
        self._recorder = recorder
        self._keys = keys

    def add(self, name: str, vkey: str, url: str, *, actor: str) -> None:
        """Show every checkpoint to a witness from now on, and name it in the policy.

        Raises:
            UsageError: the name, the key or the URL cannot be that of a witness.
            Conflict: a witness has this name already.

        """
        key = notes.verifier(vkey)
        if key.algorithm != COSIGNATURE or not notes.well_named(name) or name == "none":
            message = "expected the name of a witness, and its own key (a vkey of the kind 04)"
            raise UsageError(message)
        if not url.startswith(("https://", "http://")) or "@" in url.partition("//")[2].partition("/")[0]:
            message = "the URL of a witness begins with https:// and holds no password"
            raise UsageError(message)
        event = self._recorder.prepare(self._note(Action.WITNESS_ADD, name, vkey, actor))
        values = {"name": name, "vkey": key.vkey, "url": url, "size": 0}
        with writing(self._databases.control, CONTROL) as connection:
            if not dialects.insert_missing(connection, table_of(AuditWitness), values):
                message = f"there is a witness {name} already; remove it first"
                raise Conflict(message)
            store(connection, event)
        self._keys.publish()

    def remove(self, name: str, *, actor: str) -> None:
        """Show a witness nothing any more.

        Raises:
            UnknownName: no witness has this name.

        """
        vkey = next((known.vkey for known in self.listed() if known.name == name), "")
        event = self._recorder.prepare(self._note(Action.WITNESS_REMOVE, name, vkey, actor))
        with writing(self._databases.control, CONTROL) as connection:
            gone = connection.execute(sa.delete(AuditWitness).where(AuditWitness.name == name))
            if not gone.rowcount:
                message = f"there is no witness {name}; `aegis audit witness list` lists those there are"
                raise UnknownName(message)
            store(connection, event)
        self._keys.publish()

    def listed(self) -> list[Known]:
        """Return every witness by its name."""
        with reading(self._databases.control, CONTROL) as connection:
            rows = connection.execute(sa.select(table_of(AuditWitness)).order_by(AuditWitness.name))
            return [Known(**row) for row in rows.mappings()]

    def _note(self, action: Action, name: str, vkey: str, actor: str) -> Note:
        return Note(action=action, actor=actor, target_type="witness", target_id=name, details={"vkey": vkey})
