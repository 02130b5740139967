"""A new incarnation of the log, after its database was restored from a backup on purpose.

What was published after the backup is lost, and witnesses will not accept a tree that lacks it. So
the log goes on under a new name and with a new key, and its first leaf says which checkpoint was
the last one that anybody saw of the old one.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from aegis.audit import head, signing
from aegis.audit.actions import Action
from aegis.audit.events import Event
from aegis.audit.head import State
from aegis.audit.recorder import Note, Recorder, store
from aegis.audit.sequencer import sign_in
from aegis.audit.signing import SigningKeys, note_of
from aegis.audit.tlog.notes import Checkpoint, FileSigner, Verifier
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, Databases, reading, writing
from aegis.db.tables import AuditKey, AuditLog
from aegis.errors import Refused
from aegis.keys import KeyFiles


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """The log's new name."""

    origin: str
    incarnation: int
    #: Leaves that the restored database had.
    size: int
    #: The last checkpoint that anybody saw of the old one.
    seen: Checkpoint
    #: The key that signs from now on.
    key: Verifier


def recover(
    databases: Databases,
    files: KeyFiles,
    keys: SigningKeys,
    recorder: Recorder,
    seen: Checkpoint,
    *,
    actor: str,
) -> Recovered:
    """Go on under a new name; nothing of the restored log is changed.

    Args:
        databases: the restored control database is one of them.
        files: where the new key is made.
        keys: the log's signing keys; all of them are retired.
        recorder: records what is done.
        seen: the last checkpoint that was published or witnessed.
        actor: who decided it.

    Raises:
        Refused: the log is not behind that checkpoint, or belongs to another log.

    """
    with reading(databases.control, CONTROL) as connection:
        state = head.state(connection)
        old = [key.verifier for key in signing.keys(connection) if key.retired_size is None]
        numbers = [key.number for key in signing.keys(connection)]
    _check(state, seen)
    number = max([*numbers, *files.numbers("audit")], default=0) + 1
    origin = _renamed(state)
    signer = FileSigner(name=origin, seed=files.make("audit", number).material)
    first = recorder.prepare(_told(state, origin, seen, actor))
    more = [recorder.prepare(note_of(Action.KEY_ADD, signer.verifier, actor))]
    more += [recorder.prepare(note_of(Action.KEY_RETIRE, key, actor, last_size=seen.size)) for key in old]
    with writing(databases.control, CONTROL) as connection:
        now = head.state(connection, lock=True)
        if (now.origin, now.size) != (state.origin, state.size):
            message = "the log changed meanwhile; look at it with `aegis audit verify` and try again"
            raise Refused(message)
        _go_on(connection, now, signer, number, first)
        _retire_all_but(connection, signer.verifier, seen.size)
        store(connection, *more)
    for stale in files.numbers("audit"):
        if stale != number:
            files.remove("audit", stale)
    keys.publish()
    return Recovered(
        origin=origin, incarnation=state.incarnation + 1, size=state.size, seen=seen, key=signer.verifier
    )


def _go_on(connection: sa.Connection, state: State, signer: FileSigner, number: int, first: Event) -> None:
    """Rename the log and seal its first event under the new name, before any that waits."""
    head.update(connection, origin=signer.name, incarnation=state.incarnation + 1, halted=None)
    values = {"vkey": signer.verifier.vkey, "number": number, "added_at": dialects.now(connection)}
    connection.execute(sa.insert(AuditKey).values(**values))
    connection.execute(sa.insert(table_of(AuditLog)), [dict(vars(first))])
    renamed = State(**vars(state) | {"origin": signer.name})
    size = head.append(connection, state.size, [(first.id, first.entry)])
    sign_in(connection, renamed, size, [signer])


def _retire_all_but(connection: sa.Connection, key: Verifier, size: int) -> None:
    others = (AuditKey.vkey != key.vkey) & AuditKey.retired_size.is_(None)
    connection.execute(sa.update(AuditKey).where(others).values(retired_size=size))


def _check(state: State, seen: Checkpoint) -> None:
    if seen.origin != state.origin:
        message = f"the checkpoint is of {seen.origin}, this log is {state.origin}"
        raise Refused(message)
    if seen.size <= state.size and state.halted is None:
        message = (
            f"nothing of the log is missing: the last checkpoint seen has {seen.size} leaves, the database "
            f"{state.size}. A new incarnation is for a database that was restored"
        )
        raise Refused(message)


def _renamed(state: State) -> str:
    base = state.origin.rpartition("/")[0] if state.incarnation > 1 else state.origin
    return f"{base}/{state.incarnation + 1}"


def _told(state: State, origin: str, seen: Checkpoint, actor: str) -> Note:
    details = {
        "incarnation": state.incarnation + 1,
        "size": state.size,
        "seen_origin": seen.origin,
        "seen_size": seen.size,
        "seen_root": seen.root.hex(),
    }
    return Note(
        action=Action.AUDIT_RECOVER, actor=actor, target_type="log", target_id=origin, details=details
    )
