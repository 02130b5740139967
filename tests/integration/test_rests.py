"""What the law keeps for a time is deleted when that is over, by a request that waited for it."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

from aegis.operations.states import State
from aegis.settings import ErasureSettings
from api import erasure
from api.audit import relay_journals
from api.erasure import anonymize_user, approve_erasure, carry_out_erasure, erasure_receipt, erasure_status
from tests.oneperson import expect
from tests.worlds import ACTOR, DAY, World, on

MAP: Final = """
subjects:
  user: {table: users, key: id, identifiers: {email: email}}
tables:
  users: {row: anonymize, columns: {email: surrogate}}
  invoices: {row: retain, via: buyer, reason: tax law, keep_at_least: {period: P30D, from: issued_at}}
  items: {row: retain, via: invoice, reason: tax law, until: 2026-01-01}
"""
NOW: Final = dt.datetime.now(dt.UTC).replace(microsecond=0)


@pytest.fixture
def shop(world: World, tmp_path: Path) -> Path:
    """A customer with an old and a new invoice, and another customer."""
    world.create("users", "id INT PRIMARY KEY, email VARCHAR(90)")
    world.create("invoices", "id INT PRIMARY KEY, buyer INT REFERENCES users (id), issued_at {instant}")
    world.create("items", "id INT PRIMARY KEY, invoice INT REFERENCES invoices (id), what VARCHAR(90)")
    world.insert("users", [{"id": 1, "email": "one@x.org"}, {"id": 2, "email": "two@x.org"}])
    dates = {1: NOW - 90 * DAY, 2: NOW - 20 * DAY, 3: NOW - 90 * DAY}
    world.insert("invoices", [{"id": n, "buyer": 1 + n // 3, "issued_at": date} for n, date in dates.items()])
    world.insert("items", [{"id": number, "invoice": number, "what": "x"} for number in (1, 2, 3)])
    datamap = tmp_path / "app.datamap.yaml"
    later = (NOW + 5 * DAY).date().isoformat()
    datamap.write_text(MAP.replace("2026-01-01", later), encoding="utf-8")
    source = world.settings.sources[world.datasource]
    world.configure(datasources={world.datasource: replace(source, datamap=datamap)})
    return datamap


def make_due(world: World, request: str) -> None:
    """Let the time of a waiting request come, as far as its row says."""
    with world.control.begin() as connection:
        mine = sa.text("UPDATE aegis_runs SET not_before = created_at WHERE request_id = :id")
        connection.execute(mine, {"id": request})


def age(world: World, days: int) -> None:
    """Let all invoices be older."""
    for number, issued in ((1, 90), (2, 20)):
        moment = world.value(NOW - (issued + days) * DAY)
        world.execute("UPDATE invoices SET issued_at = :at WHERE id = :id", at=moment, id=number)


@on("sqlite+sqlite", "sqlite+postgresql", "sqlite+mariadb")
def test_the_rest_goes_at_its_date(world: World, shop: Path) -> None:
    """Not before the newest row may go; then all of them do, and the keys that were kept are wiped."""
    world.configure(erasure=ErasureSettings(approval=True))
    waiting = anonymize_user(1, ACTOR, idempotency_key="r1")
    approve_erasure("r1", ACTOR, digest=waiting.digest)
    done = carry_out_erasure("r1")
    assert done, done.reason
    expect(world, done.rows)
    assert done.rest is not None
    # Thirty days from the newest invoice, counted generously.
    assert NOW + 10 * DAY <= dt.datetime.fromisoformat(f"{done.rest['on']}T23:59:59+00:00") <= NOW + 13 * DAY
    assert done.request == "r1"
    assert [one.request for one in erasure.recent_erasures()] == ["r1"]
    relay_journals()
    world.system.sequencer.seal()
    assert erasure_receipt("r1").body["rest"] == dict(done.rest)

    rest = done.rest["request"]
    standing = erasure_status(rest)
    assert (standing.status, standing.reason) == (State.WAITING, f"until {done.rest['on']}")
    assert carry_out_erasure(rest).status == "busy", "nobody may begin before its date"
    # Somebody wrote a younger invoice since.
    make_due(world, rest)
    assert carry_out_erasure(rest).status == State.WAITING
    assert world.count("invoices") == 3

    age(world, 30)
    shop.write_text(shop.read_text().replace((NOW + 5 * DAY).date().isoformat(), "2026-01-01"))
    make_due(world, rest)
    asked = carry_out_erasure(rest)
    assert (asked.status, str(asked.reason).partition(":")[0]) == (State.WAITING, "approval")
    approve_erasure(rest, ACTOR, digest=asked.digest)
    finished = carry_out_erasure(rest)
    assert finished, finished.reason
    assert finished.rows == {"delete:items": 2, "delete:invoices": 2}
    assert finished.rest is None
    assert world.ids("invoices") == world.ids("items") == [3]
    with world.control.connect() as connection:
        sealed = connection.execute(sa.text("SELECT sealed FROM aegis_erased_persons")).scalars().all()
    assert sealed == [None, None]


@on("sqlite+sqlite")
def test_whose_end_nobody_can_tell(world: World, shop: Path) -> None:
    """Rows without a time stay, and no request waits for a date that nobody knows."""
    world.execute("UPDATE invoices SET issued_at = NULL WHERE id = 2")
    done = anonymize_user(1, ACTOR, idempotency_key="r1")
    assert done, done.reason
    assert done.rest is None
    expect(world, done.rows)
    # What has ended is deleted like any other row of theirs.
    world.execute("UPDATE invoices SET issued_at = :at WHERE id = 2", at=world.value(NOW - 60 * DAY))
    shop.write_text(
        shop.read_text()
        .replace((NOW + 5 * DAY).date().isoformat(), "2026-01-01")
        .replace("keep_at_least: {period: P30D, from: issued_at}", "until: 2026-01-01")
    )
    again = anonymize_user(1, ACTOR)
    assert again.rows == {"delete:items": 2, "delete:invoices": 2}


@on("sqlite+sqlite")
def test_blocked_before_it_had_a_plan(world: World, shop: Path) -> None:
    """A rest that met a map with a gap deletes its rows when a person resumes it."""
    done = anonymize_user(1, ACTOR)
    expect(world, done.rows)
    assert done.rest is not None
    rest = done.rest["request"]
    age(world, 30)
    text = shop.read_text().replace((NOW + 5 * DAY).date().isoformat(), "2026-01-01")
    shop.write_text(text.replace("columns: {email: surrogate}", "columns: {}"))
    make_due(world, rest)
    assert carry_out_erasure(rest).status == State.BLOCKED
    shop.write_text(text)
    erasure.resume_erasure(rest, ACTOR)
    finished = carry_out_erasure(rest)
    assert (bool(finished), finished.rows) == (True, {"delete:items": 2, "delete:invoices": 2})


@on("sqlite+sqlite", "sqlite+postgresql", "sqlite+mariadb")
@pytest.mark.parametrize("kind", ["DATE", "VARCHAR(40)"])
def test_the_day_of_an_invoice(world: World, shop: Path, kind: str) -> None:
    """A day counts to its end, also where it is kept as text; of a text that is no time nobody can tell."""
    world.execute(f"ALTER TABLE invoices ADD COLUMN day {kind}")
    for number, days in ((1, 90), (2, 20), (3, 90)):
        day = (NOW - days * DAY).date()
        world.execute(
            "UPDATE invoices SET day = :day WHERE id = :id",
            day=world.value(day) if kind == "DATE" else day.isoformat(),
            id=number,
        )
    shop.write_text(shop.read_text().replace("from: issued_at", "from: day").replace("P30D", "P10000D"))
    first = anonymize_user(1, ACTOR)
    expect(world, first.rows)
    assert first.rest is not None
    last = NOW.date() - 20 * DAY + 10_002 * DAY
    assert first.rest["on"] == last.isoformat()
    if kind != "DATE":
        world.execute("UPDATE invoices SET day = 'some day' WHERE id = 2")
        again = anonymize_user(1, ACTOR)
        assert (bool(again), again.rest) == (True, None)
