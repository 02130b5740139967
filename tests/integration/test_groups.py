"""Groups of the data map: people who are erased by what their rows say, each of them once."""

import datetime as dt
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result

from aegis.errors import Conflict, NobodyInGroup, UsageError
from api import erasure
from api.audit import get_audit_events
from api.erasure import anonymize_users, request_erasure
from cli.main import main
from tests.oneperson import MAP, Write, begin, content, expect
from tests.worlds import ACTOR, TYPES, World, on

EACH: Final = ("sqlite+sqlite", "sqlite+postgresql", "sqlite+mariadb")
GROUPS: Final = (
    "ghost: 1, groups: {inactive: {period: P3Y, from: seen, when: org <> 'none'}, "
    "beta: {when: org = 'beta'}, born: {period: P1Y, from: born}}, "
)
YEAR: Final = dt.timedelta(days=366)


@pytest.fixture
def write(world: World, tmp_path: Path) -> Write:
    """Create the application, with people who were seen long ago and others."""
    use = begin(world, tmp_path)
    world.execute("INSERT INTO users VALUES (1, 'acme', 'nobody', NULL), (10, 'acme', NULL, NULL)")
    world.born("users", 2)
    world.execute(f"ALTER TABLE users ADD COLUMN seen {TYPES[world.dialect]['instant']}")
    world.execute("ALTER TABLE users ADD COLUMN born DATE")
    now = dt.datetime.now(dt.UTC)
    for keys, moment in (((1, 7), now - 4 * YEAR), ((9,), now - 5 * YEAR), ((8,), now - YEAR)):
        for key in keys:
            world.execute("UPDATE users SET seen = :seen WHERE id = :id", seen=world.value(moment), id=key)
    world.execute("UPDATE users SET born = :day WHERE id = 9", day=world.value((now - 2 * YEAR).date()))
    use(MAP.replace("identifiers:", f"{GROUPS}identifiers:"))
    return use


def masked(world: World) -> list[int]:
    """Return whose e-mail address is another than in the beginning."""
    known = {1: "nobody", 7: "a@example.com", 8: "b@example.com", 9: "c@x.org", 10: None}
    return [row[0] for row in content(world, "users") if known[row[0]] != row[2]]


def command(*words: str) -> Result:
    """Run `aegis erasure run`."""
    return CliRunner().invoke(main, ["erasure", "run", "--actor", ACTOR, *words])


@on(*EACH)
@pytest.mark.usefixtures("write")
def test_a_group_is_erased_and_comes_to_rest(world: World) -> None:
    """Of a tenant, up to a limit, then all; who is erased is not asked for again, nor who is being erased."""
    before = world.everything()
    looked = anonymize_users(group="inactive", actor=ACTOR, dry_run=True)
    assert (looked.status, looked.persons, looked.rows["delete:visits"]) == ("dry_run", 2, 3)
    shown = command("--group", "inactive")
    assert (shown.exit_code, "2 of subject user" in shown.output) == (0, True), shown.output
    assert anonymize_users(group="inactive", actor=ACTOR, dry_run=True, limit=1).persons == 1
    assert anonymize_users(group="born", actor=ACTOR, dry_run=True).persons == 1
    assert world.everything() == before

    first = anonymize_users(group="inactive", actor=ACTOR, tenant_id="acme", idempotency_key="one")
    assert (first.status, first.persons, masked(world)) == ("done", 1, [7]), first.reason
    expect(world, first.rows)
    again = anonymize_users(group="inactive", actor=ACTOR, tenant_id="acme", idempotency_key="one")
    assert (again.run, again.status) == (first.run, "done")
    with pytest.raises(Conflict):
        anonymize_users(group="beta", actor=ACTOR, tenant_id="acme", idempotency_key="one")
    (asked,) = get_audit_events(action="erasure:request")
    assert asked["details"]["group"] == "inactive"

    request_erasure(group="beta", request_id="two", actor=ACTOR)
    assert anonymize_users(group="inactive", actor=ACTOR).status == "not_found"
    erasure.cancel_erasure("two", ACTOR)
    done = command("--group", "inactive", "--limit", "5", "--execute")
    assert (done.exit_code, masked(world)) == (0, [7, 9]), done.output
    (newest, *_) = erasure.recent_erasures()
    expect(world, newest.rows)

    requests = len(erasure.recent_erasures())
    for words in (["--execute"], []):
        nobody = command("--group", "inactive", *words)
        assert (nobody.exit_code, "nobody is in group inactive" in nobody.output) == (0, True), nobody.output
    with pytest.raises(NobodyInGroup):
        request_erasure(group="inactive", actor=ACTOR)
    assert len(erasure.recent_erasures()) == requests

    # Who came back under the same key, or was never erased whole, is in it again.
    world.execute("UPDATE users SET email = 'back@example.com' WHERE id = 7")
    last = anonymize_users(group="inactive", actor=ACTOR)
    assert (last.status, last.persons, last.rows) == ("done", 1, {"anonymize:users": 1})
    expect(world, last.rows)
    assert anonymize_users(group="inactive", actor=ACTOR).status == "not_found"


@on("sqlite+sqlite")
@pytest.mark.usefixtures("write")
def test_wrong_words(world: World) -> None:
    """A group that is not there, people and a group or neither, a limit of nothing; nobody is of a tenant."""
    before = world.everything()
    for words, why in (
        ({"group": "inactiv"}, "did you mean inactive?"),
        ({"user_ids": [7], "group": "inactive"}, "never both"),
        ({}, "never both"),
        ({"user_ids": [7], "limit": 1}, "only with a group"),
        ({"group": "inactive", "limit": 0}, "1 or more"),
    ):
        with pytest.raises(UsageError, match=why.replace("?", r"\?")):
            anonymize_users(actor=ACTOR, **words)
    for wrong in (["7", "--group", "inactive"], [], ["--limit", "0", "--group", "inactive"]):
        assert command(*wrong).exit_code == 2
    assert anonymize_users(group="inactive", actor=ACTOR, tenant_id="gamma").status == "not_found"
    assert world.everything() == before
