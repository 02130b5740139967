"""The outbox: a request is written in the service's own transaction, and sent once that has committed.

A table in the service's database, written by the same methods as the client's. A relay sends what stands in
it, at least once and from as many processes as one likes, and goes on until a worker told in Redis that it
has accepted the request: only an accepted request cannot be lost. Then the row goes.

What a request is about names people, and an erasure looks for them in every column. So it stands there sealed
to the service's own key; its id, its task and its times stand in clear. A request that was refused stays,
with the reason, until somebody removes it.
"""

import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aegis.client.requests import Requests
from aegis.client.sealing import Sealer
from aegis.client.sending import Message, Post
from aegis.db import dialects
from aegis.db.columns import Exact64, LongBytes, Moment
from aegis.db.engines import translated, writing
from aegis.errors import AegisError, Conflict
from aegis.operations.states import State
from aegis.operations.statuses import UNKNOWN, Status

#: How long a relay may take for what it has taken, before another one takes it.
LEASE_SECONDS: Final = 60.0
#: Seconds that a worker has to accept a request before it is sent again; doubled each time, up to the other.
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 3600.0
_LABEL: Final = "outbox"

log = logging.getLogger(__name__)


def outbox_table(metadata: sa.MetaData, name: str = "aegis_outbox") -> sa.Table:
    """Return the table of an outbox, to be created with the service's other tables."""
    return sa.Table(
        name,
        metadata,
        sa.Column("request_id", Exact64, primary_key=True),
        sa.Column("task", Exact64, nullable=False),
        # Sealed to the service's own key.
        sa.Column("arguments", LongBytes, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        # Before this nobody looks at it; NULL: at once.
        sa.Column("due_at", Moment, index=True),
        # How often it was sent.
        sa.Column("sent", sa.Integer, nullable=False),
        # Why it was refused; nothing more is done with it.
        sa.Column("reason", sa.Text),
    )


def pause_after(sent: int) -> float:
    """Return how long a worker has to accept a request that was sent so often, before it is sent again."""
    return float(min(FIRST_PAUSE * 2.0 ** min(sent - 1, 16), LONGEST_PAUSE))


@dataclass(frozen=True, kw_only=True)
class Relayed:
    """What one pass of a relay did."""

    #: Messages that were sent, also those that were sent again.
    sent: int = 0
    #: Requests that a worker has accepted by now; their rows are gone.
    accepted: int = 0
    #: Requests that were refused; their rows have the reason.
    refused: int = 0


class Outbox:
    """Keeps requests in a service's own database until the workers have accepted them."""

    def __init__(self, post: Post, sealer: Sealer, table: sa.Table) -> None:
        self._post, self._sealer, self._table = post, sealer, table

    def within(self, transaction: sa.Connection | Session) -> Requests:
        """Return the client's methods, which write into an open transaction instead of sending.

        The transaction stays the caller's: with it the request is committed, or never was. An id that stands
        in the outbox already is not written again; for another request it is refused with a `Conflict`.
        """
        connection = transaction if isinstance(transaction, sa.Connection) else transaction.connection()
        return _Within(connection, self._table, self._sealer)

    def relay(self, engine: sa.Engine, *, limit: int = 100) -> Relayed:
        """Send what is due, and remove what was accepted; once.

        Args:
            engine: the service's database.
            limit: at most so many requests.

        Raises:
            aegis.errors.Unreachable: the broker or the database does not answer; call it again.
            aegis.errors.Refused: the broker does not let this user read what workers tell.

        """
        mine = self._taken(engine, limit)
        done: Counter[str] = Counter()
        try:
            told = self._told([row.request_id for row in mine if row.sent])
            for row in mine:
                done[self._settle(engine, row, told.get(row.request_id))] += 1
        except AegisError:
            # The one that failed waits, so that it does not keep the others from their turn.
            self._let_go(engine, [row.request_id for row in mine[done.total() + 1 :]])
            raise
        return Relayed(**done)

    def _told(self, request_ids: Sequence[str]) -> dict[str, Status]:
        return dict(zip(request_ids, self._post.statuses(request_ids), strict=True)) if request_ids else {}

    def _settle(self, engine: sa.Engine, row: Any, status: Status | None) -> str:
        mine = self._table.c.request_id == row.request_id
        if status is None or status.state == UNKNOWN:
            arguments = self._sealer.kept(row.arguments, row.request_id)
            self._post.send(Message(task=row.task, request_id=row.request_id, arguments=arguments))
            with writing(engine, _LABEL) as connection:
                due = dialects.now(connection) + dt.timedelta(seconds=pause_after(row.sent + 1))
                connection.execute(sa.update(self._table).where(mine).values(sent=row.sent + 1, due_at=due))
            return "sent"
        refused = status.state == State.FAILED
        if refused:
            log.warning("Request %s was refused and stays in the outbox: %s", row.request_id, status.reason)
        change = sa.update(self._table).values(reason=status.reason or status.state) if refused else None
        with writing(engine, _LABEL) as connection:
            connection.execute((sa.delete(self._table) if change is None else change).where(mine))
        return "refused" if refused else "accepted"

    def _taken(self, engine: sa.Engine, limit: int) -> list[Any]:
        """Take requests for this relay alone: no other one sees them until the lease is over."""
        table = self._table
        with writing(engine, _LABEL) as connection:
            moment = dialects.now(connection)
            due = sa.or_(table.c.due_at.is_(None), table.c.due_at <= moment)
            query = sa.select(table).where(table.c.reason.is_(None), due).order_by(table.c.created_at)
            # Where nothing can be skipped (SQLite), the condition on what was seen lets one of two have it.
            found = connection.execute(query.limit(limit).with_for_update(skip_locked=True)).all()
            until = moment + dt.timedelta(seconds=LEASE_SECONDS)
            return [row for row in found if self._lease(connection, row, until)]

    def _lease(self, connection: sa.Connection, row: Any, until: dt.datetime) -> bool:
        due = self._table.c.due_at
        seen = due.is_(None) if row.due_at is None else due == row.due_at
        change = sa.update(self._table).where(self._table.c.request_id == row.request_id, seen)
        return connection.execute(change.values(due_at=until)).rowcount == 1

    def _let_go(self, engine: sa.Engine, request_ids: Iterable[str]) -> None:
        mine = self._table.c.request_id.in_(list(request_ids))
        with writing(engine, _LABEL) as connection:
            connection.execute(sa.update(self._table).where(mine).values(due_at=None))


class _Within(Requests):
    """Writes requests into an open transaction."""

    def __init__(self, connection: sa.Connection, table: sa.Table, sealer: Sealer) -> None:
        self._connection, self._table, self._sealer = connection, table, sealer

    def _take(self, message: Message) -> None:
        values = {
            "request_id": message.request_id,
            "task": message.task,
            "arguments": self._sealer.keep(message.arguments, message.request_id),
            "created_at": dt.datetime.now(dt.UTC),
            "sent": 0,
        }
        with translated(_LABEL, self._connection.engine):
            if dialects.insert_missing(self._connection, self._table, values):
                return
            known = self._table.c.request_id == message.request_id
            row = self._connection.execute(sa.select(self._table).where(known)).one()
        kept = self._sealer.kept(row.arguments, row.request_id)
        if row.task != message.task or _outside(kept) != _outside(message.arguments):
            told = f"request {message.request_id} stands in the outbox already, for something else"
            raise Conflict(told)


def _outside(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is not sealed to the workers: an envelope is another one each time."""
    return {name: word for name, word in arguments.items() if name != "sealed"}
