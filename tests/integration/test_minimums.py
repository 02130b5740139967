"""What the data map keeps: minimum periods, and holds that are columns of the data source."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from aegis.errors import InvalidDataMap, InvalidPolicy, Refused, UnknownName, UnsafeTable
from api import privacy
from tests.worlds import DAY, World, on

#: One layout for each kind of application database, with a data source that has settings of its own.
EACH = ("sqlite+sqlite", "sqlite+postgresql", "sqlite+mariadb")


@pytest.fixture
def datamap(world: World, tmp_path: Path) -> Callable[[str], None]:
    """Write a data map, and go on with it."""
    path = tmp_path / "app.datamap.yaml"

    def write(text: str) -> None:
        path.write_text(text)
        source = world.settings.datasources["app"]
        world.configure(datasources={"app": replace(source, datamap=path)})

    return write


def invoices(world: World, ages: list[float | None]) -> None:
    """Rows that were made 100 days ago and issued so many days ago, none of them on hold."""
    world.create("invoices", "id INT PRIMARY KEY, created_at {instant}, issued_at {instant}, legal_hold INT")
    now = dt.datetime.now(dt.UTC)
    world.insert(
        "invoices",
        [
            {
                "id": number,
                "created_at": now - 100 * DAY,
                "issued_at": None if age is None else now - age * DAY,
                "legal_hold": 0,
            }
            for number, age in enumerate(ages)
        ],
    )


@on(*EACH)
def test_a_row_under_its_minimum_stays(world: World, datamap: Callable[[str], None]) -> None:
    """It is past the policy's time and stays, counted as kept; so does one without that time."""
    invoices(world, [90, 61, 59, 1, None])
    datamap("tables:\n  invoices: {keep_at_least: {period: P60D, from: issued_at, basis: a law}}\n")
    world.policy(table="invoices")
    seen = privacy.preview_retention_policy("p")
    assert (seen.rows, seen.stays) == (2, {"kept": 3})
    report = world.enforce()
    assert (report["applied"], report["rows"]) == (True, 2)
    assert world.ids("invoices") == [2, 3, 4]
    stored = world.run_row(report["run"])["report"]
    assert '"kept": 3' in stored
    assert '"held": 0' in stored


@on(*EACH)
def test_a_hold_that_is_a_column(world: World, datamap: Callable[[str], None]) -> None:
    """It is a part of the statement: a row stays while the column says so, or does not say."""
    invoices(world, [90, 90, 90])
    world.execute("UPDATE invoices SET legal_hold = 1 WHERE id = 1")
    world.execute("UPDATE invoices SET legal_hold = NULL WHERE id = 2")
    datamap("tables:\n  invoices: {hold: legal_hold = 1}\n")
    world.policy(table="invoices")
    assert privacy.preview_retention_policy("p").stays == {"held": 2}
    report = world.enforce()
    assert report["rows"] == 1
    assert '"held": 2' in world.run_row(report["run"])["report"]
    world.execute("UPDATE invoices SET legal_hold = 0")
    assert world.enforce()["rows"] == 2


@on("sqlite+postgresql", "sqlite+sqlite")
def test_a_shorter_policy_is_refused(world: World, datamap: Callable[[str], None]) -> None:
    """Where both count from the same column; for tenants' own days too; the law is named."""
    world.safety_events()
    datamap("tables:\n  safety_events: {keep_at_least: {period: P1Y, from: created_at, basis: § 1}}\n")
    with pytest.raises(InvalidPolicy, match="at least P1Y from created_at \\(§ 1\\): give it 365 days"):
        world.policy(retention_days=364)
    with pytest.raises(InvalidPolicy, match="364 days"):
        world.policy(retention_days=400, tenant_column="tenant", tenant_days={"acme": 364})
    assert world.policy(retention_days=365).state == "approved"


@on("sqlite+sqlite")
def test_another_map_needs_another_approval(world: World, datamap: Callable[[str], None]) -> None:
    """A minimum that was added, changed or taken away after the approval stops the policy."""
    world.safety_events()
    world.events(range(5), 60)
    world.policy()
    for minimum in ("P10D", "P20D"):
        datamap(f"tables: {{safety_events: {{keep_at_least: {{period: {minimum}, from: created_at}}}}}}")
        report = world.enforce()
        assert (report["applied"], report["status"]) == (False, "blocked")
        assert "minimum" in report["reason"]
        world.policy()
    datamap("tables: {}")
    assert world.enforce()["status"] == "blocked"
    with pytest.raises(Refused):
        privacy.approve_retention_policy("p", "x", digest="0" * 64)
    assert world.count("safety_events") == 5


@on("sqlite+sqlite")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tables: {t: {keep_at_most: P1Y}}", "line 1: table t: there is no key keep_at_most; did you mean"),
        ("tables:\n  t:\n    keep_at_least: {period: P1Y}", "line 3: table t: keep_at_least needs from"),
        ("tables:\n  t:\n    keep_at_least: {period: 1 year, from: c}", "line 3.*ISO 8601"),
        ("tables:\n  t: {hold: TODO}", "line 2: table t: hold is TODO, and retention obeys it"),
        ("tables:\n  t: {hold: [a]}", "line 2: table t: hold must be a text"),
        ("tables:\n  t: {hold: a}\n  t: {hold: b}", "line 3: .*tables: t was said in line 2 already"),
        ("table: {}", "there is no key table; did you mean tables"),
        ("tables: [t]", "expected `key: value` lines, got a list"),
        ("tables: {", "this is no YAML"),
    ],
)
def test_what_a_map_cannot_say(world: World, datamap: Callable[[str], None], text: str, said: str) -> None:
    """Each refusal names the file, the line, the table and what is wrong; nothing is registered."""
    world.safety_events()
    datamap(text)
    with pytest.raises(InvalidDataMap, match=f"app.datamap.yaml.*{said}"):
        world.policy()
    assert privacy.list_retention_policies() == []


@on("sqlite+sqlite")
def test_names_that_are_not_there(world: World, datamap: Callable[[str], None]) -> None:
    """An unknown column is refused; other keys of a data map are left alone; a missing file is told."""
    world.safety_events()
    datamap("subjects: {user: {table: users, key: id}}\ntables: {safety_events: {row: delete, via: user_id}}")
    world.policy()
    datamap("tables: {safety_events: {keep_at_least: {period: P1D, from: nowhere}}}")
    with pytest.raises(UnknownName, match="nowhere"):
        world.policy(retention_days=60)
    source = world.settings.datasources["app"]
    world.configure(datasources={"app": replace(source, datamap=Path("/nowhere/map.yaml"))})
    with pytest.raises(InvalidDataMap, match="cannot be read"):
        world.policy(retention_days=60)


@on("sqlite+sqlite", "sqlite+postgresql")
def test_cascades_into_what_is_kept(world: World, datamap: Callable[[str], None]) -> None:
    """A policy whose cascades reach a table with a minimum is refused; nothing goes along with a parent."""
    world.create("orders", "id INT PRIMARY KEY, created_at {instant}")
    world.create(
        "bills",
        "id INT PRIMARY KEY, made_at {instant}, o INT NOT NULL REFERENCES orders (id) ON DELETE CASCADE",
    )
    datamap("tables: {bills: {keep_at_least: {period: P8Y, from: made_at}}}")
    with pytest.raises(UnsafeTable, match="bills, whose rows the data map keeps"):
        world.policy(table="orders", cascades=["bills"])
    datamap("tables: {}")
    assert world.policy(table="orders", cascades=["bills"]).state == "approved"
