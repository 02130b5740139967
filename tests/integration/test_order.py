"""The order of policies: `after` names those that come first."""

import datetime as dt

import pytest

from aegis.errors import InvalidPolicy, UnknownName
from api import privacy
from tests.worlds import ACTOR, DAY, EACH_DATABASE, World, on


@pytest.fixture
def family(world: World) -> World:
    """Old users with old orders that refer to them, without an action."""
    old = dt.datetime.now(dt.UTC) - 60 * DAY
    world.create("users", "id BIGINT PRIMARY KEY, created_at {instant}")
    world.create(
        "orders",
        "id BIGINT PRIMARY KEY, parent BIGINT, created_at {instant}, "
        "FOREIGN KEY (parent) REFERENCES users (id)",
    )
    world.insert("users", [{"id": n, "created_at": old} for n in range(4)])
    world.insert("orders", [{"id": n, "parent": n, "created_at": old} for n in range(4)])
    world.policy("z-orders", "orders")
    world.policy("a-users", "users", after=["z-orders"])
    return world


@on(*EACH_DATABASE)
def test_the_children_come_first(family: World) -> None:
    """One call enforces the policies in the order that they declare, whatever their names."""
    assert family.count("orders") == 4
    reports = privacy.enforce_retention_policies(dry_run=False, actor=ACTOR)
    assert [report["policy"] for report in reports] == ["z-orders", "a-users"]
    assert [report["rows"] for report in reports] == [4, 4]


@on("sqlite-one", "postgresql-one")
def test_a_run_waits_for_the_one_before(family: World) -> None:
    """It is waiting, says for which policy, and goes on when that one is done."""
    first, second = family.start("z-orders"), family.start("a-users")
    report = privacy.advance_run(second)
    assert (report["outcome"], family.run_row(second)["state"]) == ("waiting", "waiting")
    assert "z-orders" in report["reason"]
    assert family.run_row(second)["waits_for"] == "after"
    assert family.finish(first)["outcome"] == "done"
    assert family.finish(second)["outcome"] == "done"


@on("sqlite-one", "postgresql-one")
def test_a_scheduled_run_waits_for_one_that_is_not_made_yet(family: World) -> None:
    """Both are due at two o'clock and beat has planned the second only: it does not overtake."""
    before = privacy.list_retention_policies(["a-users"])[0]
    instant = dt.datetime.now(dt.UTC).replace(hour=2, minute=0, second=0, microsecond=0) + 2 * DAY
    second = privacy.create_scheduled_run(before.id, instant)
    assert second is not None
    assert privacy.advance_run(second)["outcome"] == "waiting"
    children = privacy.list_retention_policies(["z-orders"])[0]
    first = privacy.create_scheduled_run(children.id, instant)
    assert first is not None
    assert family.finish(first)["outcome"] == "done"
    assert family.finish(second)["outcome"] == "done"


@on("sqlite-one")
def test_an_order_that_cannot_be_meant(family: World) -> None:
    """A name that is not there, the policy itself and a circle are refused."""
    with pytest.raises(UnknownName, match="nobody"):
        family.policy("p", "orders", after=["nobody"])
    with pytest.raises(InvalidPolicy, match="other policies"):
        family.policy("z-orders", "orders", after=["z-orders"])
    with pytest.raises(InvalidPolicy, match="circle"):
        family.policy("z-orders", "orders", after=["a-users"])
