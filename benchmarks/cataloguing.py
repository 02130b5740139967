"""A scan of 100 and of 1,000 tables on PostgreSQL: seconds with and without values, and peak memory.

`python -m benchmarks.cataloguing`. Each scan runs in a process of its own, whose peak is read at its end.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from aegis.catalog.decision import Verdict
from aegis.catalog.scanning import Limits, scan
from aegis.db.dialects import engine_url
from aegis.db.engines import make_engine
from aegis.embedded.postgres import EmbeddedPostgres
from aegis.settings import SourceSettings

_SIZES: Final = (100, 1_000)
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


def main() -> None:
    """Measure, and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--scan", nargs=2, metavar=("URL", "ROWS"))
    given = arguments.parse_args()
    if given.scan:
        print(_scanned(given.scan[0], int(given.scan[1])))
        return
    print(f"{'tables':>7} {'sampled rows':>13} {'seconds':>8} {'peak MiB':>9} {'personal':>9}")
    with tempfile.TemporaryDirectory(dir=_memory()) as folder, EmbeddedPostgres(Path(folder)) as server:
        for size in _SIZES:
            url = server.create_database(f"tables_{size}")
            _fill(url, size)
            for rows in (0, 50):
                command = [sys.executable, "-m", "benchmarks.cataloguing", "--scan", url, str(rows)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                print(f"{size:>7} {done.stdout.strip()}", flush=True)


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


def _scanned(url: str, rows: int) -> str:
    """Scan; return the figures in one line."""
    engine = make_engine(SourceSettings(url=url), own=False)
    began, seen, personal = time.perf_counter(), 0, 0
    found: Any = scan(engine, "benchmark", limits=Limits(rows=rows))
    for table in found:
        seen += table.sampled or 0
        personal += sum(decision.verdict is Verdict.PERSONAL for decision in table.decisions)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{seen:>13,} {seconds:>8.1f} {peak:>9.0f} {personal:>9,}"


if __name__ == "__main__":
    main()
