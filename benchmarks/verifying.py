"""A long log verified, then pruned: rows a second and memory, beside the least that any verifier has to do.

The least is to read every entry and hash it: the floor is measured in the same run, with the driver
alone. Each verification runs in a process of its own, so that its memory is its own.
"""

import datetime as dt
import hashlib
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
import sqlalchemy as sa

from aegis.audit.recorder import store
from aegis.db.engines import writing
from aegis.embedded.postgres import EmbeddedPostgres
from aegis.operations.system import System, use
from aegis.settings import Settings
from api.audit import verify_audit_log
from api.log import prune_log
from benchmarks.processes import FRESH
from tests.sealedlog import NOW, make

#: Events that are stored at once.
_CHUNK: Final = 10_000
#: The newest event is so old that all of them can be pruned.
_AGE: Final = dt.timedelta(days=60)


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What one verification cost."""

    rows: int
    seconds: float
    #: The most memory of its process, in bytes.
    memory: int

    @property
    def per_second(self) -> float:
        """Rows in a second."""
        return self.rows / self.seconds


@contextmanager
def sealed_log(
    server: EmbeddedPostgres | None, folder: Path, leaves: int
) -> Iterator[tuple[Settings, float]]:
    """Make a sealed log of so many leaves; yield its settings, and the leaves sealed in a second."""
    name = f"verifying_{leaves}"
    url = server.create_database(name) if server else None
    settings = Settings(home=folder / name, database_url=url)
    system = System(settings)
    if url:
        system.init_keys()
        system.migrate()
        system.signing_keys.begin("bench.example.com/log", actor="bench")
    else:
        system.prepare()
    spent = 0.0
    age = _AGE + dt.timedelta(seconds=leaves)
    for first in range(0, leaves, _CHUNK):
        with writing(system.databases.control, "control database") as connection:
            store(connection, *make(min(_CHUNK, leaves - first), first=first, age=age))
        began = time.perf_counter()
        system.sequencer.seal()
        spent += time.perf_counter() - began
    if server:
        with system.databases.control.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    try:
        yield settings, leaves / spent
    finally:
        system.close()
        if server:
            server.drop_database(name)


def verified(settings: Settings, *, columns: bool) -> Verified:
    """Verify the log in a process of its own."""
    return _apart(_verify, settings, columns)


def pruned(settings: Settings) -> Verified:
    """Prune every whole tile of the log, in a process of its own; afterwards little is left of it."""
    return _apart(_prune, settings)


def floor(settings: Settings) -> Verified:
    """Read and hash every entry in the order of the leaves, and do no more."""
    return _apart(_hash, settings)


def _verify(settings: Settings, columns: bool) -> tuple[int, float]:  # noqa: FBT001 - the target of a process
    system = use(settings)
    began = time.perf_counter()
    report = verify_audit_log(columns=columns)
    spent = time.perf_counter() - began
    if not report.intact:
        message = f"the log is not intact: {report.findings[:3]}"
        raise SystemExit(message)
    system.close()
    return report.checked, spent


def _prune(settings: Settings) -> tuple[int, float]:
    system = use(settings)
    began = time.perf_counter()
    done = prune_log((NOW - _AGE + dt.timedelta(days=5)).date(), "bench", execute=True)
    spent = time.perf_counter() - began
    system.close()
    return done.events, spent


def _hash(settings: Settings) -> tuple[int, float]:
    system, rows = System(settings), 0
    query = "SELECT entry FROM audit_logs ORDER BY id"
    began = time.perf_counter()
    if settings.database_url:
        url = sa.make_url(settings.database_url).set(drivername="postgresql")
        text = url.render_as_string(hide_password=False)
        with psycopg.connect(text) as direct, direct.cursor("entries", binary=True) as cursor:
            cursor.itersize = 2_048
            for (entry,) in cursor.execute(query):
                hashlib.sha256(b"\0" + entry).digest()
                rows += 1
    else:
        with system.databases.control.connect() as connection:
            raw: Any = connection.connection.cursor()
            raw.execute(query)
            for (entry,) in raw:
                hashlib.sha256(b"\0" + entry).digest()
                rows += 1
    spent = time.perf_counter() - began
    system.close()
    return rows, spent


def _apart(work: Any, *arguments: Any) -> Verified:
    told = FRESH.SimpleQueue()
    process = FRESH.Process(target=_told, args=(told, work, arguments))
    process.start()
    process.join()
    if process.exitcode:
        message = f"{work.__name__} failed"
        raise SystemExit(message)
    rows, seconds, memory = told.get()
    return Verified(rows=rows, seconds=seconds, memory=memory)


def _told(told: Any, work: Any, arguments: tuple[Any, ...]) -> None:
    rows, seconds = work(*arguments)
    told.put((rows, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
