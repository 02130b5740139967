"""Nothing is complete while something of the person is left; what the receipt says is proved."""

import datetime as dt
import json
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

from aegis.errors import Busy, Refused
from api import audit, log
from api.erasure import (
    anonymize_user,
    carry_out_erasure,
    erasure_receipt,
    erasure_status,
    request_erasure,
    resume_erasure,
    verify_erasure,
)
from cli import erasing
from tests.oneperson import MAP, Write, begin, expect
from tests.worlds import ACTOR, World, on

EACH: Final = ("sqlite+sqlite", "sqlite+postgresql", "sqlite+mariadb")
#: The same map, of people who have a name too.
NAMED: Final = MAP.replace("email: email}", "email: email, name: name}").replace(
    "email: surrogate}}", "email: surrogate, name: null}}"
)


@pytest.fixture
def write(world: World, tmp_path: Path) -> Write:
    """Create the application, and go on with a data map."""
    return begin(world, tmp_path)


@on(*EACH)
@pytest.mark.usefixtures("write")
def test_a_copy_that_the_map_does_not_know(world: World) -> None:
    """Their e-mail in a table of its own keeps the erasure from its end; it is named, and never quoted."""
    world.execute("CREATE TABLE letters (id INT PRIMARY KEY, remark VARCHAR(90))")
    world.execute("INSERT INTO letters VALUES (1, 'cc: A@Example.com!'), (2, 'aa@example.com.au')")
    done = anonymize_user(7, ACTOR, idempotency_key="one")
    expect(world, done.rows)
    assert not done
    assert done.status == "blocked"
    assert "1 row of letters.remark (email)" in str(done.reason)
    assert "example.com" not in str(done.reason).lower()
    with world.control.connect() as connection:
        reports = connection.execute(sa.text("SELECT report FROM aegis_runs")).scalars().all()
    (hit,) = json.loads(reports[0])["residual"]
    assert (hit["table"], hit["rows"], hit["samples"]) == ("letters", 1, ["id=1"])
    with pytest.raises(Refused, match="when it is done"):
        erasure_receipt("one")
    assert resume_erasure("one", ACTOR).status == "accepted"
    assert carry_out_erasure("one").status == "blocked"
    world.execute("DELETE FROM letters WHERE id = 1")
    resume_erasure("one", ACTOR)
    assert carry_out_erasure("one")


@on(*EACH)
def test_a_name_that_two_people_have(world: World, write: Write) -> None:
    """It is listed for somebody to look at, and blocks nothing; in a row of the person's own it does."""
    world.execute("ALTER TABLE users ADD COLUMN name VARCHAR(90)")
    world.execute("UPDATE users SET name = 'Anna Schmidt' WHERE id IN (7, 9)")
    write(NAMED)
    done = anonymize_user(7, ACTOR)
    assert done.status == "done", done.reason
    expect(world, done.rows)
    audit.relay_journals()
    audit.seal_audit_log()
    body = erasure_receipt(str(done.request)).body
    assert body["searched"]["identifiers"] == ["email", "name"]
    assert body["searched"]["to_look_at"] == [
        {"table": "users", "column": "name", "identifier": "name", "rows": 1}
    ]
    write(NAMED.replace("name: null", "name: preserve"))
    done = anonymize_user(9, ACTOR)
    assert done.status == "blocked"
    assert "users.name (name)" in str(done.reason)
    expect(world, done.rows)


@on("sqlite+sqlite", "sqlite+postgresql")
@pytest.mark.usefixtures("write")
def test_looking_again(world: World) -> None:
    """Before, it says what is there; afterwards the map reaches nothing, and given texts are searched for."""
    before = verify_erasure(["7"])
    assert (before.clean, before.identifiers) == (False, ("email",))
    assert before.rows["delete:visits"] == 3
    expect(world, anonymize_user(7, ACTOR).rows)
    after = verify_erasure(["7"])
    assert (after.clean, after.rows, after.identifiers) == (True, {}, ())
    assert verify_erasure(["7"], identifiers={"email": "a@example.com"}).clean
    world.execute("UPDATE posts SET body = 'ask a@example.com' WHERE id = 4")
    found = verify_erasure(["4711"], identifiers={"email": "a@example.com"})
    (hit,) = found.hits
    assert (found.clean, hit.table, hit.column, hit.rows) == (False, "posts", "body", 1)


@on("sqlite+sqlite", "sqlite+postgresql")
@pytest.mark.usefixtures("write")
def test_a_receipt(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was done, what stays, what was searched; its digest stands in the log."""
    request_erasure([7], "one", actor=ACTOR, tenant_id="acme")
    (asked,) = audit.get_audit_events(action="erasure:request")
    assert world.system.keystore.existing(asked["target_id"]) is not None
    done = carry_out_erasure("one")
    expect(world, done.rows)
    with pytest.raises(Busy):
        erasure_receipt("one")
    audit.seal_audit_log()
    found = erasure_receipt("one")
    assert found.body["changed"] == done.rows
    stays = {"reason": "tax law", "until": "2040-01-01"}
    assert found.body["retained"] == [
        {"table": "items", "rows": 3, **stays},
        {"table": "invoices", "rows": 2, **stays},
    ]
    assert found.body["outcome"] == "anonymous"
    keys = world.system.epochs.destroyed_by(dt.datetime.fromisoformat(found.body["ended_at"]))
    assert keys is not None
    assert found.body["keys_gone"] == keys.date().isoformat()
    assert "backups and exports" in found.body["searched"]["not_searched"]
    assert "example.com" not in found.receipt
    entry = log.check_proof(found.proof, log.trusted(vkey=log.signing_keys()[0].verifier.vkey))
    assert (entry["details"]["receipt"], entry["id"]) == (found.sha256, found.event)
    assert world.system.keystore.existing(asked["target_id"]) is None
    assert erasure_status("one").rows == done.rows

    erasing.receipt.main(["one"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "2 rows of invoices: tax law, until 2040-01-01" in shown
    assert f"in backups until {found.body['keys_gone']}" in shown
    assert found.sha256 in shown
    file = tmp_path / "receipt.json"
    erasing.receipt.main(["one", "-o", str(file)], standalone_mode=False)
    assert json.loads(file.read_text())["receipt"] == found.receipt
