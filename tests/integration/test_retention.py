"""Retention runs against real databases: which rows go, which stay, and what may stop a policy."""

import datetime as dt
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.reflection import read_layout
from aegis.errors import Fenced, Refused, UnsafeTable
from aegis.operations import claims
from aegis.operations.batches import Shard
from aegis.operations.states import State
from aegis.retention import inspecting, target, work
from aegis.retention.cutoffs import Cutoffs
from aegis.retention.portions import Portions
from aegis.retention.runs import advance
from aegis.retention.slices import Slice
from aegis.retention.walkers import choose
from aegis.settings import SourceSettings
from api import privacy
from api.audit import get_audit_events
from tests import worlds
from tests.worlds import CANARY, DAY, EACH_DATABASE, World, on

MICROSECOND = dt.timedelta(microseconds=1)


def walker_of(name: str = "p") -> str:
    """Return the name of the way that a run would take."""
    return privacy.preview_retention_policy(name).walker


class TestDryRun:
    """A dry run counts, and changes nothing."""

    def test_changes_nothing(self, world: World) -> None:
        """Neither the application's tables nor Aegis's own change, whoever asks and however often."""
        world.safety_events()
        world.events(range(30), 60)
        world.events(range(100, 105), 29)
        world.policy(approve=False)
        before = world.everything()
        (report,) = privacy.enforce_retention_policies(dry_run=True)
        preview = privacy.preview_retention_policy("p")
        assert (report["rows"], report["applied"], report["status"]) == (30, False, "dry_run")
        assert (preview.rows, preview.total) == (30, 35)
        assert world.everything() == before

    def test_is_the_default(self, world: World) -> None:
        """Called without arguments, the door counts only, even for an approved policy."""
        world.safety_events()
        world.events(range(5), 60)
        world.policy()
        before = world.everything()
        (report,) = privacy.enforce_retention_policies()
        assert (report["status"], report["rows"], report["applied"]) == ("dry_run", 5, False)
        assert world.everything() == before

    @on("sqlite-one", "postgresql-one")
    def test_counts_by_tenant(self, world: World) -> None:
        """The preview tells how many rows of which tenant would go."""
        world.safety_events()
        world.events(range(7), 60)
        world.events(range(10, 13), 60, tenant="beta")
        world.policy(tenant_column="tenant", approve=False)
        assert privacy.preview_retention_policy("p").tenants == {"acme": 7, "beta": 3}
        (report,) = privacy.enforce_retention_policies(tenant_id="beta")
        assert report["rows"] == 3


class TestEnforcing:
    """What an approved policy does, and an unapproved one does not."""

    def test_unapproved_is_reported_and_does_nothing(self, world: World) -> None:
        """The report has the count, says unapproved and how to approve; no row and no run is there."""
        world.safety_events()
        world.events(range(9), 60)
        world.policy(approve=False)
        before = world.everything()
        report = world.enforce()
        assert (report["applied"], report["status"], report["rows"]) == (False, "unapproved", 9)
        assert "aegis policy approve p" in report["reason"]
        assert world.everything() == before

    def test_deletes_what_is_older_and_nothing_else(self, world: World) -> None:
        """In many batches exactly the expired rows go; a second run finds nothing."""
        world.safety_events()
        world.events(range(130), 60)
        world.events(range(500, 510), 29.9)
        world.events([900, 901], None)
        world.policy()
        world.batches_of(20)
        report = world.enforce()
        assert (report["applied"], report["status"], report["rows"]) == (True, "done", 130)
        assert world.ids() == [*range(500, 510), 900, 901]
        row = world.run_row(report["run"])
        assert '"null_clock": 2' in row["report"]
        assert row["rows_expected"] == 130
        again = world.enforce()
        assert (again["applied"], again["rows"]) == (True, 0)

    @on("sqlite-one", "sqlite+postgresql", "mariadb-one")
    def test_zero_rows_leave_an_event(self, world: World) -> None:
        """A run over an empty table is done and stands in the log."""
        world.safety_events()
        world.policy()
        report = world.enforce()
        assert (report["applied"], report["rows"]) == (True, 0)
        with world.control.connect() as connection:
            query = "SELECT count(*) FROM audit_logs WHERE action = 'retention:run' AND outcome = 'success'"
            assert connection.scalar(sa.text(query)) == 1

    @on("sqlite-one", "sqlite+postgresql", "sqlite+mariadb")
    def test_one_policy_that_fails_stops_no_other(self, world: World) -> None:
        """A policy whose table is gone is reported; the next one runs."""
        world.safety_events()
        world.events(range(4), 60)
        world.create("a_table", "id BIGINT PRIMARY KEY, created_at {instant}")
        world.policy("a", "a_table")
        world.policy("b")
        world.execute("ALTER TABLE a_table RENAME TO was_a_table")
        world._born.pop("a_table")  # noqa: SLF001 - it was empty
        first, second = privacy.enforce_retention_policies(dry_run=False, actor=worlds.ACTOR)
        assert (first["policy"], first["applied"]) == ("a", False)
        assert "a_table" in first["reason"]
        assert (second["policy"], second["applied"], second["rows"]) == ("b", True, 4)


CLOCKS: dict[str, tuple[str, str | None, str, Callable[[dt.datetime], object], dt.timedelta]] = {
    # name: (type, unit, zone, the stored value of an instant, one step)
    "instant": ("{instant}", None, "UTC", lambda at: at, MICROSECOND),
    "wall": ("{wall}", None, "UTC", lambda at: at.replace(tzinfo=None), MICROSECOND),
    "wall-zone": (
        "{wall}",
        None,
        "Asia/Kolkata",
        lambda at: (at + dt.timedelta(hours=5, minutes=30)).replace(tzinfo=None),
        MICROSECOND,
    ),
    "epoch-us": (
        "BIGINT",
        "us",
        "UTC",
        lambda at: (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // MICROSECOND,
        MICROSECOND,
    ),
}


class TestClocks:
    """A row goes if its clock is strictly before the cutoff of the run."""

    @on(*EACH_DATABASE)
    @pytest.mark.parametrize("clock", CLOCKS)
    def test_one_step_either_side_of_the_cutoff(self, world: World, clock: str) -> None:
        """One microsecond before goes; at the cutoff, one after and NULL stay."""
        kind, unit, zone, stored, step = CLOCKS[clock]
        world.create("t", f"id INT PRIMARY KEY, at {kind}")
        world.policy("p", "t", timestamp_column="at", timestamp_unit=unit, zone=zone)
        run = world.start()
        cutoff = world.begin(run)
        at: dict[int, dt.datetime | None] = {1: cutoff - step, 2: cutoff, 3: cutoff + step, 4: None}
        world.insert("t", [{"id": i, "at": moment and stored(moment)} for i, moment in at.items()])
        report = world.finish(run)
        assert (report["outcome"], world.ids("t")) == ("done", [2, 3, 4])
        assert '"null_clock": 1' in world.run_row(run)["report"]

    @on("sqlite-one")
    def test_the_form_of_a_text_is_found_out_once_a_run(self, world: World) -> None:
        """A row in another form that arrives while a run works stays; the next run names both forms."""
        world.safety_events()
        world.events(range(40), 60)
        world.policy()
        world.batches_of(10)
        run = world.start()
        assert advance(world.system, run, 0).rows == 10
        world.execute("INSERT INTO safety_events (id, tenant, created_at) VALUES (900, 'a', '2001-01-01')")
        world.born("safety_events", 1)
        assert world.finish(run)["outcome"] == "done"
        assert world.ids() == [900]
        (ended,) = get_audit_events(action="retention:run")
        assert ended["details"]["forms"] == {"created_at": "YYYY-MM-DD HH:MM:SS.ffffff+00:00"}
        world.events([901], 1)
        report = world.enforce()
        assert report["applied"] is False
        assert "YYYY-MM-DD (1)" in report["reason"]

    @on(*EACH_DATABASE)
    @pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati"])
    def test_a_date_goes_when_its_whole_day_is_past(self, world: World, zone: str) -> None:
        """The day of the cutoff, in the policy's zone, stays; the day before goes."""
        world.create("t", "id INT PRIMARY KEY, day DATE")
        world.policy("p", "t", timestamp_column="day", zone=zone)
        run = world.start()
        local = world.begin(run) + dt.timedelta(hours=14 if zone != "UTC" else 0)
        rows = [{"id": i, "day": local.date() + i * DAY} for i in (-1, 0, 1)]
        world.insert("t", [*rows, {"id": 9, "day": None}])
        assert world.finish(run)["outcome"] == "done"
        assert world.ids("t") == [0, 1, 9]

    @on(*EACH_DATABASE)
    @pytest.mark.parametrize(("unit", "per_second"), [("s", 1), ("ms", 1000)])
    def test_a_whole_number_is_read_in_its_unit(self, world: World, unit: str, per_second: int) -> None:
        """The last whole unit before the cutoff goes; the next one stays."""
        world.create("t", "id INT PRIMARY KEY, at BIGINT")
        world.policy("p", "t", timestamp_column="at", timestamp_unit=unit)
        run = world.start()
        since = world.begin(run) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        last = -(-since // (dt.timedelta(seconds=1) / per_second)) - 1
        world.insert("t", [{"id": 1, "at": last}, {"id": 2, "at": last + 1}, {"id": 3, "at": None}])
        world.finish(run)
        assert world.ids("t") == [2, 3]

    @on(*EACH_DATABASE)
    def test_the_preview_counts_to_the_same_microsecond(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With the database's clock held still, preview and run draw the line at the same row."""
        world.safety_events()
        now = dt.datetime.now(dt.UTC)
        monkeypatch.setattr(dialects, "now", lambda _connection: now)
        line = now - 30 * DAY
        for number, at in enumerate((line - MICROSECOND, line, line + MICROSECOND), 1):
            world.insert(
                "safety_events",
                [{"id": number, "tenant": "a", "email": CANARY, "kind": "k", "created_at": at}],
            )
        world.policy()
        (seen,) = privacy.enforce_retention_policies()
        assert (seen["rows"], seen["cutoff"]) == (1, line.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        assert world.enforce()["rows"] == 1
        assert world.ids() == [2, 3]

    @on("sqlite-one")
    def test_text_of_two_forms_is_refused(self, world: World) -> None:
        """A SQLite column with `T` and space forms does not sort by time: nothing goes."""
        world.create("t", "id INT PRIMARY KEY, created_at TEXT")
        world.insert("t", [{"id": 1, "created_at": "2001-01-01 00:00:00"}])
        world.policy("p", "t")
        world.insert("t", [{"id": 2, "created_at": "2001-01-01T00:00:00Z"}])
        report = world.enforce()
        assert (report["applied"], report["status"]) == (False, "blocked")
        assert "one form" in report["reason"]
        assert world.ids("t") == [1, 2]


class TestScope:
    """A tenant or a condition narrows what goes."""

    def test_a_tenants_run_touches_no_other_tenant(self, world: World) -> None:
        """Another tenant's rows are the same bytes afterwards."""
        world.safety_events()
        world.events(range(20), 60)
        world.events(range(100, 120), 60, tenant="beta")
        world.policy(tenant_column="tenant")
        before = world.content("safety_events", "tenant = 'beta'")
        report = world.enforce(tenant_id="acme")
        assert (report["applied"], report["rows"]) == (True, 20)
        assert world.content("safety_events", "tenant = 'beta'") == before
        assert world.count("safety_events") == 20

    @on(*EACH_DATABASE)
    def test_a_similar_tenant_is_another_tenant(self, world: World) -> None:
        """Case, accents, blanks and wildcards tell tenants apart, whatever the database's collation."""
        world.safety_events()
        tenants = ["acme", "ACME", "acm\u00e9", "acme ", " acme", "acme%", "acm_"]
        for number, tenant in enumerate(tenants):
            world.events([number], 60, tenant=tenant)
        world.policy(tenant_column="tenant")
        for number, tenant in enumerate(tenants):
            (seen,) = privacy.enforce_retention_policies(tenant_id=tenant)
            assert seen["rows"] == 1
            assert world.enforce(tenant_id=tenant)["rows"] == 1
            assert world.ids() == list(range(number + 1, len(tenants)))

    @on(*EACH_DATABASE)
    def test_a_tenant_that_is_a_number(self, world: World) -> None:
        """A tenant column of whole numbers takes the number, also as text; other text is refused."""
        world.create("t", "id INT PRIMARY KEY, tenant INT, created_at {instant}")
        old = dt.datetime.now(dt.UTC) - 60 * DAY
        world.insert("t", [{"id": i, "tenant": i, "created_at": old} for i in (1, 2, 3)])
        world.policy("p", "t", tenant_column="tenant")
        assert world.enforce(tenant_id=1)["rows"] == 1
        assert world.enforce(tenant_id="2")["rows"] == 1
        assert world.enforce(tenant_id="3 OR 1=1")["applied"] is False
        assert world.ids("t") == [3]

    def test_a_condition_narrows(self, world: World) -> None:
        """Only rows for which the condition is true go; UNKNOWN stays."""
        world.safety_events()
        world.events(range(5), 60)
        world.events(range(10, 15), 60, kind="high")
        world.insert(
            "safety_events",
            [
                {
                    "id": 99,
                    "tenant": "acme",
                    "email": CANARY,
                    "kind": None,
                    "created_at": dt.datetime.now(dt.UTC) - 60 * DAY,
                }
            ],
        )
        world.policy(filter_sql="kind <> 'high' AND tenant IN ('acme', 'beta')")
        assert world.enforce()["rows"] == 5
        assert world.ids() == [*range(10, 15), 99]


KEYS: dict[str, tuple[str, str, Callable[[int], dict[str, object]]]] = {
    "two columns": (
        "a INT NOT NULL, b {text} NOT NULL",
        "a, b",
        lambda n: {"a": n // 7, "b": f"{CANARY}-{n % 7}"},
    ),
    "text": ("a {text} NOT NULL", "a", lambda n: {"a": f"{CANARY}-{n * 7919 % 101}@example.com"}),
    "uuid": ("a {uuid} NOT NULL", "a", lambda n: {"a": uuid.uuid5(uuid.NAMESPACE_OID, str(n))}),
    "with a time": (
        "a {wall}, b INT NOT NULL",
        "a, b",
        lambda n: {"a": dt.datetime(2020, 1, 1 + n % 2), "b": n},  # noqa: DTZ001
    ),
}


class TestKeys:
    """Batches of a few rows go through tables whatever their key."""

    @on(*EACH_DATABASE)
    @pytest.mark.parametrize("key", KEYS)
    def test_every_kind_of_key(self, world: World, key: str) -> None:
        """Exactly the expired rows go, with more live rows between them than a batch holds."""
        columns, names, values = KEYS[key]
        world.create("t", f"{columns}, id INT NOT NULL, created_at {{instant}}, PRIMARY KEY ({names})")
        now = dt.datetime.now(dt.UTC)
        rows = [
            {**values(n), "id": n, "created_at": now - (60 if n % 5 == 0 else 1) * DAY} for n in range(100)
        ]
        world.insert("t", rows)
        world.policy("p", "t")
        world.batches_of(3)
        assert world.enforce()["rows"] == 20
        assert world.ids("t") == [n for n in range(100) if n % 5]

    @on("sqlite-one")
    def test_a_key_of_times_in_another_form(self, world: World) -> None:
        """Times that an application wrote in the T form are a key as they stand."""
        world.create("t", "a DATETIME, b INT, id INT, created_at TIMESTAMP, PRIMARY KEY (a, b)")
        now = dt.datetime.now(dt.UTC)
        world.insert(
            "t",
            [
                {
                    "a": "2020-01-01T00:00:00Z",
                    "b": n,
                    "id": n,
                    "created_at": now - (60 if n == 49 else 1) * DAY,
                }
                for n in range(50)
            ],
        )
        world.policy("p", "t")
        world.batches_of(3)
        run = world.start()
        assert world.finish(run)["outcome"] == "done"
        assert world.ids("t") == list(range(49))

    @on("sqlite-one")
    def test_a_key_without_a_value(self, world: World) -> None:
        """SQLite lets a key be NULL: a table with such rows is refused, so that none is overlooked."""
        world.create("t", "a TEXT PRIMARY KEY, id INT, created_at TIMESTAMP")
        now = dt.datetime.now(dt.UTC)
        world.policy("p", "t")
        world.batches_of(3)
        world.insert(
            "t", [{"a": None if n < 9 else f"k{n}", "id": n, "created_at": now - 60 * DAY} for n in range(20)]
        )
        report = world.enforce()
        assert (report["applied"], report["status"]) == (False, "blocked")
        assert "NULL" in report["reason"]
        assert world.count("t") == 20

    @on(*EACH_DATABASE)
    def test_many_rows_at_one_instant(self, world: World) -> None:
        """Ties are broken by the key: nothing is skipped, nothing counted twice."""
        world.safety_events()
        old = dt.datetime.now(dt.UTC) - 60 * DAY
        ages = {range(40): old, range(40, 45): old + DAY, range(45, 80): old + 2 * DAY}
        for numbers, at in ages.items():
            world.insert(
                "safety_events",
                [
                    {"id": n, "tenant": "a", "email": f"{n}@{CANARY}", "kind": "k", "created_at": at}
                    for n in numbers
                ],
            )
        world.events(range(100, 110), 1)
        world.policy()
        world.batches_of(7)
        assert world.enforce()["rows"] == 80
        assert world.ids() == list(range(100, 110))


class TestWalkers:
    """PostgreSQL: the way through the table suits its layout."""

    @on("postgresql-one")
    def test_in_time_order_by_the_index(self, world: World) -> None:
        """Rows that lie in the order of their clock are taken in slices of its index."""
        world.safety_events()
        for start in range(0, 2000, 100):
            world.events(range(start, start + 100), 100.5 - start / 20)
        world.execute("ANALYZE safety_events")
        world.policy()
        world.batches_of(64)
        assert "time slices" in walker_of()
        expected = world.count("safety_events", "created_at < now() - interval '30 days'")
        assert world.enforce()["rows"] == expected > 1000

    @on("postgresql-one", "sqlite+postgresql")
    @pytest.mark.parametrize("index", [False, True], ids=["no index", "scattered"])
    def test_otherwise_by_blocks(self, world: World, index: bool) -> None:  # noqa: FBT001
        """Without an index, or scattered over the heap, rows are taken block by block, all of them."""
        world.safety_events(index=index)
        world.execute(
            "INSERT INTO safety_events SELECT n, 'acme', 'x', 'k', "
            "now() - (n * 7919 % 60) * interval '1 day' FROM generate_series(1, 3000) n"
        )
        world._born["safety_events"] += 3000  # noqa: SLF001 - inserted by the server
        world.execute("ANALYZE safety_events")
        world.policy()
        world.batches_of(100)
        assert "blocks" in walker_of()
        report = world.enforce()
        assert report["applied"]
        assert world.count("safety_events", "created_at < now() - interval '31 days'") == 0
        assert report["rows"] >= 1400

    @on("postgresql-one")
    @pytest.mark.parametrize("index", [True, False], ids=["index", "no index"])
    def test_a_partitioned_table(self, world: World, index: bool) -> None:  # noqa: FBT001
        """Rows go out of every partition, also out of the default one."""
        world.create(
            "t",
            "id INT NOT NULL, created_at TIMESTAMPTZ NOT NULL, PRIMARY KEY (created_at, id)"
            if index
            else "id INT NOT NULL, created_at TIMESTAMPTZ NOT NULL, PRIMARY KEY (id, created_at)",
            "PARTITION BY RANGE (created_at)",
        )
        now = dt.datetime.now(dt.UTC)
        for place, (low, high) in enumerate([(90, 60), (60, 25)]):
            bounds = (f"'{now - low * DAY:%Y-%m-%d}'", f"'{now - high * DAY:%Y-%m-%d}'")
            world.execute(
                f"CREATE TABLE t{place} PARTITION OF t FOR VALUES FROM ({bounds[0]}) TO ({bounds[1]})"
            )
        world.execute("CREATE TABLE t_rest PARTITION OF t DEFAULT")
        world.insert("t", [{"id": n, "created_at": now - (n + 0.5) * DAY} for n in range(120)])
        world.policy("p", "t")
        world.batches_of(8)
        assert world.enforce()["rows"] == 90
        assert world.ids("t") == list(range(30))

    @on("sqlite+postgresql")
    def test_the_closing_count_writes_nothing(self, world: World) -> None:
        """Dead entries are not marked, which would write to the WAL, and the index spares the live half."""
        world.safety_events()
        world.execute(
            "INSERT INTO safety_events SELECT n, 'acme', repeat('x', 100), repeat('k', 100), "
            "now() - CASE WHEN n <= 20000 THEN 60 ELSE 1 END * interval '1 day' + n * interval '1 second' "
            "FROM generate_series(1, 40000) n"
        )
        world.born("safety_events", 40_000)
        with world.app.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(sa.text("VACUUM ANALYZE safety_events"))
        world.policy()
        plans = []

        def note(connection: sa.Connection, _cursor: object, statement: str, given: Any, *_: object) -> None:
            if "count(*)" in statement and "safety_events.created_at <" in statement:
                cursor = connection.connection.cursor()
                cursor.execute(f"EXPLAIN {statement}", given)
                plans.append("\n".join(row[0] for row in cursor.fetchall()))

        engine = world.system.databases.source("app")
        sa.event.listen(engine, "before_cursor_execute", note)
        assert world.enforce()["rows"] == 20_000
        sa.event.remove(engine, "before_cursor_execute", note)
        closing = plans[-1]
        assert "Index Only Scan" in plans[0]
        assert "Bitmap Index Scan on safety_events_by_time" in closing
        assert "Seq Scan" not in closing
        assert "Index Scan using" not in closing
        assert "Index Only Scan" not in closing

    def test_rows_that_arrive_late_are_swept(self, world: World) -> None:
        """Expired rows written behind the mark while the run is at work go in the same run."""
        world.safety_events()
        world.events(range(1000, 1100), 60)
        world.policy()
        world.batches_of(10)
        run = world.start()
        privacy.advance_run(run, seconds=0)
        world.events(range(5), 80)
        assert world.finish(run)["total"] == 105
        assert world.count("safety_events") == 0


class TestVersions:
    """What was approved is exactly what runs."""

    @on(*EACH_DATABASE)
    def test_the_same_again_is_the_same(self, world: World) -> None:
        """Registering an unchanged policy returns it as it is: approved, same version, no event."""
        world.safety_events()
        approved = world.policy(filter_sql="kind = 'low'")
        with world.control.connect() as connection:
            before = connection.scalar(sa.text("SELECT count(*) FROM audit_logs"))
        again = world.policy(filter_sql=" ((kind)) = 'low' ", approve=False)
        assert (again.id, again.state, again.version) == (approved.id, "approved", 1)
        with world.control.connect() as connection:
            assert connection.scalar(sa.text("SELECT count(*) FROM audit_logs")) == before

    def test_a_change_waits_and_the_approved_version_stops(self, world: World) -> None:
        """Another period is a new pending version; nothing goes until it is approved as well."""
        world.safety_events()
        world.events(range(6), 60)
        world.policy()
        changed = world.policy(retention_days=50, approve=False)
        assert (changed.version, changed.state) == (2, "pending")
        report = world.enforce()
        assert (report["status"], report["applied"]) == ("unapproved", False)
        assert "version 1 has stopped" in report["reason"]
        assert world.count("safety_events") == 6
        privacy.approve_retention_policy("p", worlds.ACTOR)
        assert world.enforce()["rows"] == 6

    @on(*EACH_DATABASE)
    def test_a_change_stops_a_run_at_work(self, world: World) -> None:
        """A run of the version before is cancelled; its rows stay."""
        world.safety_events()
        world.events(range(60), 60)
        world.policy()
        world.batches_of(10)
        run = world.start()
        privacy.advance_run(run, seconds=0)
        gone = 60 - world.count("safety_events")
        world.policy(retention_days=50, approve=False)
        report = privacy.advance_run(run)
        assert (report["outcome"], report["rows"]) == ("cancelled", 0)
        assert world.count("safety_events") == 60 - gone

    @on(*EACH_DATABASE)
    def test_a_change_stops_a_slice_at_work(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """A worker in the middle of a slice looks at the policy between its batches, and stops."""
        monkeypatch.setattr(work, "LOOK_SECONDS", 0.0)
        world.safety_events()
        world.events(range(60), 60)
        world.policy()
        world.batches_of(10)
        run = world.start()
        left: list[int] = []

        def on_progress(_piece: Slice) -> None:
            if not left:
                left.append(world.count("safety_events"))
                world.policy(retention_days=50, approve=False)

        assert advance(world.system, run, 600, on_progress).outcome == "more"
        assert [world.count("safety_events")] == left
        assert privacy.advance_run(run)["outcome"] == "cancelled"

    @on(*EACH_DATABASE)
    def test_a_slice_reflects_its_table_once(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """What was compared with the approval is what is worked on; nobody reads the catalog again."""
        world.safety_events()
        world.events(range(60), 60)
        world.policy()
        run = world.start()
        read: list[str] = []

        def counted(connection: sa.Connection, label: str, **words: Any) -> Any:
            read.append(label)
            return read_layout(connection, label, **words)

        monkeypatch.setattr(target, "read_layout", counted)
        assert privacy.advance_run(run)["rows"] == 60
        assert read == ["safety_events"]

    @on("sqlite-one")
    def test_a_condition_is_built_once_a_slice(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not for each batch: with many tenants that takes longer than the batch itself."""
        world.safety_events()
        world.events(range(60), 60)
        world.policy()
        world.batches_of(10)
        run, built = world.start(), []
        doomed = target.Target.doomed

        def counted(self: target.Target, *args: Any, **words: Any) -> Any:
            built.append(self)
            return doomed(self, *args, **words)

        monkeypatch.setattr(target.Target, "doomed", counted)
        assert privacy.advance_run(run)["rows"] == 60
        assert len(built) == 1

    @on("sqlite-one", "sqlite+postgresql", "mariadb-one")
    def test_disabled_is_over(self, world: World) -> None:
        """A disabled policy does nothing; registered again it is a new version to approve."""
        world.safety_events()
        world.events(range(3), 60)
        world.policy()
        privacy.disable_retention_policy("p", worlds.ACTOR)
        assert privacy.enforce_retention_policies(dry_run=False) == []
        assert world.enforce()["status"] == "unapproved"
        with pytest.raises(Refused, match="disabled"):
            privacy.approve_retention_policy("p", worlds.ACTOR)
        assert world.policy(approve=False).version == 2

    @on(*EACH_DATABASE)
    def test_a_schema_change_that_matters_voids_the_approval(self, world: World) -> None:
        """Another type for a column of the condition stops the policy, and says what changed."""
        world.create("t", "id INT PRIMARY KEY, level {text}, note VARCHAR(50), created_at {instant}")
        old = dt.datetime.now(dt.UTC) - 60 * DAY
        world.insert("t", [{"id": 1, "level": "x", "note": "n", "created_at": old}])
        world.policy("p", "t", filter_sql="level = 'x'")
        _alter(world, "t", "note", "level")
        report = world.enforce()
        assert (report["applied"], report["status"]) == (False, "blocked")
        assert "condition_columns" in report["reason"]
        assert world.count("t") == 1

    @on(*EACH_DATABASE)
    def test_a_schema_change_elsewhere_does_not(self, world: World) -> None:
        """A new column and another one's type are none of the policy's business."""
        world.create("t", "id INT PRIMARY KEY, level {text}, note VARCHAR(50), created_at {instant}")
        old = dt.datetime.now(dt.UTC) - 60 * DAY
        world.insert("t", [{"id": 1, "level": "x", "note": "n", "created_at": old}])
        world.policy("p", "t", filter_sql="level = 'x'")
        world.execute("ALTER TABLE t ADD COLUMN extra INT")
        assert world.enforce()["rows"] == 1

    @on("sqlite-one", "sqlite+postgresql", "mariadb-one")
    def test_a_new_trigger_voids_the_approval(self, world: World) -> None:
        """A trigger that a DELETE would fire was not there when somebody approved."""
        world.safety_events()
        world.events([1], 60)
        world.policy()
        for statement in TRIGGERS[world.dialect]:
            world.execute(statement)
        report = world.enforce()
        assert (report["applied"], report["status"]) == (False, "blocked")
        assert "triggers" in report["reason"]
        assert world.count("safety_events") == 1

    @on("sqlite+postgresql", "sqlite+mariadb", worlds.SQLITE_TWO)
    def test_a_swapped_database_is_refused(self, world: World, builder: worlds.Builder) -> None:
        """The URL leads to another database with the same tables: the approval does not fire there."""
        world.safety_events()
        world.policy()
        first, app = world.settings, world.app
        kind = world.dialect
        url = (
            f"sqlite:///{world.settings.home / 'other.db'}"
            if kind == "sqlite"
            else builder.clone(kind, "empty")
        )
        other = worlds.engine(url)
        other.connect().close()
        world.app = other
        world.configure(datasources={"app": SourceSettings(url=url)})
        world.system.migrate_source("app")
        world.safety_events()
        world.events(range(3), 60)
        report = world.enforce()
        assert (report["applied"], report["status"]) == (False, "failed")
        assert "another database" in report["reason"]
        assert world.remove("safety_events") == 3
        world.app = app
        world.configure(datasources=first.datasources)

    @on("sqlite+postgresql")
    def test_a_physical_copy_is_refused(self, world: World, postgres_server: worlds.Server) -> None:
        """A copy carries the identity of its original, but not its name: the approval names both."""
        world.safety_events()
        world.events(range(3), 60)
        world.policy()
        url = world.settings.datasources["app"].url
        name = url.rpartition("/")[2]
        world.leave()
        postgres_server.create_database(f"{name}_copy", name)  # type: ignore[call-arg]
        try:
            first = world.settings
            world.configure(datasources={"app": SourceSettings(url=f"{url}_copy")})
            report = world.enforce()
            assert (report["applied"], report["status"]) == (False, "blocked")
            assert "database" in report["reason"]
            world.configure(datasources=first.datasources)
        finally:
            world.system.close()
            postgres_server.drop_database(f"{name}_copy")

    @on(*EACH_DATABASE)
    def test_what_changed_between_registering_and_approving_is_refused(self, world: World) -> None:
        """An approval is for the table as it stands now, not as it was."""
        world.create("t", "id INT PRIMARY KEY, level {text}, note VARCHAR(50), created_at {instant}")
        world.policy("p", "t", filter_sql="level = 'x'", approve=False)
        _alter(world, "t", "note", "level")
        before = world.everything()
        with pytest.raises(Refused, match="condition_columns"):
            privacy.approve_retention_policy("p", worlds.ACTOR)
        assert world.everything() == before

    @on("sqlite-one")
    def test_an_approval_of_another_digest_is_refused(self, world: World) -> None:
        """Who looked at one version does not approve the next one by accident."""
        world.safety_events()
        seen = world.policy(approve=False)
        world.policy(retention_days=1, approve=False)
        with pytest.raises(Refused, match="preview it again"):
            privacy.approve_retention_policy("p", worlds.ACTOR, digest=seen.digest)


TRIGGERS = {
    "sqlite": ["CREATE TRIGGER x AFTER DELETE ON safety_events BEGIN SELECT 1; END"],
    "postgresql": [
        "CREATE FUNCTION x() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
        "CREATE TRIGGER x BEFORE DELETE ON safety_events FOR EACH ROW EXECUTE FUNCTION x()",
    ],
    "mariadb": ["CREATE TRIGGER x AFTER DELETE ON safety_events FOR EACH ROW SET @x = 1"],
}


def _alter(world: World, table: str, source: str, column: str) -> None:
    """Give a column another type, as each database can: by renaming another one in its place."""
    world.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO was_{column}")
    world.execute(f"ALTER TABLE {table} RENAME COLUMN {source} TO {column}")


class TestResuming:
    """A run goes on wherever and whoever left it."""

    def test_two_systems_by_turns(self, world: World) -> None:
        """Slices of one batch from two processes' systems alternately add up to exactly the expired rows."""
        world.safety_events()
        world.events(range(150), 60)
        world.events(range(500, 510), 1)
        world.policy()
        world.batches_of(11)
        run, other = world.start(), world.another()
        slices: list[Slice] = []
        while not slices or slices[-1].more:
            slices.append(advance((world.system, other)[len(slices) % 2], run, 0.0))
        assert slices[-1].outcome == "done"
        assert slices[-1].total == sum(piece.rows for piece in slices) == 150
        assert len(slices) >= 150 // 11
        assert world.ids() == list(range(500, 510))

    @on(*EACH_DATABASE)
    def test_a_long_way_without_an_expired_row_is_progress(self, world: World) -> None:
        """Slices that find nothing move the mark; they are not attempts in vain."""
        world.safety_events(index=False)
        world.events(range(100), 1)
        world.events([900], 60)
        world.policy()
        world.batches_of(3)
        run = world.start()
        reports = [privacy.advance_run(run, seconds=0) for _ in range(12)]
        assert {report["outcome"] for report in reports} <= {"more", "done"}
        assert world.finish(run)["outcome"] == "done"
        assert world.run_row(run)["rows"] == 1

    @on("sqlite-one", "sqlite+postgresql")
    def test_a_finished_run_stays_finished(self, world: World) -> None:
        """Advancing it again changes nothing and says so."""
        world.safety_events()
        world.events(range(5), 60)
        world.policy()
        run = world.start()
        world.finish(run)
        world.events(range(10, 15), 60)
        before = world.everything()
        report = privacy.advance_run(run)
        assert (report["outcome"], report["rows"], report["more"]) == ("done", 0, False)
        assert world.everything() == before

    def test_two_at_once(self, world: World) -> None:
        """While one works, the other is told that it is busy, and by whom; each row goes once."""
        world.safety_events()
        world.events(range(60), 60)
        world.policy()
        run, other = world.start(), world.another()
        claimed = claims.claim(world.system, run)
        piece = advance(other, run, 1)
        assert (piece.outcome, piece.rows) == ("busy", 0)
        assert claimed.owner in str(piece.reason)
        claims.settle(world.system, claimed, State.ACCEPTED)
        assert world.finish(run)["total"] == 60

    def test_threads_that_race_for_a_run(self, world: World) -> None:
        """Four workers at one run: whoever gets it, the account is exact."""
        world.safety_events()
        world.events(range(200), 60)
        world.policy()
        world.batches_of(25)
        run = world.start()
        systems = [world.another() for _ in range(4)]
        found: list[int] = []

        def work(position: int) -> None:
            found.extend(advance(systems[position], run, 0.01).rows for _ in range(5))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert world.finish(run)["outcome"] == "done"
        assert world.run_row(run)["rows"] == 200
        assert sum(found) <= 200

    def test_a_zombie_writes_nothing(self, world: World) -> None:
        """A worker whose claim was taken over is fenced off in the data source itself."""
        world.safety_events()
        world.events(range(20), 60)
        policy = world.policy()
        run = world.start()
        world.begin(run)
        world.events(range(100, 120), 60)
        zombie = claims.claim(world.system, run)
        shard = Shard(world.system, datasource=world.datasource, run=run, epoch=zombie.epoch)
        shard.take_over()
        shard.mark = {}
        with world.app.connect() as connection:
            target = inspecting.read_policy_target(connection, policy)
            walker = choose(connection, target)
        cutoffs = Cutoffs(moment=world.cutoff(run), base=world.cutoff(run))
        portions = Portions(policy, zombie, target, walker, cutoffs)
        expire = sa.text("UPDATE aegis_runs SET lease_until = NULL WHERE id = :id")
        with world.control.begin() as connection:
            connection.execute(expire, {"id": run})
        assert world.another() is not world.system
        taken = claims.claim(world.another(), run)
        Shard(world.another(), datasource=world.datasource, run=run, epoch=taken.epoch).take_over()
        before = world.everything()
        with pytest.raises(Fenced):
            shard.batch(portions.act({}, 50, keep_mark=False), portions.tell)
        with pytest.raises(Fenced):
            claims.settle(world.system, zombie, State.RUNNING)
        assert world.everything() == before
        with world.control.begin() as connection:
            connection.execute(expire, {"id": run})
        assert world.finish(run)["outcome"] == "done"

    @on("sqlite-one", "postgresql-one", "mariadb-one")
    def test_attempts_in_vain_quarantine_a_run(self, world: World) -> None:
        """A run that is claimed again and again without a batch is taken out, with an event."""
        world.safety_events()
        world.policy()
        run = world.start()
        with world.control.begin() as connection:
            connection.execute(sa.text("UPDATE aegis_runs SET attempts = 10"))
        assert privacy.advance_run(run)["outcome"] == "busy"
        assert world.run_row(run)["state"] == "quarantined"
        assert privacy.advance_run(run)["outcome"] == "quarantined"

    @on("sqlite-one", "postgresql-one", "mariadb-one")
    def test_a_request_makes_its_runs_once(self, world: World) -> None:
        """The same request id again returns the same runs; with other arguments it is refused."""
        world.safety_events()
        world.policy()
        first = privacy.create_retention_runs("r-1", policies=["p"], actor=worlds.ACTOR)
        assert privacy.create_retention_runs("r-1", policies=["p"], actor=worlds.ACTOR) == first
        with pytest.raises(Refused, match="other arguments"):
            privacy.create_retention_runs("r-1", policies=None, actor=worlds.ACTOR)

    @on("sqlite-one", "postgresql-one", "mariadb-one")
    def test_a_scheduled_instant_has_one_run(self, world: World) -> None:
        """However many beats plan it, an instant becomes one run, and that one works."""
        world.safety_events()
        world.events(range(4), 60)
        policy = world.policy()
        instant = dt.datetime.now(dt.UTC).replace(microsecond=0)
        run = privacy.create_scheduled_run(policy.id, instant)
        assert run is not None
        assert privacy.create_scheduled_run(policy.id, instant) is None
        assert world.finish(run)["total"] == 4


class TestReferences:
    """Other tables' rows are never changed by the way, and never make a run fail half-way."""

    @on(*EACH_DATABASE)
    @pytest.mark.parametrize("rule", ["CASCADE", "SET NULL"])
    def test_an_unnamed_cascade_is_refused(self, world: World, rule: str) -> None:
        """A policy on a table whose deletion would change another one cannot be registered."""
        _family(world, rule)
        before = world.everything()
        with pytest.raises(UnsafeTable, match=rf"orders\(user_id\) ON DELETE {rule}"):
            world.policy("p", "users")
        assert world.everything() == before

    @on(*EACH_DATABASE)
    def test_a_cascade_that_came_later_stops_the_policy(self, world: World) -> None:
        """A cascade added after the approval: the run is blocked, no row goes."""
        world.create("users", "id BIGINT PRIMARY KEY, email {text}, created_at {instant}")
        old = dt.datetime.now(dt.UTC) - 60 * DAY
        world.insert("users", [{"id": 1, "email": CANARY, "created_at": old}])
        world.policy("p", "users")
        world.create("orders", _orders("CASCADE"))
        world.insert("orders", [{"id": 1, "user_id": 1, "created_at": old}])
        report = world.enforce()
        assert (report["applied"], report["status"]) == (False, "blocked")
        assert "orders(user_id)" in report["reason"]
        assert (world.count("users"), world.count("orders")) == (1, 1)

    @on(*EACH_DATABASE)
    @pytest.mark.parametrize("rule", ["RESTRICT", "NO ACTION"])
    def test_live_children_block_until_they_are_gone(self, world: World, rule: str) -> None:
        """The blocked run names the referring table; once its rows are gone the policy runs."""
        _family(world, rule)
        world.policy("parents", "users")
        report = world.enforce("parents")
        assert (report["applied"], report["status"]) == (False, "blocked")
        assert "orders(user_id)" in report["reason"]
        assert world.count("users") == 3
        world.policy("children", "orders")
        assert world.enforce("children")["rows"] == 2
        assert world.enforce("parents")["rows"] == 3

    @on("postgresql-one")
    def test_a_child_in_another_schema_blocks(self, world: World) -> None:
        """A referring table is found wherever it is."""
        world.create("users", "id BIGINT PRIMARY KEY, created_at TIMESTAMPTZ")
        world.insert("users", [{"id": 1, "created_at": dt.datetime.now(dt.UTC) - 60 * DAY}])
        world.execute("CREATE SCHEMA shop")
        world.execute("CREATE TABLE shop.bills (id INT, owner BIGINT REFERENCES users)")
        world.execute("INSERT INTO shop.bills VALUES (1, 1)")
        world.policy("p", "users")
        report = world.enforce()
        assert "shop.bills(owner)" in report["reason"]
        assert world.count("users") == 1

    @on("postgresql-one")
    def test_a_table_in_another_schema(self, world: World) -> None:
        """`schema.table` names a table outside the search path."""
        world.execute("CREATE SCHEMA shop")
        world.create("shop.visits", "id INT PRIMARY KEY, created_at TIMESTAMPTZ")
        world.insert("shop.visits", [{"id": 1, "created_at": dt.datetime.now(dt.UTC) - 60 * DAY}])
        world.policy("p", "shop.visits")
        assert world.enforce()["rows"] == 1
        world._born = type(world._born)({"visits": 0})  # noqa: SLF001 - counted without its schema
        world.execute("CREATE VIEW visits AS SELECT * FROM shop.visits")
        world._born["visits"] = 1  # noqa: SLF001


def _orders(rule: str) -> str:
    return (
        "id BIGINT PRIMARY KEY, user_id BIGINT, created_at {instant}, "
        f"FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE {rule}"
    )


def _family(world: World, rule: str) -> None:
    """Three old users, of whom one has two old orders."""
    old = dt.datetime.now(dt.UTC) - 60 * DAY
    world.create("users", "id BIGINT PRIMARY KEY, email {text}, created_at {instant}")
    world.insert("users", [{"id": n, "email": CANARY, "created_at": old} for n in (1, 2, 3)])
    world.create("orders", _orders(rule))
    world.insert("orders", [{"id": n, "user_id": 1, "created_at": old} for n in (1, 2)])


class TestRowSecurity:
    """What Aegis cannot see is an error, never a zero."""

    @on("sqlite+postgresql")
    @pytest.mark.parametrize("late", [False, True], ids=["from the start", "switched on later"])
    def test_hidden_rows_are_an_error(
        self,
        world: World,
        late: bool,  # noqa: FBT001
    ) -> None:
        """A role that row security applies to gets an error from look and run; no row goes."""
        role = f"clerk_{uuid.uuid4().hex[:8]}"
        world.safety_events()
        world.events(range(9), 60)
        owner = world.settings
        url = sa.make_url(owner.datasources["app"].url)
        for statement in (
            f"CREATE ROLE {role} LOGIN PASSWORD 'clerk'",
            f"GRANT USAGE ON SCHEMA aegis TO {role}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON aegis.aegis_journal TO {role}",
            f"GRANT SELECT, DELETE ON safety_events TO {role}",
        ):
            world.execute(statement)
        secure = [
            "ALTER TABLE safety_events ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY own ON safety_events USING (tenant = current_setting('app.tenant', true))",
        ]
        for statement in [] if late else secure:
            world.execute(statement)
        clerk = url.set(username=role, password="clerk").render_as_string(hide_password=False)
        world.configure(datasources={"app": SourceSettings(url=clerk)})
        world.policy()
        for statement in secure if late else []:
            world.execute(statement)
        (seen,) = privacy.enforce_retention_policies()
        assert (seen["status"], seen["rows"]) == ("failed", None)
        assert "row-level security" in seen["reason"]
        report = world.enforce()
        assert (report["applied"], report["rows"] or 0) == (False, 0)
        assert report["status"] in {"failed", "blocked"}
        with pytest.raises(UnsafeTable, match="row-level security"):
            privacy.preview_retention_policy("p")
        assert world.count("safety_events") == 9
        world.configure(datasources=owner.datasources)
        world.execute(f"DROP OWNED BY {role}")
        world.execute(f"DROP ROLE {role}")
