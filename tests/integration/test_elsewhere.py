"""One person in several data sources: one request fans out, and is done when every source is verified."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.doctor.erasures import check_erasures
from aegis.doctor.patient import Patient
from aegis.erasure import parts
from aegis.erasure.outcomes import Erasure
from aegis.erasure.ownrows import joined
from aegis.errors import InvalidDataMap, Refused, UnknownName, UsageError
from aegis.operations.states import State, Waits
from aegis.settings import CopySettings, ErasureSettings, SourceSettings
from api import erasure
from api.audit import get_audit_events, relay_journals
from api.erasure import (
    anonymize_user,
    anonymize_users,
    approve_erasure,
    carry_out_erasure,
    erasure_receipt,
    request_erasure,
    resume_erasure,
)
from tests.oneperson import MAP, begin, content, expect
from tests.worlds import ACTOR, World, on

#: Customers have a row of their own, whose key is that of the person at home; clicks have none.
BILLING: Final = """
subjects:
  buyer: {table: customers, key: user_id, same_as: app.users.id, identifiers: {email: email}}
tables:
  customers: {row: anonymize, columns: {user_id: preserve, email: surrogate}}
  bills: {row: delete, via: {customer: customers.user_id}}
"""
CLICKS: Final = """
subjects:
  visitor: {same_as: app.users.id}
tables:
  clicks: {row: delete, via: [{user_id: app.users.id}, {mail: app.users.email}], shared: delete}
"""
TABLES: Final = {
    "billing": {
        "customers": "user_id VARCHAR(40) PRIMARY KEY, email VARCHAR(90)",
        "bills": "id INT PRIMARY KEY, customer VARCHAR(40)",
        "notes": "id INT PRIMARY KEY, body VARCHAR(90)",
    },
    "clicks": {"clicks": "id INT PRIMARY KEY, user_id INT, mail VARCHAR(90)"},
}
ROWS: Final[dict[str, list[dict[str, Any]]]] = {
    "customers": [{"user_id": "7", "email": "pay@x.org"}, {"user_id": "8", "email": "other@x.org"}],
    "bills": [{"id": 1, "customer": "7"}, {"id": 2, "customer": "8"}],
    "notes": [{"id": 1, "body": "nothing"}],
    "clicks": [
        {"id": 1, "user_id": 7, "mail": None},
        {"id": 2, "user_id": None, "mail": "a@example.com"},
        {"id": 3, "user_id": 77, "mail": "b@example.com"},
    ],
}


@pytest.fixture
def sources(world: World, tmp_path: Path, new_database: Callable[[str, str], str]) -> dict[str, sa.Engine]:
    """The person's home, billing on another kind of database, and clicks in a file."""
    begin(world, tmp_path)
    here = world.dialect == "postgresql"
    urls = {
        "billing": f"sqlite:///{tmp_path / 'billing.db'}" if here else new_database("postgresql", "source"),
        "clicks": f"sqlite:///{tmp_path / 'clicks.db'}",
    }
    for name, text in (("billing", BILLING), ("clicks", CLICKS)):
        datamap = tmp_path / f"{name}.datamap.yaml"
        datamap.write_text(text, encoding="utf-8")
        world.add_source(name, SourceSettings(url=urls[name], datamap=datamap), TABLES[name])
    for table, rows in ROWS.items():
        world.insert(table, rows)
    return world.others


def erase(person: int, **words: Any) -> Erasure:
    """Erase somebody, asked for at their home."""
    return anonymize_user(person, ACTOR, datasource="app", **words)


def expect_home(world: World, done: Erasure) -> None:
    """Account for what an erasure changed everywhere."""
    for each in (done, *done.elsewhere):
        expect(world, each.rows)


def ids(engine: sa.Engine, table: str) -> list[Any]:
    """Return the first column of a table."""
    with engine.connect() as connection:
        return sorted(connection.execute(sa.text(f"SELECT * FROM {table}")).scalars())  # noqa: S608


@on("sqlite+sqlite", "sqlite+postgresql")
def test_everything_everywhere(world: World, sources: dict[str, sa.Engine]) -> None:
    """Rows go in every source, also where the person has none of their own; each has its receipt."""
    plan = erasure.plan_erasure(["7"], datasource="app")
    assert {(one.datasource, one.rows) for one in plan.elsewhere} == {("billing", 2), ("clicks", 2)}
    would = erase(7, dry_run=True)
    assert would.digest == plan.digest != plan.elsewhere[0].digest

    done = erase(7, idempotency_key="r1")
    assert done, done.reason
    assert done.digest == plan.digest
    rows = {part.datasource: part.rows for part in done.elsewhere}
    assert rows == {"billing": {"delete:bills": 1, "anonymize:customers": 1}, "clicks": {"delete:clicks": 2}}
    expect_home(world, done)
    assert ids(sources["billing"], "bills") == [2]
    assert ids(sources["clicks"], "clicks") == [3]
    with sources["billing"].connect() as connection:
        mails = connection.execute(sa.text("SELECT email FROM customers ORDER BY user_id")).scalars().all()
    assert mails[0] != "pay@x.org"
    assert mails[1] == "other@x.org"

    # The same id again is the same request, in all sources.
    again = erase(7, idempotency_key="r1")
    assert [part.request for part in again.elsewhere] == [part.request for part in done.elsewhere]
    assert [one.request for one in erasure.recent_erasures()] == ["r1"]
    assert len(get_audit_events(action="erasure:run")) == 3

    relay_journals()
    world.system.sequencer.seal()
    receipt = erasure_receipt("r1").body
    told = {one["datasource"]: one for one in receipt["elsewhere"]}
    for part in done.elsewhere:
        own = erasure_receipt(str(part.request))
        assert told[part.datasource]["receipt"] == own.sha256
    # Each source was searched for what the others call the person.
    assert {"email", "billing:email"} <= set(receipt["searched"]["identifiers"])


@on("sqlite+sqlite", "sqlite+postgresql")
@pytest.mark.usefixtures("sources")
def test_a_part_that_ends_while_the_home_begins_to_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The home sees that it waits for nobody: it is due at once, not when somebody looks at it again."""
    request_erasure(["7"], "r1", datasource="app", actor=ACTOR)
    with world.control.connect() as connection:
        found = connection.execute(sa.text("SELECT datasource, id FROM aegis_runs")).all()
    runs = {row.datasource: row.id for row in found}
    look = parts.wait_for_others

    def late(*words: Any) -> None:
        try:
            look(*words)
        except Waits:
            monkeypatch.setattr(parts, "wait_for_others", look)
            for name in ("billing", "clicks"):
                assert erasure.advance_erasure(runs[name])["outcome"] == "done"
            raise

    monkeypatch.setattr(parts, "wait_for_others", late)
    assert erasure.advance_erasure(runs["app"])["outcome"] == "waiting"
    assert erasure.due_erasures() == [runs["app"]]
    assert erasure.advance_erasure(runs["app"])["outcome"] == "done"
    expect_home(world, erasure.erasure_status("r1"))


@on("sqlite+sqlite")
@pytest.mark.usefixtures("sources")
def test_the_home_ends_last(world: World) -> None:
    """What is left in one source keeps the whole from its end; a person resumes the whole, not a part."""
    world.insert("notes", [{"id": 2, "body": "write to A@example.com"}])
    done = erase(7, idempotency_key="r1")
    assert (done.status, bool(done)) == (State.WAITING, False)
    assert (
        "other data sources: billing is blocked (something of who was erased is left: 1 row of notes.body"
        in str(done.reason)
    )
    assert "example.com" not in str(done.reason)
    (billing,) = [part for part in done.elsewhere if part.datasource == "billing"]
    with pytest.raises(Refused, match="is a part of request r1"):
        resume_erasure(str(billing.request), ACTOR)
    assert content(world, "users")[0][2] != "a@example.com", "the home's rows are changed meanwhile"
    assert [run for run in get_audit_events(action="erasure:run") if run["target_id"] == done.run] == []

    found = check_erasures(Patient(system=world.system, control_ready=True))
    assert "aegis erasure resume r1" in {finding.cure for finding in found if finding.verdict == "fault"}

    world.remove("notes", "id = 2")
    assert resume_erasure("r1", ACTOR).elsewhere[0].status == State.ACCEPTED
    done = carry_out_erasure("r1")
    assert done, done.reason
    expect_home(world, done)
    with pytest.raises(Refused, match="nothing to resume"):
        resume_erasure("r1", ACTOR)


@on("sqlite+sqlite")
def test_one_approval_for_all(world: World, sources: dict[str, sa.Engine]) -> None:
    """It binds to the plans of every source: another map in one of them needs another approval."""
    world.configure(erasure=ErasureSettings(approval=True))
    waiting = erase(7, idempotency_key="r1")
    assert waiting.status == State.WAITING
    (billing,) = [part for part in waiting.elsewhere if part.datasource == "billing"]
    assert billing.status == State.WAITING
    with pytest.raises(Refused, match="part of request r1"):
        approve_erasure(str(billing.request), ACTOR)
    approve_erasure("r1", ACTOR, digest=waiting.digest)

    path = world.settings.sources["billing"].datamap
    assert path is not None
    path.write_text(BILLING.replace("email: surrogate", 'email: "null"'), encoding="utf-8")
    blocked = carry_out_erasure("r1")
    assert "billing is blocked (the data map, a hook or the schema changed" in str(blocked.reason)
    assert ids(sources["billing"], "bills") == [1, 2]
    resumed = resume_erasure("r1", ACTOR)
    assert resumed.digest != waiting.digest
    assert carry_out_erasure("r1").status == State.WAITING
    approve_erasure("r1", ACTOR, digest=resumed.digest)
    done = carry_out_erasure("r1")
    assert done, done.reason
    expect_home(world, done)


@on("sqlite+sqlite")
@pytest.mark.usefixtures("sources")
def test_closed_with_the_copies_of_all(world: World) -> None:
    """The whole is closed when the copies of each source are confirmed, and so is each part."""
    given = world.settings.sources
    agency = {"agency": CopySettings()}
    world.configure(
        datasources={
            **given,
            "app": replace(given["app"], copies={"search": CopySettings()}),
            "billing": replace(given["billing"], copies=agency),
        }
    )
    done = erase(7, idempotency_key="r1")
    expect_home(world, done)
    closed = {part.datasource: part.closed_at is not None for part in done.elsewhere}
    assert (done.closed_at, closed) == (None, {"billing": False, "clicks": True})
    with pytest.raises(UnknownName, match="has no copy press; it has: search"):
        erasure.confirm_copy("r1", "press", ACTOR)
    assert erasure.confirm_copy("r1", "search", ACTOR).closed_at is None
    erasure.confirm_copy("r1", "agency", ACTOR)
    told = erasure.erasure_status("r1")
    assert told.closed_at
    assert all(part.closed_at for part in told.elsewhere)
    assert len(get_audit_events(action="erasure:close")) == 3
    found = check_erasures(Patient(system=world.system, control_ready=True))
    assert [finding.verdict for finding in found] == ["note", "ok"]


@on("sqlite+sqlite")
def test_who_is_not_there(world: World, sources: dict[str, sa.Engine]) -> None:
    """A source without the person is searched all the same; cancelling ends every part."""
    done = erase(9)
    assert done, done.reason
    assert [part.rows for part in done.elsewhere] == [{}, {}]
    expect_home(world, done)

    world.configure(erasure=ErasureSettings(approval=True))
    waiting = erase(8)
    cancelled = erasure.cancel_erasure(str(waiting.request), ACTOR)
    assert [cancelled.status, *(part.status for part in cancelled.elsewhere)] == [State.CANCELLED] * 3
    assert ids(sources["billing"], "bills") == [1, 2]


@on("sqlite+sqlite")
@pytest.mark.usefixtures("sources")
@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("app.users.id", "app.userz.id", "no table userz in app"),
        ("app.users.id", "app.users.number", "column number of app.users, which is not there"),
        ("key: user_id", "key: [user_id, email]", "name the one column that is equal to it"),
    ],
)
def test_a_map_that_names_what_is_not_there(world: World, old: str, new: str, why: str) -> None:
    """Nothing is accepted, in no source."""
    source = world.settings.sources["billing"]
    assert source.datamap is not None
    source.datamap.write_text(BILLING.replace(old, new), encoding="utf-8")
    before = world.everything()
    with pytest.raises(InvalidDataMap, match=why):
        erase(7)
    assert world.everything() == before
    world.configure(datasources={**world.settings.sources, "billing": replace(source, datamap=None)})
    assert erasure.recent_erasures() == []


#: Customers who are people at home, by a number that not everybody there has; and people of its own.
SALES: Final = """
subjects:
  buyer: {table: customers, key: number, same_as: app.users.number, identifiers: {email: email}}
  clerk: {table: clerks, key: id, identifiers: {email: email}}
tables:
  customers: {row: anonymize, columns: {number: preserve, email: surrogate}}
  clerks: {row: delete}
"""


@on("sqlite+sqlite")
def test_who_is_there_under_a_number_of_their_own(world: World, tmp_path: Path) -> None:
    """Whoever has none is nowhere else; what the others are called there is looked for; a clerk stays."""
    write = begin(world, tmp_path)
    world.execute("ALTER TABLE users ADD COLUMN number INT")
    world.execute("UPDATE users SET number = 80 WHERE id = 8")
    write(MAP.replace("columns: {org: preserve,", "columns: {org: preserve, number: preserve,"))
    datamap = tmp_path / "sales.datamap.yaml"
    datamap.write_text(SALES, encoding="utf-8")
    own = "number INT PRIMARY KEY, email VARCHAR(90)"
    tables = {"customers": own, "clerks": own.replace("number", "id")}
    url = f"sqlite:///{tmp_path / 'sales.db'}"
    world.add_source("sales", SourceSettings(url=url, datamap=datamap), tables)
    world.insert("customers", [{"number": 80, "email": "buy@x.org"}, {"number": 90, "email": "other@x.org"}])
    world.insert("clerks", [{"id": 80, "email": "clerk@x.org"}])

    alone = erase(7)
    assert alone, alone.reason
    assert alone.elsewhere == ()
    expect_home(world, alone)

    done = anonymize_users([8, 9], ACTOR, datasource="app", idempotency_key="r1")
    assert done, done.reason
    assert [part.rows for part in done.elsewhere] == [{"anonymize:customers": 1}]
    expect_home(world, done)
    assert world.count("clerks", "email = 'clerk@x.org'") == 1
    assert world.count("customers", "email = 'other@x.org'") == 1
    relay_journals()
    world.system.sequencer.seal()
    searched = erasure_receipt("r1").body["searched"]["identifiers"]
    assert {"email", "sales:email"} <= set(searched)


@on("sqlite+sqlite")
@pytest.mark.usefixtures("sources")
def test_asked_for_where_nobody_has_a_row_of_their_own(world: World) -> None:
    """It says in which data source the people have one, and nothing is changed."""
    before = world.everything()
    for ask in (anonymize_user, lambda key, **words: anonymize_users([key], **words)):
        with pytest.raises(UsageError, match=r"subject visitor has no table in this data source.*app\.users"):
            ask(7, subject="visitor", datasource="clicks")
    assert world.everything() == before


def test_further_names_are_kept_apart() -> None:
    """What another source calls somebody is looked for once, and never written over another name."""
    named = joined({"email": "a@x.org"}, "sales", {"email": "b@x.org", "name": "Anna"})
    named = joined(named, "sales", {"email": "c@x.org", "name": "Anna"})
    assert named == {
        "email": "a@x.org",
        "sales:email": "b@x.org",
        "sales:name": "Anna",
        "sales.2:email": "c@x.org",
    }
