"""What a service uses to have aggregates protected: nothing leaves it in clear, and nothing comes back so.

The message goes through the broker, the answer is fetched from the control database (a role that may
SELECT `aegis_requests` is enough), large aggregates and answers lie in a place that both can reach. Only
the workers open what the service sends, and only the service opens what it gets.
"""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypedDict, Unpack

from celery import Celery
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError

from aegis.client.answers import Answers, Status
from aegis.envelopes import checked_workers_key, client_public_key, seal
from aegis.errors import Unreachable, UsageError
from aegis.federated import inputs as places
from aegis.federated import messages, wire
from aegis.operations.brokers import verified
from aegis.operations.stores import open_store
from aegis.operations.table import PROTECT, ROUTES
from aegis.settings import SourceSettings, masked

#: Aggregates up to here travel in their message; with a place for inputs only up to the other.
LARGEST_IN_MESSAGE: Final = 1024 * 1024
LARGEST_BESIDE_A_PLACE: Final = 64 * 1024
_RETRIES: Final = {"max_retries": 3, "interval_start": 0.0, "interval_step": 0.5, "interval_max": 2.0}
_SOCKET_SECONDS: Final = 10.0


class Terms(TypedDict, total=False):
    """What `federated_aggregation_protect` takes besides the aggregate and the count."""

    min_participants: int
    dp_epsilon: float | None
    dp_sensitivity: float
    dp_delta: float | None
    mechanism: Literal["laplace", "gaussian"]
    budget: str | None
    per_field: bool
    public_fields: Sequence[str]
    participants: Sequence[str] | None
    threshold_epsilon: float | None
    tenant_id: str | None
    actor: str


class Client:
    """Sends aggregates to the workers and fetches what they release.

    Args:
        app_or_broker_url: the service's own Celery application, or the URL of Aegis's broker.
        workers_key: the workers' public key, as `aegis client-key` prints it.
        key_file: the service's own key (`aegis client-key --new FILE`); answers are sealed to it.
        database_url: the control database; needed to ask for answers.
        database_password_file: holds its password; read again on every connect.
        inputs: the workers' `federated.inputs`, for aggregates that are too large for a message.
        outputs: the workers' `federated.outputs`, for answers over 48 KiB.

    """

    def __init__(
        self,
        app_or_broker_url: Celery | str,
        *,
        workers_key: str,
        key_file: Path | None = None,
        database_url: str | None = None,
        database_password_file: Path | None = None,
        inputs: str | None = None,
        outputs: str | None = None,
    ) -> None:
        self._app = _app(app_or_broker_url)
        self._workers_key = checked_workers_key(workers_key.strip())
        database = (
            SourceSettings(url=database_url, password_file=database_password_file) if database_url else None
        )
        self._answers = Answers(database, key_file, outputs)
        self._inputs = inputs

    def __repr__(self) -> str:
        """Name the broker, without its password; a key is never shown."""
        return f"<Client of {masked(str(self._app.conf.broker_url))}>"

    def protect(self, value: Any, participant_count: int, *, request_id: str, **terms: Unpack[Terms]) -> str:
        """Send an aggregate to be protected and released, once for each request id; return the id.

        The same id may be sent again with the same terms, for instance when the broker was away: it is
        released and charged once.

        Args:
            value: a number, an array, or nested dicts and lists of them.
            participant_count: how many people stand behind it.
            request_id: up to 64 characters that name nobody; the release has this id too.
            terms: as for `federated_aggregation_protect`.

        Raises:
            ValueError: a value that is no aggregate, or too large for how this client was made.
            aegis.errors.Unreachable: the broker or the place for inputs does not answer; send it again.

        """
        messages.checked_id(request_id)
        unknown = set(terms) - messages.SEALED_PARAMETERS
        if unknown:
            message = f"{min(unknown)} is no argument of federated_aggregation_protect"
            raise UsageError(message)
        body: dict[str, Any] = {name: _plain(word) for name, word in terms.items()}
        body |= {
            "participant_count": participant_count,
            "reply_to": client_public_key(self._answers.secret()),
        }
        encoded = wire.encode(value)
        written = None
        if self._inputs and len(encoded) > LARGEST_BESIDE_A_PLACE:
            written = self._written(encoded, request_id)
            body["reference"] = written.plain
        elif len(encoded) <= LARGEST_IN_MESSAGE:
            body["aggregated_value"] = value
        else:
            message = (
                f"an aggregate of {len(encoded)} bytes is too large for a message (at most "
                f"{LARGEST_IN_MESSAGE}): give inputs=, the workers' federated.inputs, to the client"
            )
            raise UsageError(message)
        sealed = seal(self._workers_key, wire.encode(body), about=messages.about_request(request_id))
        try:
            self._send(request_id, sealed)
        except Unreachable:
            self._forget(written)
            raise
        return request_id

    def status(self, request_id: str) -> Status:
        """Return how far a request has come.

        Raises:
            aegis.errors.Unreachable: the control database does not answer.

        """
        return self._answers.status(request_id)

    def result(self, request_id: str, timeout: float = 30.0) -> tuple[Any, Any]:
        """Return what was released, and the report of the release, as often as it is asked for.

        Args:
            request_id: as it was sent.
            timeout: seconds to wait for the answer; 0 looks once.

        Raises:
            aegis.errors.Pending: there is no answer yet.
            PermissionError: too few took part.
            aegis.errors.BudgetSpent: the budget does not reach.
            ValueError: the message or an argument was wrong.
            aegis.errors.Expired: the answer was kept for its time, and is gone.
            aegis.errors.Tampered: the answer is not sealed to this service's key, or was changed.
            aegis.errors.Refused: refused for another reason.

        """
        row = self._answers.await_end(request_id, timeout)
        return self._answers.open(row, request_id)

    def close(self) -> None:
        """Close the connection to the control database."""
        self._answers.close()

    def _send(self, request_id: str, sealed: bytes) -> None:
        name = ROUTES[PROTECT]
        # The queue is given whole: a service's application may not know it by its name.
        queue: Any = Queue(name, Exchange(name), routing_key=name)
        try:
            self._app.send_task(
                PROTECT,
                kwargs={"request_id": request_id, "sealed": base64.b64encode(sealed).decode()},
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
            message = f"the broker does not take request {request_id} ({type(error).__name__}); send it again"
            raise Unreachable(message) from None

    def _written(self, encoded: bytes, request_id: str) -> messages.Reference:
        sealed = seal(self._workers_key, encoded, about=messages.about_input(request_id))
        found = messages.Reference(
            name=places.new_name(request_id), sha256=hashlib.sha256(sealed).hexdigest(), sealed=True
        )
        open_store(str(self._inputs)).put("", found.name, sealed)
        return found

    def _forget(self, written: messages.Reference | None) -> None:
        """Remove what no message names; if that fails too, it goes when it is old enough."""
        if written is not None:
            open_store(str(self._inputs)).remove("", written.name)


def _app(given: Celery | str) -> Celery:
    if isinstance(given, Celery):
        return given
    app = Celery("aegis-client", broker=verified(given), set_as_current=False)
    app.conf.broker_transport_options = {
        "socket_timeout": _SOCKET_SECONDS,
        "socket_connect_timeout": _SOCKET_SECONDS,
    }
    return app


def _plain(word: Any) -> Any:
    """Return an argument as it is written: any sequence of names as a list."""
    is_sequence = isinstance(word, Sequence | set | frozenset) and not isinstance(word, str | bytes)
    return list(word) if is_sequence else word
