"""The sequencer: gives waiting events their leaves, and signs the tree's new head.

One transaction under the lock of the log's state: waiting events become leaves, tiles grow, the
root is signed. Only after the commit anything is published. Nothing is signed while somebody has
seen more of the log than there is; recording goes on all the same.
"""

import datetime as dt
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit import head, witness
from aegis.audit.actions import Action, Outcome
from aegis.audit.head import State
from aegis.audit.published import Published
from aegis.audit.recorder import Note, Recorder, store
from aegis.audit.signing import SigningKeys
from aegis.audit.tlog import merkle, notes
from aegis.audit.tlog.notes import Checkpoint, Signer
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, Databases, reading, writing
from aegis.db.tables import AuditCheckpoint, AuditWitness
from aegis.errors import AegisError, Refused, Tampered

#: Most events that one transaction seals.
PORTION: Final = 2_000
#: A witness that does not answer is left alone for so long.
_REST: Final = dt.timedelta(seconds=30)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """What one call sealed."""

    #: Events that got their leaf.
    leaves: int
    #: Leaves of the log now.
    size: int
    #: Witnesses that cosigned the newest checkpoint.
    cosigned: tuple[str, ...] = ()


class Sequencer:
    """Seals one log."""

    def __init__(
        self,
        databases: Databases,
        keys: SigningKeys,
        recorder: Recorder,
        published: Published,
        *,
        send: witness.Post = witness.post,
    ) -> None:
        self._databases = databases
        self._keys = keys
        self._recorder = recorder
        self._published = published
        self._send = send

    def seal(self) -> Sealed:
        """Seal everything that waits.

        Raises:
            NotPrepared: there is no key, or it is not here.
            Refused: the log is behind what was published or witnessed; nothing was signed.
            Tampered: a stored tile is not what the tree needs.

        """
        cosigned = self.push()
        leaves = 0
        while fresh := self._portion():
            leaves += fresh
            self._publish()
            if fresh < PORTION:
                break
        if leaves:
            with self._halting():
                cosigned = self._push_all(_REST)
        with reading(self._databases.control, CONTROL) as connection:
            size = head.state(connection).size
        return Sealed(leaves=leaves, size=size, cosigned=tuple(cosigned))

    def push(self, *, patient: bool = True) -> list[str]:
        """Show the newest checkpoint to every witness; return who cosigned it.

        Args:
            patient: leave a witness alone for a while that did not answer.

        Raises:
            Refused: a witness, or what was published from here, has more of the log than there is.

        """
        with self._halting():
            self._compare_with_published()
            done = self._push_all(_REST if patient else dt.timedelta(0))
        self._go_on()
        return done

    @contextmanager
    def _halting(self) -> Iterator[None]:
        """Seal no more once it is found that somebody has seen another log, or more of it."""
        try:
            yield
        except Tampered as finding:
            self._halt(str(finding))
            message = (
                f"{finding}. Nothing is sealed until that is settled; events are still recorded. After a "
                "restore that was meant: `aegis audit recover --new-incarnation`"
            )
            raise Refused(message) from None

    def _portion(self) -> int:
        with writing(self._databases.control, CONTROL) as connection:
            state = head.state(connection, lock=True)
            entries = head.take(connection, state.size, PORTION)
            if not entries:
                return 0
            size = head.grow(connection, state.size, entries)
            sign_in(connection, state, size, self._keys.signers(connection, state.origin))
        return len(entries)

    def _publish(self) -> None:
        with reading(self._databases.control, CONTROL) as connection:
            note = head.newest(connection)
        if note:
            self._published.put_checkpoint(note)

    def _compare_with_published(self) -> None:
        known = self._published.checkpoint()
        if known is None:
            return
        out = notes.checkpoint(known)
        with reading(self._databases.control, CONTROL) as connection:
            state = head.state(connection)
            if state.origin != out.origin:
                return
            if out.size > state.size:
                message = (
                    f"a checkpoint of {out.size} leaves was published from here, the database has "
                    f"{state.size}: it was restored from a backup or cut off"
                )
                raise Tampered(message)
            if merkle.root(out.size, head.node_of(connection)) != out.root:
                message = (
                    f"the first {out.size} leaves are not those of the checkpoint that was published from "
                    "here: the log was rewritten"
                )
                raise Tampered(message)

    def _push_all(self, rest: dt.timedelta) -> list[str]:
        with reading(self._databases.control, CONTROL) as connection:
            rows = connection.execute(sa.select(table_of(AuditWitness))).all()
            note = head.newest(connection) if rows else None
            moment = dialects.now(connection)
        if note is None:
            return []
        done = []
        for row in rows:
            resting = row.failed_at is not None and moment - row.failed_at < rest
            if not resting and self._push_to(row, note):
                done.append(str(row.name))
        return done

    def _push_to(self, row: sa.Row[Any], note: notes.Note) -> bool:
        """Show a witness a checkpoint; say whether it cosigned. One that is away stops nothing."""
        key, node = notes.verifier(row.vkey), head.nodes(self._databases.control)
        try:
            lines = witness.submit(
                note, url=row.url, key=key, known_size=row.size, node=node, send=self._send
            )
        except Tampered:
            raise
        except AegisError as fault:
            log.warning("%s", fault)
            with writing(self._databases.control, CONTROL) as connection:
                failed = {"failed_at": dialects.now(connection), "reason": str(fault)}
                connection.execute(_which(row.name).values(**failed))
            return False
        self._keep(row.name, notes.checkpoint(note).size, lines)
        return True

    def _keep(self, name: str, size: int, lines: Sequence[notes.Signature]) -> None:
        """Keep cosignatures with their checkpoint, if it is still there."""
        with writing(self._databases.control, CONTROL) as connection:
            head.state(connection, lock=True)
            here = AuditCheckpoint.size == size
            kept = connection.scalar(sa.select(AuditCheckpoint.note).where(here))
            if kept is not None:
                cosigned = notes.parse(kept).with_signatures(lines)
                values = {"note": str(cosigned).encode()}
                connection.execute(sa.update(AuditCheckpoint).where(here).values(**values))
            done = {"size": size, "cosigned_at": dialects.now(connection), "failed_at": None, "reason": None}
            connection.execute(_which(name).values(**done))

    def _halt(self, reason: str) -> None:
        """Note why nothing is signed, and record it once."""
        with reading(self._databases.control, CONTROL) as connection:
            state = head.state(connection)
        if state.halted is not None:
            return
        details = {"reason": reason, "size": state.size}
        event = self._recorder.prepare(
            Note(
                action=Action.AUDIT_HALT,
                actor="system",
                target_type="log",
                target_id=state.origin,
                outcome=Outcome.FAILURE,
                details=details,
            )
        )
        with writing(self._databases.control, CONTROL) as connection:
            if head.state(connection, lock=True).halted is None:
                head.update(connection, halted=reason)
                store(connection, event)

    def _go_on(self) -> None:
        with reading(self._databases.control, CONTROL) as connection:
            halted = head.state(connection).halted
        if halted is not None:
            with writing(self._databases.control, CONTROL) as connection:
                head.update(connection, halted=None)


def sign_in(connection: sa.Connection, state: State, size: int, signers: Sequence[Signer]) -> None:
    """Sign the head of a tree that has grown, in the caller's transaction, which holds the lock.

    Args:
        state: the log as it was locked.
        size: its leaves now.
        signers: the keys to sign with.

    """
    root = merkle.root(size, head.node_of(connection))
    note = notes.sign(Checkpoint(origin=state.origin, size=size, root=root).text, signers)
    head.put_checkpoint(connection, size, dialects.now(connection), note)
    head.update(connection, size=size)


def _which(name: str) -> sa.Update:
    return sa.update(AuditWitness).where(AuditWitness.name == name)
