"""Copies elsewhere are asked to forget whoever was erased, and the request is closed when all have."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.doctor.erasures import check_erasures
from aegis.doctor.findings import Verdict
from aegis.doctor.patient import Patient
from aegis.erasure import forgetting
from aegis.errors import Refused, UnknownName, Unreachable
from aegis.settings import CopySettings
from api import audit, privacy
from api.erasure import (
    anonymize_user,
    anonymize_users,
    ask_due_copies,
    confirm_copy,
    erasure_receipt,
    erasure_status,
    overdue_copies,
    recent_erasures,
    request_erasure,
)
from cli import erasing
from tests.oneperson import begin, expect
from tests.receivers import HttpServer
from tests.worlds import ACTOR, World, on

TASK: Final = CopySettings(task="warehouse.forget", queue="warehouse", due_days=14)


class Receiver:
    """Somebody else's queue; it takes nothing where it is told to be away."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Mapping[str, Any]]] = []
        #: Every task that was tried to send.
        self.tried = 0
        #: It is away for the keys of these people.
        self.away_for: set[int] = set()

    def send(self, task: str, queue: str, message: Mapping[str, Any]) -> None:
        """Take a task."""
        self.tried += 1
        if message["key"] in self.away_for:
            away = "the broker does not take it"
            raise Unreachable(away)
        self.sent.append((task, queue, message))


def elsewhere(world: World, **copies: CopySettings) -> None:
    """Go on with other copies."""
    source = world.settings.sources[world.datasource]
    world.configure(datasources={world.datasource: replace(source, copies=copies)})


def change(world: World, values: str) -> None:
    """Change every copy, in the control database."""
    with world.control.begin() as connection:
        connection.exec_driver_sql(f"UPDATE aegis_erasure_copies SET {values}")  # noqa: S608


def again(world: World) -> None:
    """Let the day pass after which a copy is asked again."""
    change(world, "not_before = '2020-01-01 00:00:00.000000' WHERE not_before IS NOT NULL")


def sealed(world: World) -> dict[str, bytes | None]:
    """Return what is kept of the people for each copy."""
    with world.control.connect() as connection:
        rows = connection.execute(sa.text("SELECT name, sealed FROM aegis_erasure_copies"))
        return {row.name: row.sealed for row in rows}


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what `aegis erasure` prints."""
    command, *arguments = words
    getattr(erasing, command).main(arguments, standalone_mode=False)
    return capsys.readouterr().out


@on("sqlite+sqlite", "sqlite+postgresql")
def test_copies_are_asked_and_confirmed(  # noqa: PLR0915 - one story
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is asked in its way, by a person's key alone; the last confirmation closes the request."""
    begin(world, tmp_path)
    (tmp_path / "secret").write_text("for the index\n", "utf-8")
    receiver, server = Receiver(), HttpServer()
    url = server.url.partition("?")[0]
    copies = {
        "warehouse": TASK,
        "index": CopySettings(url=url, secret_file=tmp_path / "secret"),
        "agency": CopySettings(),
    }
    elsewhere(world, **copies)
    done = anonymize_user(7, ACTOR, idempotency_key="one")
    expect(world, done.rows)
    assert (done.status, done.closed_at) == ("done", None)
    assert [(copy.name, copy.kind, copy.asked_at) for copy in done.copies] == [
        ("warehouse", "task", None),
        ("agency", "manual", None),
        ("index", "webhook", None),
    ]
    assert {name: one is not None for name, one in sealed(world).items()} == {
        "warehouse": True,
        "index": True,
        "agency": False,
    }
    asked = {"request": "one", "subject": "user", "key": 7, "datasource": world.datasource}
    with server.running():
        assert ask_due_copies(receiver.send) == 2
        assert ask_due_copies(receiver.send) == 0
        again(world)
        assert ask_due_copies(receiver.send) == 2
    assert receiver.sent == [("warehouse.forget", "warehouse", asked | {"copy": "warehouse"})] * 2
    assert [json.loads(body) for body in server.bodies] == [asked | {"copy": "index"}] * 2
    signed = hmac.new(b"for the index", server.bodies[0], hashlib.sha256).hexdigest()
    assert server.headers[0]["Aegis-Signature"] == f"sha256={signed}"

    with pytest.raises(UnknownName, match="it has: agency, index, warehouse"):
        confirm_copy("one", "lake", ACTOR)
    with pytest.raises(UnknownName, match="two"):
        confirm_copy("two", "warehouse", ACTOR)
    for name in ("warehouse", "index", "warehouse"):
        assert confirm_copy("one", name, ACTOR).closed_at is None
    assert set(sealed(world).values()) == {None}
    again(world)
    assert ask_due_copies(receiver.send) == 0
    told = shown(capsys, "status", "one")
    assert "by a person: aegis erasure confirm" in told
    assert told.count("confirmed 2") == 2
    assert "1 of 3 open" in shown(capsys, "status")
    change(world, "due_at = '2020-01-01 00:00:00' WHERE name <> 'index'")
    assert [(copy.request, copy.name) for copy in overdue_copies()] == [("one", "agency")]
    assert "overdue since 2020-01-01" in shown(capsys, "status", "one")
    doctor = check_erasures(Patient(system=world.system, control_ready=True))
    (late,) = [finding for finding in doctor if finding.verdict is Verdict.FAULT]
    assert late.text.startswith("copy agency of request one was due 2020-01-01")
    assert late.cure == "aegis erasure confirm one agency --actor YOU"

    audit.seal_audit_log()
    before = erasure_receipt("one")
    shown(capsys, "confirm", "one", "agency", "--actor", "privacy@example.com")
    closed = erasure_status("one")
    assert closed.closed_at is not None
    assert overdue_copies() == ()
    confirmed = audit.get_audit_events(action="erasure:copy")
    assert [event["details"]["copy"] for event in confirmed] == ["agency", "index", "warehouse"]
    assert {event["actor"] for event in confirmed} == {ACTOR, "privacy@example.com"}
    assert {event["correlation_id"] for event in confirmed} == {closed.run}
    (ended,) = audit.get_audit_events(action="erasure:close")
    assert (ended["details"]["request"], ended["details"]["copies"]) == ("one", 3)

    receipt = erasure_receipt("one")
    assert (receipt.receipt, receipt.sha256) == (before.receipt, before.sha256)
    assert [(copy["name"], copy["kind"]) for copy in receipt.body["copies"]] == [
        ("agency", "manual"),
        ("index", "webhook"),
        ("warehouse", "task"),
    ]
    assert {copy.event for copy in receipt.copies} == {event["id"] for event in confirmed}
    assert f"by privacy@example.com, event {confirmed[0]['id']}" in shown(capsys, "receipt", "one")
    file = tmp_path / "receipt.json"
    shown(capsys, "receipt", "one", "-o", str(file))
    assert confirmed[0]["id"] in file.read_text("utf-8")
    assert "example.com" not in file.read_text("utf-8")


@on("sqlite+sqlite", "postgresql-one", "mariadb-one")
def test_what_is_not_asked_now_is_asked_later(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A receiver that fails is asked again where it was left; the status says why. Nobody asks in a stop."""
    begin(world, tmp_path)
    receiver = Receiver()
    elsewhere(world, warehouse=TASK)
    request_erasure([7, 8], "two", actor=ACTOR)
    with pytest.raises(Refused, match="confirmed when it is done"):
        confirm_copy("two", "warehouse", ACTOR)
    done = anonymize_users([7, 8], ACTOR, idempotency_key="two")
    assert done.status == "done", done.reason
    expect(world, done.rows)
    keys = [7, 8]
    privacy.stop_operations("look first", ACTOR, everywhere=True)
    assert ask_due_copies(receiver.send) == 0
    assert "is stopped" in shown(capsys, "status", "two")
    privacy.start_operations(ACTOR, everywhere=True)
    receiver.away_for = {8}
    again(world)
    assert ask_due_copies(receiver.send) == 0
    (copy,) = erasure_status("two").copies
    assert (copy.asked_at, copy.reason) == (None, "the broker does not take it")
    # It is not tried again at once.
    assert ask_due_copies(receiver.send) == 0
    receiver.away_for = set()

    # Whoever comes while it is being asked finds nothing to do.
    def send(task: str, queue: str, message: Mapping[str, Any]) -> None:
        assert ask_due_copies(receiver.send) == 0
        receiver.send(task, queue, message)

    again(world)
    assert ask_due_copies(send) == 1
    assert [message["key"] for _, _, message in receiver.sent] == keys
    (copy,) = erasure_status("two").copies
    assert (copy.asked_at is not None, copy.reason) == (True, None)

    # While it is away it is tried once, not for each request.
    expect(world, anonymize_user(9, ACTOR, idempotency_key="nine").rows)
    receiver.tried, receiver.away_for = 0, {7, 8, 9}
    again(world)
    assert (ask_due_copies(receiver.send), receiver.tried) == (0, 1)
    for request in ("two", "nine"):
        assert erasure_status(request).copies[0].reason == "the broker does not take it"
    receiver.away_for = set()
    again(world)
    assert ask_due_copies(receiver.send) == 2


@on("sqlite+sqlite")
def test_what_does_not_fit_into_a_call(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time is up it goes no further; the next call goes on with the next person, or copy."""
    begin(world, tmp_path)
    receiver = Receiver()
    elsewhere(world, lake=TASK, warehouse=TASK)
    expect(world, anonymize_users([7, 8], ACTOR, idempotency_key="two").rows)
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(forgetting, "time", clock)

    def send(task: str, queue: str, message: Mapping[str, Any]) -> None:
        clock.now += world.settings.retention.slice_seconds
        receiver.send(task, queue, message)

    asked = list[tuple[int, list[int]]]()
    for _ in range(4):
        receiver.sent.clear()
        count = ask_due_copies(send)
        asked.append((count, [message["key"] for _, _, message in receiver.sent]))
        assert [copy.reason for copy in erasure_status("two").copies] == [None, None]
    assert sorted(asked) == [(0, [7]), (0, [7]), (1, [8]), (1, [8])]
    assert ask_due_copies(send) == 0
    assert all(copy.asked_at for copy in erasure_status("two").copies)


@on("sqlite+sqlite")
def test_a_copy_that_is_named_otherwise_since(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was owed is still owed: it is asked in the new way, and of one that is not named it says so."""
    begin(world, tmp_path)
    receiver, server = Receiver(), HttpServer()
    elsewhere(world, warehouse=TASK)
    expect(world, anonymize_user(9, ACTOR, idempotency_key="two").rows)
    hook = CopySettings(url=server.url)
    elsewhere(world, warehouse=hook)
    server.statuses = [302]
    with server.running():
        assert ask_due_copies(receiver.send) == 0
    assert server.methods == ["POST"]
    told = shown(capsys, "status", "two")
    assert "was not asked: HTTP 302" in told
    assert "canary-7f3a" not in told.replace(ACTOR, "")
    elsewhere(world, warehouse=replace(hook, secret_file=tmp_path / "none"))
    again(world)
    assert ask_due_copies(receiver.send) == 0
    assert "none cannot be read" in str(erasure_status("two").copies[0].reason)
    (tmp_path / "none").write_text("\n", "utf-8")
    again(world)
    assert ask_due_copies(receiver.send) == 0
    assert "none is empty; nothing was posted without" in str(erasure_status("two").copies[0].reason)
    assert server.methods == ["POST"]
    elsewhere(world)
    again(world)
    assert ask_due_copies(receiver.send) == 0
    assert "aegis erasure confirm two warehouse" in str(erasure_status("two").copies[0].reason)
    assert confirm_copy("two", "warehouse", ACTOR).closed_at


@on("sqlite-one", "postgresql-one", "mariadb-one")
def test_the_last_ones_at_the_same_time(world: World, tmp_path: Path) -> None:
    """Whoever confirms together, the request is closed once; without copies it is closed when it is done."""
    begin(world, tmp_path)
    done = anonymize_user(8, ACTOR, idempotency_key="none")
    expect(world, done.rows)
    assert done.closed_at
    with pytest.raises(UnknownName, match="no copies were configured"):
        confirm_copy("none", "warehouse", ACTOR)
    (closed,) = audit.get_audit_events(action="erasure:close")
    assert closed["details"]["copies"] == 0
    names = [f"copy-{number}" for number in range(4)]
    elsewhere(world, **dict.fromkeys(names, CopySettings()))
    expect(world, anonymize_user(7, ACTOR, idempotency_key="four").rows)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: confirm_copy("four", name, ACTOR), names * 2))
    assert erasure_status("four").closed_at
    assert len(audit.get_audit_events(action="erasure:copy")) == 4
    assert len(audit.get_audit_events(action="erasure:close")) == 2
    assert all(one.closed_at for one in recent_erasures())


@on("sqlite+postgresql", "sqlite-one")
def test_the_receipt_names_the_last_vacuum(world: World, tmp_path: Path) -> None:
    """Of each table that was changed, where PostgreSQL knows of one; elsewhere nobody can tell."""
    begin(world, tmp_path)
    if world.dialect == "postgresql":
        with world.app.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM visits")
    done = anonymize_user(7, ACTOR, idempotency_key="one")
    expect(world, done.rows)
    audit.seal_audit_log()
    purged = erasure_receipt("one").body["purged"]
    assert set(purged) == {"visits", "posts", "owners", "jobs", "users", "issues", "messages"}
    assert {table for table, moment in purged.items() if moment} == (
        {"visits"} if world.dialect == "postgresql" else set()
    )
