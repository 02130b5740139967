"""A scan of 100 and of 1,000 tables on PostgreSQL: seconds with and without values, and peak memory.

`python -m benchmarks.cataloguing`. Each scan runs in a process of its own, whose peak is read at its end.
Beside it what anybody writes: patterns over the names of all columns, and over the first rows of each table.
How good the answers are is another question: benchmarks/catalog/RESULTS.md.
"""

import argparse
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from aegis.catalog.decision import Verdict
from aegis.catalog.scanning import Limits, scan
from aegis.db.dialects import engine_url
from aegis.db.engines import make_engine
from aegis.embedded.postgres import EmbeddedPostgres
from aegis.settings import SourceSettings
from benchmarks.program import arguments, finish, progress
from benchmarks.sections import Lines, Section

#: Rows of most tables; every hundredth has more.
_ROWS: Final = 1_000
_MANY: Final = 200_000
_KINDS: Final = ("users", "orders", "messages", "products", "sessions", "audit_log", "invoices", "tags")
_COLUMNS: Final = (
    "id bigint PRIMARY KEY, user_id bigint, email varchar(90), first_name varchar(60), phone varchar(30), "
    "ip_address text, body text, status varchar(20), payload jsonb, amount numeric(10, 2), city text, "
    "external_ref text, created_at timestamptz, is_active boolean, token varchar(64)"
)
_VALUES: Final = (
    "n * 3, n %% 977, 'user.' || n || '@example.com', 'Name' || n, '+49 30 ' || 1000000 + n, "
    "'192.0.' || n %% 250 || '.' || n %% 200, repeat('Some words of a message. ', 20), 'open', "
    "jsonb_build_object('email', 'a@example.com', 'n', n), n / 7.0, 'Berlin', md5(n::text), now(), true, "
    "md5((n + 1)::text)"
)


#: Rows that are looked at in each table; none: names alone.
_SAMPLED: Final = (0, 50)
_NAMES: Final = re.compile(
    r"name|mail|phone|address|birth|gender|ip_|token|password|city|body", re.IGNORECASE
)
_VALUES_THERE: Final = re.compile(r"[^@\s]+@[^@\s]+\.\w+|\+?\d[\d /-]{7,}|\d+\.\d+\.\d+\.\d+")


def main(words: Sequence[str] | None = None) -> list[Section]:
    """Measure, print, and write where that was asked for."""
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--tables", type=int, nargs="+", default=[100, 1_000])
    parser.add_argument(
        "--scan", nargs=3, metavar=("WAY", "URL", "ROWS"), help="one scan, in a process of its own"
    )
    given = parser.parse_args(words)
    if given.scan:
        way, url, rows = given.scan
        print(*_WAYS[way](url, int(rows)))
        return []
    return finish("cataloguing", words, _sections(given), given.write)


def _sections(given: argparse.Namespace) -> Iterator[Section]:
    lines: Lines = [("tables", "way", "rows sampled", "seconds", "peak MiB", "called personal")]
    with tempfile.TemporaryDirectory(dir=_memory()) as folder, EmbeddedPostgres(Path(folder)) as server:
        for size in given.tables:
            progress(f"{size:,} tables are made")
            url = server.create_database(f"tables_{size}")
            _fill(url, size)
            for rows in _SAMPLED:
                for way in _WAYS:
                    progress(f"{size:,} tables, {rows} rows of each, {way}")
                    found = [_apart(way, url, rows) for _ in range(given.repeats)]
                    lines.append((f"{size:,}", way, *_middle(found)))
    yield Section(title=f"A scan of every column, PostgreSQL, medians of {given.repeats}", lines=lines)


def _apart(way: str, url: str, rows: int) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.cataloguing", "--scan", way, url, str(rows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


def _middle(found: Sequence[Sequence[float]]) -> tuple[str, ...]:
    seen, seconds, peak, personal = map(statistics.median, zip(*found, strict=True))
    return f"{seen:,.0f}", f"{seconds:.2f}", f"{peak:.0f}", f"{personal:,.0f}"


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").exists() else None  # noqa: S108 - as the tests do


def _fill(url: str, size: int) -> None:
    engine = sa.create_engine(engine_url(url))
    for number in range(size):
        name = f"{_KINDS[number % len(_KINDS)]}_{number}"
        rows = _MANY if number % 100 == 0 else _ROWS
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE TABLE {name} ({_COLUMNS})")
            connection.exec_driver_sql(
                f"INSERT INTO {name} SELECT {_VALUES} FROM generate_series(1, {rows}) AS n"  # noqa: S608 - our own
            )
    engine.dispose()


def _scanned(url: str, rows: int) -> tuple[float, ...]:
    """Scan; return the rows seen, the seconds, the memory in MiB and the columns called personal."""
    engine = make_engine(SourceSettings(url=url), own=False)
    began, seen, personal = time.perf_counter(), 0, 0
    found: Any = scan(engine, "benchmark", limits=Limits(rows=rows))
    for table in found:
        seen += table.sampled or 0
        personal += sum(decision.verdict is Verdict.PERSONAL for decision in table.decisions)
    return seen, time.perf_counter() - began, _peak(), personal


def _by_pattern(url: str, rows: int) -> tuple[float, ...]:
    """Do what anybody writes; return the same."""
    engine = sa.create_engine(engine_url(url))
    began, seen, personal = time.perf_counter(), 0, 0
    inspector = sa.inspect(engine)
    with engine.connect() as connection:
        for table in inspector.get_table_names():
            columns = [column["name"] for column in inspector.get_columns(table)]
            found = {name for name in columns if _NAMES.search(name)}
            if rows:
                query = sa.text(f"SELECT * FROM {table} LIMIT {rows}")  # noqa: S608 - the schema's own names
                sample = connection.execute(query).all()
                seen += len(sample)
                for name, values in zip(columns, zip(*sample, strict=True), strict=True):
                    if sum(bool(_VALUES_THERE.search(str(value))) for value in values) * 2 > len(values):
                        found.add(name)
            personal += len(found)
    return seen, time.perf_counter() - began, _peak(), personal


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


_WAYS: Final = {"Aegis": _scanned, "patterns, first rows": _by_pattern}


if __name__ == "__main__":
    main()
