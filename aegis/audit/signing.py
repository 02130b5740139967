"""The keys that sign checkpoints: made, rotated by overlap, retired at a size, known for ever.

Each change is a leaf of the log itself, so that a checkpoint that a trusted key signed also tells
which keys were good for which sizes before it.
"""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from aegis.audit import head
from aegis.audit.actions import Action
from aegis.audit.published import Published
from aegis.audit.recorder import Note, Recorder, store
from aegis.audit.tlog import notes
from aegis.audit.tlog.notes import FileSigner, Verifier
from aegis.audit.tlog.trust import NONE, Group, Policy, Witness
from aegis.db import dialects
from aegis.db.engines import CONTROL, Databases, reading, writing
from aegis.db.tables import AuditKey, AuditWitness
from aegis.errors import Conflict, NotPrepared, Refused, Tampered, UnknownName, UsageError
from aegis.keys import KeyFiles

#: Of several witnesses one is enough: the others may be down.
_QUORUM: Final = "witnesses"


@dataclass(frozen=True, kw_only=True)
class Key:
    """A signing key's public side."""

    verifier: Verifier
    number: int
    #: The size of the last tree that it may have signed; None while it signs.
    retired_size: int | None


class SigningKeys:
    """The signing keys of one log."""

    def __init__(
        self, databases: Databases, files: KeyFiles, recorder: Recorder, published: Published
    ) -> None:
        self._databases = databases
        self._files = files
        self._recorder = recorder
        self._published = published

    def begin(self, origin: str, *, actor: str) -> Key:
        """Make the first key, and with it the log.

        Args:
            origin: the log's name: like a URL without its scheme, and for ever.
            actor: who does it.

        Raises:
            Conflict: the log has a key already.

        """
        _check_origin(origin)
        signer = FileSigner(name=origin, seed=self._files.make("audit", 1).material)
        event = self._recorder.prepare(note_of(Action.KEY_ADD, signer.verifier, actor))
        with writing(self._databases.control, CONTROL) as connection:
            if not head.begin(connection, origin):
                message = "the audit log has a signing key already; `aegis audit keys rotate` adds another"
                raise Conflict(message)
            self._insert(connection, signer.verifier, 1)
            store(connection, event)
        self.publish()
        return Key(verifier=signer.verifier, number=1, retired_size=None)

    def rotate(self, *, actor: str) -> Key:
        """Add a key; from now on checkpoints carry its signature beside the others'."""
        with reading(self._databases.control, CONTROL) as connection:
            origin = head.state(connection).origin
            number = max(key.number for key in keys(connection)) + 1
        signer = FileSigner(name=origin, seed=self._files.make("audit", number).material)
        event = self._recorder.prepare(note_of(Action.KEY_ADD, signer.verifier, actor))
        with writing(self._databases.control, CONTROL) as connection:
            head.state(connection, lock=True)
            if any(key.verifier == signer.verifier for key in keys(connection)):
                message = f"somebody else is adding the key {number}; look with `aegis audit keys list`"
                raise Conflict(message)
            self._insert(connection, signer.verifier, number)
            store(connection, event)
        self.publish()
        return Key(verifier=signer.verifier, number=number, retired_size=None)

    def retire(self, key_id: str, *, actor: str, lost: bool = False) -> Key:
        """End a key: it signs no tree beyond the present one, and its private half is removed.

        Args:
            key_id: its eight hexadecimal digits.
            actor: who does it.
            lost: its file is gone or in other hands; recorded.

        Raises:
            UnknownName: no key that signs has this id.
            Refused: it is the only one.

        """
        while True:
            with reading(self._databases.control, CONTROL) as connection:
                found, size = self._active(connection, key_id), head.state(connection).size
            details = {"last_size": size, "lost": int(lost)}
            event = self._recorder.prepare(note_of(Action.KEY_RETIRE, found.verifier, actor, **details))
            with writing(self._databases.control, CONTROL) as connection:
                # Somebody may have sealed in between; then the size in the event is not the last one.
                if head.state(connection, lock=True).size == size:
                    self._active(connection, key_id)
                    mark = sa.update(AuditKey).where(AuditKey.vkey == found.verifier.vkey)
                    connection.execute(mark.values(retired_size=size))
                    store(connection, event)
                    break
        self._files.remove("audit", found.number)
        self.publish()
        return Key(verifier=found.verifier, number=found.number, retired_size=size)

    def listed(self) -> list[Key]:
        """Return every key there ever was, the oldest first."""
        with reading(self._databases.control, CONTROL) as connection:
            return keys(connection)

    def signers(self, connection: sa.Connection, origin: str) -> list[FileSigner]:
        """Return the private halves of the keys that sign.

        Raises:
            NotPrepared: one of them is not here.
            Tampered: a file is not the key that the log knows.

        """
        found = []
        for key in keys(connection):
            if key.retired_size is None:
                signer = FileSigner(name=origin, seed=self._files.audit(key.number).material)
                if signer.verifier != key.verifier:
                    message = (
                        f"audit-{key.number}.key is not the key {key.verifier.key_id.hex()} that the log "
                        "knows: restore the right file, or `aegis audit keys retire --lost` it"
                    )
                    raise Tampered(message)
                found.append(signer)
        if not found:
            message = "no key signs this log; run `aegis audit keys rotate`"
            raise NotPrepared(message)
        return found

    def policy(self) -> Policy:
        """Return whom to trust, as the control database has it."""
        with reading(self._databases.control, CONTROL) as connection:
            known = keys(connection)
            rows = connection.execute(
                sa.select(AuditWitness.name, AuditWitness.vkey, AuditWitness.url).order_by(AuditWitness.name)
            ).all()
        witnesses = tuple(Witness(name=row.name, key=notes.verifier(row.vkey), url=row.url) for row in rows)
        names = tuple(witness.name for witness in witnesses)
        return Policy(
            logs=tuple(key.verifier for key in known if key.retired_size is None),
            retired={key.verifier: key.retired_size for key in known if key.retired_size is not None},
            witnesses=witnesses,
            groups=(Group(name=_QUORUM, needed=1, members=names),) if names else (),
            quorum=_QUORUM if names else NONE,
        )

    def publish(self) -> None:
        """Write the policy where verifiers look."""
        self._published.put_policy(self.policy())

    def _active(self, connection: sa.Connection, key_id: str) -> Key:
        active = [key for key in keys(connection) if key.retired_size is None]
        found = [key for key in active if key.verifier.key_id.hex() == key_id]
        if not found:
            known = ", ".join(key.verifier.key_id.hex() for key in active)
            message = f"no key that signs has the id {key_id!r}; these do: {known}"
            raise UnknownName(message)
        if len(active) == 1:
            message = (
                f"{key_id} is the only key that signs: nothing could be sealed without it. "
                "Add another first: `aegis audit keys rotate`"
            )
            raise Refused(message)
        return found[0]

    def _insert(self, connection: sa.Connection, verifier: Verifier, number: int) -> None:
        moment = dialects.now(connection)
        connection.execute(sa.insert(AuditKey).values(vkey=verifier.vkey, number=number, added_at=moment))


def keys(connection: sa.Connection) -> list[Key]:
    """Return every signing key, the oldest first."""
    query = sa.select(AuditKey.vkey, AuditKey.number, AuditKey.retired_size)
    rows = connection.execute(query.order_by(AuditKey.added_at, AuditKey.vkey))
    return [
        Key(verifier=notes.verifier(row.vkey), number=row.number, retired_size=row.retired_size)
        for row in rows
    ]


def _check_origin(origin: str) -> None:
    longest = 100
    if not notes.well_named(origin) or len(origin) > longest:
        message = (
            f"{origin!r} cannot be the name of a log: expected something like logs.example.com/aegis, at "
            f"most {longest} characters, no blanks, no `+`"
        )
        raise UsageError(message)


def note_of(action: Action, verifier: Verifier, actor: str, **more: int) -> Note:
    """Return what the log is told of a key that signs, or does no more."""
    return Note(
        action=action,
        actor=actor,
        target_type="key",
        target_id=verifier.key_id.hex(),
        details={"vkey": verifier.vkey, **more},
    )
