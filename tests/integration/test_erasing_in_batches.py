"""An erasure that is too large for one transaction: in batches, each of which stays done."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.erasure import sweeping
from aegis.errors import Tampered
from aegis.operations import claims
from aegis.operations.states import State
from aegis.settings import ErasureSettings
from api import erasure
from api.erasure import anonymize_user
from tests.integration.test_erasing import DONE, UNDO
from tests.integration.test_sweeping import spoilt
from tests.oneperson import MAP, Write, begin, content, expect
from tests.worlds import ACTOR, World, on

EACH: Final = ("sqlite+sqlite", "sqlite+postgresql", "sqlite+mariadb")
#: More rows of person 7 than a batch takes, alike in every column by which they are followed.
MANY: Final = 7
#: What each table has of its own: a key of one column, and of two.
KEYS: Final = {"one": "id INT PRIMARY KEY", "two": "id INT, part INT, PRIMARY KEY (id, part)"}


@pytest.fixture
def write(world: World, tmp_path: Path) -> Write:
    """Create the application, and go on with a data map and batches of two rows."""
    write = begin(world, tmp_path)
    world.configure(erasure=ErasureSettings(single_transaction_rows=3))
    world.batches_of(2)
    return write


def logs(world: World, key: str, more: str = "what VARCHAR(90)") -> None:
    """Create a table of logs: many of person 7, and two of others."""
    world.execute(f"CREATE TABLE logs (who INT REFERENCES users (id), {more}, {KEYS[key]})")
    world.watch("logs")
    for number, who in enumerate([*[7] * MANY, 8, 9]):
        part = ", 1" if key == "two" else ""
        names = "who, id" + (", part" if part else "")
        world.execute(f"INSERT INTO logs ({names}) VALUES ({who}, {number}{part})")  # noqa: S608
        world.born("logs", 1)


def batches(told: list[Mapping[str, int]]) -> list[int]:
    """Return how many rows of logs each batch changed."""
    return [rows for batch in told for name, rows in batch.items() if name.endswith(":logs")]


@on(*EACH)
@pytest.mark.parametrize(
    ("key", "entry", "left"),
    [
        ("one", "row: delete, via: who", []),
        ("two", "row: nullify, via: who, columns: {what: preserve}", [None] * MANY),
        ("two", "row: anonymize, via: who, columns: {what: redact}", [7] * MANY),
        ("one", "row: reassign, via: who, columns: {what: preserve}", [1] * MANY),
    ],
    ids=["delete", "nullify", "anonymize", "reassign"],
)
def test_many_rows_that_are_alike(world: World, write: Write, key: str, entry: str, left: list[Any]) -> None:
    """No batch takes more of them than it may, also where nothing but their key tells them apart."""
    world.execute("INSERT INTO users VALUES (1, 'acme', 'nobody', NULL)")
    world.born("users", 1)
    logs(world, key)
    world.execute("UPDATE logs SET what = 'seven' WHERE who = 7")
    write(MAP.replace("key: id,", "key: id, ghost: 1,") + f"  logs: {{{entry}}}\n")
    told: list[Mapping[str, int]] = []
    done = anonymize_user(7, ACTOR, on_progress=told.append)
    assert done.status == "done", done.reason
    expect(world, done.rows)
    assert batches(told) == [2, 2, 2, 1]
    with world.app.connect() as connection:
        found = connection.execute(sa.text("SELECT who, what FROM logs ORDER BY id")).all()
    assert [row.who for row in found] == [*left, 8, 9]
    if "redact" in entry:
        assert {row.what for row in found if row.who == 7} == {"[redacted]"}


@on(*EACH)
def test_rows_that_the_application_takes_away_meanwhile(world: World, write: Write) -> None:
    """What was to be done and is gone by then is done with: nothing is counted for it."""
    logs(world, "one")
    write(MAP + "  logs: {row: delete, via: who}\n")

    def take(changed: Mapping[str, int]) -> None:
        if "delete:logs" in changed:
            world.remove("logs", "who = 7")

    done = anonymize_user(7, ACTOR, on_progress=take)
    assert (done.status, done.rows["delete:logs"]) == ("done", 2), done.reason
    expect(world, done.rows)
    assert world.ids("logs") == [MANY, MANY + 1]


@on(*EACH)
def test_a_mask_that_nobody_can_recognise(world: World, write: Write) -> None:
    """It is put on once, in one statement, however many passes and slices there are."""
    logs(world, "one", "amount INT")
    world.execute("UPDATE logs SET amount = 1000000")
    write(MAP + "  logs: {row: anonymize, via: who, columns: {amount: {noise: 100000}}}\n")
    run = erasure.request_erasure([7], "one", actor=ACTOR)
    amounts = set()
    late = iter([True])
    while erasure.advance_erasure(run, 0.0)["more"]:
        found = tuple(world.all("SELECT amount FROM logs ORDER BY id"))
        if found[0] != 1_000_000:
            amounts.add(found)
        if erasure.erasure_status("one").rows.get("anonymize:users") and next(late, False):
            # It comes in when all is done, and another pass has to be made for it.
            world.execute("INSERT INTO visits VALUES (7, '/late')")
            world.born("visits", 1)
    done = erasure.erasure_status("one")
    assert (done.status, done.rows["anonymize:logs"], done.rows["delete:visits"]) == ("done", MANY, 4)
    expect(world, done.rows)
    (masked,) = amounts
    assert masked[MANY:] == (1_000_000, 1_000_000)
    assert len(set(masked)) > 2


@on("sqlite+sqlite", "sqlite+postgresql")
@pytest.mark.usefixtures("write")
def test_a_trigger_that_undoes_the_mask(world: World) -> None:
    """After a few passes it is given up: the reason says which rows do not stay as they were written."""
    with world.app.begin() as connection:
        for statement in UNDO[world.dialect].split("\n        CREATE TRIGGER"):
            connection.exec_driver_sql(
                statement if statement.startswith("CREATE") else f"CREATE TRIGGER{statement}"
            )
    done = anonymize_user(7, ACTOR)
    assert done.status == "blocked"
    assert str(done.reason).startswith("after 3 passes rows are still as they were (1 of users to anonymize)")
    # The statement met the row each time.
    assert done.rows == {**DONE, "anonymize:users": 3}
    expect(world, done.rows)
    assert [row[2] for row in content(world, "users") if row[0] == 7] == ["a@example.com"]
    assert content(world, "visits") == [(8, "/"), (None, "/")]


@on("sqlite+sqlite")
@pytest.mark.usefixtures("write")
def test_a_slice_ends_between_two_batches(world: World) -> None:
    """Whoever goes on finds what is left; each slice tells what it changed, and together it is everything."""
    run = erasure.request_erasure([7], "one", actor=ACTOR)
    reports = [erasure.advance_erasure(run, 0.0)]
    assert (reports[0]["outcome"], sum(reports[0]["changed"].values())) == ("more", 2)
    while reports[-1]["more"]:
        reports.append(erasure.advance_erasure(run, 0.0))
    together = {
        name: sum(report["changed"].get(name, 0) for report in reports)
        for name in {name for report in reports for name in report["changed"]}
    }
    assert together == erasure.erasure_status("one").rows == DONE
    expect(world, DONE)


@on("sqlite+sqlite")
@pytest.mark.usefixtures("write")
def test_the_application_writes_after_each_look(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the search finds and the map reaches goes too, in as many slices as it takes."""
    number = iter(range(100, 105))
    note = sweeping.note_executed

    def write_more(*words: Any) -> None:
        note(*words)
        if (new := next(number, None)) is not None:
            world.execute(f"INSERT INTO messages VALUES ({new}, 7, 8, 'from a@example.com')")  # noqa: S608
            world.born("messages", 1)

    monkeypatch.setattr(sweeping, "note_executed", write_more)
    run = erasure.request_erasure([7], "one", actor=ACTOR)
    reports = [erasure.advance_erasure(run)]
    while reports[-1]["more"]:
        reports.append(erasure.advance_erasure(run))
    assert [report["outcome"] for report in reports] == ["more", "done"]
    done = erasure.erasure_status("one")
    assert done.rows == {**DONE, "anonymize:messages": 9}
    expect(world, done.rows)
    assert not [row for row in content(world, "messages") if row[0] >= 100 and row[3] is not None]


@on("sqlite+sqlite")
@pytest.mark.usefixtures("write")
def test_it_is_taken_over_in_between(world: World) -> None:
    """Whose lease ended changes nothing more, and leaves the run to whoever has it now."""
    run = erasure.request_erasure([7], "one", actor=ACTOR)
    taken = list[claims.Claim]()

    def take(_changed: Mapping[str, int]) -> None:
        if not taken:
            with world.control.begin() as connection:
                connection.exec_driver_sql("UPDATE aegis_runs SET lease_until = '2020-01-01 00:00:00.000000'")
            taken.append(claims.claim(world.another(), run))

    fenced = erasure.carry_out_erasure("one", on_progress=take)
    assert (fenced.status, bool(fenced)) == ("fenced", False)
    assert sum(fenced.rows.values()) == 2
    assert world.run_row(run)["epoch"] == taken[0].epoch
    claims.settle(world.system, taken[0], State.RUNNING)
    done = erasure.carry_out_erasure("one")
    assert (done.status, done.rows) == ("done", DONE)
    expect(world, DONE)


@on("sqlite+sqlite")
@pytest.mark.usefixtures("write")
def test_nobody_can_read_who_it_is_about(world: World) -> None:
    """It fails aloud, changes nothing, and is blocked until a person resumes it."""
    run = erasure.request_erasure([7], "one", actor=ACTOR)
    before = world.content("visits")
    with spoilt(world, run), pytest.raises(Tampered):
        erasure.advance_erasure(run)
    blocked = erasure.erasure_status("one")
    assert (blocked.status, blocked.rows) == ("blocked", {})
    assert blocked.reason
    assert world.content("visits") == before
    erasure.resume_erasure("one", ACTOR)
    done = erasure.carry_out_erasure("one")
    assert (done.status, done.rows) == ("done", DONE), done.reason
    expect(world, DONE)


@on("sqlite+mariadb")
def test_references_that_differ_in_case(world: World, write: Write) -> None:
    """To MariaDB they are the same: of rows that it counts together none is overlooked when a slice ends."""
    world.batches_of(1)
    world.execute("CREATE TABLE mails (id INT PRIMARY KEY, sent VARCHAR(90), body VARCHAR(90))")
    sent = ["A@example.com", "a@example.com", "A@EXAMPLE.com", "b@example.com"]
    world.watch("mails")
    world.insert("mails", [{"id": n, "sent": text, "body": "x"} for n, text in enumerate(sent)])
    mails = "  mails: {row: anonymize, via: {sent: users.email}, columns: {body: redact}}\n"
    write(
        MAP.replace("email: surrogate", "email: preserve").replace("identifiers: {email: email}", "") + mails
    )
    run = erasure.request_erasure([7], "one", actor=ACTOR)
    while (report := erasure.advance_erasure(run, 0.0))["more"]:
        assert report["outcome"] == "more"
    done = erasure.erasure_status("one")
    expect(world, done.rows)
    assert (done.status, done.rows["anonymize:mails"]) == ("done", 3), done.reason
    assert [row[2] for row in content(world, "mails")] == ["[redacted]"] * 3 + ["x"]
