"""Who may send which task: the producers that the settings name, and Aegis itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from aegis.errors import SettingsError, UsageError
from aegis.keys import Secret
from aegis.operations.deadletters import Reason
from aegis.operations.table import FOR_SERVICES, ROUTES
from aegis.producers import (
    OURSELVES,
    Message,
    checked_producer,
    checked_producer_key,
    producer_public_key,
    read_signature,
)
from aegis.settings import ProducerSettings, Settings

#: How old a signed message may be. Workers that are down over a long weekend must find theirs; whoever
#: has read a message can send it again for so long.
MOST_SECONDS: Final = 7 * 86_400
#: How far a producer's clock may be ahead of a worker's.
AHEAD_SECONDS: Final = 300


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Whoever may send messages."""

    #: Public halves; a signature by one of them will do.
    keys: tuple[str, ...]
    #: What it may send; None: everything.
    tasks: frozenset[str] | None


class Senders:
    """Every sender by its name."""

    def __init__(self, known: Mapping[str, Sender]) -> None:
        self._known = known

    def objection(self, header: object, message: Message, now: float) -> Reason | None:
        """Return why a message is not taken, or None.

        Args:
            header: what it says of its sender.
            message: what it says.
            now: in seconds since 1970.

        """
        if header is None:
            return Reason.UNSIGNED
        signature = read_signature(header)
        if signature is None:
            return Reason.MALFORMED
        sender = self._known.get(signature.producer)
        if sender is None or not signature.fits(message, sender.keys):
            return Reason.FORGED
        # Only now it is known that the time is the sender's.
        if not -MOST_SECONDS <= signature.time - now <= AHEAD_SECONDS:
            return Reason.STALE
        if sender.tasks is not None and message.task not in sender.tasks:
            return Reason.NOT_ALLOWED
        return None


def producers(settings: Settings) -> dict[str, Sender]:
    """Return the services that the settings let send messages.

    Raises:
        SettingsError: a name, key or task is wrong.

    """
    found = {name: _sender(name, told) for name, told in settings.producers.items()}
    owners: dict[str, str] = {}
    for name, sender in found.items():
        for key in sender.keys:
            if owners.setdefault(key, name) != name:
                message = (
                    f"producers {owners[key]} and {name} have the same key: each could send as the other. "
                    "Give each service its own (`aegis client-key --new FILE`)"
                )
                raise SettingsError(message)
    return found


def senders(settings: Settings, worker_key: Secret) -> Senders:
    """Return who may send messages: the services, and Aegis itself with the worker key.

    Raises:
        SettingsError: a name, key or task of the settings is wrong.

    """
    # Whoever has the worker key could forge what the tasks do, so there is no point in a list for it.
    ourselves = Sender(keys=(producer_public_key(worker_key),), tasks=None)
    return Senders({**producers(settings), OURSELVES: ourselves})


def _sender(name: str, told: ProducerSettings) -> Sender:
    try:
        checked_producer(name)
        keys = tuple(checked_producer_key(key) for key in told.key)
    except UsageError as error:
        message = f"producers.{name}: {error}"
        raise SettingsError(message) from None
    for fault in _faults(told):
        message = f"producers.{name}: {fault}"
        raise SettingsError(message)
    return Sender(keys=keys, tasks=FOR_SERVICES if told.tasks is None else frozenset(told.tasks))


def _faults(told: ProducerSettings) -> Iterator[str]:
    if not told.key:
        yield "key is an empty list: nothing that it sends could be checked"
    if told.tasks == ():
        yield "tasks is an empty list: leave it out for every task that is for services, or name some"
    for task in told.tasks or ():
        if task not in ROUTES:
            yield f"there is no task {task!r}; for services there are: {', '.join(sorted(FOR_SERVICES))}"
        elif task not in FOR_SERVICES:
            yield f"{task} is sent by Aegis itself and by no service: take it out of tasks"
