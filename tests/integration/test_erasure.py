"""One person on each database: every row of theirs is planned for and exported, and nobody else's."""

import datetime as dt
import json
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from aegis.datamap.hooks import Anonymizer
from aegis.erasure import tracing
from aegis.erasure.plan import Plan
from aegis.errors import Denied, NotPrepared, Refused, UnknownName, UsageError
from api.audit import get_audit_events
from api.erasure import export_person, plan_erasure
from cli import erasure
from cli.main import main
from tests.oneperson import EXPECTED, MAP, Write, begin
from tests.worlds import ACTOR, World, on

EACH = ("sqlite+sqlite", "sqlite+postgresql", "sqlite+mariadb")


@pytest.fixture
def write(world: World, tmp_path: Path) -> Write:
    """Create the application, and go on with a data map."""
    return begin(world, tmp_path)


def counts(made: Plan) -> dict[tuple[str, str], int]:
    """Return the rows by table and action."""
    return {(step.table, step.action): step.rows for step in made.steps if step.rows}


@on(*EACH)
def test_every_row_of_one_person(world: World, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """Several ways in, circles, composite keys, no key, a condition, JSON: exact, and nothing is changed."""
    before = world.everything()
    made = plan_erasure(["7"], tenant="acme")
    assert counts(made) == EXPECTED
    assert (made.rows, made.kept, made.objections) == (19, 5, ())
    assert {step.table: dict(step.shared) for step in made.steps if step.shared} == {
        "messages": {"mask_own_columns": 2},
        "posts": {"delete": 2},
    }
    order = [(step.table, step.action) for step in made.steps]
    assert order.index(("posts", "delete")) < order.index(("users", "nullify"))
    assert order.index(("messages", "anonymize")) < order.index(("users", "anonymize"))
    assert "jobs.payload->'by'->>'user'" in made.unindexed
    assert world.everything() == before

    # What people see says nothing of who it is.
    erasure.show(made)
    shown = capsys.readouterr().out
    assert "19 rows would change, 5 stay" in shown
    assert "tax law, until 2040-01-01" in shown
    assert "example.com" not in shown + repr(made)

    # Nobody else's rows, and another digest.
    other = plan_erasure(["8"])
    assert counts(other)["posts", "delete"] == 5
    assert counts(other)["users", "nullify"] == 1
    assert other.digest != made.digest == plan_erasure(["7"]).digest
    world.execute("INSERT INTO visits VALUES (7, '/new')")
    assert plan_erasure(["7"]).digest == made.digest
    world.execute("ALTER TABLE issues ADD COLUMN priority INT")
    assert plan_erasure(["7"]).digest != made.digest
    write(MAP.replace("email: surrogate", "email: redact"))
    assert plan_erasure(["7"]).digest != made.digest

    # Nobody, somebody of another tenant, and words that are wrong.
    for words, error in (
        ({"key": ["4711"]}, UnknownName),
        ({"key": ["7"], "tenant": "beta"}, Denied),
        ({"key": ["seven"]}, UsageError),
        ({"key": ["7", "8"]}, UsageError),
        ({"key": ["7"], "subject": "robot"}, UnknownName),
        ({"key": ["7"], "datasource": "warehouse"}, UsageError),
    ):
        with pytest.raises(error) as caught:
            plan_erasure(**words)
        assert "4711" not in str(caught.value)


@on(*EACH)
def test_what_a_plan_says_of_columns_reasons_and_the_database(
    world: World, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a strategy leaves, what a hook writes, a law and its period, and the database's own rules."""
    kept = 'reason: tax law, keep_at_least: {period: P8Y, from: id, basis: "DE §147 AO"}'
    text = MAP.replace("reason: tax law, until: 2040-01-01", kept, 1)
    text = text.replace("{row: delete, via: user_id}", "{row: delete, via: user_id, shared: delete}")
    text += "  visits.post: {row: delete, shared: delete}\n"
    write(text)
    world.execute("ALTER TABLE visits ADD COLUMN post INT REFERENCES posts (id) ON DELETE CASCADE")
    hook = Anonymizer(table="issues", datasource=None, function=lambda _: {"title": sa.null()})
    monkeypatch.setattr(tracing, "load_anonymizers", lambda *_: [hook])
    made = plan_erasure(["7"])
    by_step = {(step.table, step.action): step for step in made.steps}
    assert by_step["issues", "nullify"].columns == {"solver": "", "title": "hook"}
    assert by_step["messages", "anonymize"].outcomes == {"body": "anonymous"}
    invoices = by_step["invoices", "retain"]
    assert (invoices.reason, invoices.until) == ("tax law (DE §147 AO)", "8 years from id")
    assert made.cascades == {"visits.post → posts.id": "CASCADE"}
    assert abs((made.read_at - dt.datetime.now(dt.UTC)).total_seconds()) < 3600
    write(text.replace("columns: {body: null}", "columns: {body: scrub_text}"))
    (messages,) = [step for step in plan_erasure(["7"]).steps if step.table == "messages"]
    assert messages.outcomes == {"body": "pseudonymous"}


@on(*EACH)
def test_a_plan_as_a_page(world: World, write: Write, tmp_path: Path) -> None:
    """It has everything but the person, only its owner reads it, and no file is written over."""

    def plan(*words: str) -> Result:
        return CliRunner().invoke(main, ["erasure", "plan", *words])

    world.execute("INSERT INTO users VALUES (471147, 'acme', 'anna@example.com', NULL)")
    world.execute("INSERT INTO visits VALUES (471147, '/secret')")
    file = tmp_path / "plan.html"
    done = plan("471147", "--tenant", "acme", "--html", str(file))
    assert done.exit_code == 0, done.output
    assert f"The page is {file}, which only you can read." in done.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    page = file.read_text(encoding="utf-8")
    assert plan_erasure(["471147"]).digest in page
    assert "It can be carried out." in page
    for personal in ("471147", "anna@", "acme", "secret"):
        assert personal not in page

    # A file that is there stays as it is; of a plan that cannot be made nothing is left.
    again = plan("7", "--html", str(file))
    assert (again.exit_code, file.read_text(encoding="utf-8")) == (2, page)
    assert "not overwritten" in again.output
    nobody = tmp_path / "nobody.html"
    assert plan("4711", "--html", str(nobody)).exit_code == 2
    assert plan("7", "--html", str(tmp_path / "nowhere" / "plan.html")).exit_code == 2
    assert not nobody.exists()

    # Everything of somebody who has more, and what speaks against it.
    write(MAP.replace("row: nullify, via: solver", "row: fail, via: solver"))
    other = tmp_path / "other.html"
    found = plan("7", "--html", str(other), "--json")
    assert found.exit_code == 1
    page = other.read_text(encoding="utf-8")
    assert "It cannot be carried out: </strong>2 rows of issues must not be there" in page
    made = json.loads(found.output)
    assert made["digest"] in page
    for step in made["steps"]:
        assert f"<code>{step['table']}</code>" in page
    assert "example.com" not in page


@on(*EACH)
def test_a_row_that_stays_another_persons(world: World, write: Write) -> None:
    """What refers to it stays as well; where it refers to a row that goes, the plan cannot be carried out."""
    write(
        MAP.replace(
            "posts.parent: {row: delete, shared: delete}", "posts.parent: {row: delete, shared: keep}"
        )
    )
    made = plan_erasure(["7"])
    (posts,) = [step for step in made.steps if step.table == "posts"]
    assert (posts.rows, posts.shared, posts.stuck) == (2, {"keep": 1, "delete": 1}, 1)
    (objection,) = made.objections
    assert objection.startswith("1 row of posts would stay")
    world.execute("UPDATE posts SET parent = 4 WHERE id = 2")
    made = plan_erasure(["7"])
    assert counts(made)["posts", "delete"] == 2
    assert made.objections == ()


@on(*EACH)
def test_what_is_not_decided_makes_no_plan(world: World, write: Write) -> None:
    """Rows that must not be there are an objection; a row of two people, and a new column, are refused."""
    write(MAP.replace("row: nullify, via: solver", "row: fail, via: solver"))
    (objection,) = plan_erasure(["7"]).objections
    assert objection.startswith("2 rows of issues must not be there")
    write(MAP.replace(", shared: mask_own_columns", ""))
    with pytest.raises(Refused, match="shared"):
        plan_erasure(["7"])
    write(MAP)
    world.execute("ALTER TABLE users ADD COLUMN nickname VARCHAR(50)")
    with pytest.raises(Refused, match=r"nickname.*aegis datamap check --datasource app"):
        plan_erasure(["7"])


@on(*EACH)
def test_everything_of_one_person_for_themselves(world: World, write: Write, tmp_path: Path) -> None:
    """A file that only its owner reads has each row once, no secret and no other person's; it is recorded."""
    before = world.content("users"), world.content("messages")
    file = tmp_path / "person.json"
    told: list[tuple[int, int]] = []
    done = export_person(["7"], file, actor=ACTOR, tenant="acme", on_progress=lambda *n: told.append(n))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = json.loads(file.read_text(encoding="utf-8"))
    own = {
        "users": 1,
        "visits": 3,
        "messages": 2,
        "posts": 2,
        "owners": 2,
        "jobs": 2,
        "invoices": 2,
        "items": 3,
    }
    assert done.rows == own == {table: len(rows) for table, rows in found["tables"].items()}
    assert told[-1] == (17, 17)
    assert found["tables"]["users"] == [{"id": 7, "org": "acme", "email": "a@example.com", "boss": None}]
    assert [row["id"] for row in found["tables"]["messages"]] == [3, 5]
    assert (done.shared, done.mentioned) == ({"messages": 2, "posts": 2}, {"users": 1, "issues": 2})
    (event,) = get_audit_events(action="erasure:export")
    assert (event["target_type"], event["tenant"], event["details"]["rows"]) == ("user", "acme", 17)
    assert event["target_id"] != "7"

    write(MAP.replace("email: surrogate", "email: random_token"))
    done = export_person(["7"], tmp_path / "more.json", actor=ACTOR, with_shared=True)
    assert (done.rows["messages"], done.left_out) == (4, ("users.email",))
    assert "a@example.com" not in (tmp_path / "more.json").read_text(encoding="utf-8")

    with pytest.raises(UsageError, match="exists"):
        export_person(["7"], file, actor=ACTOR)
    with pytest.raises(UnknownName):
        export_person(["4711"], tmp_path / "nobody.json", actor=ACTOR)
    assert not (tmp_path / "nobody.json").exists()
    assert len(get_audit_events(action="erasure:export")) == 2
    assert (world.content("users"), world.content("messages")) == before


@on(*EACH)
def test_what_json_has_no_word_for(world: World, write: Write, tmp_path: Path) -> None:
    """Days and times are ISO 8601, bytes are base64, exact numbers their digits, a set of words a list."""
    kinds = {
        "sqlite": ("DATE", "TIME", "BLOB", "NUMERIC(9,2)", "TEXT", "'b'", "X'00FF'"),
        "postgresql": ("DATE", "TIME", "BYTEA", "NUMERIC(9,2)", "TEXT[]", "'{b}'", "'\\x00ff'"),
        "mariadb": ("DATE", "DATETIME", "BLOB", "NUMERIC(9,2)", "SET('a','b')", "'b,a'", "X'00FF'"),
    }
    *types, words, octets = kinds[world.dialect]
    names = ("day", "moment", "octets", "amount", "words")
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(names, types, strict=True))
    world.execute(f"CREATE TABLE things (owner INT REFERENCES users (id), {columns})")
    moment = "2027-01-31 10:11:12" if world.dialect == "mariadb" else "10:11:12"
    values = f"7, '2027-01-31', '{moment}', {octets}, 12.50, {words}"
    world.execute(f"INSERT INTO things VALUES ({values})")  # noqa: S608
    world.born("things", 1)
    write(MAP + "  things: {row: delete, via: owner}\n")
    file = tmp_path / "person.json"
    export_person(["7"], file, actor=ACTOR)
    (row,) = json.loads(file.read_text(encoding="utf-8"))["tables"]["things"]
    assert (row["day"], row["octets"]) == ("2027-01-31", {"base64": "AP8="})
    assert row["moment"] == moment.replace(" ", "T")
    assert float(row["amount"]) == 12.5
    assert row["words"] == {"sqlite": "b", "postgresql": ["b"], "mariadb": ["a", "b"]}[world.dialect]


@on("sqlite+sqlite", "sqlite+postgresql")
@pytest.mark.usefixtures("write")
def test_a_source_in_which_aegis_has_no_tables_yet(world: World) -> None:
    """There is no plan before that: it says which command its owner runs."""
    world.unbalanced = "the journal is taken away"
    schema = "aegis" if world.dialect == "postgresql" else None
    for name in sa.inspect(world.app).get_table_names(schema=schema):
        if "journal" in name:
            world.execute(f"DROP TABLE {'aegis.' if schema else ''}{name}")
    with pytest.raises(
        NotPrepared, match="app has no journal; run `aegis migrate --datasource app` as its owner"
    ):
        plan_erasure(["7"])
