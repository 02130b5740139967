"""What one contender costs: seconds, write-ahead log, and the stall of an UPDATE meanwhile."""

import contextlib
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa

from benchmarks.contenders import Contender
from benchmarks.copies import Copy


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What one contender cost once."""

    seconds: float
    #: Bytes of write-ahead log without those of the UPDATEs (PostgreSQL).
    wal: int | None = None
    #: 99th percentile of an UPDATE of a row that is being deleted meanwhile, in seconds.
    stall: float | None = None
    #: The most memory of Aegis's process, in bytes.
    memory: int | None = None
    #: The seconds that Aegis's batches took.
    batches: float | None = None
    #: What tells the rows that are left.
    left: tuple[int, ...] = ()


def measure(contender: Contender, copy: Copy, *, snapshot: bool = False) -> Figure:
    """Prepare and run a contender, with or without an old snapshot that somebody holds open."""
    contender.prepare(copy)
    if copy.dialect == "postgresql":
        copy.maintain("CHECKPOINT")
    before = _written(copy)
    probe = _Probe(copy)
    with _snapshot(copy) if snapshot else contextlib.nullcontext(), probe:
        work = contender.run(copy)
    return Figure(
        seconds=work.seconds,
        wal=_written(copy) - before - probe.written if copy.dialect == "postgresql" else None,
        stall=probe.stall(),
        memory=work.memory,
        batches=work.batches,
        left=copy.left(),
    )


def _written(copy: Copy) -> int:
    """Return the bytes of write-ahead log so far (PostgreSQL)."""
    if copy.dialect != "postgresql":
        return 0
    with copy.app.connect() as connection:
        return int(connection.scalar(sa.text("SELECT pg_current_wal_insert_lsn() - '0/0'")) or 0)


@contextlib.contextmanager
def _snapshot(copy: Copy) -> Iterator[None]:
    with copy.app.execution_options(isolation_level="REPEATABLE READ").connect() as connection:
        connection.exec_driver_sql(f"SELECT 1 FROM {copy.table} LIMIT 1")  # noqa: S608 - our own name
        yield


class _Probe:
    """Another process that updates expired rows while they go, and notes how long each took."""

    def __init__(self, copy: Copy) -> None:
        context = multiprocessing.get_context("spawn")
        self._stop, self._ready = context.Event(), context.Event()
        self._told: Any = context.SimpleQueue()
        arguments = (copy.app.url, copy.table, copy.due, (self._ready, self._stop, self._told))
        self._process = context.Process(target=_update_rows, args=arguments, daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        times, self.written = self._told.get()
        self.times = sorted(times)
        self._process.join()

    def stall(self) -> float:
        """Return the 99th percentile."""
        return float(self.times[int(len(self.times) * 0.99)]) if self.times else 0.0


def _update_rows(url: sa.URL, table: str, due: int, shared: tuple[Any, Any, Any]) -> None:
    """Update rows that are due until told to stop; the probe's own process."""
    ready, stop, told = shared
    spent: list[float] = []
    # SQLite's writers wait for each other: for as long as it takes.
    patience = {"timeout": 600} if url.get_backend_name() == "sqlite" else {}
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", connect_args=patience)
    update = sa.text(f"UPDATE {table} SET user_id = user_id WHERE id = :id")  # noqa: S608 - our own name
    with engine.connect() as connection:
        connection.execute(update, {"id": 0})
        before = _own_written(connection)
        ready.set()
        place = 0
        while not stop.wait(0.005):
            place = (place + 7919) % max(1, due)
            began = time.perf_counter()
            connection.execute(update, {"id": 1 + place})
            spent.append(time.perf_counter() - began)
        written = _own_written(connection) - before
    engine.dispose()
    told.put((spent, written))


def _own_written(connection: sa.Connection) -> int:
    """Return the bytes of write-ahead log that this session wrote (PostgreSQL from 18), otherwise 0."""
    if connection.dialect.name != "postgresql":
        return 0
    connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
    own = sa.text("SELECT wal_bytes FROM pg_stat_get_backend_wal(pg_backend_pid())")
    return int(connection.scalar(own) or 0)
