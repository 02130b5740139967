"""What the queue costs: the same operation asked for by a service, and called in this process.

`python -m benchmarks.queueing`. A retention run: the client's request goes through Redis to a worker process,
which creates a run and advances it; beside it the door called here, and a plain Celery task with one DELETE.
The fixed cost is that of a run over a few rows, a row's cost what many more rows take beyond it. An event: so
many requests at once, until all are done, and one after the other.
"""

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from api import audit, privacy
from benchmarks import plaintasks, services
from benchmarks.program import arguments, finish, in_turn, progress
from benchmarks.sections import Lines, Section
from benchmarks.services import Service
from tests.workerkit import worker

_FEW: Final = 10
#: A wait that is longer means that something is broken.
_LONGEST: Final = 600.0
_TABLES: Final = (
    "CREATE TABLE events (id bigserial PRIMARY KEY, created_at timestamptz NOT NULL, body text)",
    "CREATE INDEX events_created_at ON events (created_at)",
    "CREATE TABLE log (id bigserial PRIMARY KEY, action text, actor text, target text)",
)
_EVENT: Final[dict[str, Any]] = {"action": "order:cancel", "actor": "benchmark", "target_type": "order"}


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to have an operation done."""

    name: str
    #: Make what is due go.
    purge: Callable[[], None]
    #: Record so many events; return when all are there.
    record: Callable[[int], None]


def main(words: Sequence[str] | None = None) -> list[Section]:
    """Measure, print, and write where that was asked for."""
    parser = arguments(__doc__, repeats=5)
    parser.add_argument("--rows", type=int, default=500_000, help="rows that go in a large run")
    parser.add_argument("--requests", type=int, default=500, help="events that are asked for at once")
    given = parser.parse_args(words)
    return finish("queueing", words, _sections(given), given.write)


def _sections(given: argparse.Namespace) -> Iterator[Section]:
    with tempfile.TemporaryDirectory() as temporary, services.start(Path(temporary)) as service:
        app = service.system.databases.source("app")
        with app.begin() as connection:
            for statement in _TABLES:
                connection.exec_driver_sql(statement)
        privacy.register_retention_policy("events", "events", retention_days=90, datasource="app")
        with _ways(service) as ways:
            yield _runs(ways, app, given.rows, given.repeats)
            yield _events(ways, given.requests, given.repeats)


@contextlib.contextmanager
def _ways(service: Service) -> Iterator[list[Way]]:
    """Start the workers that the ways need; their first task is behind them when they are measured."""
    environ: dict[str, Any] = {
        "application": "benchmarks.plaintasks",
        "BENCH_DATABASE": service.system.settings.datasources["app"].url,
    }
    plaintasks.app.conf.update(broker_url=service.broker, result_backend=service.broker)
    options = ("--concurrency", "1", "--queues", "plain")
    with (
        service.worker("retention", "audit"),
        worker(service.folder / "plain", service.broker, *options, **environ),
    ):
        yield [
            Way(name="Aegis, called in process", purge=_purge_here, record=_record_here),
            Way(
                name="Aegis, through the queue",
                purge=lambda: _purge_there(service),
                record=lambda count: _record_there(service, count),
            ),
            Way(name="a plain Celery task, one statement", purge=_purge_plainly, record=_record_plainly),
        ]


def _purge_here() -> None:
    (report,) = privacy.enforce_retention_policies(dry_run=False, policies=["events"])
    if not report["applied"]:
        raise SystemExit(str(report))


def _purge_there(service: Service) -> None:
    _await(service, [service.client.enforce_retention(dry_run=False, policies=["events"])])


def _purge_plainly() -> None:
    plaintasks.delete.delay().get(timeout=_LONGEST, interval=0.002)


def _record_here(count: int) -> None:
    for number in range(count):
        audit.record_audit(**_EVENT, target_id=number)


def _record_there(service: Service, count: int) -> None:
    asked = [service.client.record_audit(**_EVENT, target_id=number) for number in range(count)]
    _await(service, asked)


def _record_plainly(count: int) -> None:
    words = {"action": _EVENT["action"], "actor": _EVENT["actor"]}
    asked = [plaintasks.record.delay(**words, target=str(number)) for number in range(count)]
    for one in reversed(asked):
        one.get(timeout=_LONGEST, interval=0.002)


def _await(service: Service, requests: Sequence[str]) -> None:
    """Wait for the end of all; they end in the order in which they were sent."""
    end = time.monotonic() + _LONGEST
    # Each look opens a connection; too many of them would be most of what is measured.
    pause = 0.002 if len(requests) == 1 else 0.05
    for request in reversed(requests):
        while not (status := service.client.status(request)).ended:
            if time.monotonic() > end:
                message = f"request {request} is {status.state}: {status.reason}"
                raise SystemExit(message)
            time.sleep(pause)
        if status.state != "done":
            message = f"request {request} is {status.state}: {status.reason}"
            raise SystemExit(message)


def _runs(ways: Sequence[Way], app: sa.Engine, rows: int, repeats: int) -> Section:
    few: dict[str, list[float]] = {way.name: [] for way in ways}
    many: dict[str, list[float]] = {way.name: [] for way in ways}
    for way in ways:
        _purged(way, app, _FEW)
    for repeat in range(repeats):
        for way in in_turn(ways, repeat):
            progress(f"runs, {way.name}, {repeat + 1} of {repeats}")
            few[way.name].append(statistics.median(_purged(way, app, _FEW) for _ in range(3)))
            many[way.name].append(_purged(way, app, rows))
    headings = ("", "fixed, ms", f"{rows:,} rows, s", "µs a row")
    lines: Lines = [headings]
    for way in ways:
        fixed, whole = few[way.name], many[way.name]
        row = statistics.median((all_ - one) / rows for one, all_ in zip(fixed, whole, strict=True))
        middle = statistics.median(whole)
        lines.append((way.name, f"{statistics.median(fixed) * 1e3:.1f}", f"{middle:.3f}", f"{row * 1e6:.2f}"))
    return Section(title=f"A retention run, PostgreSQL, medians of {repeats}", lines=lines)


def _purged(way: Way, app: sa.Engine, rows: int) -> float:
    """Return the seconds that it takes until so many rows are gone."""
    insert = (
        "INSERT INTO events (created_at, body) SELECT now() - interval '100 days', repeat('x', 100)"  # noqa: S608
        f" FROM generate_series(1, {rows})"
    )
    with app.begin() as connection:
        connection.exec_driver_sql("TRUNCATE events")
        connection.exec_driver_sql(insert)
    with app.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE events")
    began = time.monotonic()
    way.purge()
    spent = time.monotonic() - began
    with app.connect() as connection:
        left = connection.scalar(sa.text("SELECT count(*) FROM events"))
    if left:
        message = f"{way.name}: {left} rows are due still"
        raise SystemExit(message)
    return spent


def _events(ways: Sequence[Way], requests: int, repeats: int) -> Section:
    singles: dict[str, list[float]] = {way.name: [] for way in ways}
    together: dict[str, list[float]] = {way.name: [] for way in ways}
    for repeat in range(repeats):
        for way in in_turn(ways, repeat):
            progress(f"events, {way.name}, {repeat + 1} of {repeats}")
            singles[way.name].append(statistics.median(_timed(way, 1) for _ in range(20)))
            together[way.name].append(_timed(way, requests))
    lines: Lines = [("", "one event, ms", f"{requests:,} at once, s", "requests a second")]
    for way in ways:
        middle = statistics.median(together[way.name])
        single = statistics.median(singles[way.name]) * 1e3
        lines.append((way.name, f"{single:.1f}", f"{middle:.3f}", f"{requests / middle:,.0f}"))
    return Section(title=f"An event, PostgreSQL, medians of {repeats}", lines=lines)


def _timed(way: Way, count: int) -> float:
    began = time.monotonic()
    way.record(count)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
