"""What-if, watermarks and the forecast: what would be, what remains, and whether a policy keeps up."""

import datetime as dt
from functools import partial

import pytest
import sqlalchemy as sa

from aegis.doctor.backlogs import check_backlogs
from aegis.doctor.findings import Verdict
from aegis.doctor.patient import Patient
from aegis.errors import UsageError
from aegis.operations import holds
from aegis.operations.holds import Scope
from aegis.retention import forecast, tempo
from aegis.retention.tempo import Tempo
from api import privacy
from tests.worlds import DAY, EACH_DATABASE, World, on
from worker.gauges.policies import PolicyCollector

TOMORROW = dt.date.today() + DAY  # noqa: DTZ011 - a review date, of no zone


def hold(world: World, tenant: str) -> str:
    """Place a hold on a tenant."""
    scope = Scope(tenant=tenant)
    place = partial(holds.place, world.system, scope, datasource=world.datasource)
    return place(matter="m", owner="o", review_by=TOMORROW)


class TestWhatIf:
    """The same policy with another period."""

    @on(*EACH_DATABASE)
    def test_counts_both_and_changes_nothing(self, world: World) -> None:
        """The rows of both periods, by tenant, and their difference; no table has another byte."""
        world.safety_events()
        world.events(range(6), 60)
        world.events(range(10, 14), 20, tenant="beta")
        world.events(range(20, 23), 3)
        world.policy(tenant_column="tenant")
        before = world.everything()
        seen = privacy.what_if_retention_policy("p", days=10)
        assert (seen.today.rows, seen.then.rows, seen.difference) == (6, 10, 4)
        assert (seen.today.tenants, seen.then.tenants) == ({"acme": 6}, {"acme": 6, "beta": 4})
        longer = privacy.what_if_retention_policy("p", period="P1Y")
        assert (longer.then.rows, longer.difference) == (0, -6)
        assert world.everything() == before

    @on("sqlite-one")
    def test_needs_one_period_that_can_be_meant(self, world: World) -> None:
        """Neither, both, or none that a policy could have: refused."""
        world.safety_events()
        world.policy()
        for words in ({}, {"days": 3, "period": "P1Y"}, {"days": 0}, {"period": "soon"}):
            with pytest.raises(UsageError):
                privacy.what_if_retention_policy("p", **words)

    @on(*EACH_DATABASE)
    def test_tells_when_it_would_be_through(self, world: World) -> None:
        """After a run was measured there is a date; it lies further away with more rows."""
        world.safety_events()
        world.events(range(400), 60)
        world.events(range(1000, 1200), 20)
        world.policy()
        world.batches_of(50)
        world.enforce()
        seen = privacy.what_if_retention_policy("p", days=10)
        assert seen.then.rows == 200
        assert seen.finishes is not None
        assert seen.finishes > dt.datetime.now(dt.UTC) - DAY


class TestWatermarks:
    """What a run that is through leaves behind as a statement."""

    def test_nothing_older_remains_but_for_what_is_named(self, world: World) -> None:
        """The cutoff of the run, held rows and rows without a time, in all and by tenant."""
        world.safety_events()
        world.events(range(5), 60)
        world.events(range(10, 14), 60, tenant="held")
        world.events([20, 21], None, tenant="beta")
        world.policy(tenant_column="tenant")
        hold(world, "held")
        run = world.enforce()["run"]
        (found,) = privacy.retention_forecasts(["p"])
        marks = {mark["tenant"]: mark for mark in found.marks}
        assert {tenant: mark["remaining"] for tenant, mark in marks.items()} == {
            "": {"held": 4, "null_clock": 2},
            "beta": {"null_clock": 2},
            "held": {"held": 4},
        }
        assert {mark["nothing_older_than"] for mark in marks.values()} == {world.cutoff(run)}
        assert found.overdue == 0
        assert found.last_success is not None

    @on("sqlite-one", "postgresql-one", "sqlite+mariadb")
    def test_a_released_tenant_is_named_no_more(self, world: World) -> None:
        """The next run takes its rows, and with them its line."""
        world.safety_events()
        world.events(range(4), 60, tenant="held")
        world.policy(tenant_column="tenant")
        held = hold(world, "held")
        world.enforce()
        holds.release(world.system, held, actor="o")
        world.enforce()
        (found,) = privacy.retention_forecasts(["p"])
        assert [(mark["tenant"], mark["remaining"]) for mark in found.marks] == [("", {})]

    @on("sqlite-one")
    def test_a_run_of_one_tenant_speaks_for_that_tenant_only(self, world: World) -> None:
        """The table's own watermark is not there before a run of the whole table."""
        world.safety_events()
        world.events(range(4), 60)
        world.events(range(10, 12), 60, tenant="beta")
        world.policy(tenant_column="tenant")
        world.enforce(tenant_id="beta")
        (found,) = privacy.retention_forecasts(["p"])
        assert [mark["tenant"] for mark in found.marks] == ["beta"]
        assert (found.overdue, found.last_success) == (None, None)


class TestForecast:
    """What arrives beside what goes."""

    @on(*EACH_DATABASE)
    def test_rows_that_become_due_are_counted_by_their_clock(self, world: World) -> None:
        """Fourteen rows that are due within the week are two a day; those after it do not count."""
        world.safety_events()
        world.events(range(14), 27)
        world.events(range(100, 120), 20)
        world.events(range(200, 205), 60)
        world.policy()
        world.enforce()
        (found,) = privacy.retention_forecasts(["p"])
        assert found.arriving_per_day == pytest.approx(2.0)
        assert found.leaving_per_day is not None
        assert not found.never

    @on(*EACH_DATABASE)
    def test_a_policy_that_never_catches_up_is_an_alarm(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Doctor says how many rows a day arrive and go; it does so while the first run is on its way."""
        world.safety_events()
        world.events(range(700), 27)
        world.events(range(1000, 1100), 60)
        world.policy()
        run = world.start()
        world.batches_of(10)
        privacy.advance_run(run, 0.0)
        slow = Tempo(rows_per_second=50 / 86_400, runs=1)
        monkeypatch.setattr(forecast, "tempo", lambda *_: slow)
        (found,) = privacy.retention_forecasts(["p"])
        assert found.never
        assert found.overdue == 100
        words = "this policy will never catch up: 100 rows a day arrive, it deletes 50 a day"
        assert found.sentence() == words
        findings = list(check_backlogs(Patient(system=world.system, control_ready=True)))
        assert [f.verdict for f in findings if words in f.text] == [Verdict.FAULT]
        world.finish(run)

    @on(*EACH_DATABASE)
    def test_the_pace_of_a_run_on_its_way_is_known(self, world: World) -> None:
        """The journal tells it, before any run has ended."""
        world.safety_events()
        world.events(range(600), 60)
        world.policy()
        world.batches_of(50)
        run = world.start()
        for _ in range(4):
            privacy.advance_run(run, 0.0)
        (policy,) = privacy.list_retention_policies(["p"])
        runs = tempo.recent_runs(world.system, policy)
        with world.system.databases.source(world.datasource).connect() as connection:
            pace = tempo.tempo(connection, runs)
        assert pace is not None
        assert pace.rows_per_second > 0
        world.finish(run)

    @on("sqlite-one", "postgresql-one", "sqlite+mariadb")
    def test_beat_exports_stored_numbers(self, world: World) -> None:
        """A scrape reads what the runs stored, and no table of the application."""
        world.safety_events()
        world.events(range(5), 60)
        world.events(range(100, 114), 27)
        world.policy()
        # The pace is known from the second batch on.
        world.batches_of(2)
        assert metrics()["rows_overdue"] == {}
        world.enforce()
        asked: list[str] = []
        engine = world.system.databases.source(world.datasource)

        def note(_connection: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
            asked.append(statement)

        sa.event.listen(engine, "before_cursor_execute", note)
        found = metrics()
        assert found["rows_overdue"] == {("p", "safety_events"): 0.0}
        assert found["last_success_timestamp_seconds"]["p",] > dt.datetime.now(dt.UTC).timestamp() - 3600
        assert found["rows_arriving_per_day"] == {("p",): 2.0}
        assert found["rows_leaving_per_day"]["p",] > 0
        assert not [statement for statement in asked if "safety_events" in statement]

    @on(*EACH_DATABASE)
    def test_beat_says_what_stays_and_what_a_guard_has_stopped(self, world: World) -> None:
        """Rows under a hold by their reason; a run that a call, and no worker, has seen stopped."""
        world.safety_events()
        world.events(range(4), 60, tenant="held")
        world.events(range(10, 13), 60)
        world.policy(tenant_column="tenant", guards={"max_rows": 8})
        hold(world, "held")
        world.enforce()
        assert metrics()["rows_staying"] == {("p", "held"): 4.0}
        assert metrics()["runs_stopped"] == {}
        world.events(range(20, 30), 60)
        run = world.enforce()["run"]
        assert metrics()["runs_stopped"] == {("p", "max_rows"): 1.0}
        privacy.approve_stopped_run("p", run, "anna@example.com")
        assert world.finish(run)["outcome"] == "done"
        assert metrics()["runs_stopped"] == {}

    @on(*EACH_DATABASE)
    def test_what_a_guard_stops_at_its_first_run_is_overdue(self, world: World) -> None:
        """No run of it was ever through; what it would have taken is past its time all the same."""
        world.safety_events()
        world.events(range(9), 60)
        world.policy(guards={"max_rows": 8})
        world.enforce()
        found = metrics()
        assert found["rows_overdue"] == {("p", "safety_events"): 9.0}
        assert found["last_success_timestamp_seconds"] == {}


def metrics() -> dict[str, dict[tuple[str, ...], float]]:
    """Return the samples of each gauge, by its name without `aegis_policy_` and by their labels."""
    return {
        family.name.removeprefix("aegis_policy_"): {
            tuple(sample.labels.values()): sample.value for sample in family.samples
        }
        for family in PolicyCollector(privacy.policy_figures).collect()
    }
