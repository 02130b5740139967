"""A tenant whose contract ends: erased by the same plan, with everybody who goes along with it."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from aegis.operations.states import State
from aegis.settings import ErasureSettings, SourceSettings
from api import erasure, privacy
from api.audit import get_audit_events, relay_journals
from api.erasure import anonymize_users, approve_erasure, carry_out_erasure, erasure_receipt, resume_erasure
from tests.oneperson import expect
from tests.worlds import ACTOR, World, on

MAP: Final = """
subjects:
  tenant: {table: orgs, key: id, tenant: id, identifiers: {name: title}}
  user: {table: users, key: id, tenant: org, identifiers: {email: email}}
tables:
  orgs: {row: delete}
  users: {row: anonymize, columns: {org: preserve, email: surrogate}}
  users.org: {row: delete, shared: delete}
  notes: {row: delete, via: author}
"""
ROWS: Final[dict[str, list[dict[str, Any]]]] = {
    "orgs": [{"id": "acme", "title": "Acme Limited"}, {"id": "beta", "title": "Beta Works"}],
    "users": [
        {"id": 1, "org": "acme", "email": "one@acme.example"},
        {"id": 2, "org": "acme", "email": "two@acme.example"},
        {"id": 3, "org": "beta", "email": "three@beta.example"},
    ],
    "notes": [{"id": number, "author": 1 + number % 3, "body": "x"} for number in range(9)],
    "logs": [{"id": 1, "line": "started"}],
}
#: What the end of acme changes.
DONE: Final = {"delete:notes": 6, "delete:users": 2, "delete:orgs": 1}


@pytest.fixture
def tenants(world: World, tmp_path: Path) -> None:
    """Two tenants with users and their notes, and a table that no map knows."""
    world.create("orgs", "id VARCHAR(9) PRIMARY KEY, title VARCHAR(90)")
    world.create("users", "id INT PRIMARY KEY, org VARCHAR(9) REFERENCES orgs (id), email VARCHAR(90)")
    world.create("notes", "id INT PRIMARY KEY, author INT REFERENCES users (id), body VARCHAR(90)")
    world.create("logs", "id INT PRIMARY KEY, line VARCHAR(90)")
    put(world)
    datamap = tmp_path / "app.datamap.yaml"
    datamap.write_text(MAP, encoding="utf-8")
    source = world.settings.sources[world.datasource]
    world.configure(datasources={world.datasource: replace(source, datamap=datamap)})


def put(world: World) -> None:
    """Insert the rows."""
    for table, rows in ROWS.items():
        world.insert(table, rows)


@on("sqlite+sqlite", "sqlite+postgresql")
@pytest.mark.usefixtures("tenants")
def test_a_tenant_with_its_users(world: World) -> None:
    """All that is theirs goes, nothing of another tenant; whatever names one of its users is found."""
    world.insert("logs", [{"id": 2, "line": "login of TWO@acme.example"}])
    done = anonymize_users(["acme"], ACTOR, subject="tenant", idempotency_key="r1")
    assert (done.status, done.rows, done.persons) == (State.BLOCKED, DONE, 1)
    assert "1 row of logs.line (email)" in str(done.reason)
    world.remove("logs", "id = 2")
    resume_erasure("r1", ACTOR)
    done = carry_out_erasure("r1")
    assert (bool(done), done.rows) == (True, DONE), done.reason
    expect(world, DONE)
    assert world.ids("orgs") == ["beta"]
    assert world.ids("users") == [3]
    assert world.count("notes") == 3

    relay_journals()
    world.system.sequencer.seal()
    assert erasure_receipt("r1").body["members"] == {"user": 2}
    (asked,) = get_audit_events(action="erasure:request")
    assert asked["target_type"] == "tenant"


@on("sqlite+sqlite")
@pytest.mark.usefixtures("tenants")
def test_nobody_of_it_comes_back(world: World) -> None:
    """A restored database is searched for the tenant and for each of its users; both go again."""
    began = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    assert anonymize_users(["acme"], ACTOR, subject="tenant")
    for table in reversed(ROWS):
        world.remove(table)
    put(world)
    found = {one.subject: one for one in erasure.replay_erasures(began, actor=ACTOR)}
    assert {name: (one.tombstones, one.returned) for name, one in found.items()} == {
        "tenant": (1, 1),
        "user": (2, 2),
    }
    erasure.replay_erasures(began, actor=ACTOR, execute=True)
    assert world.ids("orgs") == ["beta"]
    assert world.ids("users") == [3]
    assert all(one.returned == 0 for one in erasure.replay_erasures(began, actor=ACTOR))


@on("sqlite+sqlite")
@pytest.mark.usefixtures("tenants")
def test_guards_and_holds(world: World) -> None:
    """More rows than a person is likely to have wait for somebody's word; a hold on the tenant stops it."""
    world.configure(erasure=ErasureSettings(max_rows=8))
    waiting = anonymize_users(["acme"], ACTOR, subject="tenant", idempotency_key="r1")
    assert waiting.status == State.WAITING
    assert "9 rows would change, more than erasure.max_rows (8)" in str(waiting.reason)
    words: dict[str, Any] = {"matter": "Smith v. Jones", "owner": ACTOR, "review_by": dt.date(2099, 1, 1)}
    privacy.place_hold(**words, tenant="beta")
    hold = privacy.place_hold(**words, tenant="acme")
    approve_erasure("r1", ACTOR, digest=waiting.digest)
    blocked = carry_out_erasure("r1")
    assert (blocked.status, blocked.rows) == (State.BLOCKED, {})
    assert f"legal hold {hold} " in str(blocked.reason)
    privacy.release_hold(hold, ACTOR)
    resume_erasure("r1", ACTOR)
    assert carry_out_erasure("r1").status == State.WAITING, "a new plan needs a new approval"
    approve_erasure("r1", ACTOR)
    assert carry_out_erasure("r1")
    # One person has fewer rows than that, and the other tenant a hold of its own.
    held = anonymize_users([3], ACTOR)
    assert held.status == State.BLOCKED
    assert "(beta)" in str(held.reason)


@on("sqlite+sqlite")
@pytest.mark.usefixtures("tenants")
def test_its_users_elsewhere(world: World, tmp_path: Path) -> None:
    """Another data source that knows the users, and no tenant, is a part of the same request."""
    datamap = tmp_path / "billing.datamap.yaml"
    datamap.write_text(
        "subjects: {buyer: {same_as: app.users.id}}\n"
        "tables: {bills: {row: delete, via: {buyer: app.users.id}}}\n",
        encoding="utf-8",
    )
    source = SourceSettings(url=f"sqlite:///{tmp_path / 'billing.db'}", datamap=datamap)
    world.add_source("billing", source, {"bills": "id INT PRIMARY KEY, buyer INT, note VARCHAR(90)"})
    world.insert("bills", [{"id": n, "buyer": n, "note": "x"} for n in (1, 2, 3)])
    world.insert("bills", [{"id": 4, "buyer": 3, "note": "by one@acme.example"}])
    words: dict[str, Any] = {"subject": "tenant", "datasource": "app"}
    waiting = anonymize_users(["acme"], ACTOR, idempotency_key="r1", **words)
    assert waiting.status == State.WAITING
    assert "billing is blocked (something of who was erased is left: 1 row of bills.note (app:email)" in str(
        waiting.reason
    )
    world.remove("bills", "id = 4")
    resume_erasure("r1", ACTOR)
    done = carry_out_erasure("r1")
    assert done, done.reason
    (part,) = done.elsewhere
    assert (part.subject, part.persons, part.rows) == ("buyer", 2, {"delete:bills": 2})
    assert world.count("bills") == 1
