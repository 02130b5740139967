"""Named cascades: children go, or lose their reference, with their parents, each row counted."""

import datetime as dt
import json
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.errors import InvalidPolicy, UnsafeTable
from aegis.operations import holds
from aegis.operations.scopes import Scope
from api import privacy
from tests.integration.test_races import at_work, patient
from tests.workerkit import wait_until
from tests.worlds import ACTOR, CANARY, DAY, EACH_DATABASE, World, on

OLD = dt.datetime.now(dt.UTC) - 60 * DAY
NAMED = ("orders", "items", "reviews")
SERVERS = ("postgresql-one", "mariadb-one")


@pytest.fixture
def shop(world: World) -> World:
    """Twelve old users and one young; orders and their items cascade, reviews lose their author."""
    world.create("users", "id BIGINT PRIMARY KEY, email {text}, tenant {text}, created_at {instant}")
    world.create(
        "orders", f"id BIGINT PRIMARY KEY, tenant {{text}}, at {{instant}}, {_refers('users', 'CASCADE')}"
    )
    world.create("items", f"id BIGINT PRIMARY KEY, tenant {{text}}, {_refers('orders', 'CASCADE')}")
    world.create("reviews", f"id BIGINT PRIMARY KEY, {_refers('users', 'SET NULL')}")
    young = dt.datetime.now(dt.UTC)
    world.insert(
        "users",
        [
            {"id": n, "email": CANARY, "tenant": "acme", "created_at": young if n == 12 else OLD}
            for n in range(13)
        ],
    )
    world.insert("orders", [{"id": n, "tenant": f"t{n % 13}", "parent": n % 13} for n in range(26)])
    world.insert("items", [{"id": n, "tenant": f"t{n % 26}", "parent": n % 26} for n in range(52)])
    world.insert("reviews", [{"id": n, "parent": n} for n in range(13)])
    return world


def _refers(table: str, rule: str) -> str:
    return f"parent BIGINT, FOREIGN KEY (parent) REFERENCES {table} (id) ON DELETE {rule}"


def _report(world: World, report: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(world.run_row(report["run"])["report"])
    return found


def _hold(world: World, **scope: Any) -> str:
    return holds.place(
        world.system,
        Scope(**scope),
        datasource=world.datasource,
        matter="case 7",
        owner=ACTOR,
        review_by=dt.date(2030, 1, 1),
    )


@on(*EACH_DATABASE)
@pytest.mark.parametrize("size", [5, 50])
def test_named_children_go_along_and_are_counted(shop: World, size: int) -> None:
    """At any depth, in each batch, exactly what hangs on the rows that go; the young user keeps all."""
    shop.policy("p", "users", cascades=NAMED)
    shop.batches_of(size)
    report = shop.enforce()
    shop.nullified["reviews"] = 12
    assert (report["status"], report["rows"]) == ("done", 12)
    along = _report(shop, report)["along"]
    assert along == {"cascade:orders": 24, "cascade:items": 48, "nullify:reviews": 12}
    assert shop.ids("users") == [12]
    assert shop.ids("orders") == [12, 25]
    assert shop.ids("items") == [12, 25, 38, 51]
    assert shop.count("reviews", "parent IS NULL") == 12
    assert shop.count("reviews", "parent = 12") == 1


@on(*EACH_DATABASE)
def test_the_preview_counts_what_would_go_along(shop: World) -> None:
    """And names the referring column that is searched without an index; nothing changes."""
    shop.policy("p", "users", cascades=NAMED)
    before = shop.everything()
    seen = privacy.preview_retention_policy("p")
    assert (seen.rows, seen.along) == (
        12,
        {"cascade:orders": 24, "cascade:items": 48, "nullify:reviews": 12},
    )
    missing = ["items(parent)", "orders(parent)", "reviews(parent)"]
    assert seen.unindexed == ([] if shop.dialect == "mariadb" else missing)
    if shop.dialect != "mariadb":
        assert shop.everything() == before
        shop.execute("CREATE INDEX orders_by_user ON orders (parent)")
        assert "orders(parent)" not in privacy.preview_retention_policy("p").unindexed


@on("sqlite-one", "postgresql-one")
def test_the_run_names_a_missing_index_before_its_first_batch(shop: World) -> None:
    """It stands in the run's report from the first slice on, and still when it is done."""
    shop.policy("p", "users", cascades=NAMED)
    shop.batches_of(5)
    run = shop.start()
    privacy.advance_run(run, seconds=0)
    assert "orders(parent)" in json.loads(shop.run_row(run)["report"])["unindexed"]
    assert shop.finish(run)["outcome"] == "done"
    shop.nullified["reviews"] = 12
    assert "orders(parent)" in json.loads(shop.run_row(run)["report"])["unindexed"]


@on(*EACH_DATABASE)
@pytest.mark.parametrize(
    ("named", "said"),
    [
        ((), r"orders\(parent\) ON DELETE CASCADE; reviews\(parent\) ON DELETE SET NULL"),
        (("orders", "reviews"), r"items\(parent\) ON DELETE CASCADE.*cascades: items"),
        (("orders", "items"), r"reviews\(parent\) ON DELETE SET NULL"),
    ],
    ids=["none", "not the depth", "not the nullified"],
)
def test_each_table_must_be_named(shop: World, named: tuple[str, ...], said: str) -> None:
    """A table at any depth that the policy does not name refuses it, with the names to add."""
    before = shop.everything()
    with pytest.raises(UnsafeTable, match=said):
        shop.policy("p", "users", cascades=named)
    assert shop.everything() == before


@on("sqlite-one")
def test_a_name_that_no_cascade_reaches_is_refused(shop: World) -> None:
    """A slip of the pen is not taken for a permission."""
    with pytest.raises(InvalidPolicy, match="safety_events"):
        shop.policy("p", "users", cascades=(*NAMED, "safety_events"))


@on(*EACH_DATABASE)
def test_a_circle_is_refused(world: World) -> None:
    """A table that cascades into itself has no leaves; the message says what to change."""
    world.create("users", f"id BIGINT PRIMARY KEY, created_at {{instant}}, {_refers('users', 'CASCADE')}")
    with pytest.raises(UnsafeTable, match="users → users goes round in a circle"):
        world.policy("p", "users", cascades=("users",))


@on("sqlite-one", "postgresql-one")
def test_a_cascade_without_a_bottom_is_refused(world: World) -> None:
    """Its way is shown, to where it is too long for a statement."""
    world.create("t0", "id BIGINT PRIMARY KEY, created_at {instant}")
    for n in range(1, 11):
        world.create(f"t{n}", f"id BIGINT PRIMARY KEY, {_refers(f't{n - 1}', 'CASCADE')}")
    with pytest.raises(UnsafeTable, match=r"t0 → .*t1 → .* is more than 8 tables deep"):
        world.policy("p", "t0", cascades=[f"t{n}" for n in range(1, 11)])


@on("sqlite-one", "postgresql-one")
def test_a_reference_that_is_lost_and_passed_on_is_refused(world: World) -> None:
    """What is nullified is referred to itself: the change would go on, and nobody would count it."""
    world.create("users", "id BIGINT PRIMARY KEY, created_at {instant}")
    world.create("seats", f"id BIGINT PRIMARY KEY, {_refers('users', 'SET NULL')}, UNIQUE (parent)")
    world.create("notes", "id BIGINT PRIMARY KEY, seat BIGINT, FOREIGN KEY (seat) REFERENCES seats (parent)")
    with pytest.raises(
        UnsafeTable, match=r"ON DELETE SET NULL, and .*notes.* refers to it; change that key first"
    ):
        world.policy("p", "users", cascades=["seats"])


@on(*EACH_DATABASE)
def test_the_tables_are_part_of_what_is_approved(shop: World) -> None:
    """Other cascades are another policy; a new trigger on a child voids the approval."""
    shop.policy("p", "users", cascades=NAMED)
    shop.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY, parent BIGINT)")
    for statement in TRIGGERS[shop.dialect]:
        shop.execute(statement)
    report = shop.enforce()
    assert (report["applied"], report["status"]) == (False, "blocked")
    assert "branches" in report["reason"]
    assert shop.count("users") == 13


TRIGGERS = {
    "sqlite": ["CREATE TRIGGER x AFTER DELETE ON items BEGIN SELECT 1; END"],
    "postgresql": [
        "CREATE FUNCTION x() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
        "CREATE TRIGGER x BEFORE DELETE ON items FOR EACH ROW EXECUTE FUNCTION x()",
    ],
    "mariadb": ["CREATE TRIGGER x AFTER DELETE ON items FOR EACH ROW SET @x = 1"],
}


@on(*EACH_DATABASE)
@pytest.mark.parametrize(
    ("scope", "stays"),
    [
        ({"table": "items", "tenant": "t3"}, [3]),
        ({"table": "orders", "tenant": "t4"}, [4]),
        ({"policy": "of-orders", "tenant": "t5"}, [5]),
        ({"tenant": "t6"}, [6]),
        ({"table": "items"}, list(range(12))),
        ({"policy": "elsewhere"}, []),
    ],
    ids=["at depth", "child", "a policy of the child", "tenant anywhere", "whole child", "another table"],
)
def test_a_held_child_keeps_its_parent(shop: World, scope: dict[str, str], stays: list[int]) -> None:
    """The parent of a held row stays with everything that hangs on it, and is counted as held."""
    shop.safety_events()
    shop.policy("of-orders", "orders", cascades=("items",), timestamp_column="at")
    shop.policy("elsewhere")
    shop.policy("p", "users", cascades=NAMED, tenant_column="tenant")
    shop.batches_of(5)
    _hold(shop, **scope)
    assert privacy.preview_retention_policy("p").held == len(stays)
    report = shop.enforce()
    shop.nullified["reviews"] = 12 - len(stays)
    assert (report["status"], report["rows"]) == ("done", 12 - len(stays))
    assert _report(shop, report)["held"] == len(stays)
    assert shop.ids("users") == [*stays, 12]
    assert shop.ids("orders") == sorted([*stays, *[n + 13 for n in stays], 12, 25])
    assert shop.count("items") == 2 * shop.count("orders")


@on(*EACH_DATABASE)
def test_a_child_of_a_child_blocks(shop: World) -> None:
    """A key without an action at depth would make the batch fail: the run is refused before it begins."""
    shop.create("bills", f"id BIGINT PRIMARY KEY, {_refers('items', 'NO ACTION')}")
    shop.policy("p", "users", cascades=NAMED)
    shop.insert("bills", [{"id": 1, "parent": 7}])
    report = shop.enforce()
    assert (report["applied"], report["status"]) == (False, "blocked")
    assert "bills(parent)" in report["reason"]
    assert (shop.count("users"), shop.count("items")) == (13, 52)


@on("postgresql-one")
def test_children_of_other_schemas_and_partitions(world: World) -> None:
    """A child is named with its schema; a partitioned child is one table; SET DEFAULT is counted."""
    world.create("users", "id BIGINT PRIMARY KEY, created_at TIMESTAMPTZ")
    world.insert("users", [{"id": n, "created_at": OLD} for n in (1, 2)])
    world.insert("users", [{"id": 0, "created_at": dt.datetime.now(dt.UTC)}])
    world.execute("CREATE SCHEMA shop")
    world.execute(
        "CREATE TABLE shop.bills (id BIGINT, parent BIGINT REFERENCES users ON DELETE CASCADE) "
        "PARTITION BY RANGE (id)"
    )
    world.execute("CREATE TABLE shop.bills_1 PARTITION OF shop.bills FOR VALUES FROM (0) TO (100)")
    world.execute("INSERT INTO shop.bills VALUES (1, 1), (2, 1), (3, 0)")
    world.create(
        "visits", "id BIGINT PRIMARY KEY, parent BIGINT DEFAULT 0 REFERENCES users ON DELETE SET DEFAULT"
    )
    world.insert("visits", [{"id": 1, "parent": 2}])
    with pytest.raises(UnsafeTable, match=r"cascades: shop\.bills, visits"):
        world.policy("p", "users")
    world.policy("p", "users", cascades=("shop.bills", "public.visits"))
    report = world.enforce()
    assert report["rows"] == 2
    assert _report(world, report)["along"] == {"cascade:shop.bills": 2, "nullify:visits": 1}
    assert world.all("SELECT id FROM shop.bills") == [3]
    assert world.all("SELECT parent FROM visits") == [0]
    world.nullified["visits"] = 1
    world.execute("CREATE VIEW bills AS SELECT * FROM shop.bills")
    world.watch("bills")
    world._born["bills"] = 3  # noqa: SLF001 - counted without its schema


@on("sqlite-one")
def test_set_default_of_sqlite(world: World) -> None:
    """What the column says of itself is put in, and counted."""
    world.create("users", "id BIGINT PRIMARY KEY, created_at {instant}")
    world.insert("users", [{"id": 1, "created_at": OLD}, {"id": 0, "created_at": dt.datetime.now(dt.UTC)}])
    world.create(
        "visits", "id BIGINT PRIMARY KEY, parent BIGINT DEFAULT 0 REFERENCES users (id) ON DELETE SET DEFAULT"
    )
    world.insert("visits", [{"id": 1, "parent": 1}])
    world.policy("p", "users", cascades=("visits",))
    assert world.enforce()["rows"] == 1
    world.nullified["visits"] = 1
    assert world.all("SELECT parent FROM visits") == [0]


@on(*SERVERS)
def test_a_parent_that_is_refreshed_keeps_its_children(shop: World) -> None:
    """While the batch waits for the parent's lock it is renewed: it stays, and all its rows."""
    shop.policy("p", "users", cascades=NAMED)
    patient(shop)
    run = shop.start()
    with shop.app.connect() as mine:
        words = {"now": shop.value(dt.datetime.now(dt.UTC))}
        mine.execute(sa.text("UPDATE users SET created_at = :now WHERE id = 3"), words)
        with at_work(shop, run) as found:
            wait_until(shop.lock_waits, "the batch waits")
            mine.commit()
    shop.finish(run)
    assert found[0].rows == 11
    shop.nullified["reviews"] = 11
    assert shop.ids("users") == [3, 12]
    assert shop.ids("orders") == [3, 12, 16, 25]
    assert shop.count("reviews", "parent IN (3, 12)") == 2


@on(*SERVERS)
def test_a_child_that_comes_while_the_batch_waits_is_counted(shop: World) -> None:
    """An order written meanwhile does not go unseen: it is part of the batch that goes."""
    shop.policy("p", "users", cascades=NAMED)
    patient(shop)
    run = shop.start()
    with shop.app.connect() as mine:
        mine.execute(sa.text("INSERT INTO orders (id, tenant, parent) VALUES (100, 't', 3)"))
        shop._born["orders"] += 1  # noqa: SLF001 - in a transaction of its own
        with at_work(shop, run) as found:
            wait_until(shop.lock_waits, "the batch waits")
            mine.commit()
    shop.finish(run)
    assert found[0].rows == 12
    shop.nullified["reviews"] = 12
    assert json.loads(shop.run_row(run)["report"])["along"]["cascade:orders"] == 25
