"""Counts that take too long: they stop no policy, and nothing is claimed of what they did not tell."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.db import transactions
from aegis.db.engines import reading
from aegis.errors import TooLong
from aegis.retention import counting
from api import privacy
from tests.worlds import EACH_DATABASE, World, on

#: Rows that cannot be counted in a millisecond, and those of them that are due.
ROWS, DUE = 60_000, 300
_SERIES = {
    "postgresql": "SELECT n, 'acme', repeat('x', 90), 'low', {clock} FROM generate_series(1, {rows}) n",
    "mariadb": "SELECT seq, 'acme', REPEAT('x', 90), 'low', {clock} FROM seq_1_to_{rows}",
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) "
    "SELECT n, 'acme', printf('%.90c', 'x'), 'low', {clock} FROM s",
}
_CLOCK = {
    "postgresql": "now() - CASE WHEN n <= {due} THEN 60 ELSE 1 END * interval '1 day'",
    "mariadb": "UTC_TIMESTAMP(6) - INTERVAL IF(seq <= {due}, 60, 1) DAY",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now', CASE WHEN n <= {due} THEN '-60' ELSE '-1' END || ' days')"
    " || '000'",
}


def filled(world: World, *, rows: int = ROWS, index: bool = False) -> None:
    """Create the usual table with many rows, of which a few are due."""
    world.safety_events(index=index)
    clock = _CLOCK[world.dialect].format(due=DUE)
    series = _SERIES[world.dialect].format(clock=clock, rows=rows)
    world.execute(f"INSERT INTO safety_events {series}".replace(":", r"\:"))
    world.born("safety_events", rows)
    if world.dialect == "postgresql":
        world.execute("ANALYZE safety_events")


def hurried(world: World) -> None:
    """Go on with no time for counts, and little for locks."""
    limits = replace(world.settings.retention, count_seconds=0.001, lock_timeout_milliseconds=50)
    world.configure(retention=limits)


def report_of(world: World, run: str) -> dict[str, Any]:
    """Return the report that the control database has of a run."""
    stored = world.run_row(run)["report"]
    found: dict[str, Any] = json.loads(stored) if isinstance(stored, str) else stored
    return found


@on(*EACH_DATABASE)
def test_a_table_that_cannot_be_counted_is_cleaned(world: World) -> None:
    """Every due row goes, a second sweep stands for the last count, and the report says what is not known."""
    filled(world)
    world.policy()
    hurried(world)
    report = world.enforce()
    assert (report["status"], report["rows"]) == ("done", DUE)
    assert "what is left was not counted" in report["reason"]
    assert world.count("safety_events") == ROWS - DUE
    kept = report_of(world, report["run"])
    assert kept["uncounted"] == report["uncounted"] == "expected, arriving, left"
    assert [kept[name] for name in ("expected", "arrived_late", "held", "kept")] == [None] * 4
    (found,) = privacy.retention_forecasts(["p"])
    assert (found.overdue, found.mark.get("nothing_older_than")) == (None, None)


@on("postgresql-one")
def test_rows_that_cannot_be_had_block_an_uncounted_run(world: World) -> None:
    """A row that stays locked through the whole run is no end of it, counted or not."""
    filled(world)
    world.policy()
    hurried(world)
    with world.app.begin() as other:
        other.execute(sa.text("SELECT 1 FROM safety_events WHERE id = 7 FOR UPDATE"))
        report = world.enforce()
    assert (report["status"], report["applied"]) == ("blocked", False)
    assert "could not be changed: some, not counted" in report["reason"]
    privacy.resume_run(report["run"], "dba@example.com")
    assert world.finish(report["run"])["outcome"] == "done"
    assert world.count("safety_events") == ROWS - DUE


@on(*EACH_DATABASE)
def test_a_guard_that_cannot_be_measured_stops_the_run(world: World) -> None:
    """Nothing goes; the reason names the guard and both ways on, and with more time the run goes on."""
    filled(world)
    patient = world.settings.retention
    world.policy(guards={"max_share": "0.9"})
    hurried(world)
    report = world.enforce()
    assert (report["status"], report["rows"]) == ("blocked", 0)
    for part in ("has the guard max_share", "retention.count_seconds (0.001)", "begins with created_at"):
        assert part in report["reason"]
    world.configure(retention=patient)
    privacy.resume_run(report["run"], "dba@example.com")
    assert world.finish(report["run"])["total"] == DUE


@on("postgresql-one")
def test_what_was_not_counted_is_estimated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a sample of the table's blocks: the bar has an end, and the report says that it is no count."""
    filled(world)
    world.policy()
    run = world.start()
    monkeypatch.setattr(counting, "SAMPLE_BLOCKS", 100)
    monkeypatch.setattr(counting.Patient, "_hurry", _only_once())
    privacy.advance_run(run, seconds=0)
    row = world.run_row(run)
    assert report_of(world, run)["uncounted"] == "expected"
    assert row["rows_expected"] >= 1
    assert world.finish(run)["total"] == DUE


def _only_once() -> Callable[[Any], None]:
    """Return a limit that ends the first question, and no other."""
    limits = iter([1, 1])

    def hurry(self: Any) -> None:
        transactions.limit_statements(self._connection, next(limits, 60_000))

    return hurry


@on(*EACH_DATABASE)
def test_a_preview_that_takes_too_long_says_what_to_do(world: World) -> None:
    """It ends with the name of the setting, and changes nothing."""
    filled(world)
    world.policy()
    hurried(world)
    with pytest.raises(TooLong, match=r"policy p may take retention\.count_seconds \(0\.001\): raise it"):
        privacy.preview_retention_policy("p")


@on(*EACH_DATABASE)
def test_a_statement_is_ended_at_its_limit(world: World) -> None:
    """On every database a statement that takes too long is ended; the next transaction has its own limit."""
    filled(world)
    engine = world.system.databases.source(world.datasource)
    slow = sa.text("SELECT count(*) FROM safety_events AS a, safety_events AS b WHERE a.kind <> b.tenant")
    with pytest.raises(TooLong):
        ask(engine, slow, milliseconds=20)
    quick = sa.text("SELECT count(*) FROM safety_events WHERE kind = 'low'")
    assert ask(engine, quick, milliseconds=60_000) == ROWS


def ask(engine: sa.Engine, query: sa.TextClause, *, milliseconds: int) -> Any:
    """Ask something in a transaction whose statements are limited."""
    with reading(engine, "the source") as connection:
        transactions.begin_work(connection, lock_ms=1000, statement_ms=milliseconds)
        return connection.scalar(query)


@on("sqlite-one")
def test_sqlite_keeps_to_the_limits_of_a_batch(world: World) -> None:
    """It waits for readers no longer than a batch may, and whatever is not a batch has no such limit."""
    engine = world.system.databases.source(world.datasource)
    waits = sa.text("PRAGMA busy_timeout")
    with reading(engine, "the source") as connection:
        transactions.begin_work(connection, lock_ms=1234, statement_ms=5_000)
        assert connection.scalar(waits) == 1234
    with reading(engine, "the source") as connection:
        assert connection.scalar(waits) == 10_000
        assert transactions.STATEMENT_SECONDS not in connection.info
