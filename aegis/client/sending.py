"""The one place through which a service's messages leave, and where it asks Redis what became of them."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import redis
from celery import Celery
from kombu import Connection, Exchange, Queue
from kombu.exceptions import OperationalError

from aegis.client.signer import Signer
from aegis.errors import Refused, Unreachable
from aegis.operations.brokers import verified
from aegis.operations.statuses import Status, key_of, read, refusal_key_of
from aegis.operations.table import ROUTES
from aegis.settings import masked

_RETRIES: Final = {"max_retries": 3, "interval_start": 0.0, "interval_step": 0.5, "interval_max": 2.0}
_SOCKET_SECONDS: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Message:
    """One request, as it is sent; what it is about is not shown."""

    task: str
    #: Also the id of Celery's message, which a task without an id of its own is known by.
    request_id: str
    #: Plain data.
    arguments: Mapping[str, Any] = field(repr=False)


class Post:
    """Sends messages to Aegis's broker.

    Args:
        app_or_broker_url: the service's own Celery application, or the URL of Aegis's broker.
        signer: signs each message; None: they are not signed.

    """

    def __init__(self, app_or_broker_url: Celery | str, signer: Signer | None = None) -> None:
        self._app = _app(app_or_broker_url)
        self._signer = signer

    @property
    def broker(self) -> str:
        """Where it sends to, without a password."""
        return masked(str(self._app.conf.broker_url))

    def send(self, message: Message) -> None:
        """Send a message; the broker is asked four times.

        Raises:
            Unreachable: it does not take it.

        """
        name = ROUTES[message.task]
        # The queue is given whole: a service's application may not know it by its name.
        queue: Any = Queue(name, Exchange(name), routing_key=name)
        kwargs, headers = dict(message.arguments), {}
        if self._signer is not None:
            headers = self._signer.headers(self._app, message.task, kwargs, task_id=message.request_id)
        try:
            self._app.send_task(
                message.task,
                kwargs=kwargs,
                task_id=message.request_id,
                headers=headers,
                queue=queue,
                # A producer's user may write into its queues and nothing else.
                declare=[],
                serializer="json",
                argsrepr="(not shown)",
                kwargsrepr="(not shown)",
                ignore_result=True,
                retry=True,
                retry_policy=_RETRIES,
            )
        except OperationalError as error:
            found = type(error.__cause__ or error).__name__
            told = f"the broker does not take request {message.request_id} ({found}); send the same id again"
            raise Unreachable(told) from None

    def statuses(self, request_ids: Sequence[str]) -> list[Status]:
        """Return what workers told of requests, in their order.

        Raises:
            Unreachable: the broker does not answer.
            Refused: its user may not read what workers tell.

        """
        try:
            # Not one of the application's pool: kombu would wait for a broker without an end.
            with self._app.connection_for_write() as connection, self._client(connection) as client:
                return [_told(client, request_id) for request_id in request_ids]
        except redis.exceptions.NoPermissionError:
            message = (
                "the broker does not let this user read what workers tell: it needs +get on ~aegis:status:*"
            )
            raise Refused(message) from None
        except (redis.RedisError, OperationalError, OSError) as error:
            message = f"the broker does not say where requests stand ({type(error).__name__}); ask again"
            raise Unreachable(message) from None

    @staticmethod
    @contextlib.contextmanager
    def _client(connection: Connection) -> Iterator[redis.Redis]:
        """Open the client of Redis that kombu makes, with all that the application says of its broker."""
        channel: Any = connection.channel()
        with channel, channel.conn_or_acquire() as client:
            yield client


def _app(given: Celery | str) -> Celery:
    if isinstance(given, Celery):
        return given
    app = Celery("aegis-client", broker=verified(given), set_as_current=False)
    app.conf.broker_transport_options = {
        "socket_timeout": _SOCKET_SECONDS,
        "socket_connect_timeout": _SOCKET_SECONDS,
    }
    return app


def _told(client: Any, request_id: str) -> Status:
    """Return what workers told of a request, or else that a message of its id was refused."""
    return read(client.get(key_of(request_id)) or client.get(refusal_key_of(request_id)))
