"""What one contender costs: seconds, write-ahead log, and the time of the application's UPDATEs meanwhile."""

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import sqlalchemy as sa

from benchmarks.contenders import Contender, Work
from benchmarks.copies import Copy
from benchmarks.processes import FRESH

#: Seconds between two UPDATEs of the application.
_EVERY: Final = 0.01


@dataclass(frozen=True, kw_only=True)
class Latency:
    """What the UPDATEs of one session of the application took, in seconds, from the shortest."""

    times: Sequence[float]

    def at(self, share: float) -> float | None:
        """Return the percentile; None where no UPDATE began."""
        return self.times[min(int(len(self.times) * share), len(self.times) - 1)] if self.times else None


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What one contender cost once."""

    seconds: float
    #: Bytes of write-ahead log without those of the UPDATEs (PostgreSQL).
    wal: int | None = None
    #: Of UPDATEs of rows that are due, each of another one.
    due: Latency = Latency(times=())
    #: Of UPDATEs of one row that stays, again and again.
    hot: Latency = Latency(times=())
    #: The most memory of Aegis's process, in bytes.
    memory: int | None = None
    #: The seconds that Aegis's batches took.
    batches: float | None = None
    #: What tells the rows that are left.
    left: tuple[int, ...] = ()


def measure(contender: Contender, copy: Copy, *, snapshot: bool = False, hot: bool = False) -> Figure:
    """Prepare and run a contender while the application updates rows.

    Args:
        contender: who is measured.
        copy: the rows.
        snapshot: somebody holds an old snapshot open.
        hot: a second session of the application updates one row that stays.

    """
    contender.prepare(copy)
    if copy.dialect == "postgresql":
        copy.maintain("CHECKPOINT")
    before = _written(copy)
    due, one = _Probe(copy, hot=False), _Probe(copy, hot=True) if hot else None
    with _snapshot(copy) if snapshot else contextlib.nullcontext(), due, one or contextlib.nullcontext():
        work = contender.run(copy)
    written = due.written + (one.written if one else 0)
    return Figure(
        seconds=work.seconds,
        wal=_written(copy) - before - written if copy.dialect == "postgresql" else None,
        due=due.during(work),
        hot=one.during(work) if one else Latency(times=()),
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
    """Another process that updates rows at a steady pace, and notes how long each took."""

    def __init__(self, copy: Copy, *, hot: bool) -> None:
        self._stop, self._ready = FRESH.Event(), FRESH.Event()
        self._told: Any = FRESH.SimpleQueue()
        rows = range(copy.rows, copy.rows + 1) if hot else range(1, 1 + max(1, copy.due))
        arguments = (copy.app.url, copy.table, rows, (self._ready, self._stop, self._told))
        self._process = FRESH.Process(target=_update_rows, args=arguments, daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._times, self.written = self._told.get()
        self._process.join()

    def during(self, work: Work) -> Latency:
        """Return what those took that began while the work was done, and not while it was made ready."""
        ended = work.began + work.seconds
        return Latency(times=sorted(spent for begun, spent in self._times if work.began <= begun <= ended))


def _update_rows(url: sa.URL, table: str, rows: range, shared: tuple[Any, Any, Any]) -> None:
    """Update one row after the other until told to stop; the probe's own process.

    Users do not wait for each other: an UPDATE counts from when it was to begin, also where the one before
    it was held up.
    """
    ready, stop, told = shared
    spent: list[tuple[float, float]] = []
    # SQLite's writers wait for each other: for as long as it takes.
    patience = {"timeout": 600} if url.get_backend_name() == "sqlite" else {}
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", connect_args=patience)
    update = sa.text(f"UPDATE {table} SET user_id = user_id WHERE id = :id")  # noqa: S608 - our own name
    with engine.connect() as connection:
        connection.execute(update, {"id": 0})
        before = _own_written(connection)
        ready.set()
        place, begin, end = 0, time.monotonic() + _EVERY, math.inf
        while True:
            if stop.wait(max(0.0, begin - time.monotonic())):
                # What was to begin before is still waited for.
                end = min(end, time.monotonic())
            if begin >= end:
                break
            place = (place + 7919) % len(rows)
            connection.execute(update, {"id": rows[place]})
            spent.append((begin, time.monotonic() - begin))
            begin += _EVERY
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
