"""Entries of queues that no worker would take: put aside as they were, for a person to look at.

They stand in one list in the broker, the newest last. Beyond `KEPT` the oldest go, because whoever can
write to a queue could otherwise fill the broker's memory, and after `KEPT_DAYS` each goes, because it may
name people; how many were refused is counted apart, by queue and reason, until that is in the audit log.
"""

import base64
import binascii
import datetime as dt
import enum
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import redis

#: The list of them.
LIST: Final = "aegis:dead-letters"
#: What was refused since the counts were last taken: queue and reason → how many.
COUNTS: Final = "aegis:refused"
#: Counts that were taken, until they are told; `id` is that of the taking.
TAKEN: Final = "aegis:refused:taken"
#: How often the process that carried a message out has died, by the message's id; kept for a day.
DEATHS: Final = "aegis:deaths:"
_DAY: Final = dt.timedelta(days=1)
#: How many are kept.
KEPT: Final = 1_000
#: How long each is kept.
KEPT_DAYS: Final = 14


class Reason(enum.StrEnum):
    """Why an entry is no message for us."""

    #: It is no JSON, or its body is none.
    UNREADABLE = "unreadable"
    #: It lacks what a message has, or has it in another form.
    MALFORMED = "malformed"
    UNKNOWN_TASK = "unknown-task"
    #: The task exists, and belongs to another queue.
    WRONG_QUEUE = "wrong-queue"
    #: It asks for what only we decide: callbacks, chains, times, limits, retries, positional arguments.
    FORBIDDEN = "forbidden"
    #: Nobody signed it, and producers are configured.
    UNSIGNED = "unsigned"
    #: Its producer is not configured, or it is not what its producer signed.
    FORGED = "forged"
    #: It was signed too long ago, or in the future.
    STALE = "stale"
    #: Its producer may not send this task.
    NOT_ALLOWED = "not-allowed"
    #: Its task ended the process that carried it out, time after time.
    DEADLY = "deadly"
    #: Its task took longer than a task may.
    TOO_LONG = "too-long"


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """One entry that was put aside."""

    id: str
    at: dt.datetime
    queue: str
    reason: str
    #: The task that it names, where that looks like a name.
    task: str | None
    #: The bytes as they lay in the queue; they may name people.
    entry: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Load:
    """What lies in a broker."""

    #: Messages that no worker has taken yet, by queue.
    messages: Mapping[str, int]
    #: Entries that were put aside and are still there.
    dead_letters: int


class DeadLetters:
    """The list in one broker."""

    def __init__(self, client: redis.Redis) -> None:
        """Take a client that returns bytes."""
        self._client: Any = client

    def put(self, queue: str, reason: Reason, entry: bytes, *, task: str | None = None) -> None:
        """Put an entry aside, and count it.

        Raises:
            redis.RedisError: the broker does not take it.

        """
        letter = {
            "id": uuid.uuid4().hex,
            "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "queue": queue,
            "reason": reason.value,
            "task": task,
            "entry": base64.b64encode(entry).decode(),
        }
        with self._client.pipeline(transaction=True) as work:
            work.rpush(LIST, json.dumps(letter))
            work.ltrim(LIST, -KEPT, -1)
            work.hincrby(COUNTS, f"{queue} {reason.value}", 1)
            work.execute()

    def died(self, message: str) -> int:
        """Count a death of a process that carried a message out; return how many there were."""
        with self._client.pipeline(transaction=True) as work:
            work.incr(DEATHS + message)
            work.expire(DEATHS + message, _DAY)
            return int(work.execute()[0])

    def count(self) -> int:
        """Return how many there are."""
        return int(self._client.llen(LIST))

    def lengths(self, queues: Sequence[str]) -> dict[str, int]:
        """Return how many messages wait in each of these queues, of the usual priority."""
        with self._client.pipeline(transaction=False) as work:
            for queue in queues:
                work.llen(queue)
            return dict(zip(queues, map(int, work.execute()), strict=True))

    def read(self) -> list[DeadLetter]:
        """Return all of them, the oldest first; what others wrote into the list is left out."""
        return [letter for raw in self._client.lrange(LIST, 0, -1) if (letter := _parse(raw))]

    def forget_old(self, now: dt.datetime) -> int:
        """Remove those that are past their time; return how many."""
        since = now - dt.timedelta(days=KEPT_DAYS)

        def work(pipe: Any) -> int:
            kept = [_parse(raw) for raw in pipe.lrange(LIST, 0, -1)]
            gone = next(
                (place for place, letter in enumerate(kept) if letter and letter.at >= since), len(kept)
            )
            pipe.multi()
            pipe.ltrim(LIST, gone, -1)
            return gone

        return int(self._client.transaction(work, LIST, value_from_callable=True))

    def take_counts(self) -> tuple[str, dict[tuple[str, str], int]]:
        """Return the id of a taking, and how many entries of a queue were refused for a reason.

        Until `told`, the same is returned again.
        """
        if not self._client.exists(TAKEN) and self._client.exists(COUNTS):
            self._client.renamenx(COUNTS, TAKEN)
        if not self._client.exists(TAKEN):
            return "", {}
        self._client.hsetnx(TAKEN, "id", uuid.uuid4().hex)
        found = {name.decode(): value.decode() for name, value in self._client.hgetall(TAKEN).items()}
        taking = found.pop("id")
        pairs = ((name.split(" ", 1), int(value)) for name, value in found.items())
        return taking, {(queue, reason): count for (queue, reason), count in pairs}

    def told(self, taking: str) -> None:
        """Forget counts that were taken, once they are kept elsewhere."""
        known = self._client.hget(TAKEN, "id")
        if known is not None and known.decode() == taking:
            self._client.delete(TAKEN)

    def requeue(self, number: str) -> DeadLetter | None:
        """Put one back into its queue, as it was; return None where there is none of that id."""
        return self._take(number, back=True)

    def drop(self, number: str) -> DeadLetter | None:
        """Remove one for good; return None where there is none of that id."""
        return self._take(number, back=False)

    def _take(self, number: str, *, back: bool) -> DeadLetter | None:
        def work(pipe: Any) -> DeadLetter | None:
            for raw in pipe.lrange(LIST, 0, -1):
                letter = _parse(raw)
                if letter is not None and letter.id == number:
                    pipe.multi()
                    pipe.lrem(LIST, 1, raw)
                    if back:
                        pipe.lpush(letter.queue, letter.entry)
                    return letter
            pipe.multi()
            return None

        found: DeadLetter | None = self._client.transaction(work, LIST, value_from_callable=True)
        return found


def _parse(raw: bytes) -> DeadLetter | None:
    try:
        found = json.loads(raw)
        return DeadLetter(
            id=str(found["id"]),
            at=dt.datetime.fromisoformat(found["at"]),
            queue=str(found["queue"]),
            reason=str(found["reason"]),
            task=found["task"],
            entry=base64.b64decode(found["entry"], validate=True),
        )
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
