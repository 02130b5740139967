"""The Redis transport: three faults of kombu cured, a gate before Celery, a signature on what leaves.

The gate: what comes from a queue and is no message for this worker (`worker/intake.py`) is put aside, and
kombu hears that nothing came.

The signature: tasks of ours are signed here, where their bytes are final, whatever sent them. A message that
goes back into its queue is not sent again and keeps the signature that it came with.

Two faults of both kombu 5.6 and 5.7 around a full Redis (`noeviction`, no memory left). It answers writes,
and transactions, with an error that Celery takes for a bug: the worker exits, and the message that it had
just taken out of the queue is lost. Here it is an outage like others: the worker waits with that message
until there is memory, and whoever sends hears that the broker is away. Needless as soon as
`tests/faults/test_full_broker.py` passes without `QoS` and `connection_errors`.

The third: when the connection to Redis breaks, Celery drops the old kombu connection but still holds its
channels: a late-acknowledged task that ends afterwards asks its old channel for a Redis client.
kombu 5.7.0 then reads the host and port from the connection that is gone and raises
AttributeError ('NoneType' object has no attribute 'hostname'). Celery takes that for a bug and
the whole worker exits. With Celery 5.6.3 and kombu 5.6.2 the worker survives without this cure.

Cure: the channel says what is true, "connection lost", with the error class that Celery already
handles, so that the worker reconnects. The cure is needless as soon as
`kombu.transport.redis.Channel._connparams` no longer reads `self.connection.client` unchecked:
take `install()` out of `worker/app.py` and run `tests/faults/test_broker_death.py`.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import redis
from kombu import transport
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from redis.exceptions import OutOfMemoryError

from aegis.operations import statuses
from aegis.operations.brokers import UNTOLD
from aegis.operations.deadletters import DeadLetters
from aegis.producers import HEADER, Message
from worker import metrics
from worker.intake import Unfit, admit, request_named
from worker.signing import Signing

#: How often a full Redis is asked again.
FULL_SECONDS: Final = 0.5

log = logging.getLogger(__name__)

#: The URL schemes that Aegis accepts for a broker; `redis+socket://` is resolved as `redis`.
SCHEMES = ("redis", "rediss")


class PasswordFile(redis.CredentialProvider):
    """Reads the password from a file again for every new connection."""

    def __init__(self, username: str | None, path: Path) -> None:
        """Take the user (none: the server's default user) and the file."""
        self.username = username
        self.path = path

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return (password,) or (user, password)."""
        password = self.path.read_text(encoding="utf-8").rstrip("\r\n")
        return (self.username, password) if self.username else (password,)


class QoS(kombu_redis.QoS):
    """What was taken out of queues and is not acknowledged; a full Redis cannot note everything of it."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note a message; wait until there is memory for that, because nobody else has it any more."""
        _when_there_is_memory(lambda: super(QoS, self).append(message, delivery_tag))

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's
        """Send a message back, as soon as there is memory for that."""
        _when_there_is_memory(lambda: super(QoS, self).reject(delivery_tag, requeue=requeue))

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message without a transaction, which a full Redis would refuse."""
        channel: Any = self.channel
        with channel.conn_or_acquire() as client:
            work = client.pipeline(transaction=False)
            work.zrem(self.unacked_index_key, delivery_tag).hdel(self.unacked_key, delivery_tag).execute()
        virtual.QoS.ack(self, delivery_tag)


def _when_there_is_memory(call: Callable[[], object]) -> None:
    told = False
    while True:
        try:
            call()
        except OutOfMemoryError:
            if not told:
                log.error("Redis has no memory left: what was taken from a queue waits in this worker")  # noqa: TRY400
            told = True
            time.sleep(FULL_SECONDS)
        else:
            return


class Channel(kombu_redis.Channel):
    """A Redis channel that reports a lost connection as one, and lets only our messages in."""

    #: The queues whose entries are looked at; those of events and of remote control carry no tasks.
    guarded: Sequence[str] = ()
    #: The tasks that may come, each with its queue.
    routes: Mapping[str, str] = {}
    #: Signs tasks of ours, and knows who may send them; None: there are no signatures.
    signing: Signing | None = None
    #: Where the password is read from; none: it stands in the URL.
    password_file: str | None = None

    QoS = QoS

    from_transport_options = (
        *kombu_redis.Channel.from_transport_options,
        "password_file",
        "guarded",
        "routes",
        "signing",
    )

    def prepare_message(self, body: str | bytes, *described: Any, **more: Any) -> dict[str, Any]:
        """Return a message that only lacks its place; a task of ours is signed."""
        prepared: dict[str, Any] = super().prepare_message(body, *described, **more)
        told = prepared["headers"]
        if self.signing is not None and told.get("task") in self.routes:
            plain = body.encode() if isinstance(body, str) else body
            header = self.signing.signed(Message(task=told["task"], id=told["id"], body=plain))
            if header is not None:
                prepared["headers"] = {**told, HEADER: header}
        return prepared

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's signature
        made = super()._create_client(asynchronous=asynchronous)  # type: ignore[misc] # not in the stubs
        made.set_response_callback("BRPOP", self._let_in)
        return made

    def _let_in(self, answer: Any, **_: Any) -> tuple[bytes, bytes] | None:
        """Return the queue and the entry that Redis answered with; None for none, or for none of ours."""
        if not answer:
            return None
        place, entry = answer
        # A queue has a list for each priority.
        queue = place.decode().rsplit(self.sep, 1)[0]
        if queue not in self.guarded:
            return place, entry
        try:
            senders = self.signing.senders if self.signing else None
            admit(queue, entry, self.routes, senders, time.time())
        except Unfit as unfit:
            metrics.MESSAGES_REFUSED.labels(unfit.reason.value).inc()
            log.warning("Refused an entry of queue %s and put it aside: %s", queue, unfit.reason.value)
            self._put_aside(queue, entry, unfit)
            return None
        return place, entry

    def _put_aside(self, queue: str, entry: bytes, unfit: Unfit) -> None:
        with self.conn_or_acquire() as client:
            DeadLetters(client).put(queue, unfit.reason, entry, task=unfit.task)
            request = request_named(entry)
            if request is None:
                return
            # Beside what workers tell of that request: a stranger may send any id.
            told = statuses.written(statuses.turned_away(unfit.reason.value))
            with contextlib.suppress(redis.ResponseError):
                client.set(statuses.refusal_key_of(request), told, ex=statuses.REFUSED_SECONDS)

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - kombu's signature
        if self.connection is None or self.connection.client is None:
            message = "the connection of this channel to Redis is closed"
            raise redis.ConnectionError(message)
        params: dict[str, Any] = super()._connparams(asynchronous=asynchronous)  # type: ignore[misc] # not in the stubs
        # kombu speaks the older protocol; redis-py 8 would choose the newer one.
        params["protocol"] = 2
        params.update(UNTOLD)
        if self.password_file:
            user = params.pop("username", None)
            params.pop("password", None)
            params["credential_provider"] = PasswordFile(user, Path(self.password_file))
        return params


class Transport(kombu_redis.Transport):
    """The Redis transport whose channels report a lost connection as one."""

    Channel = Channel

    #: What means that the broker is away.
    connection_errors = (*kombu_redis.Transport.connection_errors, OutOfMemoryError)


def install() -> None:
    """Make kombu use this transport for every Redis URL of this process."""
    for scheme in SCHEMES:
        transport.TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
        # An earlier look-up would win.
        transport._transport_cache.pop(scheme, None)  # type: ignore[attr-defined] # noqa: SLF001
