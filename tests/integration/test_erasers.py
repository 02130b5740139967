"""Erasers: code of the application that an erasure calls when the rows are gone."""

import datetime as dt
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from click.testing import CliRunner

from aegis.datamap import erasers as registry
from aegis.datamap.erasers import Erased
from aegis.erasure import erasers
from api import erasure
from api.audit import get_audit_events, seal_audit_log
from api.erasure import anonymize_user
from cli.main import main
from tests.integration.test_erasing import DONE
from tests.oneperson import begin, content, expect, put_back
from tests.worlds import ACTOR, World, on

LONG_AGO: Final = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
MODULE: Final = """
from aegis.datamap.erasers import Erased, eraser

CALLS, ANSWERS = [], []

@eraser("avatars")
def avatars(people):
    CALLS.append(list(people))
    answer = ANSWERS.pop(0) if ANSWERS else Erased(erased=len(people))
    if isinstance(answer, BaseException):
        raise answer
    return answer

@eraser("mirrors", datasource="warehouse")
@eraser("desks", subject="agent")
def others(people):
    raise AssertionError
"""


@pytest.fixture
def shop(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The application with its rows, its data map and its erasers."""
    begin(world, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_ERASERS", {})
    (tmp_path / "shop_erasers.py").write_text(MODULE)
    world.configure(hooks=("shop_erasers",))
    yield importlib.import_module("shop_erasers")
    del sys.modules["shop_erasers"]


def keys(shop: ModuleType) -> list[list[Any]]:
    """Return for whom it was called, each time."""
    return [[person.key[0] for person in people] for people in shop.CALLS]


def go_on(world: World, request: str) -> Any:
    """Resume a request, or do not wait any longer, and carry it out."""
    if erasure.erasure_status(request).status == "blocked":
        erasure.resume_erasure(request, ACTOR)
    with world.control.begin() as connection:
        connection.exec_driver_sql("UPDATE aegis_runs SET not_before = NULL")
    return erasure.carry_out_erasure(request)


@on("sqlite+sqlite")
def test_an_eraser_fails_waits_and_ends(world: World, shop: ModuleType) -> None:
    """It is part of the plan; what it may not report blocks, what is not finished waits; then it is told."""
    made = erasure.plan_erasure(["7"])
    assert made.erasers == ("avatars",)
    shown = CliRunner().invoke(main, ["erasure", "plan", "7"])
    assert "erasers" in shown.output
    assert not anonymize_user(7, ACTOR, dry_run=True)
    world.configure(hooks=())
    assert erasure.plan_erasure(["7"]).digest != made.digest
    world.configure(hooks=("shop_erasers",))
    assert shop.CALLS == []

    wrong = {
        "failed (RuntimeError)": RuntimeError("a@example.com"),
        "returned no Erased, but a str": "done",
        "whole numbers, 0 or more": Erased(erased=-1),
        "at most 20 texts of 200 letters": Erased(messages="done"),
        "neither True nor False": Erased(done=None),  # type: ignore[arg-type]
        "names one of the people": Erased(erased=1, messages=["kept for <A@EXAMPLE.com>"]),
    }
    shop.ANSWERS.extend(wrong.values())
    done = anonymize_user(7, ACTOR, idempotency_key="one")
    for number, why in enumerate(wrong):
        assert (done.status, done.rows) == ("blocked", DONE)
        assert "eraser avatars (shop_erasers.avatars)" in str(done.reason)
        assert why in str(done.reason)
        assert "example.com" not in str(done.reason).lower()
        if number < len(wrong) - 1:
            done = go_on(world, "one")
    assert [row[0] for row in content(world, "visits")] == [8, None]
    (person,) = shop.CALLS[0]
    assert (person.key, person.tenant, dict(person.identifiers)) == ((7,), "acme", {"email": "a@example.com"})
    assert "example" not in repr(person)

    shop.ANSWERS.extend([Erased(erased=1, done=False), Erased(retained=2, messages=["2 stay", "2 stay"])])
    done = go_on(world, "one")
    assert (done.status, bool(done)) == ("waiting", False)
    assert str(done.reason).startswith("eraser: avatars was asked, and is not finished")
    assert not erasure.advance_erasure(str(done.run))["more"]
    assert len(shop.CALLS) == len(wrong) + 1
    # What the application writes while it waits goes too.
    world.execute("INSERT INTO visits VALUES (7, '/late')")
    world.born("visits", 1)
    done = go_on(world, "one")
    assert (done.status, done.rows) == ("done", {**DONE, "delete:visits": 4}), done.reason
    expect(world, done.rows)
    assert keys(shop) == [[7]] * (len(wrong) + 2)

    ended = get_audit_events(action="erasure:run")
    assert [event["outcome"] for event in ended] == ["success"] + ["failure"] * len(wrong)
    assert (ended[0]["details"]["erased"], ended[0]["details"]["retained"]) == (
        {"avatars": 2},
        {"avatars": 2},
    )
    assert ended[1]["details"]["erased"] == {"avatars": 1}
    seal_audit_log()
    receipt = erasure.erasure_receipt("one")
    assert receipt.body["erasers"] == [
        {"name": "avatars", "erased": 2, "retained": 2, "messages": ["2 stay"]}
    ]
    shown = CliRunner().invoke(main, ["erasure", "receipt", "one"])
    assert "avatars: 2 erased, 2 retained; 2 stay" in shown.output


@on("sqlite+sqlite")
def test_portions_that_are_done_are_not_called_again(
    world: World, shop: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a crash, and when a slice's time is up; a replay calls for whoever is back."""
    monkeypatch.setattr(erasers, "TOGETHER", 1)
    run = erasure.request_erasure([7, 8, 9], "one", actor=ACTOR)
    shop.ANSWERS.extend([Erased(erased=5), Erased(erased=1), KeyboardInterrupt()])
    while not shop.CALLS:
        assert erasure.advance_erasure(run, 0.0)["more"]
    assert erasure.advance_erasure(run, 0.0)["more"]
    assert keys(shop) == [[7], [8]]
    with pytest.raises(KeyboardInterrupt):
        erasure.advance_erasure(run, 0.0)
    done = erasure.carry_out_erasure("one")
    assert done, done.reason
    expect(world, done.rows)
    assert keys(shop) == [[7], [8], [9], [9]]
    seal_audit_log()
    assert erasure.erasure_receipt("one").body["erasers"][0]["erased"] == 7

    put_back(world)
    shop.CALLS.clear()
    (back,) = erasure.replay_erasures(LONG_AGO, actor=ACTOR, execute=True)
    assert (back.returned, bool(back.erasure)) == (3, True)
    assert keys(shop) == [[7], [8], [9]]
    expect(world, done.rows)


@on("sqlite+sqlite")
def test_what_was_not_finished_goes_on_in_slices(
    world: World, shop: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who were not finished are asked about again, and nobody else, in as many slices as it takes."""
    monkeypatch.setattr(erasers, "TOGETHER", 1)
    run = erasure.request_erasure([7, 8, 9], "one", actor=ACTOR)
    shop.ANSWERS.extend([Erased(done=False), Erased(done=False)])
    found = erasure.advance_erasure(run)
    assert (found["outcome"], keys(shop)) == ("waiting", [[7], [8], [9]])
    with world.control.begin() as connection:
        connection.exec_driver_sql("UPDATE aegis_runs SET not_before = NULL")
    reports = [erasure.advance_erasure(run, 0.0)]
    while reports[-1]["more"]:
        reports.append(erasure.advance_erasure(run, 0.0))
    assert (reports[0]["outcome"], reports[-1]["outcome"]) == ("more", "done")
    assert keys(shop) == [[7], [8], [9], [7], [8]]
    expect(world, erasure.erasure_status("one").rows)
