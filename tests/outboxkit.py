"""A service with an outbox in its own database."""

import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from aegis.client import Client, Outbox, Relayed, outbox_table
from aegis.client.sending import Message, Post
from tests import worlds
from tests.workerkit import client, wait_until


@dataclasses.dataclass(kw_only=True)
class Service:
    """Its database, and its outbox."""

    engine: sa.Engine
    client: Client
    table: sa.Table
    broker: str

    @property
    def outbox(self) -> Outbox:
        """The outbox."""
        return self.client.outbox(self.table)

    def ask(self, request_id: str, **words: Any) -> None:
        """Record an event, in a transaction that commits."""
        with self.engine.begin() as connection:
            self.outbox.within(connection).record_audit(**event(request_id), **words)

    def rows(self) -> dict[str, Any]:
        """Return what stands in the outbox: id → row."""
        with self.engine.connect() as connection:
            return {row.request_id: row for row in connection.execute(sa.select(self.table))}

    def later(self) -> Relayed:
        """Relay as if all the time had passed after which anything is looked at again."""
        with self.engine.begin() as connection:
            connection.execute(sa.update(self.table).values(due_at=None))
        return self.outbox.relay(self.engine)

    def queued(self) -> int:
        """Count the messages that no worker has taken."""
        with client(self.broker) as redis:
            return int(redis.llen("audit"))

    def answered(self, request_id: str) -> None:
        """Wait until a worker has told what became of a request."""
        wait_until(lambda: self.client.status(request_id).state != "unknown", f"{request_id} is answered")


def work(broker: str, database: str, key_file: Path, fatal: int) -> None:
    """Send what stands in an outbox, and take note when that is accepted; die before one of the steps."""
    done = 0

    def step(*_: Any) -> None:
        nonlocal done
        done += 1
        if done == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    class Deadly(Post):
        def send(self, message: Message) -> None:
            step()
            super().send(message)

    asking = service(worlds.engine(database), Client(broker, key_file=key_file), broker)
    asking.client._post = Deadly(broker)  # noqa: SLF001 - where everything leaves
    (request,) = asking.rows()
    sa.event.listen(sa.Engine, "before_cursor_execute", step)
    asking.outbox.relay(asking.engine)
    asking.answered(request)
    asking.later()


def event(request_id: str) -> dict[str, Any]:
    """Return the words of an event whose action is its request's id."""
    return {
        "action": request_id,
        "actor": "shop",
        "target_type": "user",
        "target_id": 17,
        "request_id": request_id,
    }


def service(engine: sa.Engine, asking: Client, broker: str, name: str = "aegis_outbox") -> Service:
    """Return a service on a database, with its table made if it is not there."""
    metadata = sa.MetaData()
    table = outbox_table(metadata, name)
    metadata.create_all(engine)
    return Service(engine=engine, client=asking, table=table, broker=broker)
