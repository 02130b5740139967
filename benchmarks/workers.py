"""One policy cut into ranges, on more and more workers: `python -m benchmarks.workers`.

Real worker processes with one child each take the ranges of one run out of a real Redis. Whoever
works, the run is cut into the same number of ranges and the rows are the same. A ratio is the
rate of the run / that of one worker in the same repeat. After each run the account is checked:
rows gone = journal = log = report = ledger, so that nothing was done or counted twice.
"""

import argparse
import contextlib
import dataclasses
import secrets
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from aegis.embedded.postgres import EmbeddedPostgres
from aegis.embedded.redis import EmbeddedRedis
from aegis.operations.system import System, use
from aegis.operations.table import ENFORCE, ROUTES
from aegis.settings import Settings
from api import privacy
from api.audit import relay_journals
from benchmarks.copies import Copy
from benchmarks.program import arguments, finish, in_turn, progress
from benchmarks.sections import Lines, Section
from benchmarks.servers import Place
from tests import account
from tests.workerkit import WorkerProcess, sender, wait_until, worker
from tests.worlds import engine

_RANGES: Final = 4
_HEADINGS: Final = ("workers", "took part", "seconds", "rows a second", "ratio", "batches alone")
_BATCHES: Final = "SELECT min(time), max(time) FROM audit_logs WHERE action = 'retention:batch'"
_LONGEST: Final = 3600.0


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What one run took."""

    #: From the request to the end of the run.
    seconds: float
    #: From the first batch to the last: without counting before and after.
    batches: float
    gone: int
    #: Workers that did a part of it.
    busy: int


def main(words: Sequence[str] | None = None) -> list[Section]:
    """Measure, print, and write where that was asked for."""
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--rows", type=int, default=4_000_000, help="rows of the table; half of them go")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="the first is the measure")
    given = parser.parse_args(words)
    return finish("workers", words, _sections(given), given.write)


def _sections(given: argparse.Namespace) -> Iterator[Section]:
    figures: dict[int, list[Figure]] = {number: [] for number in given.workers}
    with tempfile.TemporaryDirectory() as temporary, EmbeddedPostgres(Path(temporary) / "server") as server:
        where = Place(folder=Path(temporary), server=server)
        version = where.version()
        with where.copy("bench_model", rows=given.rows) as model:
            for repeat in range(given.repeats):
                for number in in_turn(given.workers, repeat):
                    progress(f"{number} workers, {repeat + 1} of {given.repeats}")
                    figures[number].append(_measure(where, server, number, model))
    lines: Lines = [_HEADINGS, *(_line(number, figures) for number in given.workers)]
    title = f"A run in {_RANGES} ranges, {given.rows:,} rows, medians of {given.repeats}. {version}"
    yield Section(title=title, lines=lines)


def _measure(where: Place, server: EmbeddedPostgres, number: int, model: Copy) -> Figure:
    """Let so many workers do one run on a fresh copy, and check its account."""
    name = f"bench_{secrets.token_hex(4)}"
    with (
        where.copy(name, rows=model.rows, model=model) as copy,
        EmbeddedRedis(where.folder / f"redis_{name}") as redis,
        _control(server, f"{name}_control") as url,
        contextlib.closing(_prepared(dataclasses.replace(copy.settings, database_url=url))) as system,
    ):
        system.migrate_source("app")
        privacy.register_retention_policy("bench", copy.table, retention_days=copy.days, parallel=_RANGES)
        with contextlib.ExitStack() as stack:
            begin = (_worker(where.folder / name, redis.url, it, system.settings) for it in range(number))
            running = [stack.enter_context(it) for it in begin]
            due = _due(copy)
            begun = time.perf_counter()
            _send(redis.url)
            wait_until(lambda: _ended(system), "the run has ended", _LONGEST)
            spent = time.perf_counter() - begun
            busy = sum("aegis.retention.run[" in it.log for it in running)
        return _accounted(copy, system.settings, due, spent, busy)


@contextlib.contextmanager
def _control(server: EmbeddedPostgres, name: str) -> Iterator[str]:
    """Create a control database apart from the rows; it is dropped in the end."""
    yield server.create_database(name)
    server.drop_database(name)


def _prepared(settings: Settings) -> System:
    """Make keys, tables and a log, and let the doors of this process use them."""
    settings.home.mkdir()
    with contextlib.closing(System(settings)) as system:
        system.init_keys()
        system.migrate()
        system.signing_keys.begin("aegis.invalid/workers", actor="benchmark")
    return use(settings)


def _worker(
    folder: Path, broker: str, number: int, settings: Settings
) -> contextlib.AbstractContextManager[WorkerProcess]:
    words: dict[str, Any] = {
        "application": "worker.app",
        "AEGIS_HOME": str(settings.home),
        "AEGIS_DATABASE_URL": str(settings.database_url),
        "AEGIS_DATASOURCES__APP__URL": settings.datasources["app"].url,
        "AEGIS_APPROVAL": settings.approval,
        "AEGIS_RETENTION__PAUSE_SHARE": str(settings.retention.pause_share),
    }
    for name, value in dataclasses.asdict(settings.throttle).items():
        words[f"AEGIS_THROTTLE__{name.upper()}"] = str(value)
    options = ("--concurrency", "1", "--queues", "retention", "--hostname", f"worker{number}@%h")
    return worker(folder / str(number), broker, *options, **words)


def _send(broker: str) -> None:
    with sender(broker) as app:
        asked = {"dry_run": False, "request_id": "bench", "policies": ["bench"]}
        app.send_task(ENFORCE, kwargs=asked, queue=ROUTES[ENFORCE])


def _ended(system: System) -> bool:
    """Whether the only run is done.

    Raises:
        SystemExit: it will never be.

    """
    with system.databases.control.connect() as connection:
        row = connection.execute(sa.text("SELECT state, reason FROM aegis_runs")).first()
    if row and row.state in {"failed", "blocked", "quarantined", "cancelled"}:
        message = f"the run is {row.state}: {row.reason}"
        raise SystemExit(message)
    return row is not None and row.state == "done"


def _due(copy: Copy) -> int:
    """Count the rows that are due."""
    query = f"SELECT count(*) FROM {copy.table} WHERE created_at < :cutoff"  # noqa: S608 - our own name
    with copy.app.connect() as connection:
        return int(connection.scalar(sa.text(query), {"cutoff": copy.cutoff}) or 0)


def _accounted(copy: Copy, settings: Settings, due: int, spent: float, busy: int) -> Figure:
    """Check the account of the only run, and return what it took."""
    relay_journals()
    gone = copy.rows - copy.left()[0]
    if gone != due or _due(copy):
        message = f"{due} rows were due, {gone} are gone, and {_due(copy)} are due still"
        raise SystemExit(message)
    control = engine(settings.control.url)
    account.check(
        control=control, sources={"app": copy.app}, home=settings.home, gone={copy.table: gone}, canaries=()
    )
    with control.connect() as connection:
        first, last = connection.execute(sa.text(_BATCHES)).one()
    return Figure(seconds=spent, batches=(last - first).total_seconds(), gone=gone, busy=busy)


def _line(number: int, figures: dict[int, list[Figure]]) -> tuple[str, ...]:
    mine, first = figures[number], next(iter(figures.values()))
    pairs = list(zip(mine, first, strict=True))
    return (
        str(number),
        str(min(it.busy for it in mine)),
        f"{statistics.median(it.seconds for it in mine):.2f}",
        f"{statistics.median(it.gone / it.seconds for it in mine):,.0f}",
        f"{statistics.median(one.seconds / it.seconds for it, one in pairs):.2f}",
        f"{statistics.median(one.batches / it.batches for it, one in pairs):.2f}",
    )


if __name__ == "__main__":
    main()
