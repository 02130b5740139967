"""The doors to dead letters: entries of queues that no worker would take."""

import contextlib
import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

import redis
import sqlalchemy as sa

from aegis.arguments import door
from aegis.audit.actions import Action, Outcome
from aegis.audit.recorder import Note, store
from aegis.errors import UnknownName, Unreachable
from aegis.operations import requests
from aegis.operations.brokers import client_of
from aegis.operations.deadletters import DeadLetter, DeadLetters, Load
from aegis.operations.system import current
from aegis.operations.table import ROUTES

#: Who refuses messages.
_WORKER = "system"


@door
def dead_letters() -> list[DeadLetter]:
    """Return the entries that were put aside, the oldest first.

    Raises:
        aegis.errors.Unreachable: the broker does not answer.

    """
    with _opened() as letters:
        return letters.read()


@door
def requeue_dead_letter(letter: str, actor: str) -> DeadLetter:
    """Put an entry back into its queue, as it was; a worker looks at it again.

    Raises:
        aegis.errors.UnknownName: there is none of that id.
        aegis.errors.Unreachable: the broker does not answer.

    """
    with _opened() as letters:
        return _told(letters.requeue(letter), Action.MESSAGE_REQUEUE, actor)


@door
def drop_dead_letter(letter: str, actor: str) -> DeadLetter:
    """Remove an entry for good.

    Raises:
        aegis.errors.UnknownName: there is none of that id.
        aegis.errors.Unreachable: the broker does not answer.

    """
    with _opened() as letters:
        return _told(letters.drop(letter), Action.MESSAGE_DROP, actor)


def tend_dead_letters() -> int:
    """Tell the log, once, how many entries were refused since the last time; remove old ones.

    Returns:
        How many were refused.

    """
    system = current()
    with _opened() as letters:
        letters.forget_old(dt.datetime.now(dt.UTC))
        taking, counts = letters.take_counts()
        if not taking:
            return 0
        events = [
            system.recorder.prepare(
                Note(
                    action=Action.MESSAGE_REFUSE,
                    actor=_WORKER,
                    target_type="system",
                    target_id=f"queue {queue}",
                    outcome=Outcome.DENIED,
                    details={"reason": reason, "count": count},
                )
            )
            for (queue, reason), count in sorted(counts.items())
        ]

        def work(connection: sa.Connection) -> int:
            store(connection, *events)
            return sum(counts.values())

        told = requests.once(
            system, request_id=f"refused-{taking}", operation="message.refuse", arguments={}, work=work
        )
        letters.told(taking)
    return int(told)


def broker_load() -> Load:
    """Return what lies in the broker, by one connection.

    Raises:
        aegis.errors.Unreachable: the broker does not answer.

    """
    with _opened() as letters:
        return Load(messages=letters.lengths(sorted(set(ROUTES.values()))), dead_letters=letters.count())


def _told(letter: DeadLetter | None, action: Action, actor: str) -> DeadLetter:
    if letter is None:
        message = "there is no dead letter of that id; `aegis worker dead-letters` lists those there are"
        raise UnknownName(message)
    note = Note(
        action=action,
        actor=actor,
        target_type="system",
        target_id=f"queue {letter.queue}",
        details={"reason": letter.reason},
    )
    current().recorder.record(note)
    return letter


@contextmanager
def _opened() -> Iterator[DeadLetters]:
    """Open the list of the broker that the settings name."""
    try:
        with contextlib.closing(client_of(current().settings, decoded=False)) as client:
            yield DeadLetters(client)
    except redis.RedisError as error:
        message = f"the broker does not answer, or refuses ({type(error).__name__}); ask `aegis doctor`"
        raise Unreachable(message) from None
