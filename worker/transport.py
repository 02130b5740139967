"""The Redis transport, with one fault of kombu cured, a gate before Celery, and a signature on what leaves.

The gate: what comes from a queue and is no message for this worker (`worker/intake.py`) is put aside, and
kombu hears that nothing came.

The signature: tasks of ours are signed here, where their bytes are final, whatever sent them. A message that
goes back into its queue is not sent again and keeps the signature that it came with.

The fault: when the connection to Redis breaks, Celery drops the old kombu connection but still holds its
channels: a late-acknowledged task that ends afterwards asks its old channel for a Redis client.
kombu 5.7.0 then reads the host and port from the connection that is gone and raises
AttributeError ('NoneType' object has no attribute 'hostname'). Celery takes that for a bug and
the whole worker exits. With Celery 5.6.3 and the kombu of its day the worker survives.

Cure: the channel says what is true, "connection lost", with the error class that Celery already
handles, so that the worker reconnects. The cure is needless as soon as
`kombu.transport.redis.Channel._connparams` no longer reads `self.connection.client` unchecked:
take `install()` out of `worker/app.py` and run `tests/faults/test_broker_death.py`.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import redis
from kombu import transport
from kombu.transport import redis as kombu_redis

from aegis.operations.brokers import UNTOLD
from aegis.operations.deadletters import DeadLetters
from aegis.producers import HEADER, Message
from worker import metrics
from worker.intake import Unfit, admit
from worker.signing import Signing

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
            with self.conn_or_acquire() as client:
                DeadLetters(client).put(queue, unfit.reason, entry, task=unfit.task)
            return None
        return place, entry

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


def install() -> None:
    """Make kombu use this transport for every Redis URL of this process."""
    for scheme in SCHEMES:
        transport.TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
        # An earlier look-up would win.
        transport._transport_cache.pop(scheme, None)  # type: ignore[attr-defined] # noqa: SLF001
