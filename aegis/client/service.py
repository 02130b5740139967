"""What a service uses: it sends requests, asks what became of them, and fetches what was released for it.

Messages go through the broker. Only the workers open what the service seals, and only the service opens
what is released for it. Answers are fetched from the control database (a role that may SELECT
`aegis_requests` is enough; to ask for erasures and retention, `aegis_runs` too); without one, workers tell
in Redis how far a request has come.
"""

import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from celery import Celery

from aegis.client.answers import Answers
from aegis.client.outbox import Outbox
from aegis.client.requests import Requests
from aegis.client.sealing import Sealer
from aegis.client.sending import Message, Post
from aegis.client.signer import Signer
from aegis.errors import Pending, UsageError
from aegis.federated.messages import checked_id
from aegis.operations.statuses import UNKNOWN, Status
from aegis.settings import SourceSettings


class Client(Requests):
    """Sends requests to the workers, once each however often, and asks what became of them.

    Args:
        app_or_broker_url: the service's own Celery application, or the URL of Aegis's broker.
        workers_key: the workers' public key, as `aegis client-key` prints it; for `protect`, and for the
            details of `record_audit`.
        key_file: the service's own key (`aegis client-key --new FILE`); answers are sealed to it, and the
            outbox.
        producer: the service's name in the workers' `[producers.NAME]`; messages are signed with its key.
        database_url: the control database; needed for `result`.
        database_password_file: holds its password; read again on every connect.
        inputs: the workers' `federated.inputs`, for aggregates that are too large for a message.
        outputs: the workers' `federated.outputs`, for answers over 48 KiB.

    """

    def __init__(
        self,
        app_or_broker_url: Celery | str,
        *,
        workers_key: str | None = None,
        key_file: Path | None = None,
        producer: str | None = None,
        database_url: str | None = None,
        database_password_file: Path | None = None,
        inputs: str | None = None,
        outputs: str | None = None,
    ) -> None:
        self._post = Post(app_or_broker_url, _signer(producer, key_file))
        self._sealer = Sealer(workers_key, key_file, inputs)
        database = (
            SourceSettings(url=database_url, password_file=database_password_file) if database_url else None
        )
        self._answers = Answers(database, self._sealer.secret, outputs)

    def __repr__(self) -> str:
        """Name the broker, without its password; a key is never shown."""
        return f"<Client of {self._post.broker}>"

    def outbox(self, table: sa.Table) -> Outbox:
        """Return the outbox of the service's own database, for requests that belong to its transactions.

        Args:
            table: as `outbox_table` made it.

        Raises:
            aegis.errors.NotPrepared: the client was given no `key_file`, to which it is sealed.

        """
        self._sealer.secret()
        return Outbox(self._post, self._sealer, table)

    def status(self, request_id: str) -> Status:
        """Return how far a request has come: as its row has it, or else as a worker told it in Redis.

        Raises:
            aegis.errors.Unreachable: the control database or the broker does not answer.

        """
        return self._answers.status(checked_id(request_id)) or self._post.statuses([request_id])[0]

    def wait(self, request_id: str, timeout: float = 30.0) -> Status:
        """Return the status of a request as soon as it has ended, or waits for a person.

        Args:
            request_id: as it was sent.
            timeout: seconds to wait; 0 looks once.

        Raises:
            aegis.errors.Pending: it has not ended yet; where no worker has seen it, it can be sent again.

        """
        end, pause = time.monotonic() + timeout, 0.05
        while not (status := self.status(request_id)).ended:
            left = end - time.monotonic()
            if left <= 0:
                seen = "no worker has seen it" if status.state == UNKNOWN else f"it is {status.state}"
                seen += f"; {status.reason}" if status.reason else ""
                message = f"request {request_id} has not ended after {timeout:g} s: {seen}"
                raise Pending(message)
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, 1.0)
        return status

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

    def _take(self, message: Message) -> None:
        self._post.send(message)


def _signer(producer: str | None, key_file: Path | None) -> Signer | None:
    if producer is None:
        return None
    if key_file is None:
        message = "messages are signed with the service's own key: give key_file= with producer="
        raise UsageError(message)
    return Signer(producer, key_file)
