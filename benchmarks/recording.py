"""Events recorded by eight processes at once: beside a plain insert, and beside a hash chain.

Each transaction inserts a row of the application and one event. `plain` puts the event into a table
like `audit_logs` and does no more. `chain` links it to the event before, under a lock on the head.
`Aegis` records it as Aegis does, while another process seals the log each second, or without that.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Event as Flag
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.recorder import store
from aegis.db.columns import table_of
from aegis.db.engines import reading
from aegis.db.tables import AuditLog, AuditPending
from aegis.embedded.postgres import EmbeddedPostgres
from aegis.operations.system import System
from aegis.settings import Settings
from benchmarks.processes import FRESH
from tests.sealedlog import make

WRITERS: Final = 8
#: Events a second that each writer has composed beforehand: more than it can write.
_STOCK: Final = 2_000

_EXTRA: Final = sa.MetaData()
_BUSINESS: Final = sa.Table(
    "bench_orders", _EXTRA, sa.Column("id", sa.Uuid, primary_key=True), sa.Column("n", sa.Integer)
)
_HEAD: Final = sa.Table(
    "bench_head", _EXTRA, sa.Column("id", sa.Integer, primary_key=True), sa.Column("hash", sa.LargeBinary)
)


def _plain(connection: sa.Connection, event: events.Event) -> None:
    connection.execute(sa.insert(AuditLog), [dict(vars(event))])


def _chain(connection: sa.Connection, event: events.Event) -> None:
    before = connection.scalar(sa.select(_HEAD.c.hash).with_for_update())
    connection.execute(sa.insert(AuditLog), [dict(vars(event))])
    linked = hashlib.sha256(bytes(before or b"") + event.entry).digest()
    connection.execute(sa.update(_HEAD).values(hash=linked))


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to record."""

    name: str
    write: Callable[[sa.Connection, events.Event], None]
    sealing: bool = False


WAYS: Final = (
    Way(name="plain", write=_plain),
    Way(name="Aegis, nobody seals", write=store),
    Way(name="Aegis, sealed each second", write=store, sealing=True),
    Way(name="chain", write=_chain),
)


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What one way did in its time."""

    events: int
    seconds: float
    #: Events that had no leaf yet when the writers stopped.
    pending: int = 0

    @property
    def per_second(self) -> float:
        """Transactions that were committed in a second."""
        return self.events / self.seconds


def measure(way: Way, server: EmbeddedPostgres, folder: Path, seconds: float) -> Rate:
    """Let eight writers record for some seconds in a fresh database."""
    name = f"recording_{time.monotonic_ns()}"
    settings = Settings(home=folder / name, database_url=server.create_database(name))
    system = System(settings)
    system.init_keys()
    system.migrate()
    system.signing_keys.begin("bench.example.com/log", actor="bench")
    system.sequencer.seal()
    with system.databases.control.begin() as connection:
        _EXTRA.create_all(connection)
        connection.execute(sa.insert(_HEAD), {"id": 1, "hash": bytes(32)})
    try:
        return _race(way, system, seconds)
    finally:
        system.close()
        server.drop_database(name)


def _race(way: Way, system: System, seconds: float) -> Rate:
    start, stop, done = FRESH.Event(), FRESH.Event(), FRESH.SimpleQueue()
    ready: Any = FRESH.Barrier(WRITERS + way.sealing + 1)
    shared = (ready, start, stop, done)
    stock = int(_STOCK * max(1.0, seconds))
    processes = [
        FRESH.Process(
            target=_writer,
            args=(system.settings, way.name, range(number * stock, (number + 1) * stock), shared),
            daemon=True,
        )
        for number in range(WRITERS)
    ]
    if way.sealing:
        processes.append(FRESH.Process(target=_sealer, args=(system.settings, shared), daemon=True))
    for process in processes:
        process.start()
    ready.wait()
    start.set()
    time.sleep(seconds)
    stop.set()
    rates = [done.get() for _ in range(WRITERS)]
    with reading(system.databases.control, "control database") as connection:
        pending = int(connection.scalar(sa.select(sa.func.count()).select_from(table_of(AuditPending))) or 0)
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        message = f"{way.name}: a process failed"
        raise SystemExit(message)
    recorded = sum(count for count, _ in rates)
    return Rate(
        events=recorded, seconds=max(spent for _, spent in rates), pending=pending if way.sealing else 0
    )


def _writer(settings: Settings, name: str, numbers: range, shared: tuple[Any, Flag, Flag, Any]) -> None:
    ready, start, stop, done = shared
    (way,) = (way for way in WAYS if way.name == name)
    system = System(settings)
    # Composing an event costs everybody the same, and is not what is compared.
    stock = iter(make(len(numbers), first=numbers.start))
    with system.databases.control.connect() as connection:
        connection.execute(sa.select(_HEAD))
        connection.rollback()
        ready.wait()
        start.wait()
        began, count = time.perf_counter(), 0
        while not stop.is_set():
            event = next(stock)
            with connection.begin():
                connection.execute(sa.insert(_BUSINESS), {"id": event.id, "n": count})
                way.write(connection, event)
            count += 1
        done.put((count, time.perf_counter() - began))
    system.close()


def _sealer(settings: Settings, shared: tuple[Any, Flag, Flag, Any]) -> None:
    ready, start, stop, _ = shared
    system = System(settings)
    ready.wait()
    start.wait()
    while not stop.wait(1):
        system.sequencer.seal()
    system.close()
