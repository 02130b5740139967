"""The preview: counts by tenant and month, what stays and why, an estimate, and what it costs to look."""

import datetime as dt
import threading
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.db import dialects
from aegis.errors import UsageError
from aegis.operations import holds
from aegis.operations.holds import Scope
from aegis.retention import counting
from aegis.retention.looking import look
from api import privacy
from cli import preview
from tests import worlds
from tests.worlds import DAY, EACH_DATABASE, World, on

#: The clock of the databases in these tests.
NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The databases' clock stands still."""
    monkeypatch.setattr(dialects, "now", lambda _connection: NOW)


def put(world: World, ids: range, at: dt.datetime | None, tenant: str = "acme", kind: str = "low") -> None:
    """Insert events at one instant."""
    rows = [{"id": i, "tenant": tenant, "email": worlds.CANARY, "kind": kind, "created_at": at} for i in ids]
    world.insert("safety_events", rows)


@pytest.mark.usefixtures("still")
class TestCounts:
    """Every row is counted once, under what happens to it."""

    @on(*EACH_DATABASE, "sqlite+mariadb", "sqlite+postgresql")
    def test_by_tenant_and_month(self, world: World) -> None:
        """The matrix of months and tenants adds up to the rows that would go."""
        world.safety_events()
        put(world, range(3), dt.datetime(2026, 3, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC))
        put(world, range(10, 15), dt.datetime(2026, 4, 1, tzinfo=dt.UTC))
        put(world, range(20, 22), dt.datetime(2026, 4, 2, tzinfo=dt.UTC), tenant="beta")
        put(world, range(30, 31), dt.datetime(1990, 1, 1, tzinfo=dt.UTC), tenant="beta")
        world.policy(tenant_column="tenant", approve=False)
        seen = privacy.preview_retention_policy("p")
        assert seen.spread.months == {"before 2016-05": 1, "2026-03": 3, "2026-04": 7}
        assert seen.spread.matrix == {
            "acme": {"2026-03": 3, "2026-04": 5},
            "beta": {"before 2016-05": 1, "2026-04": 2},
        }
        assert (seen.rows, seen.tenants) == (11, {"acme": 8, "beta": 3})

    @on("postgresql-one")
    def test_names_an_open_snapshot(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        """The age of a transaction that keeps dead rows in the files is told, our own left aside."""
        world.safety_events()
        put(world, range(3), dt.datetime(2026, 3, 31, tzinfo=dt.UTC))
        world.policy()
        assert privacy.preview_retention_policy("p").snapshot_seconds == 0.0
        with world.app.connect() as reader:
            reader.execution_options(isolation_level="REPEATABLE READ")
            reader.execute(sa.text("SELECT count(*) FROM safety_events"))
            seen = privacy.preview_retention_policy("p")
        assert (seen.snapshot_seconds or 0.0) > 0.0
        preview.show(seen, None)
        assert "open snapshot" not in capsys.readouterr().out
        preview.show(replace(seen, snapshot_seconds=7_200.0), None)
        assert "2 hours old" in capsys.readouterr().out

    @on(*EACH_DATABASE)
    def test_says_why_rows_stay(self, world: World) -> None:
        """Held, without a time, too young, outside the condition: together with what goes, the table."""
        world.safety_events()
        old = NOW - 60 * DAY
        put(world, range(5), old)
        put(world, range(10, 14), old, tenant="held")
        put(world, range(20, 23), None)
        put(world, range(30, 32), NOW - DAY)
        put(world, range(40, 41), old, kind="high")
        world.policy(tenant_column="tenant", filter_sql="kind = 'low'", approve=False)
        scope = Scope(tenant="held")
        holds.place(
            world.system,
            scope,
            datasource=world.datasource,
            matter="m",
            owner="o",
            review_by=dt.date(2030, 1, 1),
        )
        seen = privacy.preview_retention_policy("p")
        assert seen.rows == 5
        assert seen.stays == {"held": 4, "null_clock": 3, "younger": 2, "condition": 1}
        assert seen.rows + sum(seen.stays.values()) == seen.total == 15
        alone = privacy.preview_retention_policy("p", tenant_id="held")
        assert (alone.rows, alone.held, sum(alone.stays.values())) == (0, 4, 15)

    @on("sqlite+postgresql", "sqlite+mariadb", "sqlite-one")
    def test_all_counts_are_of_one_snapshot(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Rows that are inserted between two counts are in none of them, and the insert does not wait."""
        world.safety_events()
        put(world, range(5), NOW - 60 * DAY)
        world.policy(approve=False)
        plain, written = counting.Exact.count, threading.Event()

        def count(self: counting.Exact, which: sa.ColumnElement[bool]) -> int:
            found = plain(self, which)
            if not written.is_set():
                written.set()
                put(world, range(100, 107), NOW - 60 * DAY)
            return found

        monkeypatch.setattr(counting.Exact, "count", count)
        seen = look(world.system, privacy.list_retention_policies(["p"])[0])
        assert written.is_set()
        assert (seen.rows, seen.total, world.count("safety_events")) == (5, 5, 12)


class TestEstimate:
    """Time and room, and what they are known from."""

    @on(*EACH_DATABASE)
    def test_is_a_guess_until_a_run_was_measured(self, world: World) -> None:
        """Before the first run it says that it guesses; afterwards it names the runs."""
        world.safety_events()
        world.events(range(400), 60)
        world.policy()
        world.execute("ANALYZE" + {"mariadb": " TABLE safety_events"}.get(world.dialect, ""))
        guess = privacy.preview_retention_policy("p").estimate
        assert guess is not None
        assert "guess" in guess.basis
        assert guess.frees
        world.batches_of(50)
        world.enforce()
        world.events(range(1000, 1100), 60)
        known = privacy.preview_retention_policy("p").estimate
        assert known is not None
        assert known.basis == "the pace of the newest run on this table"
        assert known.seconds
        assert (known.log_most is not None) == (world.dialect == "postgresql")


@on("sqlite+postgresql")
class TestCostOfALook:
    """What counting costs the application."""

    def test_an_index_answers_the_count(self, world: World) -> None:
        """The count of what is past its time reads the clock's index alone."""
        world.safety_events()
        world.execute(
            "INSERT INTO safety_events SELECT i, 'acme', repeat('x', 90), 'low', "
            "now() - i * interval '30 seconds' FROM generate_series(1, 100000) AS i"
        )
        vacuum(world)
        world.watch("safety_events")
        world._born["safety_events"] += 100_000  # noqa: SLF001 - inserted at once
        world.policy(approve=False)
        plans = self.explain(world)
        (counted,) = [plan for plan in plans if "created_at <" in plan and "CASE" not in plan]
        assert "Index Only Scan" in counted
        assert not [plan for plan in plans if "Seq Scan" in plan]

    def explain(self, world: World) -> list[str]:
        """Return the plans of every count of a dry run's look."""
        plans = []

        def note(connection: sa.Connection, _cursor: object, statement: str, given: Any, *_: object) -> None:
            if "count(*)" in statement and "safety_events" in statement:
                cursor = connection.connection.cursor()
                cursor.execute(f"EXPLAIN {statement}", given)
                plans.append("\n".join(row[0] for row in cursor.fetchall()))

        engine = world.system.databases.source("app")
        sa.event.listen(engine, "before_cursor_execute", note)
        look(world.system, privacy.list_retention_policies(["p"])[0])
        sa.event.remove(engine, "before_cursor_execute", note)
        return plans

    def test_takes_no_lock_that_anybody_waits_for(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While it counts, its session holds nothing above ACCESS SHARE."""
        world.safety_events()
        world.events(range(5), 60)
        world.policy(approve=False)
        plain, modes = counting.Exact.count, set()

        def count(self: counting.Exact, which: sa.ColumnElement[bool]) -> int:
            found = plain(self, which)
            held = "SELECT DISTINCT mode FROM pg_locks WHERE relation IS NOT NULL AND database <> 0"
            modes.update(world.all(held))
            return found

        monkeypatch.setattr(counting.Exact, "count", count)
        privacy.preview_retention_policy("p")
        assert modes == {"AccessShareLock"}


class TestSampled:
    """A sample of a very large table."""

    @on("sqlite+postgresql")
    def test_says_its_margin_and_keeps_it(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """The truth lies within three margins, and the sample read part of the table only."""
        world.safety_events()
        world.execute(
            "INSERT INTO safety_events SELECT i, 'acme', repeat('x', 50), 'low', "
            "now() - (i * 7919 % 60) * interval '1 day' FROM generate_series(1, 40000) AS i"
        )
        world.watch("safety_events")
        world._born["safety_events"] += 40_000  # noqa: SLF001 - inserted at once
        world.policy(tenant_column="tenant", approve=False)
        exact = privacy.preview_retention_policy("p", sampled=True)
        assert exact.sample is None
        monkeypatch.setattr(counting, "SAMPLE_BLOCKS", 100)
        seen = privacy.preview_retention_policy("p", sampled=True)
        assert seen.sample is not None
        assert 0 < seen.sample.share < 1
        assert 0 < seen.sample.margin < exact.rows
        assert abs(seen.rows - exact.rows) <= 3 * seen.sample.margin
        assert abs(seen.tenants["acme"] - seen.rows) <= 100

    @on("sqlite-one", "sqlite+mariadb")
    def test_is_refused_where_the_database_has_none(self, world: World) -> None:
        """Nobody gets a long exact count who asked for a short one."""
        world.safety_events()
        world.policy(approve=False)
        with pytest.raises(UsageError, match="PostgreSQL only"):
            privacy.preview_retention_policy("p", sampled=True)


def vacuum(world: World) -> None:
    """Make the table's pages all visible, as autovacuum does sooner or later."""
    engine = world.app.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text("VACUUM ANALYZE safety_events"))
