"""Windows and budgets: when a run may work, and how much."""

import datetime as dt
import json
import types
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.db import dialects
from aegis.errors import UsageError
from aegis.operations import runs
from aegis.retention.runs import advance
from aegis.retention.slices import Slice
from api import privacy
from tests.worlds import DAY, EACH_DATABASE, World, on

NIGHT: dict[str, Any] = {"windows": ["22:00-06:00"], "cron_zone": "Europe/Berlin"}


#: Zone, and in UTC: when its night of moving clocks opens and closes, and when the next one opens.
MOVING = (
    ("Europe/Berlin", "2031-03-29T21:00", "2031-03-30T04:00", "2031-03-30T20:00"),
    ("Europe/Berlin", "2031-10-25T20:00", "2031-10-26T05:00", "2031-10-26T21:00"),
    ("America/New_York", "2031-03-09T03:00", "2031-03-09T10:00", "2031-03-10T02:00"),
    ("America/New_York", "2031-11-02T02:00", "2031-11-02T11:00", "2031-11-03T03:00"),
    # By half an hour, and in the other half of the year.
    ("Australia/Lord_Howe", "2031-04-05T11:00", "2031-04-05T19:30", "2031-04-06T11:30"),
    ("Australia/Lord_Howe", "2031-10-04T11:30", "2031-10-04T19:00", "2031-10-05T11:00"),
)


def at(monkeypatch: pytest.MonkeyPatch, text: str) -> dt.datetime:
    """Set every database's clock to an instant of UTC, and stop it."""
    now = dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
    monkeypatch.setattr(dialects, "now", lambda _connection: now)
    return now


def scheduled(policy: Any, instant: dt.datetime = dt.datetime(2031, 6, 1, 10, tzinfo=dt.UTC)) -> str:
    """Create a run as beat does."""
    run = privacy.create_scheduled_run(policy.id, instant)
    assert run is not None
    return run


def not_before(world: World, run: str) -> dt.datetime | None:
    """Return when a run may be claimed again."""
    found: dt.datetime | None = runs.fetch(world.system, run)["not_before"]
    return found


class TestWindows:
    """A run that nobody stands beside works in its window only."""

    @on(*EACH_DATABASE, "sqlite+postgresql")
    def test_a_scheduled_run_waits_for_its_window(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Outside it waits until the next opening, is not due before, and then goes on to its end."""
        at(monkeypatch, "2031-06-01T12:00")
        world.safety_events()
        world.events(range(9), 60)
        run = scheduled(world.policy(**NIGHT))
        waiting = privacy.advance_run(run)
        assert (waiting["outcome"], waiting["rows"]) == ("waiting", 0)
        assert "opens at 2031-06-01 20:00:00 UTC" in waiting["reason"]
        assert world.run_row(run)["state"] == "waiting"
        opening = dt.datetime(2031, 6, 1, 20, tzinfo=dt.UTC)
        assert not_before(world, run) == opening
        at(monkeypatch, "2031-06-01T19:59:59")
        assert privacy.due_runs() == []
        assert privacy.advance_run(run)["outcome"] == "busy"
        at(monkeypatch, "2031-06-01T20:00")
        assert privacy.due_runs() == [run]
        assert world.finish(run)["outcome"] == "done"
        assert world.ids() == []

    @on("sqlite-one")
    def test_the_nights_in_which_the_clocks_move(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """The window begins at ten and ends at six by the clocks of its zone, whatever they do between."""
        world.safety_events()
        for n, (zone, opens, closes, following) in enumerate(MOVING):
            at(monkeypatch, "2031-01-02T12:00")
            policy = world.policy(f"p{n}", windows=NIGHT["windows"], cron_zone=zone)
            for instant, outcome in ((opens, "done"), (closes, "waiting")):
                moment = dt.datetime.fromisoformat(instant).replace(tzinfo=dt.UTC)
                early, late = moment - dt.timedelta(minutes=1), moment
                if outcome == "waiting":
                    # A minute before it closes there is still time.
                    early, late = late, early
                at(monkeypatch, early.isoformat()[:19])
                run = scheduled(policy, moment)
                assert privacy.advance_run(run)["outcome"] == "waiting"
                next_opening = opens if outcome == "done" else following
                assert not_before(world, run) == dt.datetime.fromisoformat(next_opening).replace(
                    tzinfo=dt.UTC
                )
                world.events([n], 10_000)
                at(monkeypatch, late.isoformat()[:19])
                again = run if outcome == "done" else scheduled(policy, moment - DAY)
                assert world.finish(again)["outcome"] == "done"
                assert world.count("safety_events") == 0

    @on("sqlite-one", "postgresql-one")
    def test_a_batch_that_would_not_fit_is_not_begun(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In the last moments of a window the run waits for the next one."""
        at(monkeypatch, "2031-06-02T03:59:59.950")
        world.safety_events()
        world.events(range(9), 60)
        run = scheduled(world.policy(**NIGHT))
        assert privacy.advance_run(run)["outcome"] == "waiting"
        assert not_before(world, run) == dt.datetime(2031, 6, 2, 20, tzinfo=dt.UTC)
        assert world.count("safety_events") == 9

    @on(*EACH_DATABASE)
    def test_it_stops_when_the_window_closes(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before each batch it looks: what went until then is committed, and the next night goes on."""
        at(monkeypatch, "2031-06-01T22:00")
        world.safety_events()
        world.events(range(100), 60)
        run = scheduled(world.policy(**NIGHT))
        world.batches_of(10)
        here = [0.0]
        clock = types.SimpleNamespace(monotonic=lambda: here[0])
        monkeypatch.setattr("aegis.retention.allowance.time", clock)
        seen: list[Slice] = []

        def on_progress(piece: Slice) -> None:
            seen.append(piece)
            if len(seen) == 3:
                here[0] = 6 * 3600

        piece = advance(world.system, run, 600, on_progress)
        assert piece.outcome == "more"
        assert 0 < piece.rows < 100
        assert len(seen) == 4
        at(monkeypatch, "2031-06-02T04:00")
        assert privacy.advance_run(run)["outcome"] == "waiting"
        assert world.count("safety_events") == 100 - piece.rows
        at(monkeypatch, "2031-06-02T20:00")
        assert world.finish(run)["outcome"] == "done"
        assert world.run_row(run)["rows"] == 100

    @on("sqlite-one", "sqlite+postgresql")
    def test_a_call_of_ones_own_is_not_held(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Somebody who runs it by hand is told that it is outside the window, and it runs."""
        at(monkeypatch, "2031-06-01T12:00")
        world.safety_events()
        world.events(range(9), 60)
        world.policy(**NIGHT)
        report = world.enforce()
        assert (report["applied"], report["rows"]) == (True, 9)
        assert "outside its window 22:00-06:00 (Europe/Berlin)" in report["reason"]
        at(monkeypatch, "2031-06-01T21:00")
        assert world.enforce()["reason"] is None

    @on("sqlite-one", "sqlite+postgresql")
    def test_a_service_is_held(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run that a service asked for waits too; other hours need no approval, and wake it."""
        at(monkeypatch, "2031-06-01T12:00")
        world.safety_events()
        world.events(range(9), 60)
        policy = world.policy(**NIGHT)
        run = world.start()
        assert privacy.advance_run(run)["outcome"] == "waiting"
        again = world.policy(approve=False, windows=["11:00-13:00"])
        assert (again.id, again.state) == (policy.id, "approved")
        assert privacy.due_runs() == [run]
        assert world.finish(run)["outcome"] == "done"


@on("sqlite-one")
@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"windows": ["22-06"]}, "window"),
        ({"windows": ["22:00-22:00"]}, "window"),
        ({"budget": {"rows": 0}}, "budget"),
        ({"budget": {"rows": True}}, "budget"),
        ({"budget": {"bytes": 5}}, "budget"),
        ({"budget": {}}, "budget"),
        ({"budget": 5}, "budget"),
    ],
    ids=str,
)
def test_what_cannot_be_meant(world: World, words: dict[str, Any], why: str) -> None:
    """Hours and budgets that say nothing are refused."""
    world.safety_events()
    with pytest.raises(UsageError, match=why):
        world.policy(**words)


class TestBudgets:
    """A run ends when it has done its part, and says what is left."""

    @on(*EACH_DATABASE)
    @pytest.mark.parametrize("index", [True, False], ids=["index", "no index"])
    def test_rows_to_the_row(self, world: World, *, index: bool) -> None:
        """No run takes more rows than its budget, whatever the way; the last one says nothing is left."""
        world.safety_events(index=index)
        world.events(range(100), 60)
        world.events(range(200, 210), 1)
        world.policy(budget={"rows": 37})
        world.batches_of(10)
        found = [world.enforce() for _ in range(4)]
        assert [report["rows"] for report in found] == [37, 37, 26, 0]
        assert all(report["status"] == "done" for report in found)
        reasons = [report["reason"] for report in found]
        assert reasons[0] == "the budget of 37 rows is spent: 63 rows are left for the next run"
        assert "26 rows are left" in reasons[1]
        assert reasons[2:] == [None, None]
        kept = json.loads(world.run_row(found[0]["run"])["report"])
        assert (kept["left"], kept["arrived_late"]) == ({"budget_rows": 63}, 0)
        assert world.ids() == list(range(200, 210))

    @on(*EACH_DATABASE)
    def test_a_key_of_two_columns(self, world: World) -> None:
        """Also where a row is named by two columns."""
        world.create("t", "a INT NOT NULL, b {text} NOT NULL, created_at {instant}, PRIMARY KEY (a, b)")
        old = dt.datetime.now(dt.UTC) - dt.timedelta(days=60)
        world.insert("t", [{"a": n // 7, "b": f"k{n % 7}", "created_at": old} for n in range(50)])
        world.policy("p", "t", budget={"rows": 23})
        assert [world.enforce()["rows"] for _ in range(3)] == [23, 23, 4]

    @on(*EACH_DATABASE)
    def test_over_several_slices(self, world: World) -> None:
        """The budget is the run's, whoever works on it and however often it is taken up."""
        world.safety_events()
        world.events(range(100), 60)
        world.policy(budget={"rows": 37})
        world.batches_of(5)
        run = world.start()
        for _ in range(30):
            if not advance(world.another(), run, 0).more:
                break
        assert world.run_row(run)["state"] == "done"
        assert world.count("safety_events") == 63

    @on(*EACH_DATABASE)
    def test_seconds_of_work(self, world: World) -> None:
        """When the seconds are spent the run ends, in the middle of the table as well."""
        world.safety_events()
        world.events(range(100), 60)
        world.policy(budget={"seconds": 5})
        world.batches_of(10)
        run = world.start()
        assert privacy.advance_run(run, 0)["more"]
        worked = json.loads(world.run_row(run)["tally"])["worked_ms"]
        with world.control.begin() as connection:
            used = json.dumps({"worked_ms": 5000 + worked})
            connection.execute(sa.text("UPDATE aegis_runs SET tally = :used"), {"used": used})
        report = world.finish(run)
        assert report["outcome"] == "done"
        assert "the budget of 5 seconds is spent" in report["reason"]
        left = world.count("safety_events")
        assert f"{left} rows are left" in report["reason"]
        assert 0 < left < 100
