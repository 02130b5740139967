"""A service asks by the client, a worker does it, and tells in Redis what became of it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from celery import signals

from aegis.audit.enclosed import enclose
from aegis.client import Client, Status
from aegis.envelopes import client_public_key, workers_public_key
from aegis.errors import Pending, Refused, Unreachable, UsageError
from aegis.keys import client_key
from aegis.operations import requests, statuses, system
from aegis.operations.states import State
from aegis.settings import Settings, load_settings
from api import audit, erasure, privacy
from tests.clientkit import CANARY, Shop, shop
from tests.workerkit import DEADLINE, client, wait_until
from worker.app import app
from worker.statuses import tell

WHO = f"{CANARY}@example.com"
DETAILS = {"email": WHO, "share": 0.5, "list": [1, {"a": None}]}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with a worker, for all tests here: none of them is about the same people as another."""
    with shop(tmp_path_factory.mktemp("shop")) as made, made.at_work():
        yield made


@pytest.fixture
def at(running: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The shop, whose system is this process's."""
    monkeypatch.setattr(system, "_CURRENT", [running.aegis])
    return running


@pytest.fixture
def seeing(at: Shop) -> Iterator[Client]:
    """A client that may also read the control database."""
    made = at.another(database_url=at.aegis.settings.control.url, outputs=at.aegis.settings.outputs_url)
    yield made
    made.close()


def ended(at: Shop, seeing: Client, request: str) -> Status:
    """Wait for the end of a request, as Redis has it; the database, where it has it, has the same."""
    found = at.client.wait(request, timeout=DEADLINE)
    assert seeing.status(request).state == found.state
    return found


def told(at: Shop, request: str) -> dict[str, Any]:
    """Return what stands in Redis, whole; it goes after a day."""
    with client(at.redis.url) as redis:
        assert 86_000 < redis.ttl(f"aegis:status:{request}") <= 86_400
        found: dict[str, Any] = json.loads(redis.get(f"aegis:status:{request}"))
        return found


def test_an_erasure_is_told_from_its_acceptance_to_its_end(at: Shop, seeing: Client) -> None:
    """Held, it waits for the stop; let go, it ends; the person is gone, and their name is nowhere in it."""
    assert at.client.status("erase-1").state == "unknown"
    with pytest.raises(Pending, match="no worker has seen it"):
        at.client.wait("erase-1", timeout=0)
    privacy.stop_operations("a drill", "ops", everywhere=True)
    assert at.client.anonymize_user(user_id=1, tenant_id="acme", request_id="erase-1") == "erase-1"
    held = {"state": "waiting", "waits_for": "hold"}
    wait_until(lambda: at.client.status("erase-1").state == "waiting", "it waits")
    assert told(at, "erase-1") == held
    assert (seeing.status("erase-1").state, seeing.status("erase-1").waits_for) == ("waiting", "hold")
    privacy.start_operations("ops", everywhere=True)
    (run,) = erasure.erasure_runs("erase-1")
    app.send_task("aegis.erasure.run", kwargs={"run_id": run}, connection=_broker(at))
    assert ended(at, seeing, "erase-1") == Status(state=State.DONE)
    assert told(at, "erase-1") == {"state": "done"}
    assert (at.count("users", "id = 1"), at.count("visits", "user_id = 1")) == (0, 0)


def _broker(at: Shop) -> Any:
    return app.connection_for_write(at.redis.url)


def test_every_task_for_services(at: Shop, seeing: Client) -> None:
    """Each is sent by its method, done, and told; what has no row in the database, too."""
    ask = at.client
    assert ended(at, seeing, ask.anonymize_many(user_ids=[2, "3"])) == Status(state="done")
    assert at.count("users", "id IN (2, 3)") == 0
    assert ended(at, seeing, ask.anonymize_many(group="gone")) == Status(state="done", reason="not_found")
    policy = ask.register_policy(name="old", table="visits", timestamp_column="at", retention_days=30)
    assert ended(at, seeing, policy) == Status(state="done")
    privacy.approve_retention_policy("old", "legal")
    kept = at.count("visits")
    assert ended(at, seeing, ask.enforce_retention()) == Status(state="done", reason="dry_run")
    assert at.count("visits") == kept > 0
    done = ask.enforce_retention(dry_run=False, policies=["old"])
    assert ended(at, seeing, done) == Status(state="done")
    assert at.count("visits") == 0
    denied = ask.check_tenant(requesting_tenant="acme", resource_tenant="globex")
    assert ended(at, seeing, denied) == Status(state="done", reason="denied")
    since = "2020-01-01T00:00:00+00:00"
    replayed = ask.replay_erasures(since=since, actor="ops")  # type: ignore[arg-type] # as JSON has it
    assert ended(at, seeing, replayed) == Status(state="done", reason="dry_run")
    released = ask.protect({"loss": 0.5}, 20, dp_epsilon=0.5)
    assert ended(at, seeing, released) == Status(state="done")
    assert seeing.result(released)[0].keys() == {"loss"}


def test_what_is_refused_is_told_without_data(at: Shop, seeing: Client) -> None:
    """The kind of error and what it means; nothing of what was asked for, and nothing of the error's text."""
    ask, few = at.client, {"dp_epsilon": 0.5, "min_participants": 5}
    refused = {
        ask.anonymize_user(user_id=999): "NobodyThere: No row stands for the person who was named.",
        ask.anonymize_user(user_id=CANARY): "UsageError: ",
        ask.anonymize_user(user_id=9, tenant_id=CANARY): "Denied: ",
        ask.register_policy(name="x", table=CANARY): "UnknownName: ",
        ask.enforce_retention(dry_run=False, policies=[CANARY]): "UnknownName: ",
        ask.confirm_copy(request="never", copy="lake", actor=WHO): "UnknownName: ",
        ask.export_audit(name=CANARY): "UnknownName: ",
        ask.protect(1.5, 2, **few): "too_few",  # type: ignore[arg-type]
    }
    for request, reason in refused.items():
        assert (found := ended(at, seeing, request)).state == "failed"
        assert str(found.reason).startswith(reason)
        assert CANARY not in str(told(at, request))


def test_details_travel_sealed_and_are_recorded_once(at: Shop, seeing: Client) -> None:
    """The event has them; the same id again records nothing, and with other details it is refused."""
    words: dict[str, Any] = {"action": "note", "actor": WHO, "target_type": "user", "target_id": 17}
    for _ in range(3):
        at.client.record_audit(**words, details=DETAILS, request_id="note-1")
        assert ended(at, seeing, "note-1") == Status(state="done")
    (event,) = audit.get_audit_events(action="custom:note")
    assert event["details"] == {**DETAILS, "share": "0.5"}
    assert event["actor"] == WHO
    with client(at.redis.url) as looking:
        # Else the last of them could be told after the refusal, of another child.
        wait_until(lambda: not (looking.llen("audit") or looking.hlen("unacked")), "all three are done")
    at.client.record_audit(**words, details={"other": 1}, request_id="note-1")
    wait_until(lambda: at.client.status("note-1").state == "failed", "the refusal")
    assert (
        at.client.status("note-1").reason
        == "Conflict: The same id or name was already used for something else."
    )
    assert at.events("custom:note") == 1


def test_an_envelope_that_does_not_open_is_refused(at: Shop) -> None:
    """To another key, for another request, too large, or no object: an error that quotes nothing."""
    workers = workers_public_key(at.aegis.worker_key)
    another = client_public_key(client_key(at.key_file))
    wrong = {
        "another key": enclose(another, "r", {"a": WHO}),
        "another request": enclose(workers, "q", {"a": WHO}),
        "changed": "AAAA" + enclose(workers, "r", {"a": WHO})[4:],
        "too large": "A" * 60_000,
        "no base64": WHO,
    }
    for sealed in wrong.values():
        with pytest.raises(UsageError, match=r"does not open|base64 of an envelope") as said:
            audit.record_audit_once("r", "note", "a", "user", "1", sealed=sealed)
        assert CANARY not in str(said.value)
    assert audit.record_audit_once("r", "fine", "a", "user", "1", sealed=enclose(workers, "r", {"a": WHO}))


def test_what_passes_is_told_nobody(at: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that failed for a reason that passes was not refused: its sender sends it again."""
    app.loader.import_default_modules()
    monkeypatch.setattr(app, "settings", replace(at.aegis.settings, broker_url=at.redis.url))
    task = app.tasks["aegis.users.anonymize"]
    for error, state in (
        (Unreachable("x"), "unknown"),
        (OSError("x"), "unknown"),
        (UsageError("x"), "failed"),
    ):
        request = type(error).__name__
        task.push_request(id=request, kwargs={})
        signals.task_failure.send(sender=task, exception=error)
        task.pop_request()
        assert at.client.status(request).state == state


def test_a_broker_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """The task goes on, and its worker says so in its log; the service is told to ask again."""
    settings = load_settings({"AEGIS_BROKER_URL": "redis://127.0.0.1:1/0"})
    tell(settings, "one", Status(state="done"))
    assert "Redis does not take the status of request one" in caplog.text
    with pytest.raises(Unreachable, match="ask again"):
        Client("redis://127.0.0.1:1/0").status("one")


def test_a_user_without_the_right_to_read(at: Shop) -> None:
    """The error names the right; with it, this user reads what workers told and nothing else."""
    rights = ["+ping", "+get", "-@dangerous"]
    with client(at.redis.url) as redis:
        redis.acl_setuser("blind", enabled=True, passwords=["+x"], commands=rights, keys=["federated"])
        redis.acl_setuser("reader", enabled=True, passwords=["+x"], commands=rights)
        redis.execute_command("ACL", "SETUSER", "reader", "%R~aegis:status:*")
    place = at.redis.url.rpartition("@")[2]
    with pytest.raises(Refused, match=r"\+get on ~aegis:status:\*"):
        Client(f"redis://blind:x@{place}").status("one")
    assert Client(f"redis://reader:x@{place}").status("one").state == "unknown"


@pytest.mark.parametrize("text", [None, b"", b"nonsense", b"[1]", b'"x"', b"{}"])
def test_what_is_no_status_is_unknown(text: bytes | None) -> None:
    """Redis may hold anything; nobody falls over it."""
    assert statuses.read(text) == Status(state="unknown")


def test_the_last_word_is_the_rows(at: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that another worker ends while this one tells what it read before is at its end in Redis."""
    app.loader.import_default_modules()
    monkeypatch.setattr(app, "settings", replace(at.aegis.settings, broker_url=at.redis.url))
    words: dict[str, Any] = {"operation": "audit.record", "arguments": {}, "open_end": True}
    requests.once(at.aegis, request_id="raced", work=lambda _: None, **words)
    told: list[str] = []

    def late(settings: Settings, request: str, status: Status) -> None:
        if not told:
            with at.aegis.databases.control.begin() as connection:
                connection.execute(
                    sa.text("UPDATE aegis_requests SET state = 'done' WHERE request_id = 'raced'")
                )
            tell(settings, request, Status(state="done"))
        told.append(status.state)
        tell(settings, request, status)

    monkeypatch.setattr("worker.statuses.tell", late)
    task = app.tasks["aegis.audit.record"]
    task.push_request(id="message", kwargs={"request_id": "raced"})
    signals.task_success.send(sender=task, result={"outcome": "done"})
    task.pop_request()
    assert told == ["accepted", "done"]
    assert at.client.status("raced").state == "done"
