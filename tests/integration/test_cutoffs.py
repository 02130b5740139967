"""Periods by the calendar, and tenants with days of their own, to the microsecond."""

import datetime as dt
from typing import Any

import pytest

from aegis.db import dialects
from aegis.errors import InvalidPolicy, UsageError
from aegis.operations import holds
from aegis.operations.scopes import Scope
from aegis.retention.cutoffs import Cutoffs
from api import privacy
from tests.worlds import CANARY, DAY, EACH_DATABASE, World, on

MICROSECOND = dt.timedelta(microseconds=1)
#: Tenants whose names differ only as the database's collation may not see.
SIMILAR = ("acme", "ACME", "acm\u00e9", "acme ", " acme", "acme%", "acm_")


def held_still(monkeypatch: pytest.MonkeyPatch, now: dt.datetime) -> None:
    """Stop the clocks of every database."""
    monkeypatch.setattr(dialects, "now", lambda _connection: now)


def days_of_51_tenants() -> dict[str, int]:
    """Each tenant has other days than every other; some keep longer than the policy, some shorter."""
    names = [*SIMILAR, *(f"tenant {n}" for n in range(51 - len(SIMILAR)))]
    return {name: 5 + n for n, name in enumerate(names)}


class TestTenantDays:
    """Each tenant's rows go when its own days are over, in one pass."""

    @on(*EACH_DATABASE)
    @pytest.mark.parametrize("index", [True, False], ids=["index", "no index"])
    def test_51_tenants_one_microsecond_either_side(self, world: World, *, index: bool) -> None:
        """Of each tenant the row before its own cutoff goes and those at it and after it stay."""
        days = days_of_51_tenants()
        world.create("t", "id INT PRIMARY KEY, tenant {text}, created_at {instant}")
        if index:
            world.execute("CREATE INDEX t_by_time ON t (created_at)")
        world.policy("p", "t", tenant_column="tenant", tenant_days=days)
        world.batches_of(7)
        run = world.start()
        moment = world.begin(run) + 30 * DAY
        everybody = [*days.items(), ("somebody else", 30), ("Tenant 1", 30), (None, 30)]
        rows: list[dict[str, Any]] = []
        for n, (tenant, own) in enumerate(everybody):
            at = moment - own * DAY
            rows += [
                {"id": 10 * n + step, "tenant": tenant, "created_at": at + (step - 1) * MICROSECOND}
                for step in range(3)
            ]
        world.insert("t", rows)
        assert world.finish(run)["outcome"] == "done"
        assert world.ids("t") == [row["id"] for row in rows if row["id"] % 10]

    @on(*EACH_DATABASE)
    def test_preview_and_report_tell_each_cutoff(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Dry run, preview and run have the same cutoffs and the same rows."""
        now = dt.datetime.now(dt.UTC).replace(microsecond=5)
        held_still(monkeypatch, now)
        world.safety_events()
        world.events(range(10), 20)
        world.events(range(20, 30), 20, tenant="beta")
        world.events(range(40, 50), 50, tenant="gamma")
        world.policy(tenant_column="tenant", tenant_days={"beta": 10, "gamma": 60})
        (seen,) = privacy.enforce_retention_policies()
        own = {"beta": now - 10 * DAY, "gamma": now - 60 * DAY}
        told = {name: f"{at:%Y-%m-%dT%H:%M:%S.%fZ}" for name, at in own.items()}
        assert (seen["rows"], seen["cutoffs"]) == (10, told)
        looked = privacy.preview_retention_policy("p")
        assert looked.cutoffs == Cutoffs(moment=now, base=now - 30 * DAY, by_tenant=own)
        assert looked.tenants == {"beta": 10}
        report = world.enforce()
        assert (report["rows"], report["cutoffs"]) == (10, told)
        assert world.ids() == [*range(10), *range(40, 50)]

    @on(*EACH_DATABASE)
    def test_a_run_for_one_tenant_has_its_days(self, world: World) -> None:
        """A run that is asked for one tenant takes that tenant's days, and no other tenant's rows."""
        world.safety_events()
        world.events(range(5), 20)
        world.events(range(10, 15), 20, tenant="beta")
        world.policy(tenant_column="tenant", tenant_days={"beta": 10})
        assert world.enforce(tenant_id="acme")["rows"] == 0
        assert privacy.preview_retention_policy("p", tenant_id="beta").rows == 5
        assert world.enforce(tenant_id="beta")["rows"] == 5
        assert world.ids() == list(range(5))

    @on(*EACH_DATABASE)
    def test_tenants_that_are_numbers(self, world: World) -> None:
        """Days are written for tenants as text; the column may hold whole numbers."""
        world.create("t", "id INT PRIMARY KEY, tenant INT, created_at {instant}")
        world.policy("p", "t", tenant_column="tenant", tenant_days={"7": 10})
        old = dt.datetime.now(dt.UTC) - 20 * DAY
        world.insert("t", [{"id": n, "tenant": n, "created_at": old} for n in (6, 7)])
        assert world.enforce()["rows"] == 1
        assert world.ids("t") == [6]
        with pytest.raises(InvalidPolicy, match="two spellings"):
            world.policy("q", "t", tenant_column="tenant", tenant_days={"7": 10, "07": 11})
        with pytest.raises(UsageError, match="does not fit"):
            world.policy("q", "t", tenant_column="tenant", tenant_days={CANARY: 10})

    @on(*EACH_DATABASE)
    def test_a_legal_hold_on_a_tenant(self, world: World) -> None:
        """Rows of a held tenant stay whatever its days are, and are counted as held."""
        world.safety_events()
        world.events(range(5), 20)
        world.events(range(10, 15), 20, tenant="beta")
        world.policy(tenant_column="tenant", tenant_days={"beta": 10, "acme": 10})
        matter: dict[str, Any] = {"matter": "case 1", "owner": "somebody", "review_by": dt.date(2030, 1, 1)}
        holds.place(world.system, Scope(tenant="beta"), datasource=world.datasource, **matter)
        seen = privacy.preview_retention_policy("p")
        assert (seen.rows, seen.held) == (5, 5)
        assert world.enforce()["rows"] == 5
        assert world.ids() == list(range(10, 15))


@on("sqlite-one")
@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"tenant_days": {"acme": 10}, "tenant_column": None}, "tenant_column"),
        ({"tenant_days": {}}, "1 to 500 tenants"),
        ({"tenant_days": {"acme": 0}}, "whole days"),
        ({"tenant_days": {"acme": True}}, "whole days"),
        ({"tenant_days": {7: 10}}, "tenants as text"),
        ({"tenant_days": {"acme": 36_501}}, "whole days"),
        ({"tenant_days": {str(n): 10 for n in range(501)}}, "1 to 500 tenants"),
        ({"period": "P1Y", "retention_days": 300}, "contradict"),
        ({"period": "PT12H"}, "at least one day"),
        ({"period": "2 years"}, "ISO 8601"),
    ],
    ids=str,
)
def test_what_cannot_be_meant(world: World, words: dict[str, Any], why: str) -> None:
    """Days and periods that contradict each other, or mean nothing, are refused with the reason."""
    world.safety_events()
    with pytest.raises(InvalidPolicy, match=why):
        privacy.register_retention_policy("p", "safety_events", **{"tenant_column": "tenant", **words})


@on("sqlite-one")
@pytest.mark.parametrize("words", [{"tenant_days": ["acme"]}, {"period": ["P1Y"]}], ids=str)
def test_what_is_no_mapping_or_text(world: World, words: dict[str, Any]) -> None:
    """The door refuses it by name, and nothing is registered."""
    world.safety_events()
    with pytest.raises(UsageError, match=rf"^{next(iter(words))} must be "):
        privacy.register_retention_policy("p", "safety_events", **{"tenant_column": "tenant", **words})
    assert privacy.list_retention_policies() == []


class TestPeriods:
    """A period goes back on the calendar of the policy's zone."""

    @on(*EACH_DATABASE)
    @pytest.mark.parametrize(
        ("period", "now", "cutoff"),
        [
            # In Berlin it is 31 March; February's last day stands for it.
            ("P1M", "2024-03-30T23:30", "2024-02-28T23:30"),
            # Over the change to summer time: the same hour in Berlin.
            ("P1Y6M", "2024-08-31T10:00", "2023-02-28T11:00"),
            ("P2W", "2024-04-05T10:00", "2024-03-22T10:00"),
            ("PT36H", "2024-06-02T00:00", "2024-05-31T12:00"),
        ],
    )
    def test_one_microsecond_either_side(
        self, world: World, monkeypatch: pytest.MonkeyPatch, period: str, now: str, cutoff: str
    ) -> None:
        """The row before the cutoff goes, the one at it stays, in preview and run alike."""
        held_still(monkeypatch, dt.datetime.fromisoformat(now).replace(tzinfo=dt.UTC))
        line = dt.datetime.fromisoformat(cutoff).replace(tzinfo=dt.UTC)
        world.create("t", "id INT PRIMARY KEY, created_at {instant}")
        world.insert("t", [{"id": n, "created_at": line + n * MICROSECOND} for n in (-1, 0, 1)])
        privacy.register_retention_policy("p", "t", period=period, zone="Europe/Berlin")
        privacy.approve_retention_policy("p", "somebody")
        (seen,) = privacy.enforce_retention_policies()
        assert (seen["rows"], seen["cutoff"]) == (1, f"{line:%Y-%m-%dT%H:%M:%S.%fZ}")
        assert world.enforce()["rows"] == 1
        assert world.ids("t") == [0, 1]

    @on("sqlite-one")
    def test_its_days_are_the_fewest(self, world: World) -> None:
        """The stored days are the fewest that the period can mean; the same words are the same policy."""
        world.safety_events()
        made = privacy.register_retention_policy("p", "safety_events", period="P1M")
        assert (made.retention_days, made.period) == (28, "P1M")
        again = privacy.register_retention_policy("p", "safety_events", retention_days=28, period="P1M")
        assert (again.id, again.version) == (made.id, 1)
        other = privacy.register_retention_policy("p", "safety_events", retention_days=28)
        assert (other.version, other.period) == (2, None)

    @on(*EACH_DATABASE)
    def test_tenants_may_have_days_of_their_own(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Days of a tenant stand beside a period; the run keeps the instant from which both were taken."""
        now = dt.datetime(2024, 3, 31, 12, tzinfo=dt.UTC)
        held_still(monkeypatch, now)
        world.create("t", "id INT PRIMARY KEY, tenant {text}, created_at {instant}")
        world.policy("p", "t", retention_days=90, period="P1M", tenant_column="tenant", tenant_days={"b": 3})
        lines = {"a": dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC), "b": now - 3 * DAY}
        rows = [
            {"id": n + 10 * m + 1, "tenant": tenant, "created_at": at + n * MICROSECOND}
            for m, (tenant, at) in enumerate(lines.items())
            for n in (0, -1)
        ]
        world.insert("t", rows)
        run = world.start()
        privacy.advance_run(run, 0)
        held_still(monkeypatch, now + DAY)
        assert world.finish(run)["outcome"] == "done"
        assert world.ids("t") == [1, 11]
