"""What services ask for by the client: every task that is for them, looked at before anything leaves."""

import datetime as dt
import inspect
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from celery import current_app

import tasks
from aegis.client import Client, PolicyTerms, Requests, Terms
from aegis.client.answers import Answers
from aegis.client.sealing import Sealer
from aegis.client.sending import Message
from aegis.envelopes import workers_public_key
from aegis.errors import NotPrepared, Unreachable, UsageError
from aegis.keys import Secret, new_client_key
from aegis.operations.table import FOR_SERVICES, TABLE
from api import federated, privacy

CANARY = "canary-7f3a@example.com"
PERSON = uuid.UUID(int=7)
WORKER = Secret(key_id="w", material=bytes(32))


class Recorder(Requests):
    """Keeps what is asked for."""

    def __init__(self, folder: Path) -> None:
        """Make a key of its own in the folder."""
        new_client_key(folder / "service.key")
        self._sealer = Sealer(workers_public_key(WORKER), folder / "service.key", None)
        self.taken: list[Message] = []

    def _take(self, message: Message) -> None:
        self.taken.append(message)


@pytest.fixture
def asking(tmp_path: Path) -> Recorder:
    """The methods, and what they would send."""
    return Recorder(tmp_path)


#: Each method with every argument that it has.
ASKED: Mapping[str, Mapping[str, Any]] = {
    "anonymize_user": {"user_id": CANARY, "tenant_id": "acme", "actor": CANARY, "subject": "user"}
    | {"datasource": "app"},
    "anonymize_many": {"user_ids": [7, PERSON, ("a", 1)], "group": None, "limit": None, "tenant_id": 3}
    | {"actor": CANARY, "subject": "user", "datasource": "app"},
    "replay_erasures": {"since": "2027-01-31T02:00:00+00:00", "actor": CANARY, "datasource": "app"}
    | {"execute": True},
    "confirm_copy": {"request": "gdpr-17", "copy": "lake", "actor": CANARY},
    "register_policy": {"name": "p", "table": "t", "retention_days": 30, "review_by": dt.date(2031, 1, 31)}
    | {"windows": ("22:00-06:00",), "guards": {"max_rows": 5}},
    "enforce_retention": {"dry_run": False, "tenant_id": 5, "policies": ["p"], "actor": CANARY},
    "record_audit": {"action": "note", "actor": CANARY, "target_type": "user", "target_id": 17}
    | {"details": {"email": CANARY}},
    "check_tenant": {"requesting_tenant": "a", "resource_tenant": None},
    "export_audit": {"name": "siem"},
    "protect": {"value": [1.5], "participant_count": 20, "dp_epsilon": 0.5, "participants": {CANARY}},
}
#: What leaves in an envelope.
SEALED: Mapping[str, set[str]] = {
    "record_audit": {"details"},
    "protect": {"value", "participant_count", *Terms.__annotations__},
}


@pytest.mark.parametrize("method", ASKED)
def test_a_method_sends_what_its_task_takes(asking: Recorder, method: str) -> None:
    """It has that task's arguments and no others; the id is the message's too, and returned."""
    assert tasks.__all__
    words = ASKED[method]
    assert getattr(asking, method)(**words, request_id="one") == "one"
    (message,) = asking.taken
    task = current_app.tasks[message.task]
    inspect.signature(task.run).bind(**message.arguments)
    taken = inspect.signature(task.run).parameters
    assert ("request_id" in message.arguments) == ("request_id" in taken)
    sealed = SEALED.get(method, set())
    if method not in {"register_policy", "protect"}:  # which take the words of their doors
        offered = set(inspect.signature(getattr(asking, method)).parameters)
        assert offered - sealed == set(taken) - {"details", "sealed"} | {"request_id"}
    assert message.request_id == "one"
    assert set(words) - set(message.arguments) == sealed & set(words)
    assert CANARY not in repr(message)


def test_the_methods_are_the_tasks_for_services(asking: Recorder) -> None:
    """One method for each, and none for what Aegis sends itself."""
    methods = {name for name, _ in inspect.getmembers(Requests, inspect.isfunction) if name[0] != "_"}
    assert methods == set(ASKED)
    for method, words in ASKED.items():
        getattr(asking, method)(**words)
    sent = [message.task for message in asking.taken]
    assert sorted(sent) == sorted(FOR_SERVICES)
    assert {entry.name for entry in TABLE} - FOR_SERVICES == {
        "aegis.retention.run",
        "aegis.erasure.run",
        "aegis.audit.relay",
        "aegis.audit.seal",
        "aegis.operations.reconcile",
        "aegis.catalog.scan",
    }
    assert len({message.request_id for message in asking.taken}) == len(ASKED)


@pytest.mark.parametrize(
    ("door", "terms", "besides"),
    [
        (privacy.register_retention_policy, PolicyTerms, {"name", "table"}),
        (
            federated.federated_aggregation_protect,
            Terms,
            {"aggregated_value", "participant_count", "idempotency_key", "return_report"},
        ),
    ],
    ids=["register", "protect"],
)
def test_the_terms_are_the_doors(door: Callable[..., Any], terms: type, besides: set[str]) -> None:
    """A word of a door that the client does not know, or knows as something else, is found here."""
    taken = {
        name: hint for name, hint in get_type_hints(door, include_extras=True).items() if name != "return"
    }
    told = get_type_hints(terms, include_extras=True)
    assert taken.keys() - besides == told.keys()
    different = {name for name in told if taken[name] != told[name]}
    assert different <= {"participants"}, "a list of texts there, any collection of them here"


#: What is refused before anything leaves: the method, what is wrong, and the argument that is named.
WRONG: list[tuple[str, Mapping[str, Any], str]] = [
    *[("export_audit", {"request_id": word}, "request_id") for word in ("", "a b", "x" * 65, "ü", 7)],
    *[
        ("anonymize_user", {"user_id": word}, "user_id")
        for word in (None, "", [], True, 1.5, {"a": 1}, [[1]])
    ],
    ("anonymize_user", {"actor": ""}, "actor"),
    ("anonymize_user", {"tenant_id": ["a"]}, "tenant_id"),
    ("anonymize_user", {"datasource": 5}, "datasource"),
    *[("anonymize_many", {"user_ids": word}, "user_ids") for word in ("abc", [], 5, [None], {"a": 1})],
    ("anonymize_many", {"group": "old"}, "never both"),
    ("anonymize_many", {"user_ids": None}, "never both"),
    ("replay_erasures", {"since": dt.datetime(2027, 1, 31)}, "since"),  # noqa: DTZ001 - the point
    ("replay_erasures", {"since": "yesterday"}, "since"),
    ("replay_erasures", {"execute": "no"}, "execute"),
    ("confirm_copy", {"request": "a b"}, "request"),
    ("confirm_copy", {"copy": None}, "copy"),
    ("register_policy", {"nope": 1}, "nope is no argument"),
    ("register_policy", {"zone": 5}, "zone"),
    ("register_policy", {"guards": {"max_rows": {1}}}, "plain data"),
    ("register_policy", {"retention_days": float("nan")}, "plain data"),
    ("enforce_retention", {"policies": "abc"}, "policies"),
    ("enforce_retention", {"dry_run": 0}, "dry_run"),
    ("record_audit", {"target_id": None}, "target_id"),
    ("record_audit", {"details": {"x": object()}}, "plain data"),
    ("record_audit", {"details": {"x": CANARY * 2000}}, "too large"),
    ("check_tenant", {"requesting_tenant": True}, "requesting_tenant"),
    ("protect", {"value": CANARY.encode}, "expected"),
    ("protect", {"participants": CANARY}, "participants"),
    ("protect", {"epsilon": 1}, "epsilon is no argument"),
]


@pytest.mark.parametrize(
    ("method", "wrong", "said"), WRONG, ids=lambda part: part if isinstance(part, str) else ""
)
def test_what_is_wrong_does_not_leave(
    asking: Recorder, method: str, wrong: Mapping[str, Any], said: str
) -> None:
    """It is refused by the argument's name, quotes nothing, and nothing was sent."""
    with pytest.raises(UsageError, match=said) as told:
        getattr(asking, method)(**{**ASKED[method], **wrong})
    assert not asking.taken
    assert CANARY not in str(told.value)


def test_nothing_shows_what_was_asked(tmp_path: Path) -> None:
    """No client shows its password, and no error an argument; one that passes says to send the same id."""
    client = Client("redis://:s3cr3t@127.0.0.1:1/0", key_file=tmp_path / "none")
    assert repr(client) == "<Client of redis://:***@127.0.0.1:1/0>"
    with pytest.raises(Unreachable, match=r"request one .*send the same id again") as told:
        client.anonymize_user(user_id=CANARY, request_id="one")
    with pytest.raises(NotPrepared, match="workers_key=") as sealed:
        client.record_audit(action="a", actor=CANARY, target_type="user", target_id=1, details={"a": CANARY})
    key_file = tmp_path / "service.key"
    new_client_key(key_file)
    able = Client("redis://127.0.0.1:1/0", key_file=key_file, workers_key=workers_public_key(WORKER))
    with pytest.raises(Unreachable, match="send the same id again") as away:
        able.record_audit(action="a", actor=CANARY, target_type="user", target_id=1, details={"a": CANARY})
    for error in (told.value, sealed.value, away.value):
        assert CANARY not in repr(error)
        assert "s3cr3t" not in repr(error)
        assert error.__cause__ is None
    assert Answers(None, lambda: WORKER, None).status("one") is None
