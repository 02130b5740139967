"""An erasure carried out on each database: everything of one person, and nothing of anybody else."""

import datetime as dt
import json
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.datamap.hooks import Anonymizer
from aegis.erasure import persons, sides, tracing
from aegis.errors import AegisError, Conflict, Denied, Passing, Refused, Tampered, UsageError
from aegis.operations import claims, runs
from aegis.settings import ErasureSettings
from api import erasure, privacy
from api.audit import get_audit_events
from api.erasure import anonymize_user, anonymize_users
from tests.oneperson import EACH as ONE
from tests.oneperson import MAP, ROWS, Write, begin, content, expect, people
from tests.worlds import ACTOR, World, on

LATER: Final = dt.date(2099, 1, 1)
EACH: Final = ("sqlite+sqlite", "sqlite+postgresql", "sqlite+mariadb")
#: What the databases do alike: on one file, and on one server.
TWO: Final = ("sqlite+sqlite", "sqlite+postgresql")
#: What an erasure of person 7 changes.
DONE: Final = {
    "delete:visits": 3,
    "delete:posts": 4,
    "delete:owners": 2,
    "delete:jobs": 2,
    "nullify:users": 1,
    "nullify:issues": 2,
    "anonymize:messages": 4,
    "anonymize:users": 1,
}


@pytest.fixture
def write(world: World, tmp_path: Path) -> Write:
    """Create the application, and go on with a data map."""
    return begin(world, tmp_path)


def said(person: int) -> str:
    """Return why a person is not erased."""
    try:
        return str(anonymize_user(person, ACTOR).reason)
    except Refused as error:
        return str(error)


def settings(world: World, **words: Any) -> None:
    """Go on with other settings of erasures."""
    world.configure(erasure=ErasureSettings(**words))


@on(*EACH)
@pytest.mark.usefixtures("write")
@pytest.mark.parametrize("most", [5_000, 3], ids=["at once", "in batches"])
def test_everything_of_one_person(world: World, most: int) -> None:
    """Deleted, masked, nullified and kept as the map says, no other row is touched; it is recorded."""
    world.batches_of(2)
    settings(world, single_transaction_rows=most)
    told: list[Mapping[str, int]] = []
    done = anonymize_user("7", ACTOR, tenant_id="acme", on_progress=told.append)
    assert done
    assert (done.status, done.rows, done.reason) == ("done", DONE, None)
    assert sum(sum(batch.values()) for batch in told) == sum(DONE.values())
    assert (len(told) == 1) == (most == 5_000)
    expect(world, DONE)

    assert [row for row in content(world, "users") if row[0] != 7] == [
        (8, "acme", "b@example.com", None),
        (9, "beta", "c@x.org", 8),
    ]
    (person,) = [row for row in content(world, "users") if row[0] == 7]
    assert (person[1], person[3]) == ("acme", None)
    assert "a@example.com" not in person[2]
    assert {row[0]: row[3] for row in content(world, "messages")} == {
        1: None,
        2: None,
        3: None,
        4: "x",
        5: None,
    }
    assert [row[0] for row in content(world, "posts")] == [4, 5]
    assert content(world, "visits") == [(8, "/"), (None, "/")]
    assert {row[0]: row[1] for row in content(world, "issues")} == {1: None, 2: None, 3: 8}
    assert [row[0] for row in content(world, "owners")] == [2, 3, 4]
    assert [row[0] for row in content(world, "jobs")] == [3, 4]
    for kept in ("invoices", "items"):
        assert sorted(content(world, kept), key=str) == sorted(ROWS[kept], key=str)

    (asked,) = get_audit_events(action="erasure:request")
    assert (asked["target_type"], asked["tenant"], asked["details"]["rows"]) == ("user", "acme", 19)
    (ended,) = get_audit_events(action="erasure:run")
    assert (ended["outcome"], ended["details"]["state"], ended["details"]["persons"]) == (
        "success",
        "done",
        1,
    )
    # Who it was is not kept any longer than it is needed.
    with world.control.connect() as connection:
        mine = sa.text("SELECT sealed FROM aegis_erased_persons WHERE run = :run")
        (sealed,) = connection.execute(mine, {"run": done.run}).scalars()
    assert sealed is None
    with pytest.raises(Refused, match=f"erasure {done.run} is over, and who it was about is not kept"):
        persons.read(world.system, str(done.run))
    # What has to be retained is finished by another request, in which nobody is called anything.
    assert done.rest is not None
    later = runs.fetch(world.system, erasure.erasure_runs(done.rest["request"])[0])
    assert [person.identifiers for person in persons.read(world.system, later["id"]).people] == [{}]

    # Once more finds nothing to change.
    again = anonymize_user(7, ACTOR)
    assert (again.status, again.rows) == ("done", {})


@on(*EACH)
def test_a_kept_row_and_what_it_refers_to(world: World, write: Write) -> None:
    """A reference of it is emptied before what it names goes and takes it along; no residual is in it."""
    world.execute("CREATE TABLE carts (id INT PRIMARY KEY, owner INT REFERENCES users (id))")
    world.execute(
        "CREATE TABLE sales (id INT PRIMARY KEY, buyer INT, cart INT, what VARCHAR(90), "
        "FOREIGN KEY (buyer) REFERENCES users (id), "
        "FOREIGN KEY (cart) REFERENCES carts (id) ON DELETE CASCADE)"
    )
    world.execute("INSERT INTO carts VALUES (1, 7), (2, 8)")
    world.execute(
        "INSERT INTO sales VALUES (1, 7, 1, 'to a@example.com'), (2, 8, 1, 'y'), (3, 8, 2, 'y'), "
        "(4, 7, NULL, 'to a@example.com')"
    )
    world.born("carts", 2)
    world.born("sales", 4)
    sales = "  sales: {row: retain, via: buyer, reason: tax law, until: 2040-01-01}\n"
    carts = "  carts: {row: delete, via: owner}\n"
    write(MAP + carts + sales + "  sales.cart: {row: delete, shared: delete}\n")
    (objection,) = erasure.plan_erasure(["7"]).objections
    assert objection.startswith("1 row of sales would stay, retained, while what they refer to goes")
    write(MAP + carts + sales + "  sales.cart: {row: nullify, columns: {what: preserve}}\n")
    made = erasure.plan_erasure(["7"])
    assert {step.action: step.rows for step in made.steps if step.table == "sales"} == {
        "nullify": 2,
        "retain": 2,
    }
    done = anonymize_user("7", ACTOR)
    assert (done.status, done.rows["nullify:sales"]) == ("done", 2)
    expect(world, done.rows)
    assert content(world, "carts") == [(2, 8)]
    assert content(world, "sales") == [
        (1, 7, None, "to a@example.com"),
        (2, 8, None, "y"),
        (3, 8, 2, "y"),
        (4, 7, None, "to a@example.com"),
    ]


@on(*EACH)
def test_what_a_table_says_of_its_columns_holds_for_each_way_into_it(world: World, write: Write) -> None:
    """Where two ways have entries of their own that name no columns, the table's are written over."""
    world.execute(
        "CREATE TABLE notes (id INT PRIMARY KEY, maker INT REFERENCES users (id), "
        "editor INT REFERENCES users (id), about VARCHAR(90), kind VARCHAR(90))"
    )
    world.execute(
        "INSERT INTO notes VALUES (1, 7, 8, 'seven', 'a'), (2, 8, 7, 'seven', 'b'), (3, 8, 8, 'eight', 'c')"
    )
    write(
        MAP
        + "  notes: {columns: {about: null, kind: preserve}}\n"
        + "  notes.maker: {row: nullify}\n"
        + "  notes.editor: {row: nullify}\n"
    )
    (step,) = [step for step in erasure.plan_erasure(["7"]).steps if step.table == "notes"]
    assert (step.action, step.rows) == ("nullify", 2)
    assert dict(step.columns) == {"maker": "", "editor": "", "about": "null"}
    done = anonymize_user("7", ACTOR)
    expect(world, done.rows)
    assert content(world, "notes") == [
        (1, None, 8, None, "a"),
        (2, 8, None, None, "b"),
        (3, 8, 8, "eight", "c"),
    ]


@on(*TWO)
@pytest.mark.usefixtures("write")
def test_nobody_and_wrong_words(world: World) -> None:
    """An unknown person is no error and no success; what is wrong is refused, and nothing is changed."""
    before = world.everything()
    nobody = anonymize_user(4711, ACTOR)
    assert not nobody
    assert (nobody.status, nobody.run) == ("not_found", None)
    assert not anonymize_users([7, 4711], ACTOR)
    with pytest.raises(UsageError, match="an erasure names at least one person"):
        anonymize_users([], ACTOR)
    for words, error in (
        ({"user_id": 7, "tenant_id": "beta"}, Denied),
        ({"user_id": "seven"}, UsageError),
        ({"user_id": [7, 8]}, UsageError),
        ({"user_id": 7, "subject": "robot"}, UsageError),
        ({"user_id": 7, "datasource": "warehouse"}, UsageError),
    ):
        with pytest.raises(error) as caught:
            anonymize_user(**words)
        assert "4711" not in str(caught.value)
    dry = anonymize_user(7, ACTOR, dry_run=True)
    assert not dry
    assert (dry.status, dry.rows["delete:posts"], dry.digest) == (
        "dry_run",
        4,
        erasure.plan_erasure(["7"]).digest,
    )
    assert world.everything() == before


@on("sqlite+sqlite")
def test_a_tenant_that_the_map_does_not_tell(world: World, write: Write) -> None:
    """Who names a tenant is told to name its column in the data map, and nothing is changed."""
    write(MAP.replace("tenant: org, ", ""))
    before = world.everything()
    for tried in (anonymize_user, lambda *words, **more: anonymize_users([words[0]], *words[1:], **more)):
        with pytest.raises(
            UsageError, match="subject user has no tenant column in the data map; add `tenant: "
        ):
            tried(7, ACTOR, tenant_id="acme")
    assert world.everything() == before


@on(*EACH)
def test_a_reference_that_is_decided_alone(world: World, write: Write) -> None:
    """An entry of one column is enough where there is nothing else to say of the table."""
    write(MAP.replace("  visits: {row: delete, via: user_id}\n", "  visits.user_id: {row: delete}\n"))
    assert erasure.plan_erasure(["7"]).objections == ()
    done = anonymize_user(7, ACTOR)
    assert (done.status, done.rows) == ("done", DONE), done.reason
    expect(world, DONE)


@on(*EACH)
def test_a_reference_inside_of_a_document_is_taken_out(world: World, write: Write) -> None:
    """The row and the rest of its document stay; nobody else's is written to."""
    world.execute(
        "UPDATE jobs SET payload = :it WHERE id = 1", it='{"by": {"user": 7, "at": "home"}, "n": 1}'
    )
    text = MAP.replace("jobs: {row: delete,", "jobs: {row: nullify, columns: {payload: preserve},")
    write(text)
    done = anonymize_user(7, ACTOR)
    assert (done.status, done.rows.get("nullify:jobs")) == ("done", 2), done.reason
    expect(world, done.rows)
    found = {
        row[0]: json.loads(row[1]) if isinstance(row[1], str) else row[1] for row in content(world, "jobs")
    }
    assert found == {1: {"by": {"at": "home"}, "n": 1}, 2: {"by": {}}, 3: {"by": {"user": 8}}, 4: {}}


@on(*EACH)
@pytest.mark.parametrize("most", [5_000, 3], ids=["at once", "in batches"])
def test_what_code_of_the_application_writes(
    world: World, write: Write, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """It is written into the person's rows that stay, not into retained ones, nor into anybody else's own."""
    text = MAP.replace("columns: {org: preserve, email: surrogate}", "columns: {org: preserve}")
    write(text)
    hooks = [
        Anonymizer(table="users", datasource=None, function=lambda _: {"email": sa.literal("nobody")}),
        Anonymizer(table="issues", datasource=None, function=lambda _: {"title": sa.literal("gone")}),
        Anonymizer(table="invoices", datasource=None, function=lambda _: {"buyer": sa.null()}),
    ]
    monkeypatch.setattr(tracing, "load_anonymizers", lambda *_: hooks)
    settings(world, single_transaction_rows=most)
    done = anonymize_user(7, ACTOR)
    assert (done.status, done.rows) == ("done", DONE), done.reason
    expect(world, DONE)
    assert {row[0]: row[2] for row in content(world, "users")} == {
        7: "nobody",
        8: "b@example.com",
        9: "c@x.org",
    }
    assert {row[0]: row[2] for row in content(world, "issues")} == {1: "gone", 2: "gone", 3: "x"}
    assert content(world, "invoices") == ROWS["invoices"]
    # It is recognised by looking: once more there is nothing to change.
    assert anonymize_user(7, ACTOR).rows == {}


@on(*TWO)
def test_people_of_another_kind_who_refer_to_somebody(world: World, write: Write) -> None:
    """They lose the reference and nothing else: what their table says is meant for their own erasure."""
    world.execute("CREATE TABLE agents (id INT PRIMARY KEY, name VARCHAR(90))")
    world.watch("agents")
    world.insert("agents", [{"id": number, "name": "Anna"} for number in (1, 2, 3)])
    world.execute("ALTER TABLE users ADD COLUMN agent INT REFERENCES agents (id)")
    world.execute("UPDATE users SET agent = id - 6")
    text = MAP.replace("\ntables:", "\n  agent: {table: agents, key: id}\ntables:") + (
        "  agents: {row: anonymize, columns: {name: redact}}\n  users.agent: {row: nullify}\n"
    )
    write(text)
    with pytest.raises(
        Refused, match="these rows are other people's, and nothing is said of columns that users"
    ):
        anonymize_user(1, ACTOR, subject="agent")
    write(
        text.replace("users.agent: {row: nullify}", "users.agent: {row: nullify, columns: {email: preserve}}")
    )
    done = anonymize_user(1, ACTOR, subject="agent")
    assert (done.status, done.rows) == ("done", {"nullify:users": 1, "anonymize:agents": 1}), done.reason
    expect(world, done.rows)
    assert [(row[2], row[4]) for row in content(world, "users")] == [
        ("a@example.com", None),
        ("b@example.com", 2),
        ("c@x.org", 3),
    ]


@on(*TWO)
@pytest.mark.usefixtures("write")
def test_the_same_key_is_the_same_request(world: World) -> None:
    """Asked again it answers what it did, and changes nothing; for somebody else the key is refused."""
    first = anonymize_user(7, ACTOR, idempotency_key="ticket-1")
    expect(world, DONE)
    again = anonymize_user("7", ACTOR, idempotency_key="ticket-1")
    assert first
    assert again
    assert (again.run, again.rows, again.request) == (first.run, DONE, "ticket-1")
    with pytest.raises(Conflict):
        anonymize_user(8, ACTOR, idempotency_key="ticket-1")
    assert [one.status for one in erasure.recent_erasures()] == ["done"]


@on(*EACH)
@pytest.mark.usefixtures("write")
@pytest.mark.parametrize("most", [5_000, 3], ids=["at once", "in batches"])
def test_several_people_at_once(world: World, most: int) -> None:
    """One request, set by set; what belongs to two of them is nobody else's."""
    settings(world, single_transaction_rows=most)
    done = anonymize_users([7, 8], ACTOR)
    assert (done.status, done.persons) == ("done", 2)
    assert done.rows["anonymize:users"] == 2
    assert done.rows["anonymize:messages"] == 5
    expect(world, done.rows)
    assert [row[0] for row in content(world, "posts")] == []
    assert content(world, "visits") == [(None, "/")]
    emails = {row[0]: row[2] for row in content(world, "users")}
    assert emails[9] == "c@x.org"
    assert len({*emails.values()}) == 3
    assert not {"a@example.com", "b@example.com"} & {*emails.values()}
    assert len(get_audit_events(action="erasure:request")) == 2


@on(*TWO)
@pytest.mark.usefixtures("write")
@pytest.mark.parametrize(
    "scope",
    [
        {"table": "users", "key": {"id": 7}},
        {"table": "posts", "key": {"id": 3}},
        {"table": "messages"},
        {"tenant": "acme"},
        {},
    ],
    ids=["the person", "one row", "a table", "a tenant", "everything"],
)
def test_a_legal_hold_stops_it(world: World, scope: dict[str, Any]) -> None:
    """A hold over one row is enough; it is told and recorded, and after the release there is a new plan."""
    hold = privacy.place_hold(matter="Smith v. Jones", owner=ACTOR, review_by=LATER, **scope)
    before = {name: world.content(name) for name in ROWS}
    done = anonymize_user(7, ACTOR)
    assert not done
    assert done.status == "blocked"
    assert f"legal hold {hold}" in str(done.reason)
    assert {name: world.content(name) for name in ROWS} == before
    (event,) = get_audit_events(action="erasure:run")
    assert (event["outcome"], event["details"]["state"]) == ("failure", "blocked")
    privacy.release_hold(hold, ACTOR)
    erasure.resume_erasure(str(done.request), ACTOR)
    done = erasure.carry_out_erasure(str(done.request))
    assert done.rows == DONE
    expect(world, DONE)


@on("sqlite+sqlite")
@pytest.mark.usefixtures("write")
def test_holds_are_looked_for_once_for_each_row(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the rows are twice the looks, and no more; further holds on rows cost none."""
    monkeypatch.setattr(sides, "_OF_ONE", 2)
    monkeypatch.setattr(sides, "_OF_SEVERAL", 2)
    settings(world, single_transaction_rows=3)
    world.batches_of(2)
    people(world, range(100, 103))
    for person, posts in {100: 20, 101: 40, 102: 40}.items():
        for number in range(posts):
            row = {"id": 1000 * person + number, "author": person}
            world.execute("INSERT INTO posts VALUES (:id, :author, NULL, 'x')", **row)
        world.born("posts", posts)
    looks, gone = Counter[int](), Counter[str]()

    def erase(person: int) -> int:
        def count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            looks[person] += statement.startswith("SELECT EXISTS") and "FROM posts" in statement

        engine = world.system.databases.source(world.datasource)
        sa.event.listen(engine, "before_cursor_execute", count)
        done = anonymize_user(person, ACTOR)
        sa.event.remove(engine, "before_cursor_execute", count)
        assert done.status == "done", done.reason
        gone.update(done.rows)
        return looks[person]

    def hold(post: int) -> None:
        words: dict[str, Any] = {"table": "posts", "key": {"id": post}}
        privacy.place_hold(matter="Smith v. Jones", owner=ACTOR, review_by=LATER, **words)

    hold(4)
    few, many = erase(100), erase(101)
    assert few > 0
    assert many <= 2 * few
    hold(5)
    assert erase(102) == many
    expect(world, gone)


@on(*TWO)
@pytest.mark.usefixtures("write")
@pytest.mark.parametrize(
    "scope",
    [
        {"table": "users", "key": {"id": 9}},
        {"table": "posts", "key": {"id": 4}},
        {"tenant": "beta"},
        {"table": "invoices"},
        {"policy": "p"},
    ],
    ids=["somebody else", "another row", "another tenant", "a table that stays", "a policy"],
)
def test_a_legal_hold_over_others_does_not(world: World, scope: dict[str, Any]) -> None:
    """What is held and is not the person's, or stays anyway, stops nothing."""
    if "policy" in scope:
        world.safety_events()
        world.policy()
    privacy.place_hold(matter="Smith v. Jones", owner=ACTOR, review_by=LATER, **scope)
    done = anonymize_user(7, ACTOR)
    assert done
    expect(world, done.rows)


@on(*EACH)
@pytest.mark.usefixtures("write")
def test_the_kill_switch_and_approval(world: World) -> None:
    """A stop makes it wait; where approval is asked for, a person's word lets it go on."""
    privacy.stop_operations("an incident", ACTOR, everywhere=True)
    stopped = anonymize_user(7, ACTOR, idempotency_key="one")
    assert (stopped.status, bool(stopped), stopped.rows) == ("waiting", False, {})
    privacy.start_operations(ACTOR, everywhere=True)
    settings(world, approval=True)
    waiting = erasure.carry_out_erasure("one")
    assert waiting.status == "waiting"
    assert "aegis erasure approve one" in str(waiting.reason)
    with pytest.raises(Refused, match="another plan"):
        erasure.approve_erasure("one", ACTOR, digest="0" * 64)
    erasure.approve_erasure("one", ACTOR, digest=waiting.digest)
    done = erasure.carry_out_erasure("one")
    assert done
    assert done.rows == DONE
    expect(world, DONE)
    assert len(get_audit_events(action="erasure:approve")) == 1
    with pytest.raises(Refused, match="nothing to approve"):
        erasure.approve_erasure("one", ACTOR)


@on("sqlite+sqlite")
@pytest.mark.usefixtures("write")
def test_the_log_that_cannot_be_written_to(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was changed is told, and that the log has not got it yet; a fault that passes is waited out."""
    monkeypatch.setattr(claims, "backoff", lambda _tries: 0.0)
    relay = world.system.relay.relay
    faults: list[AegisError] = [Passing("locked"), Passing("locked")]

    def late(datasource: str) -> Any:
        if faults:
            raise faults.pop(0)
        return relay(datasource)

    monkeypatch.setattr(world.system.relay, "relay", late)
    done = anonymize_user(7, ACTOR, idempotency_key="one")
    assert (done.status, faults) == ("done", [])
    expect(world, done.rows)
    for error in (Passing("locked"), Tampered("the journal was changed")):
        faults.extend([error] * 5)
        told = anonymize_user(7, ACTOR, idempotency_key="one")
        assert (told.status, bool(told), told.rows, told.reason) == ("unrelayed", False, DONE, str(error))
        assert len(faults) == (0 if isinstance(error, Passing) else 4)
        faults.clear()
    assert anonymize_user(7, ACTOR, idempotency_key="one")


@on("sqlite+sqlite")
@pytest.mark.usefixtures("write")
def test_in_slices_in_one_process(world: World) -> None:
    """Whoever waits for it gets it whole, however short a slice is."""
    settings(world, single_transaction_rows=3)
    world.configure(retention=replace(world.settings.retention, slice_seconds=0.0))
    told: list[Mapping[str, int]] = []
    done = anonymize_user(7, ACTOR, on_progress=told.append)
    assert (done.status, done.rows) == ("done", DONE), done.reason
    assert len(told) > 5
    expect(world, DONE)


@on(*TWO)
def test_another_plan_than_the_one_asked_for(world: World, write: Write) -> None:
    """A map or a schema that changed in between stops it before the first row."""
    run = erasure.request_erasure([7], "one", actor=ACTOR)
    write(MAP.replace("email: surrogate", "email: redact"))
    report = erasure.advance_erasure(run)
    assert report["outcome"] == "blocked"
    assert "changed since this erasure was asked for" in report["reason"]
    erasure.resume_erasure("one", ACTOR)
    done = erasure.carry_out_erasure("one")
    assert done
    expect(world, done.rows)


@on(*TWO)
@pytest.mark.usefixtures("write")
def test_it_is_cancelled(world: World) -> None:
    """For good, with who it was about wiped, and nothing of it changed."""
    erasure.request_erasure([7], "one", actor=ACTOR)
    (run,) = [one.run for one in erasure.recent_erasures()]
    for by_run in (privacy.pause_run, privacy.resume_run, privacy.cancel_run):
        with pytest.raises(Refused, match="by its request one"):
            by_run(str(run), ACTOR)
    ended = erasure.cancel_erasure("one", ACTOR)
    assert (ended.status, ended.rows) == ("cancelled", {})
    with pytest.raises(Refused):
        erasure.resume_erasure("one", ACTOR)
    assert erasure.carry_out_erasure("one").status == "cancelled"
    assert len(content(world, "visits")) == len(ROWS["visits"])


UNDO: Final = {
    "sqlite": """CREATE TRIGGER undo AFTER UPDATE OF email ON users BEGIN
        UPDATE users SET email = OLD.email WHERE id = OLD.id; END""",
    "postgresql": """CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN NEW.email := OLD.email; RETURN NEW; END';
        CREATE TRIGGER undo BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION undo()""",
    "mariadb": "CREATE TRIGGER undoing BEFORE UPDATE ON users FOR EACH ROW SET NEW.email = OLD.email",
}


@on(*EACH)
@pytest.mark.usefixtures("write")
def test_a_trigger_that_undoes_the_mask(world: World) -> None:
    """Never complete: nothing is changed, and the reason says which rows did not stay as written."""
    with world.app.begin() as connection:
        for statement in UNDO[world.dialect].split("\n        CREATE TRIGGER"):
            text = statement if statement.startswith("CREATE") else f"CREATE TRIGGER{statement}"
            connection.exec_driver_sql(text.replace("%", "%%"))
    before = {name: world.content(name) for name in ROWS}
    done = anonymize_user(7, ACTOR)
    assert (done.status, done.rows) == ("blocked", {})
    assert "1 of users to anonymize" in str(done.reason)
    assert {name: world.content(name) for name in ROWS} == before


@on(*EACH)
@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("row: nullify, via: solver", "row: fail, via: solver", "2 rows of issues must not be there"),
        (
            "email: surrogate",
            "email: {constant: x}, id: {constant: 1}",
            "column users.id is referred to by visits",
        ),
        ("title: preserve", "title: preserve, solver: redact", "redact"),
    ],
)
def test_what_cannot_be_done_is_found_before(
    world: World, write: Write, old: str, new: str, why: str
) -> None:
    """An objection stops it before the first write, and says why."""
    before = {name: world.content(name) for name in ROWS}
    write(MAP.replace(old, new))
    assert why in said(7)
    assert {name: world.content(name) for name in ROWS} == before


@on(*EACH)
def test_rows_are_moved_to_a_ghost(world: World, write: Write) -> None:
    """Reassigned rows belong to nobody; one that the ghost has already would clash and goes."""
    world.execute("INSERT INTO users VALUES (1, 'acme', 'nobody', NULL)")
    world.born("users", 1)
    world.execute(
        "CREATE TABLE likes (who INT REFERENCES users (id), what INT, at INT UNIQUE, UNIQUE (who, what))"
    )
    world.watch("likes")
    for at, (who, what) in enumerate(((1, 1), (7, 1), (7, 2), (8, 1))):
        world.execute("INSERT INTO likes VALUES (:who, :what, :at)", who=who, what=what, at=at)
    world.born("likes", 4)
    moved = MAP.replace("key: id,", "key: id, ghost: 1,") + "  likes: {row: reassign, via: who}\n"
    write(MAP + "  likes: {row: reassign, via: who}\n")
    with pytest.raises(Refused, match="ghost"):
        anonymize_user(8, ACTOR)
    write(moved)
    done = anonymize_user(7, ACTOR)
    assert done.rows == {**DONE, "reassign:likes": 1, "delete:likes": 1}
    expect(world, done.rows)
    assert sorted(content(world, "likes")) == [(1, 1, 0), (1, 2, 2), (8, 1, 3)]
    write(moved.replace("ghost: 1", "ghost: 2"))
    done = anonymize_user(8, ACTOR)
    assert done.status == "blocked"
    assert "the ghost of subject user is not in users" in str(done.reason)
    # Of two people at once who have the same, one row is moved and the other goes.
    world.execute("INSERT INTO likes VALUES (8, 5, 8)")
    world.execute("INSERT INTO likes VALUES (9, 5, 9)")
    world.born("likes", 2)
    write(moved)
    erasure.cancel_erasure(str(done.request), ACTOR)
    done = anonymize_users([8, 9], ACTOR)
    assert (done.status, done.rows["reassign:likes"], done.rows["delete:likes"]) == ("done", 1, 2), (
        done.reason
    )
    expect(world, done.rows)
    assert sorted(row[:2] for row in content(world, "likes")) == [(1, 1), (1, 2), (1, 5)]


CIRCLE: Final = """
subjects:
  user: {table: users, key: id, identifiers: {email: email}}
tables:
  users: {row: delete, columns: {org: preserve, email: preserve}}
  users.boss: {row: nullify}
  visits: {row: delete, via: user_id}
  messages: {row: delete, via: [sender, receiver], shared: delete}
  posts: {row: delete, via: author, shared: delete}
  posts.parent: {row: delete, shared: delete}
  posts.head: {row: delete, shared: delete}
  issues: {row: delete, via: solver}
  invoices: {row: delete, via: buyer}
  items: {row: delete, via: region}
"""


@on(*EACH)
@pytest.mark.parametrize("most", [5_000, 3], ids=["at once", "in batches"])
def test_rows_that_refer_to_each_other_in_a_circle(world: World, write: Write, most: int) -> None:
    """Deleted together, on each database in its own way, and counted once."""
    world.execute("ALTER TABLE posts ADD COLUMN head INT REFERENCES posts (id)")
    world.execute("UPDATE posts SET head = 3 WHERE id = 1")
    world.execute("UPDATE posts SET head = 6 WHERE id = 6")
    write(CIRCLE)
    settings(world, single_transaction_rows=most)
    done = anonymize_user(7, ACTOR)
    assert done.status == "done", done.reason
    assert done.rows["delete:posts"] == 4
    assert done.rows["delete:users"] == 1
    expect(world, done.rows)
    assert [row[0] for row in content(world, "posts")] == [4, 5]
    assert [row[0] for row in content(world, "users")] == [8, 9]


@on("sqlite+postgresql", "sqlite+mariadb")
def test_a_circle_of_columns_that_are_never_empty(world: World, write: Write) -> None:
    """PostgreSQL deletes it in one statement; MariaDB cannot, changes nothing, and says what to do."""
    pairs = (("wives", "husbands"), ("husbands", "wives"))
    text = MAP
    for table, _ in pairs:
        world.execute(
            f"CREATE TABLE {table} (id INT PRIMARY KEY, who INT REFERENCES users (id), mate INT NOT NULL)"
        )
        world.execute(f"INSERT INTO {table} VALUES (1, 7, 1), (2, 8, 2)")  # noqa: S608
        world.born(table, 2)
        text += f"  {table}: {{row: delete, via: who, shared: delete}}\n"
        text += f"  {table}.mate: {{row: delete, shared: delete}}\n"
    for table, other in pairs:
        world.execute(f"ALTER TABLE {table} ADD FOREIGN KEY (mate) REFERENCES {other} (id)")
    write(text)
    done = anonymize_user(7, ACTOR)
    expect(world, done.rows)
    if world.dialect == "postgresql":
        assert (done.status, done.rows["delete:wives"], done.rows["delete:husbands"]) == ("done", 1, 1)
    else:
        assert (done.status, done.rows) == ("blocked", {})
        assert str(done.reason).startswith(
            "rows of husbands, wives refer to each other in a circle by columns that are NOT NULL"
        )
    assert world.ids("wives") == world.ids("husbands") == ([2] if done else [1, 2])


@on(*EACH)
@pytest.mark.usefixtures("write")
def test_the_application_goes_on_writing(world: World) -> None:
    """Rows that come in while it works are found by the next pass, also when the person's own row is gone."""
    settings(world, single_transaction_rows=3)
    world.batches_of(2)
    late = iter(
        [("INSERT INTO visits VALUES (7, '/late')", "visits"), ("INSERT INTO jobs VALUES (9, :p)", "jobs")]
    )

    def come(changed: Mapping[str, int]) -> None:
        if "anonymize:users" in changed and (more := next(late, None)):
            statement, table = more
            world.execute(statement, **({"p": '{"by": {"user": 7}}'} if ":p" in statement else {}))
            world.born(table, 1)

    done = anonymize_user(7, ACTOR, on_progress=come)
    assert done.status == "done"
    assert done.rows["delete:visits"] == 4
    expect(world, done.rows)
    assert content(world, "visits") == [(8, "/"), (None, "/")]


@on("sqlite+postgresql")
@pytest.mark.usefixtures("write")
def test_rows_that_are_hidden_are_an_error(world: World) -> None:
    """Row security that hides rows from Aegis's role makes it refuse, and never complete with less."""
    world.execute("CREATE ROLE hidden_reader LOGIN PASSWORD 'x'")
    try:
        world.execute("ALTER TABLE visits ENABLE ROW LEVEL SECURITY")
        world.execute("GRANT USAGE ON SCHEMA public, aegis TO hidden_reader")
        world.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO hidden_reader")
        world.execute("GRANT ALL ON ALL TABLES IN SCHEMA aegis TO hidden_reader")
        source = world.settings.datasources["app"]
        url = sa.make_url(source.url).set(username="hidden_reader", password="x")
        hidden = replace(source, url=url.render_as_string(hide_password=False))
        world.configure(datasources={"app": hidden})
        with pytest.raises(Refused, match="row-level security would hide rows"):
            anonymize_user(7, ACTOR)
        world.configure(datasources={"app": source})
    finally:
        world.execute("DROP OWNED BY hidden_reader")
        world.execute("DROP ROLE hidden_reader")


@on(*EACH)
@pytest.mark.usefixtures("write")
def test_two_overlapping_people_at_once(world: World) -> None:
    """Both end, each row is changed for one of them, and the account has all of it once."""
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda person: anonymize_user(person, ACTOR), (7, 8))
    assert (first.status, second.status) == ("done", "done"), (first.reason, second.reason)
    together = Counter(first.rows) + Counter(second.rows)
    assert together["anonymize:users"] == 2
    assert together["delete:visits"] == 4
    assert together["anonymize:messages"] == 5
    expect(world, together)
    assert not [row for row in content(world, "users") if row[2] in {"a@example.com", "b@example.com"}]


@on(*TWO)
@pytest.mark.usefixtures("write")
def test_many_people_take_no_more_statements_than_few(world: World) -> None:
    """Each step is done for all of them together, in every database that has a part in it."""
    people(world, range(100, 103))
    people(world, range(200, 260))
    said: Counter[str] = Counter()

    def note(*arguments: Any) -> None:
        said[str(arguments[2]).partition(" ")[0]] += 1

    def statements(ids: range) -> Counter[str]:
        said.clear()
        done = anonymize_users(list(ids), ACTOR)
        assert (done.status, done.rows) == ("done", {name: rows * len(ids) for name, rows in ONE.items()})
        expect(world, done.rows)
        return Counter(said)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        few, many = statements(range(100, 103)), statements(range(200, 260))
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    # Some are said now and then, such as a lease's renewal.
    assert (many - few).total() < 10
