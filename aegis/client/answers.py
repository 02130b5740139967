"""Answers to a service's requests: read from the control database, opened with the service's own key."""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from aegis.db.engines import CONTROL, make_engine, reading
from aegis.db.tables import Request
from aegis.envelopes import open_
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
    UsageError,
)
from aegis.federated import messages, outputs, wire
from aegis.federated.reasons import UNREAD, Reason
from aegis.keys import Secret
from aegis.operations.states import State
from aegis.operations.statuses import Status, standing
from aegis.operations.stores import open_store
from aegis.settings import SourceSettings

_ENDED: Final = frozenset({State.DONE, State.FAILED, State.EXPIRED})
_ERRORS: Final[Mapping[str, type[AegisError]]] = {
    **dict.fromkeys(UNREAD, UsageError),
    Reason.TOO_FEW: TooFew,
    Reason.BUDGET_SPENT: BudgetSpent,
    Reason.ARGUMENT: UsageError,
    Reason.CONFLICT: Conflict,
    Reason.GAVE_UP: OperationFailed,
    Reason.LOST: Expired,
}


class Answers:
    """What the control database and the place for large outputs have for one service.

    Args:
        database: the control database; None: it cannot be asked.
        secret: loads the service's own key.
        place: where large answers lie.

    """

    def __init__(
        self, database: SourceSettings | None, secret: Callable[[], Secret], place: str | None
    ) -> None:
        self._database, self._secret, self._place = database, secret, place
        self._engine: tuple[int, sa.Engine] | None = None

    def status(self, request_id: str) -> Status | None:
        """Return how far a request has come; None: no row says it, or none can be asked."""
        if self._database is None:
            return None
        with reading(self._control(), CONTROL) as connection:
            return standing(connection, request_id)

    def await_end(self, request_id: str, timeout: float) -> Any:
        """Return the row of a request that has ended.

        Args:
            request_id: the request.
            timeout: seconds to wait for it.

        Raises:
            Pending: it has not ended in time.

        """
        end, pause = time.monotonic() + timeout, 0.05
        while True:
            row = self._row(request_id)
            if row is not None and row.state in _ENDED:
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

    def open(self, row: Any, request_id: str) -> tuple[Any, Any]:
        """Return the value and the report that an ended request has, or raise what it failed with."""
        if row.state == State.EXPIRED:
            message = (
                f"the answer to request {request_id} was kept for its time, and is gone; its id is used up"
            )
            raise Expired(message)
        if row.state != State.DONE:
            raise self._failure(row, request_id)
        content = self._opened(self._sealed(row), request_id)
        return content["value"], content["report"]

    def close(self) -> None:
        """Close the connection to the control database."""
        if self._engine is not None:
            self._engine[1].dispose(close=self._engine[0] == os.getpid())
        self._engine = None

    def _row(self, request_id: str) -> Any:
        columns = (Request.state, Request.reason, Request.result, Request.sealed_result)
        mine = (Request.request_id == request_id) & (Request.operation == messages.OPERATION)
        with reading(self._control(), CONTROL) as connection:
            return connection.execute(sa.select(*columns).where(mine)).one_or_none()

    def _control(self) -> sa.Engine:
        if self._database is None:
            message = "answers stand in the control database: give database_url= to the client"
            raise UsageError(message)
        if self._engine is None or self._engine[0] != os.getpid():
            # No connection crosses a fork.
            self.close()
            self._engine = os.getpid(), make_engine(self._database, own=False)
        return self._engine[1]

    def _failure(self, row: Any, request_id: str) -> AegisError:
        error = _ERRORS.get((row.result or {}).get("reason", ""), Refused)
        told = row.reason
        if row.sealed_result is not None:
            # What more there is to say is for whoever asked; another service gets the row's sentence.
            with contextlib.suppress(Tampered, NotPrepared):
                told = self._opened(bytes(row.sealed_result), request_id)["error"]["message"]
        return error(f"request {request_id}: {told}")

    def _sealed(self, row: Any) -> bytes:
        output = (row.result or {}).get("output")
        if not output:
            return bytes(row.sealed_result)
        if not self._place:
            message = "the answer is a file: give outputs=, the workers' federated.outputs, to the client"
            raise UsageError(message)
        sealed = outputs.fetch_from(open_store(self._place), output["name"])
        if hashlib.sha256(sealed).hexdigest() != output["sha256"]:
            message = "the file of the answer is not what the workers wrote"
            raise Tampered(message)
        return sealed

    def _opened(self, sealed: bytes, request_id: str) -> dict[str, Any]:
        plain = open_(self._secret(), sealed, about=messages.about_result(request_id))
        opened: dict[str, Any] = wire.decode(plain)
        return opened
