"""What a service uses to have aggregates protected: nothing leaves it in clear, and nothing comes back so.

The message goes through the broker, the answer is fetched from the control database (a role that may
SELECT `aegis_requests` is enough), large aggregates and answers lie in a place that both can reach. Only
the workers open what the service sends, and only the service opens what it gets.
"""

import base64
import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypedDict, Unpack

import sqlalchemy as sa
from celery import Celery
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError

from aegis.db.engines import make_engine, reading
from aegis.db.tables import Request
from aegis.envelopes import checked_workers_key, client_public_key, open_, seal
from aegis.errors import (
    AegisError,
    BudgetSpent,
    Conflict,
    Expired,
    NotPrepared,
    OperationFailed,
    Pending,
    Refused,
    Tampered,
    TooFew,
    Unreachable,
    UsageError,
)
from aegis.federated import inputs, messages, outputs, wire
from aegis.federated.reasons import UNREAD, Reason
from aegis.keys import Secret, client_key
from aegis.operations.states import State
from aegis.operations.stores import open_store
from aegis.operations.table import PROTECT, ROUTES
from aegis.settings import SourceSettings, masked

#: Aggregates up to here travel in their message; with a place for inputs only up to the other.
LARGEST_IN_MESSAGE: Final = 1024 * 1024
LARGEST_BESIDE_A_PLACE: Final = 64 * 1024
_RETRIES: Final = {"max_retries": 3, "interval_start": 0.0, "interval_step": 0.5, "interval_max": 2.0}
_SOCKET_SECONDS: Final = 10.0
_ERRORS: Final[Mapping[str, type[AegisError]]] = {
    **dict.fromkeys(UNREAD, UsageError),
    Reason.TOO_FEW: TooFew,
    Reason.BUDGET_SPENT: BudgetSpent,
    Reason.ARGUMENT: UsageError,
    Reason.CONFLICT: Conflict,
    Reason.GAVE_UP: OperationFailed,
    Reason.LOST: Expired,
}


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


@dataclass(frozen=True, kw_only=True)
class Status:
    """How far a request has come."""

    #: unknown (no worker has seen it yet), accepted, done, failed or expired
    state: str
    #: Why there is no answer, without any value.
    reason: str | None = None


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
        self._key_file = key_file
        self._database = database_url and SourceSettings(
            url=database_url, password_file=database_password_file
        )
        self._engine: tuple[int, sa.Engine] | None = None
        self._inputs, self._outputs = inputs, outputs

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
        body |= {"participant_count": participant_count, "reply_to": client_public_key(self._secret())}
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
        row = self._row(request_id)
        return Status(state=row.state, reason=row.reason) if row else Status(state="unknown")

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
        row = self._answered(request_id, timeout)
        if row.state == State.EXPIRED:
            message = (
                f"the answer to request {request_id} was kept for its time, and is gone; its id is used up"
            )
            raise Expired(message)
        sealed = self._sealed(row)
        content = self._opened(sealed, request_id) if sealed is not None else {}
        if row.state != State.DONE:
            told = content.get("error", {})
            error = _ERRORS.get((row.result or {}).get("reason", ""), Refused)
            message = f"request {request_id}: {told.get('message') or row.reason}"
            raise error(message)
        return content["value"], content["report"]

    def close(self) -> None:
        """Close the connection to the control database."""
        if self._engine is not None:
            self._engine[1].dispose(close=self._engine[0] == os.getpid())
        self._engine = None

    def _send(self, request_id: str, sealed: bytes) -> None:
        name = ROUTES[PROTECT]
        # The queue is given whole: a service's application may not know it by its name.
        queue: Any = Queue(name, Exchange(name), routing_key=name)
        try:
            self._app.send_task(
                PROTECT,
                kwargs={"request_id": request_id, "sealed": base64.b64encode(sealed).decode()},
                queue=queue,
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
            name=inputs.new_name(request_id), sha256=hashlib.sha256(sealed).hexdigest(), sealed=True
        )
        open_store(str(self._inputs)).put("", found.name, sealed)
        return found

    def _forget(self, written: messages.Reference | None) -> None:
        """Remove what no message names; if that fails too, it goes when it is old enough."""
        if written is not None:
            open_store(str(self._inputs)).remove("", written.name)

    def _answered(self, request_id: str, timeout: float) -> Any:
        end, pause = time.monotonic() + timeout, 0.05
        while True:
            row = self._row(request_id)
            if row is not None and row.state in {State.DONE, State.FAILED, State.EXPIRED}:
                return row
            left = end - time.monotonic()
            if left <= 0:
                what = (
                    f"is {row.state}" if row else "has not reached a worker; send it again if that stays so"
                )
                message = f"request {request_id} {what}: there is no answer after {timeout:g} s"
                raise Pending(message)
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, 1.0)

    def _row(self, request_id: str) -> Any:
        columns = (Request.state, Request.reason, Request.result, Request.sealed_result)
        query = sa.select(*columns).where(
            Request.request_id == request_id, Request.operation == messages.OPERATION
        )
        with reading(self._control(), "control database") as connection:
            return connection.execute(query).one_or_none()

    def _control(self) -> sa.Engine:
        if self._database is None or isinstance(self._database, str):
            message = "answers stand in the control database: give database_url= to the client"
            raise UsageError(message)
        if self._engine is None or self._engine[0] != os.getpid():
            # No connection crosses a fork.
            self.close()
            self._engine = os.getpid(), make_engine(self._database, own=False)
        return self._engine[1]

    def _sealed(self, row: Any) -> bytes | None:
        output = (row.result or {}).get("output")
        if not output:
            return bytes(row.sealed_result) if row.sealed_result is not None else None
        if not self._outputs:
            message = "the answer is a file: give outputs=, the workers' federated.outputs, to the client"
            raise UsageError(message)
        sealed = outputs.fetch_from(open_store(self._outputs), output["name"])
        if hashlib.sha256(sealed).hexdigest() != output["sha256"]:
            message = "the file of the answer is not what the workers wrote"
            raise Tampered(message)
        return sealed

    def _opened(self, sealed: bytes, request_id: str) -> dict[str, Any]:
        opened: dict[str, Any] = wire.decode(
            open_(self._secret(), sealed, about=messages.about_result(request_id))
        )
        return opened

    def _secret(self) -> Secret:
        if self._key_file is None:
            message = "answers are sealed to the service: give key_file= (`aegis client-key --new FILE`)"
            raise NotPrepared(message)
        return client_key(self._key_file)


def _app(given: Celery | str) -> Celery:
    if isinstance(given, Celery):
        return given
    app = Celery("aegis-client", broker=given, set_as_current=False)
    app.conf.broker_transport_options = {
        "socket_timeout": _SOCKET_SECONDS,
        "socket_connect_timeout": _SOCKET_SECONDS,
    }
    return app


def _plain(word: Any) -> Any:
    """Return an argument as it is written: any sequence of names as a list."""
    is_sequence = isinstance(word, Sequence | set | frozenset) and not isinstance(word, str | bytes)
    return list(word) if is_sequence else word
