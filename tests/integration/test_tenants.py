"""One tenant of three: previews, runs, holds and erasures leave every row of the others as it was."""

import datetime as dt
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.datamap.coverage import examine
from aegis.datamap.reading import parse_map
from aegis.db.catalog import read_catalog
from aegis.errors import Denied, InvalidPolicy, Refused, UnsafeTable
from api import privacy
from api.audit import get_audit_events
from api.erasure import anonymize_user, anonymize_users, export_person, plan_erasure, verify_erasure
from tests.oneperson import expect
from tests.worlds import ACTOR, DAY, EACH_DATABASE, World, content, on

TENANTS: Final = ("acme", "beta", "gamma")
#: The same numbers of people in each tenant; what hangs on an order has no tenant of its own.
TABLES: Final = {
    "users": "org VARCHAR(9), id INT, email VARCHAR(90), PRIMARY KEY (org, id)",
    "orders": "id INT PRIMARY KEY, org VARCHAR(9), buyer INT, created_at {instant}, "
    "FOREIGN KEY (org, buyer) REFERENCES users (org, id)",
    "items": "id INT PRIMARY KEY, part_of INT, "
    "FOREIGN KEY (part_of) REFERENCES orders (id) ON DELETE CASCADE",
    "notes": "id INT PRIMARY KEY, org VARCHAR(9), author INT, body VARCHAR(90), "
    "FOREIGN KEY (org, author) REFERENCES users (org, id)",
}
MAP: Final = """
subjects:
  user: {table: users, key: [org, id], tenant: org, identifiers: {email: email}}
tables:
  users: {row: anonymize, columns: {org: preserve, email: surrogate}}
  orders: {row: delete, via: buyer}
  items: {row: delete, via: part_of}
  notes: {row: anonymize, via: author, columns: {org: preserve, body: null}}
"""
#: Where each table's rows of other tenants are.
_OTHERS: Final = dict.fromkeys(("users", "orders", "notes"), "org <> 'acme'") | {
    "items": "part_of IN (SELECT id FROM orders WHERE org <> 'acme')"
}
_WRITES: Final = re.compile(r"\s*(?:DELETE FROM|UPDATE) (\w+)")
#: What a tenant's own session sees.
OWN: Final = "org = current_setting('app.tenant', true)"
_WORDS: Final[Mapping[str, Any]] = {"matter": "m", "owner": "o", "review_by": dt.date(2099, 1, 1)}


@pytest.fixture
def shop(world: World, tmp_path: Path) -> World:
    """Three tenants whose rows lie one beside the other, and a data map."""
    for name, columns in TABLES.items():
        world.create(name, columns)
    now = dt.datetime.now(dt.UTC)
    people = [(org, number) for number in range(1, 4) for org in TENANTS]
    world.insert("users", [{"org": o, "id": n, "email": f"{n}@{o}.example"} for o, n in people])
    for place, (org, number) in enumerate(people):
        ids = [10 * place + nth for nth in range(6)]
        world.insert(
            "orders",
            [
                {"id": i, "org": org, "buyer": number, "created_at": now - (5 + 10 * (i % 10)) * DAY}
                for i in ids
            ],
        )
        world.insert("items", [{"id": 2 * i + nth, "part_of": i} for i in ids for nth in range(2)])
        world.insert("notes", [{"id": place, "org": org, "author": number, "body": "x"}])
    map_to(world, tmp_path / "app.datamap.yaml", MAP)
    return world


def map_to(world: World, path: Path, text: str) -> None:
    """Go on with a data map."""
    path.write_text(text, encoding="utf-8")
    source = world.settings.sources[world.datasource]
    world.configure(datasources={world.datasource: replace(source, datamap=path)})


def others(world: World) -> dict[str, str]:
    """Return a hash of every row that is not acme's, by table."""
    return {name: content(world.app, name, where) for name, where in _OTHERS.items()}


@contextmanager
def statements(world: World) -> Iterator[list[tuple[str, list[Any]]]]:
    """Collect what Aegis says to the application's tables: the statement, and its values one by one."""
    said: list[tuple[str, list[Any]]] = []
    source = world.system.databases.source(world.datasource)
    names = re.compile(rf"\b({'|'.join(TABLES)})\b")

    def hear(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if (
            names.search(statement)
            and "pg_catalog" not in statement
            and "information_schema" not in statement
        ):
            said.append((statement, list(_flat(values))))

    sa.event.listen(source, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        sa.event.remove(source, "before_cursor_execute", hear)


def _flat(values: Any) -> Iterator[Any]:
    if isinstance(values, Mapping):
        values = list(values.values())
    if isinstance(values, list | tuple):
        for value in values:
            yield from _flat(value)
    else:
        yield values


def only_acmes(said: Sequence[tuple[str, list[Any]]], keys: Collection[int] = ()) -> set[str]:
    """Assert that what is written is acme's, by tenant or by its orders' keys; return the tables."""
    written = set()
    for statement, values in said:
        assert not {"beta", "gamma"} & set(map(str, values)), statement
        if (found := _WRITES.match(statement)) is not None:
            written.add(found[1])
            by_key = found[1] == "items" and set(values) <= set(keys)
            assert ("acme" in values and "org" in statement) or by_key, statement
    return written


def stored(world: World, report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's report as it is kept."""
    found: dict[str, Any] = json.loads(world.run_row(report["run"])["report"])
    return found


@on(*EACH_DATABASE)
class TestRetention:
    """Policies on a table that tells tenants apart, with a child that does not."""

    def test_a_run_for_one_tenant(self, shop: World) -> None:
        """Preview, dry run, days of its own and the run itself: a hash of all others says the same."""
        shop.policy("p", "orders", tenant_column="org", tenant_days={"acme": 20}, cascades=["items"])
        before = others(shop)
        with statements(shop) as said:
            seen = privacy.preview_retention_policy("p", tenant_id="acme")
            (tried,) = privacy.enforce_retention_policies(tenant_id="acme")
        assert (seen.rows, seen.tenants, tried["rows"]) == (12, {"acme": 12}, 12)
        assert seen.along == {"cascade:items": 24}
        assert only_acmes(said) == set()
        with statements(shop) as said:
            report = shop.enforce(tenant_id="acme")
        assert (report["rows"], stored(shop, report)["along"]) == (12, {"cascade:items": 24}), report
        assert only_acmes(said) == {"orders", "items"}
        assert others(shop) == before
        assert shop.count("orders", "org = 'acme'") == 6

    def test_a_hold_on_one_tenant(self, shop: World) -> None:
        """A hold keeps its tenant's rows alone, and a run for it says that they are held."""
        shop.policy("p", "orders", tenant_column="org", cascades=["items"])
        privacy.place_hold(datasource=shop.datasource, tenant="acme", **_WORDS)
        before = others(shop)
        report = shop.enforce(tenant_id="acme")
        assert (report["rows"], stored(shop, report)["held"]) == (0, 9), report
        assert others(shop) == before

    def test_masks_of_one_tenant(self, shop: World) -> None:
        """What is written over is one tenant's."""
        shop.execute(
            "ALTER TABLE notes ADD created_at " + ("TEXT" if shop.dialect == "sqlite" else "TIMESTAMP")
        )
        shop.execute("UPDATE notes SET created_at = '2020-01-01 00:00:00'")
        shop.policy("p", "notes", tenant_column="org", action="anonymize", masks={"body": None})
        before = others(shop)
        with statements(shop) as said:
            assert shop.enforce(tenant_id="acme")["rows"] == 3
        assert only_acmes(said) == {"notes"}
        assert others(shop) == before
        shop.masked["notes"] += 3

    def test_what_would_take_another_tenants_row_along(self, shop: World) -> None:
        """A row on which another tenant's row hangs, or one of nobody's, stays and is counted as held."""
        shop.create(
            "parcels",
            "id INT PRIMARY KEY, org VARCHAR(9), part_of INT, "
            "FOREIGN KEY (part_of) REFERENCES orders (id) ON DELETE CASCADE",
        )
        old = shop.all("SELECT id FROM orders WHERE org = 'acme' ORDER BY created_at")
        named = [*zip(old, ("acme", "beta", None, "ACME"), strict=False)]
        shop.insert("parcels", [{"id": n, "org": org, "part_of": id_} for n, (id_, org) in enumerate(named)])
        shop.policy("p", "orders", retention_days=1, tenant_column="org", cascades=["items", "parcels"])
        seen = privacy.preview_retention_policy("p", tenant_id="acme")
        assert (seen.rows, seen.held) == (15, 3)
        before = others(shop), content(shop.app, "parcels", "id > 0")
        report = shop.enforce(tenant_id="acme")
        told = stored(shop, report)
        assert (report["rows"], told["held"], told["along"]["cascade:parcels"]) == (15, 3, 1), told
        assert (others(shop), content(shop.app, "parcels", "id > 0")) == before
        # For all tenants it goes, as every other row.
        assert stored(shop, shop.enforce())["along"]["cascade:parcels"] == 3


@on(*EACH_DATABASE)
def test_an_erasure_for_one_tenant(shop: World, tmp_path: Path) -> None:
    """Plan, export, erasure and another look name the tenant in every statement, or the keys of its rows."""
    key = ["acme", "1"]
    before = others(shop)
    with statements(shop) as said:
        assert plan_erasure(key, tenant="acme").rows == 6 + 12 + 1 + 1
        export_person(key, tmp_path / "one.json", actor=ACTOR, tenant="acme")
    assert {table for statement, _ in said for table in TABLES if f" {table}" in statement} == set(TABLES)
    keys = set(shop.all("SELECT id FROM orders WHERE org = 'acme'"))
    for statement, values in said:
        # What tries the masks on nothing, and a look at the map, say no value.
        numbers = {value for value in values if isinstance(value, int)}
        assert "acme" in values or numbers <= keys, statement
    with statements(shop) as said:
        done = anonymize_user(key, ACTOR, tenant_id="acme")
    assert (done.status, done.rows["delete:orders"], done.rows["delete:items"]) == ("done", 6, 12), (
        done.reason
    )
    assert others(shop) == before
    assert only_acmes([one for one in said if _WRITES.match(one[0])], keys) == {*TABLES}
    expect(shop, done.rows)
    assert verify_erasure(key).clean
    for ask in (
        lambda: anonymize_user(["beta", "1"], ACTOR, tenant_id="acme"),
        lambda: export_person(["beta", "1"], tmp_path / "two.json", actor=ACTOR, tenant="acme"),
    ):
        with pytest.raises(Denied, match="not of the tenant"):
            ask()
    assert others(shop) == before
    denied = get_audit_events(action="tenant:deny")
    assert [(event["target_id"], event["actor"], event["outcome"]) for event in denied] == [
        ("export", ACTOR, "denied"),
        ("erasure", ACTOR, "denied"),
    ]
    assert {event["details"]["requesting"] for event in denied} == {"acme"}


class TestStrangers:
    """Rows of other tenants that refer to a person of this one."""

    @on(*EACH_DATABASE)
    @pytest.mark.parametrize(("owner", "named"), [("beta", "org"), (None, "org"), ("beta", "owner")])
    def test_another_tenants_row(self, shop: World, tmp_path: Path, owner: str | None, named: str) -> None:
        """It stops plan, export and erasure of one tenant, is named with its table, and stays."""
        shop.create("visits", f"id INT PRIMARY KEY, {named} VARCHAR(9), visitor INT")
        shop.insert("visits", [{"id": 1, named: "acme", "visitor": 1}, {"id": 2, named: owner, "visitor": 1}])
        tenant = "" if named == "org" else f", tenant: {named}"
        line = f"  visits: {{row: delete, via: {{visitor: users.id}}{tenant}}}\n"
        map_to(shop, tmp_path / "more.yaml", MAP + line)
        before = shop.everything()
        for ask in (
            lambda: plan_erasure(["acme", "1"], tenant="acme"),
            lambda: anonymize_user(["acme", "1"], ACTOR, tenant_id="acme"),
            lambda: export_person(["acme", "1"], tmp_path / "one.json", actor=ACTOR, tenant="acme"),
        ):
            with pytest.raises(Denied, match=rf"of none, refer to this user \(1 by visits.{named}\)"):
                ask()
        assert shop.everything() == before
        # Whoever names no tenant means all of them.
        assert plan_erasure(["acme", "1"]).rows == 6 + 12 + 1 + 1 + 2

    @on("sqlite-one")
    def test_one_that_comes_on_the_way(self, shop: World, tmp_path: Path) -> None:
        """A request that was accepted before stops, and says why."""
        shop.create("visits", "id INT PRIMARY KEY, org VARCHAR(9), visitor INT")
        line = "  visits: {row: delete, via: {visitor: users.id}}\n"
        map_to(shop, tmp_path / "more.yaml", MAP + line)
        erasure = replace(shop.settings.erasure, approval=True)
        shop.configure(erasure=erasure)
        waiting = anonymize_user(["acme", "1"], ACTOR, tenant_id="acme", idempotency_key="one")
        assert waiting.status == "waiting"
        shop.insert("visits", [{"id": 1, "org": "beta", "visitor": 1}])
        before = others(shop)
        shop.configure(erasure=replace(erasure, approval=False))
        done = anonymize_user(["acme", "1"], ACTOR, tenant_id="acme", idempotency_key="one")
        assert (bool(done), done.rows) == (False, {}), done
        assert others(shop) == before
        assert shop.count("visits") == 1

    @on("sqlite-one")
    def test_a_map_that_writes_over_the_tenant(self, shop: World, tmp_path: Path) -> None:
        """Nobody could tell afterwards whose a row is: one tenant's erasure is refused, and no other."""
        text = MAP.replace("via: author, columns: {org: preserve,", "via: author, columns: {org: null,")
        map_to(shop, tmp_path / "more.yaml", text)
        with pytest.raises(Refused, match=r"writes over notes.org"):
            plan_erasure(["acme", "1"], tenant="acme")
        assert plan_erasure(["acme", "1"]).rows == 6 + 12 + 1 + 1

    @on("sqlite-one")
    def test_a_tenant_column_that_is_not_there(self, shop: World) -> None:
        """The data map is not complete, and the check names the column."""
        wrong = parse_map(MAP.replace("via: author,", "via: author, tenant: organisation,"), "a map")
        with shop.app.connect() as connection:
            (found,) = examine(wrong, read_catalog(connection)).undecided
        assert (found.table, found.what, found.line) == ("notes", "column organisation", 8)

    @on("sqlite-one")
    def test_a_group_of_one_tenant(self, shop: World, tmp_path: Path) -> None:
        """Of a group only the tenant's people are found, and only their rows go."""
        text = MAP.replace("tenant: org,", "tenant: org, groups: {first: {when: 'id < 3'}},")
        map_to(shop, tmp_path / "more.yaml", text)
        before = others(shop)
        done = anonymize_users(group="first", actor=ACTOR, tenant_id="acme")
        assert (done.status, done.persons) == ("done", 2), done.reason
        assert others(shop) == before
        expect(shop, done.rows)


@contextmanager
def a_clerk(world: World, table: str, sees: str = OWN) -> Iterator[None]:
    """Go on as a role for which row security hides rows of a table."""
    source = world.settings.datasources["app"]
    world.execute("CREATE ROLE tenants_clerk LOGIN PASSWORD 'x'")
    try:
        for statement in (
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY own ON {table} USING ({sees})",
            "GRANT USAGE ON SCHEMA public, aegis TO tenants_clerk",
            "GRANT ALL ON ALL TABLES IN SCHEMA public, aegis TO tenants_clerk",
        ):
            world.execute(statement)
        url = sa.make_url(source.url).set(username="tenants_clerk", password="x")
        there = url.render_as_string(hide_password=False)
        world.configure(datasources={"app": replace(source, url=there)})
        yield
    finally:
        world.configure(datasources={"app": source})
        world.execute("DROP OWNED BY tenants_clerk")
        world.execute("DROP ROLE tenants_clerk")


@on("sqlite+postgresql")
def test_rows_that_row_security_hides_from_one_tenants_run(shop: World, tmp_path: Path) -> None:
    """Each look and each change for a tenant is an error, never a zero, where a policy would hide rows."""
    before, key = (content(shop.app, "orders"), others(shop)), ["acme", "1"]
    with a_clerk(shop, "orders"):
        shop.policy("p", "orders", tenant_column="org", cascades=["items"])
        for ask in (
            lambda: privacy.preview_retention_policy("p", tenant_id="acme"),
            lambda: plan_erasure(key, tenant="acme"),
            lambda: anonymize_user(key, ACTOR, tenant_id="acme"),
            lambda: export_person(key, tmp_path / "one.json", actor=ACTOR, tenant="acme"),
            lambda: verify_erasure(key),
        ):
            with pytest.raises((UnsafeTable, Refused), match="row-level security"):
                ask()
        (tried,) = privacy.enforce_retention_policies(tenant_id="acme")
        assert (tried["status"], tried["rows"]) == ("failed", None)
        done = shop.enforce(tenant_id="acme")
        assert (done["applied"], done["rows"] or 0) == (False, 0), done
        assert "row-level security" in done["reason"]
    assert (content(shop.app, "orders"), others(shop)) == before


class TestTenantSession:
    """A policy that sees what one tenant's session sees."""

    def put(self, world: World) -> None:
        """Give each tenant ten visits, nine of them old."""
        world.create("visits", "id INT PRIMARY KEY, org VARCHAR(9), created_at {instant}")
        old, new = (dt.datetime.now(dt.UTC) - days * DAY for days in (60, 1))
        rows = [(10 * place + nth, org, nth) for nth in range(10) for place, org in enumerate(TENANTS)]
        world.insert("visits", [{"id": i, "org": o, "created_at": old if n else new} for i, o, n in rows])

    def register(self, world: World) -> None:
        """Register the policy, and approve it."""
        world.policy("p", "visits", tenant_column="org", tenant_session="app.tenant")

    @on("sqlite+postgresql")
    def test_a_run_says_whose_view_it_is(self, world: World) -> None:
        """Rows that the session does not see stay, and every report says as seen by whom."""
        self.put(world)
        before = content(world.app, "visits", "org <> 'acme'")
        with a_clerk(world, "visits", f"{OWN} AND id <> 3"):
            self.register(world)
            seen = privacy.preview_retention_policy("p", tenant_id="acme")
            assert (seen.rows, seen.total, seen.tenants) == (8, 9, {"acme": 8})
            (tried,) = privacy.enforce_retention_policies(tenant_id="acme")
            done = world.enforce(tenant_id="acme")
            assert (tried["rows"], done["rows"], done["applied"]) == (8, 8, True), done
            assert tried["seen"] == done["seen"] == "as seen by tenant acme"
            assert world.enforce(tenant_id="nobody")["rows"] == 0
        assert world.ids("visits")[:3] == [0, 3, 10]
        assert content(world.app, "visits", "org <> 'acme'") == before

    @on("sqlite+postgresql")
    def test_nothing_runs_without_a_tenant(self, world: World) -> None:
        """No run for all, no preview of all, no schedule; the reason names the cure."""
        self.put(world)
        self.register(world)
        before = world.everything()
        for report in (privacy.enforce_retention_policies()[0], world.enforce()):
            assert (report["applied"], report["status"]) == (False, "failed")
            assert "name the tenant" in report["reason"]
        for ask in (
            lambda: privacy.preview_retention_policy("p"),
            lambda: privacy.create_retention_runs("one", policies=["p"], actor=ACTOR),
        ):
            with pytest.raises(InvalidPolicy, match="name the tenant"):
                ask()
        assert privacy.scheduled_policies() == []
        assert world.everything() == before
        (step,) = privacy.apply_retention_policies(
            privacy.export_retention_policies(), check=True, actor=ACTOR
        )
        assert step["status"] == "unchanged"

    @on("sqlite-one")
    @pytest.mark.usefixtures("shop")
    def test_what_cannot_be_meant(self) -> None:
        """Another kind of name, no tenant column, what would go unseen, a database without row security."""
        plain: dict[str, Any] = {"tenant_column": "org", "tenant_session": "app.tenant"}
        for words, said in (
            ({"tenant_session": "row_security"}, "such as app.tenant"),
            ({"tenant_session": "app.tenant; DROP TABLE orders"}, "such as app.tenant"),
            ({"tenant_column": None}, "needs a tenant_column"),
            ({"cascades": ["items"]}, "cascades cannot stand beside"),
            ({"archive": {"keep_days": 1}}, "archive cannot stand beside"),
            ({}, "is for PostgreSQL"),
        ):
            with pytest.raises(InvalidPolicy, match=said):
                privacy.register_retention_policy("p", "orders", **{**plain, **words})
        assert privacy.list_retention_policies() == []
