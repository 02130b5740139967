"""With producers configured a worker does what they signed, and nothing that anybody makes of it."""

import base64
import contextlib
import copy
import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import redis
import sqlalchemy as sa
from celery import Celery

from aegis.client import Client, Signer
from aegis.embedded.server import free_port
from aegis.envelopes import workers_public_key
from aegis.errors import Pending
from aegis.keys import Secret, new_client_key
from aegis.operations import system
from aegis.operations.deadletters import DeadLetters
from aegis.operations.senders import AHEAD_SECONDS, MOST_SECONDS
from aegis.operations.statuses import Status
from aegis.operations.table import ANONYMIZE, ENFORCE, EXPORT, RECORD, RELAY, ROUTES, RUN, TENANCY_CHECK
from aegis.producers import Message, producer_public_key, sign
from aegis.settings import load_settings
from api import audit, privacy
from cli.stack import Stack
from tests import account, worlds
from tests.workerkit import DEADLINE, parse, wait_until

#: Stands in what is forged, and must be seen nowhere.
CANARY: Final = "canary-7f3a@example.com"
NOBODY: Final = Secret(key_id="0" * 8, material=bytes(range(32)))


def event(target: str) -> dict[str, Any]:
    """Return the arguments of a request to record an event."""
    words = {"action": "test:event", "actor": "shop", "target_type": "order", "target_id": target}
    return {**words, "request_id": target}


@dataclass(kw_only=True)
class Site:
    """Redis, a worker and beat that know two producers, one of them with a new key and an old one."""

    stack: Stack
    aegis: system.System
    keys: Mapping[str, Secret]
    folder: Path
    log: Path

    def ask(self, query: str) -> Any:
        """Ask the control database for one value."""
        with self.aegis.databases.control.connect() as connection:
            return connection.scalar(sa.text(query))

    def push(self, *entries: dict[str, Any]) -> None:
        """Put entries into the queues of the tasks that they name, as they are."""
        with redis.Redis.from_url(self.stack.redis.url, protocol=2) as client:
            for entry in entries:
                client.lpush(entry["properties"]["delivery_info"]["routing_key"], json.dumps(entry))

    def entry(self, task: str, key: str = "new", producer: str = "shop", age: int = 0, **kwargs: Any) -> Any:
        """Return a message as a service in another language writes and signs it."""
        number, queue = str(uuid.uuid4()), ROUTES[task]
        body = json.dumps([[], kwargs, {}]).encode()
        message = Message(task=task, id=number, body=body)
        header = sign(message, self.keys[key], producer=producer, time=int(time.time()) - age)
        return {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"task": task, "id": number, "aegis": header},
            "properties": {
                "body_encoding": "base64",
                "delivery_info": {"exchange": "", "routing_key": queue},
                "delivery_tag": number,
            },
        }

    def event(self, target: str, **options: Any) -> Any:
        """Return a message that records an event once."""
        return self.entry(RECORD, **event(target), **options)

    def recorded(self) -> list[str]:
        """Return the ids of the requests by which events were recorded."""
        query = "SELECT request_id FROM aegis_requests WHERE operation = 'audit.record' ORDER BY request_id"
        with self.aegis.databases.control.connect() as connection:
            return list(connection.scalars(sa.text(query)))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start them on a fresh home, with an application's table of sixty rows."""
    folder = tmp_path_factory.mktemp("site")
    keys = {name: new_client_key(folder / f"{name}.key") for name in ("new", "old", "billing")}
    public = {name: producer_public_key(key) for name, key in keys.items()}
    config = folder / "aegis.toml"
    config.write_text(
        f'home = "{folder / "home"}"\n[operations]\nresend_seconds = 1.0\n'
        "[retention]\nsoft_landing_hours = 0\n"
        f"[worker]\nmetrics_port = {free_port()}\nbeat_metrics_port = {free_port()}\n"
        f'[producers.shop]\nkey = ["{public["new"]}", "{public["old"]}"]\n'
        f'[producers.billing]\nkey = "{public["billing"]}"\ntasks = ["{RECORD}"]\n'
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AEGIS_CONFIG", str(config))
        aegis = system.use(load_settings())
        try:
            with Stack(aegis.settings, log=folder / "log", environment=os.environ) as stack:
                found = Site(
                    stack=stack,
                    aegis=aegis,
                    keys={**keys, "nobody": NOBODY},
                    folder=folder,
                    log=folder / "log",
                )
                with aegis.databases.control.begin() as connection:
                    _fill(connection)
                yield found
            system.use(aegis.settings)
            audit.relay_journals()
            database = worlds.engine(aegis.settings.control.url)
            account.check(
                control=database,
                sources={"default": database},
                home=aegis.settings.home,
                gone={"things": 60 - int(found.ask("SELECT count(*) FROM things"))},
                canaries=[CANARY.encode()],
            )
            database.dispose()
        finally:
            aegis.close()


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    """The same, with its settings in force for the test as well."""
    system.use(running.aegis.settings)
    yield running
    system.current().close()


def _fill(connection: sa.Connection) -> None:
    connection.execute(
        sa.text("CREATE TABLE things (id INTEGER PRIMARY KEY, created_at TIMESTAMP, owner TEXT)")
    )
    rows = [{"id": number, "at": f"20{number % 20:02}-01-01 00:00:00.000000"} for number in range(60)]
    connection.execute(sa.text("INSERT INTO things (id, created_at) VALUES (:id, :at)"), rows)


def test_everything_flows(site: Site) -> None:
    """A service's run is done, a lost one sent again, its events relayed and sealed; an answer comes back."""
    privacy.register_retention_policy("old", "things", retention_days=30)
    privacy.approve_retention_policy("old", actor="legal@example.com")
    site.push(site.entry(ENFORCE, dry_run=False, request_id="one"))
    wait_until(lambda: site.ask("SELECT count(*) FROM things") == 0, "the worker sent itself the run")
    # Nobody sends this one but the reconciler.
    privacy.create_retention_runs("lost")
    done = "SELECT count(*) FROM aegis_runs WHERE state = 'done'"
    wait_until(lambda: site.ask(done) == 2, "the lost run was sent again")
    wait_until(lambda: audit.account_of("old").balances, "its events were relayed")
    wait_until(lambda: site.ask("SELECT count(*) FROM audit_pending") == 0, "they have their leaves")
    service = Client(
        site.stack.redis.url,
        workers_key=workers_public_key(site.aegis.worker_key),
        key_file=site.folder / "new.key",
        producer="shop",
        database_url=site.aegis.settings.control.url,
    )
    service.protect(7.5, 20, request_id="sum", dp_epsilon=0.5)
    assert isinstance(service.result("sum", timeout=60)[0], float)
    service.close()
    with redis.Redis.from_url(site.stack.redis.url, protocol=2) as client:
        assert DeadLetters(client).read() == []


def test_while_keys_change_and_again(site: Site) -> None:
    """By the old key and the new, late and early within bounds, and again: each is done, and once."""
    messages = [
        site.event("new"),
        site.event("old", key="old"),
        site.event("late", age=MOST_SECONDS - 600),
        site.event("early", age=60 - AHEAD_SECONDS),
        site.event("billing", key="billing", producer="billing"),
    ]
    site.push(*messages, *messages)
    expected = ["billing", "early", "late", "new", "old"]
    wait_until(lambda: site.recorded() == expected, "all were recorded")
    with Celery("shop", broker=site.stack.redis.url, set_as_current=False) as app:
        kwargs = event("last")
        signed = Signer("shop", site.folder / "new.key").options(app, RECORD, kwargs)
        app.send_task(RECORD, kwargs=kwargs, queue=ROUTES[RECORD], **signed)
    with redis.Redis.from_url(site.stack.redis.url, protocol=2) as client:
        wait_until(lambda: not client.llen(ROUTES[RECORD]) and not client.hlen("unacked"), "all are done")
    assert site.recorded() == sorted([*expected, "last"])
    assert len(audit.get_audit_events(100, action="custom:test:event")) == 6


def changed(path: str, value: Any) -> Callable[[Any], None]:
    """Return what changes a part of an entry."""

    def change(entry: Any) -> None:
        *places, name = path.split("/")
        for place in places:
            entry = entry[place]
        entry[name] = value(entry[name]) if callable(value) else value

    return change


def moved(queue: str) -> Callable[[Any], None]:
    """Return what moves an entry into another queue."""
    return changed("properties/delivery_info/routing_key", queue)


def renamed(task: str) -> Callable[[Any], None]:
    """Return what makes an entry ask for another task, in the queue of that."""

    def change(entry: Any) -> None:
        entry["headers"]["task"] = task
        moved(ROUTES[task])(entry)

    return change


#: What somebody makes of a message that they have read → why it is refused.
FORGERIES: Final[Mapping[str, tuple[Callable[[Any], None], str]]] = {
    "no signature": (changed("headers/aegis", None), "unsigned"),
    "another body": (
        changed("body", base64.b64encode(json.dumps([[], {"who": CANARY}, {}]).encode()).decode()),
        "forged",
    ),
    "one more blank": (
        changed("body", lambda body: base64.b64encode(base64.b64decode(body) + b" ").decode()),
        "forged",
    ),
    "another id": (changed("headers/id", str(uuid.uuid4())), "forged"),
    "another task of the queue": (renamed(TENANCY_CHECK), "forged"),
    "a task of another queue": (renamed(ANONYMIZE), "forged"),
    "another queue": (moved("erasure"), "wrong-queue"),
    "a later time": (changed("headers/aegis/time", lambda moment: moment + 1), "forged"),
    "another producer": (changed("headers/aegis/producer", "billing"), "forged"),
    "Aegis itself": (changed("headers/aegis/producer", "aegis"), "forged"),
    "an unknown producer": (changed("headers/aegis/producer", "nobody"), "forged"),
    "no time": (changed("headers/aegis/time", None), "malformed"),
    "a signature of nothing": (changed("headers/aegis/signature", ""), "malformed"),
    "more in it": (changed("headers/aegis/more", 1), "malformed"),
    "a time to wait for": (changed("headers/eta", "2099-01-01T00:00:00+00:00"), "forbidden"),
}


def test_what_is_made_of_a_signed_message(site: Site) -> None:
    """Each change is refused with its reason, counted, told to the log, and shown nowhere."""
    before, counted = site.recorded(), _counted(site)
    entries = {}
    for name, (change, reason) in FORGERIES.items():
        entry = copy.deepcopy(site.event("forged"))
        change(entry)
        entries[entry["properties"]["delivery_tag"]] = name, reason, entry
    for name, reason, entry in [
        ("signed by nobody", "forged", site.event("forged", key="nobody")),
        ("signed by another", "forged", site.event("forged", key="billing")),
        ("a week old", "stale", site.event("forged", age=MOST_SECONDS + 60)),
        ("from the future", "stale", site.event("forged", age=-AHEAD_SECONDS - 60)),
        ("not on the list", "not-allowed", site.entry(EXPORT, key="billing", producer="billing", name="x")),
        ("a run", "not-allowed", site.entry(RUN, run_id="x")),
        ("a relay", "not-allowed", site.entry(RELAY)),
    ]:
        entries[entry["properties"]["delivery_tag"]] = name, reason, entry
    site.push(*(entry for _, _, entry in entries.values()))
    with redis.Redis.from_url(site.stack.redis.url, protocol=2) as client:
        letters = DeadLetters(client)
        wait_until(lambda: letters.count() == len(entries), "each was put aside")
        found = {
            entries[json.loads(letter.entry)["properties"]["delivery_tag"]][0]: letter.reason
            for letter in letters.read()
        }
    assert found == {name: reason for name, reason, _ in entries.values()}
    reasons = Counter(found.values())
    assert {reason: _counted(site)[reason] - counted[reason] for reason in reasons} == reasons
    wait_until(lambda: _told() == reasons, "the log was told")
    assert site.recorded() == before
    log = site.log.read_text("utf-8")
    assert not [entry for _, _, entry in entries.values() if _signature(entry) in log]
    assert CANARY not in log
    assert "Traceback" not in log


def test_a_sender_hears_that_its_message_was_refused(site: Site) -> None:
    """With the reason and no more; the request is as unknown as before, and a stranger changes nothing."""
    with contextlib.closing(Client(site.stack.redis.url)) as service:
        nothing = copy.deepcopy(site.event("asked"))
        changed("headers/aegis", None)(nothing)
        site.push(nothing)
        wait_until(lambda: service.status("asked").reason, "the refusal is told")
        told = Status(state="unknown", reason="a message of this id was refused: unsigned")
        assert service.status("asked") == told
        with pytest.raises(
            Pending, match=r"no worker has seen it; a message of this id was refused: unsigned$"
        ):
            service.wait("asked", timeout=0)
        site.push(site.event("asked"))
        assert service.wait("asked", timeout=DEADLINE) == Status(state="done")
        letters = _letters(site)
        site.push(nothing)
        wait_until(lambda: _letters(site) > letters, "it is refused again")
        assert service.status("asked") == Status(state="done")


def _letters(site: Site) -> int:
    with redis.Redis.from_url(site.stack.redis.url, protocol=2) as client:
        return DeadLetters(client).count()


def _signature(entry: Any) -> str:
    """Return an entry's signature, or what is in no log."""
    header = entry["headers"]["aegis"] or {}
    return header.get("signature") or CANARY


def _counted(site: Site) -> Counter[str]:
    """Return how many messages the worker refused, by reason."""
    samples = parse(site.stack.metrics("worker"))
    name = "aegis_messages_refused_total{reason="
    return Counter({key.removeprefix(name)[:-1]: int(value) for key, value in samples.items() if name in key})


def _told() -> Counter[str]:
    """Return what the log has of refused messages, by reason."""
    told: Counter[str] = Counter()
    for event in audit.get_audit_events(100, action="message:refuse"):
        told[event["details"]["reason"]] += event["details"]["count"]
    return told
