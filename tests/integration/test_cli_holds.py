"""`aegis hold`, `aegis stop` and `aegis start`, as a person and a program use them."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import options
from tests.shells import ADD, APPROVE, EXECUTE, Shell, empty

HOLD = ("hold", "add", "--matter", "Doe v. Example", "--owner", "legal@example.com")


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A folder with three rows past 90 days, two within them, and an approved policy; it must balance."""
    made = empty(tmp_path)
    made.make_table([400, 200, 100, 10, 1])
    made.configure()
    assert made("migrate", "--datasource", "app").code == 0
    assert made(*ADD, "--tenant-column", "tenant_id").code == 0
    assert made(*APPROVE).code == 0
    yield made
    made.balance()


def test_a_hold_from_its_beginning_to_its_end(shell: Shell) -> None:
    """Placed, listed, obeyed, found overdue by the doctor, and released."""
    assert shell("hold", "list").out == "Nothing is held.\n"
    placed = shell(*HOLD, "--review", "2001-01-01", "--tenant", "t0", "--json").document
    assert placed["in_force"] is True
    listed = shell("hold", "list").out
    assert "tenant t0" in listed
    assert "Doe v. Example" in listed
    assert shell(*EXECUTE).code == 0
    assert shell.rows() == 4
    found = shell("doctor")
    assert "should have been reviewed by 2001-01-01" in found.out
    assert f"aegis hold release {placed['id']}" in found.out
    assert shell("hold", "release", placed["id"], "--actor", "me").code == 0
    assert shell(*EXECUTE).code == 0
    assert shell.rows() == 2
    refused = shell("hold", "release", placed["id"], "--actor", "me")
    assert (refused.code, "released already" in refused.refusal) == (4, True)


def test_a_hold_on_one_row(shell: Shell) -> None:
    """By the key of its table: it stays, the list tells that it is one row, and no output tells which."""
    words = (*HOLD, "--review", "2099-01-01", "--table", "safety_events")
    placed = shell(*words, "--key", "id=2")
    assert placed.code == 0
    listed = shell("hold", "list")
    assert "table safety_events, one row" in listed.out
    document = shell("hold", "list", "--json").out
    assert ('"by_key": true' in document, "key_sealed" in document) == (True, False)
    assert shell(*EXECUTE).code == 0
    assert shell.rows() == 3
    for key, said in (
        (("id=77",), "no row of table safety_events has that key"),
        (("id=2", "id=3"), "names column id twice"),
        (("id",), "expected COLUMN=VALUE"),
        (("tenant_id=t0",), "the primary key of table safety_events is (id)"),
    ):
        refused = shell(*words, *(word for item in key for word in ("--key", item)))
        assert (refused.code, said in refused.refusal) == (2, True)


def test_a_key_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays out of the shell's history and of the list of processes; one line for each `-`."""
    monkeypatch.setattr("sys.stdin", io.StringIO("doe@example.com\n7\n"))
    assert options.row_key(["email=-", "n=-", "part=a=b"]) == {
        "email": "doe@example.com",
        "n": "7",
        "part": "a=b",
    }


def test_wrong_words(shell: Shell) -> None:
    """A date, a time without a zone, and a table that is not there are refused before anything is held."""
    for words, said in (
        (("--review", "soon"), "2027-01-31"),
        (("--review", "2099-01-01", "--since", "2026-01-01T00:00:00"), "--since"),
        (("--review", "2099-01-01", "--table", "nowhere"), "nowhere"),
        (("--review", "2099-01-01", "--policy", "nobody"), "nobody"),
    ):
        refused = shell(*HOLD, *words)
        assert (refused.code, said in refused.refusal) == (2, True)
    assert shell("hold", "list", "--json").document == []


def test_the_kill_switch(shell: Shell) -> None:
    """Stopped: nothing goes and the command says why; started: it goes."""
    stopped = shell("stop", "--all", "--reason", "wrong policy", "--actor", "me")
    assert (stopped.code, stopped.out) == (0, "data source app: stopped\n")
    refused = shell(*EXECUTE)
    assert refused.code == 4
    assert "aegis start" in refused.out
    assert shell.rows() == 5
    assert "aegis start --datasource app" in shell("doctor").out
    assert shell("start", "--datasource", "app", "--actor", "me").out == "data source app: started\n"
    assert shell("start", "--actor", "me").out == "Nothing was stopped.\n"
    assert shell(*EXECUTE).code == 0
    assert shell.rows() == 2


def test_a_source_that_is_away(shell: Shell) -> None:
    """It says NOT yet, with exit code 4, and keeps the stop."""
    (shell.folder / "app.db").rename(shell.folder / "away.db")
    stopped = shell("stop", "--reason", "r", "--actor", "me")
    assert (stopped.code, "NOT yet stopped" in stopped.out) == (4, True)
    held = shell(*HOLD, "--review", "2099-01-01")
    assert (held.code, "put in force when the source answers" in held.err) == (4, True)
    assert [item["state"] for item in shell("hold", "list", "--json").document] == ["placed", "placed"]
    (shell.folder / "away.db").rename(shell.folder / "app.db")
    assert "NOT in force" in shell("doctor").out
    assert shell(*EXECUTE).code == 4
    assert shell.rows() == 5


def test_a_run_is_paused_resumed_and_cancelled(shell: Shell) -> None:
    """The list of runs says which run waits for what; each command says what became of it."""
    assert shell("stop", "--reason", "r", "--actor", "me").code == 0
    assert shell(*EXECUTE).code == 4
    (run,) = shell("retention", "status", "--json").document
    assert f"{run['id']}, is waiting (hold)" in shell("retention", "status").out
    assert shell("retention", "pause", run["id"], "--actor", "me").out == f"Run {run['id']} is paused.\n"
    assert "waiting (paused)" in shell("retention", "status").out
    resumed = shell("retention", "resume", run["id"], "--actor", "me", "--json").document
    assert resumed == {"run": run["id"], "state": "accepted", "rows": None}
    cancelled = shell("retention", "cancel", run["id"], "--actor", "me")
    assert cancelled.out == f"Run {run['id']} is cancelled. 0 rows went before that.\n"
    refused = shell("retention", "pause", run["id"], "--actor", "me")
    assert (refused.code, "is cancelled" in refused.refusal) == (4, True)
