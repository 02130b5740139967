"""From an unknown schema to rows that are gone: propose, review, approve, preview, enforce, verify."""

import datetime as dt
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from aegis.catalog.files import Files, propose_files
from aegis.catalog.reviewing import drift
from aegis.catalog.scanning import Limits
from aegis.catalog.survey import Survey, survey
from aegis.datamap.coverage import examine
from aegis.datamap.reading import parse_map
from aegis.datamap.sources import examine_source
from aegis.errors import InvalidDataMap
from api import audit, catalog, privacy
from api.erasure import anonymize_user
from tests.oneperson import expect
from tests.worlds import ACTOR, DAY, EACH_DATABASE, World, on
from worker.gauges.catalogs import CatalogCollector

NAMES: Final = ("app.datamap.yaml", "app.policies.yaml")
TODOS: Final = {"until: TODO": "until: 2040-12-31"}


def make(world: World) -> None:
    """An application's tables, with rows on both sides of each horizon."""
    world.create("organisations", "id BIGINT PRIMARY KEY, name {text}")
    world.create(
        "users",
        "id BIGINT PRIMARY KEY, organisation_id BIGINT REFERENCES organisations (id), "
        "email {text} NOT NULL UNIQUE, "
        "first_name {text}, birth_date DATE, is_staff BOOLEAN NOT NULL, last_login {instant}, "
        "created_at {instant}",
    )
    world.create(
        "user_sessions",
        "id BIGINT PRIMARY KEY, user_id BIGINT NOT NULL, ip_address {text}, expires_at {instant}, "
        "created_at {instant}, FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE",
    )
    world.create(
        "access_logs",
        "id BIGINT PRIMARY KEY, user_id BIGINT, ip_address {text}, created_ms BIGINT, "
        "FOREIGN KEY (user_id) REFERENCES users (id)",
    )
    world.create(
        "invoices",
        "id BIGINT PRIMARY KEY, user_id BIGINT NOT NULL, issued_at {instant}, billing_name {text}, "
        "FOREIGN KEY (user_id) REFERENCES users (id)",
    )
    world.create(
        "invoice_lines",
        "id BIGINT PRIMARY KEY, invoice_id BIGINT NOT NULL, label {text}, "
        "FOREIGN KEY (invoice_id) REFERENCES invoices (id)",
    )
    fill(world)


def fill(world: World) -> None:
    """Ten people: the first five were away for three years, their sessions ended long ago."""
    now = dt.datetime.now(dt.UTC)
    world.insert("organisations", [{"id": 1, "name": "one"}])
    for number in range(1, 11):
        long_ago = number <= 5
        seen = now - (1100 if long_ago else 3) * DAY
        world.insert(
            "users",
            [
                {
                    "id": number,
                    "organisation_id": 1,
                    "email": f"person{number}@example.com",
                    "first_name": f"Person {number}",
                    "birth_date": dt.date(1980, 5, number),
                    "is_staff": number == 5,
                    "last_login": seen,
                    "created_at": now - 1200 * DAY,
                }
            ],
        )
        world.insert(
            "user_sessions",
            [
                {
                    "id": number,
                    "user_id": number,
                    "ip_address": f"203.0.113.{number}",
                    "expires_at": now - (31 if long_ago else 29) * DAY,
                    "created_at": now - 200 * DAY,
                }
            ],
        )
        instant = int((now - (91 if long_ago else 89) * DAY).timestamp() * 1000)
        event = {"id": number, "user_id": number, "ip_address": f"203.0.113.{number}", "created_ms": instant}
        world.insert("access_logs", [event])
        bill = {
            "id": number,
            "user_id": number,
            "issued_at": now - 400 * DAY,
            "billing_name": f"Person {number}",
        }
        world.insert("invoices", [bill])
        world.insert("invoice_lines", [{"id": number, "invoice_id": number, "label": "a thing"}])


def looked(world: World) -> Survey:
    """Look at the application's tables, those of Aegis left out by itself."""
    name = world.datasource
    return survey(world.system.databases.source(name), name, limits=Limits(statement_ms=20_000))


def accepted(text: str) -> str:
    """Review a file: everything is right, and each TODO gets its decision."""
    for todo, decision in TODOS.items():
        text = text.replace(todo, decision)
    return text.replace("status: proposed", "status: accepted")


@on(*EACH_DATABASE)
def test_from_a_schema_to_rows_that_are_gone(world: World, tmp_path: Path) -> None:
    """No proposal acts; what is accepted and approved takes exactly its rows; then one person goes."""
    make(world)
    found = looked(world)
    made = propose_files(found, names=NAMES)
    assert {each.name: (each.words["timestamp_column"], each.words["days"]) for each in made.proposals} == {
        "access_logs_addresses": ("created_ms", 90),
        "user_sessions_ended": ("expires_at", 30),
        "users_inactive": ("last_login", 730),
    }
    by_name = {each.name: each.words for each in made.proposals}
    assert by_name["access_logs_addresses"]["timestamp_unit"] == "ms", "told by the values' range"
    assert by_name["users_inactive"]["filter"] == "is_staff = FALSE"
    assert by_name["users_inactive"]["tenant_column"] == "organisation_id"

    nothing_acts(world, made)
    policies = accepted(made.policies)
    steps = privacy.apply_retention_policies(policies, actor=ACTOR)
    assert {step["status"] for step in steps} == {"new"}
    for name in by_name:
        privacy.approve_retention_policy(name, ACTOR)
    assert {name: privacy.preview_retention_policy(name).rows for name in by_name} == {
        "access_logs_addresses": 5,
        "user_sessions_ended": 5,
        "users_inactive": 4,
    }
    for name in by_name:
        assert world.enforce(name)["applied"]
    world.masked.update({"access_logs": 5, "users": 4})
    assert world.all("SELECT id FROM user_sessions ORDER BY id") == [6, 7, 8, 9, 10]
    assert world.count("users", "email = 'person5@example.com'") == 1, "staff stay"
    assert world.count("users", "first_name LIKE 'Person%'") == 6
    assert world.count("access_logs", "ip_address LIKE '203.0.113._%' AND ip_address <> '203.0.113.0'") == 5
    assert world.count("invoices") == 10

    path = tmp_path / "app.datamap.yaml"
    path.write_text(accepted(made.datamap), "utf-8")
    name_map(world, path)
    examination = examine_source(world.system.databases, world.datasource)
    assert examination.undecided == ()
    done = anonymize_user(6, ACTOR)
    assert done.status == "done", done.reason
    expect(world, done.rows)
    assert world.count("users", "email = 'person6@example.com'") == 0
    assert world.count("user_sessions", "user_id = 6") == 0
    assert world.count("invoices", "user_id = 6") == 1, "the law keeps it"
    if world.layout != "sqlite-one":
        world.system.signing_keys.begin("logs.example.com/catalog", actor="tests")
    audit.relay_journals()
    audit.seal_audit_log()
    assert audit.verify_audit_log().intact


def nothing_acts(world: World, made: Files) -> None:
    """A file of proposals registers nothing, and a map of proposals erases nobody and decides nothing."""
    steps = privacy.apply_retention_policies(made.policies, actor=ACTOR)
    assert {step["status"] for step in steps} == {"proposed"}
    assert privacy.list_retention_policies() == []
    datamap = parse_map(made.datamap, "m")
    open_things = examine(datamap, looked(world).catalog).undecided
    assert {item.kind for item in open_things} >= {"proposed", "subject"}
    assert len(open_things) > len(datamap.rules) + len(datamap.catalog)


def name_map(world: World, path: Path) -> None:
    """Name the data map in the settings."""
    source = world.settings.source(world.datasource)
    world.configure(datasources={world.datasource: replace(source, datamap=path)})


def gauge() -> dict[str, float]:
    """Return what beat serves: data source → columns."""
    undecided, _ = CatalogCollector(catalog.catalog_reviews).collect()
    return {sample.labels["datasource"]: sample.value for sample in undecided.samples}


@on("sqlite-one")
def test_drift_is_a_number(world: World, tmp_path: Path) -> None:
    """New tables and columns are counted until they are accepted; what cannot be looked at has no number."""
    make(world)
    path = tmp_path / "app.datamap.yaml"
    name_map(world, path)

    def undecided() -> tuple[int | None, str | None]:
        catalog.look_at_catalogs()
        (review,) = catalog.catalog_reviews()
        return review.undecided, review.reason

    every = sum(len(table.table.c) for table in looked(world).catalog.tables.values())
    assert undecided() == (every, None), "nothing was ever accepted"
    made = propose_files(looked(world), names=NAMES)
    path.write_text(made.datamap, "utf-8")
    assert undecided() == (every, None), "proposals are no decisions"
    path.write_text(accepted(made.datamap), "utf-8")
    assert undecided() == (0, None)
    world.execute("ALTER TABLE users ADD COLUMN nickname VARCHAR(40)")
    world.execute("ALTER TABLE users ADD COLUMN points INTEGER")
    world.execute("CREATE TABLE letters (id BIGINT PRIMARY KEY, email VARCHAR(90))")
    assert undecided() == (4, None)
    kinds = [(d.kind, d.table, d.column) for d in drift(world.system.databases, world.datasource)]
    assert kinds == [("table", "letters", ""), ("column", "users", "nickname"), ("column", "users", "points")]
    assert gauge() == {"default": 4.0}
    path.write_text("tables: [", "utf-8")
    count, reason = undecided()
    assert count is None
    assert reason is not None
    assert reason.startswith("InvalidFile: ")
    assert gauge() == {}, "what cannot be looked at has no number"


@on("sqlite-one")
def test_decisions_survive(world: World, tmp_path: Path) -> None:
    """A person's words and comments stay byte for byte; what is new is added, in accepted entries as TODO."""
    del tmp_path
    make(world)
    first = propose_files(looked(world), names=NAMES)
    again = propose_files(looked(world), datamap=first.datamap, policies=first.policies, names=NAMES)
    assert (again.datamap, again.policies) == (first.datamap, first.policies)
    assert not any(again.added.values())

    mine = accepted(first.datamap).replace("row: anonymize\n", "row: anonymize   # as agreed in March\n", 1)
    mine = re.sub(r"(  invoices:\n    status: )accepted", r"\1rejected", mine)
    policies = first.policies.replace("status: proposed", "status: rejected", 1)
    policies = policies.replace("days: 30", "days: 14  # shorter: two weeks suffice")
    world.execute("ALTER TABLE users ADD COLUMN nickname VARCHAR(40)")
    world.execute(
        "CREATE TABLE mail_log (id BIGINT PRIMARY KEY, recipient_email VARCHAR(90), sent_at TIMESTAMP)"
    )
    world.watch("mail_log")
    new = propose_files(looked(world), datamap=mine, policies=policies, names=NAMES)
    assert [line for line in mine.splitlines() if line not in new.datamap.splitlines()] == []
    assert "row: anonymize   # as agreed in March\n" in new.datamap
    assert "days: 14  # shorter: two weeks suffice\n" in new.policies
    assert new.policies.startswith(policies)
    assert new.added["policies"] == ("mail_log_sent",)
    assert "      nickname: TODO  # new; proposed:" in new.datamap
    read = parse_map(new.datamap, "m")
    assert read.catalog["users"].columns["nickname"].status == "proposed"
    assert read.catalog["users"].columns["email"].status == "accepted"
    assert "invoices" in read.rejected


@on("sqlite-one")
def test_what_is_proposed_to_be_kept_stops_retention(world: World, tmp_path: Path) -> None:
    """A minimum that nobody has accepted stops policies on its table; one that was rejected does not."""
    make(world)
    path = tmp_path / "app.datamap.yaml"
    made = propose_files(looked(world), names=NAMES)
    path.write_text(made.datamap, "utf-8")
    name_map(world, path)
    words: dict[str, Any] = {"timestamp_column": "issued_at", "retention_days": 30}
    register = privacy.register_retention_policy
    with pytest.raises(InvalidDataMap, match="table invoices is kept for is proposed"):
        register("p", "invoices", **words)
    register("q", "user_sessions", timestamp_column="expires_at", retention_days=30)
    path.write_text(re.sub(r"(  invoices:\n    status: )proposed", r"\1rejected", made.datamap), "utf-8")
    register("p", "invoices", **words)
