"""Restored from before an erasure: nobody comes back, and nobody else is taken for one who was erased."""

import datetime as dt
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

from aegis.errors import Refused, Tampered, UsageError
from aegis.settings import ErasureSettings
from api import archives, privacy
from api.audit import get_audit_events
from api.erasure import (
    advance_erasure,
    anonymize_user,
    erasure_status,
    replay_erasures,
    request_erasure,
)
from tests.oneperson import MAP, Write, begin, content, expect, put_back
from tests.sourcecopies import copy_source, database_of
from tests.worlds import ACTOR, World, on

LONG_AGO: Final = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
EACH: Final = ("sqlite+sqlite", "sqlite+postgresql", "sqlite+mariadb")
#: The same map, of a table that says when a person came.
BORN: Final = MAP.replace("tenant: org,", "tenant: org, created: born,")


@pytest.fixture
def write(world: World, tmp_path: Path) -> Write:
    """Create the application, and go on with a data map."""
    return begin(world, tmp_path)


def replay(*, execute: bool = False) -> list[tuple[int, int, int]]:
    """Replay; return tombstones, people who are back, and rows elsewhere, by subject."""
    found = replay_erasures(LONG_AGO, actor=ACTOR, execute=execute)
    assert all(one.erasure is None or one.erasure for one in found)
    return [(one.tombstones, one.returned, one.elsewhere) for one in found]


def emails(world: World) -> dict[int, str]:
    """Return id → e-mail."""
    return {row[0]: row[2] for row in content(world, "users")}


@on(*EACH)
@pytest.mark.usefixtures("write")
def test_nobody_comes_back(world: World) -> None:
    """Rows that are there again are found, told, and gone again; then there is nothing left to find."""
    assert replay() == []
    first = anonymize_user(7, ACTOR)
    expect(world, first.rows)
    assert replay(execute=True) == [(1, 0, 0)]
    put_back(world)
    before = world.everything()
    assert replay() == [(1, 1, 0)]
    assert world.everything() == before
    assert replay(execute=True) == [(1, 1, 0)]
    expect(world, first.rows)
    assert "a@example.com" not in emails(world).values()
    assert (emails(world)[8], emails(world)[9]) == ("b@example.com", "c@x.org")
    assert replay(execute=True) == [(2, 0, 0)]
    ended = get_audit_events(action="erasure:run")
    assert [event["details"]["origin"] for event in ended] == ["replay", "call"]
    with pytest.raises(UsageError, match="zone"):
        replay_erasures(LONG_AGO.replace(tzinfo=None), actor=ACTOR)


@on(*EACH)
@pytest.mark.usefixtures("write")
def test_somebody_who_was_erased_twice(world: World) -> None:
    """A second request, for which nothing was left, hides nobody who is back; and nobody is back before."""
    first = anonymize_user(7, ACTOR)
    expect(world, first.rows)
    expect(world, anonymize_user(7, ACTOR).rows)
    assert replay() == [(2, 0, 0)]
    put_back(world)
    assert replay(execute=True) == [(2, 1, 0)]
    expect(world, first.rows)
    assert "a@example.com" not in emails(world).values()
    assert replay(execute=True) == [(3, 0, 0)]


@on(*EACH)
def test_a_key_that_was_used_again(world: World, write: Write) -> None:
    """Somebody else under the same key stays, whoever is older than the erasure goes."""
    instant = {"postgresql": "TIMESTAMPTZ", "mariadb": "DATETIME(6)"}.get(world.dialect, "TIMESTAMP")
    world.execute(f"ALTER TABLE users ADD COLUMN born {instant}")
    write(BORN)
    expect(world, anonymize_user(7, ACTOR).rows)
    put_back(world)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    world.execute("UPDATE users SET email = 'new@x.org', born = :born WHERE id = 7", born=world.value(later))
    world.execute("UPDATE users SET email = 'a@example.com' WHERE id = 9")
    assert replay(execute=True) == [(1, 0, 1)]
    assert emails(world)[7] == "new@x.org"
    # The same person with another address, who was there before the erasure.
    world.execute("UPDATE users SET born = :born WHERE id = 7", born=world.value(LONG_AGO))
    assert replay(execute=True) == [(1, 1, 1)]
    assert emails(world)[7] != "new@x.org"
    expect(world, {"anonymize:users": 1, "nullify:users": 1, "nullify:issues": 2, "anonymize:messages": 4})
    assert replay(execute=True)[0][1:] == (0, 1)


@on("sqlite+sqlite")
def test_times_that_are_texts(world: World, write: Write) -> None:
    """A column of texts says when a person came as well as any other; a text that is no time says nothing."""
    world.execute("ALTER TABLE users ADD COLUMN born TEXT")
    write(BORN.replace("columns: {org: preserve,", "columns: {org: preserve, born: preserve,"))
    expect(world, anonymize_user(7, ACTOR).rows)
    put_back(world)
    later = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).isoformat()
    for born, back in (("long ago", 0), (None, 0), (later, 0), ("2020-01-01", 1), (LONG_AGO.isoformat(), 1)):
        world.execute("UPDATE users SET email = 'new@x.org', born = :born WHERE id = 7", born=born)
        assert replay() == [(1, back, 0)], born


@on(*EACH)
def test_a_table_that_is_not_there_any_more(world: World, write: Write) -> None:
    """Nobody is told that nobody is back where nobody was looked for."""
    expect(world, anonymize_user(7, ACTOR).rows)
    write(MAP.replace("table: users, key", "table: persons, key"))
    with pytest.raises(UsageError, match="subject user: there is no table persons in app"):
        replay()


@on("sqlite+sqlite", "sqlite+postgresql")
@pytest.mark.usefixtures("write")
def test_a_source_that_was_restored(world: World, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Its journal is behind the log: nothing runs on it until a person resumes it, and then a replay does."""
    name = database_of(world)
    copy_source(world, request, name, f"{name}_older", tmp_path)
    first = anonymize_user(7, ACTOR)
    copy_source(world, request, f"{name}_older", name, tmp_path)
    with pytest.raises(Refused, match="restored"):
        anonymize_user(8, ACTOR)
    privacy.resume_source("app", ACTOR)
    assert replay(execute=True) == [(1, 1, 0)]
    expect(world, first.rows)
    assert "a@example.com" not in emails(world).values()


@on("sqlite-one", "postgresql-one")
def test_control_and_data_in_one_database(
    world: World, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A restore takes the tombstones of the control database along; those outside are there."""
    begin(world, tmp_path)
    name, folder = database_of(world), Path(str(world.app.url.database)).parent
    copy_source(world, request, name, f"{name}_older", folder)
    assert anonymize_user(7, ACTOR)
    world.leave()
    copy_source(world, request, f"{name}_older", name, folder)
    world.configure()
    with world.control.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM aegis_tombstones")).scalar() == 0
    done = replay_erasures(LONG_AGO, actor=ACTOR, execute=True)
    assert [(one.tombstones, one.returned) for one in done] == [(1, 1)]
    assert done[0].erasure
    expect(world, done[0].erasure.rows)
    assert "a@example.com" not in emails(world).values()


@on("sqlite+sqlite")
@pytest.mark.usefixtures("write")
def test_a_tombstone_that_somebody_wrote(world: World, tmp_path: Path) -> None:
    """A file that Aegis did not write is refused; without one the erasure does not end."""
    (tmp_path / "file").write_text("")
    world.configure(erasure=ErasureSettings(tombstones=str(tmp_path / "file")))
    report = advance_erasure(request_erasure([7], "one", actor=ACTOR))
    assert report["outcome"] == "retry"
    assert erasure_status("one").rows == report["changed"]
    world.configure(erasure=ErasureSettings(tombstones=str(tmp_path / "stones")))
    with world.control.begin() as connection:
        connection.execute(sa.text("UPDATE aegis_runs SET not_before = NULL"))
    again = anonymize_user(7, ACTOR, idempotency_key="one")
    assert again
    assert again.rows == report["changed"]
    expect(world, again.rows)
    (file,) = (tmp_path / "stones").rglob("*.json")
    assert b"example.com" not in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(b"key_digest", b"key_digesT"))
    with pytest.raises(Tampered):
        replay_erasures(LONG_AGO, actor=ACTOR)


@on(*EACH)
def test_an_archive_from_before(world: World, write: Write) -> None:
    """Rows of whoever was erased since stay away when an archive is brought back; the others are there."""
    world.create("logins", "id INT PRIMARY KEY, who INT REFERENCES users (id), at TIMESTAMP NULL")
    people = enumerate([7, 8, 7, 9])
    world.insert("logins", [{"id": number, "who": who, "at": LONG_AGO} for number, who in people])
    write(MAP + "  logins: {row: delete, via: who}\n")
    world.policy(table="logins", timestamp_column="at", archive={})
    taken = world.enforce()
    assert taken["rows"] == 4
    expect(world, anonymize_user(7, ACTOR).rows)
    privacy.disable_retention_policy("p", ACTOR)
    back = archives.restore_archive(taken["run"], actor=ACTOR, dry_run=False)
    assert (back["rows"], back["tombstones"]) == (2, 2)
    world.came_back("logins", 2)
    assert [row[1] for row in content(world, "logins")] == [8, 9]
