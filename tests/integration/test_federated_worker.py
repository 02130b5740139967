"""A service, Redis, a worker of its own processes and PostgreSQL: there and back, with nothing in clear."""

import base64
import dataclasses
import hashlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from redis import Redis

from aegis.client import Client
from aegis.embedded.redis import EmbeddedRedis
from aegis.envelopes import client_public_key, seal, workers_public_key
from aegis.errors import Pending, UsageError
from aegis.federated import messages, wire
from aegis.keys import client_key, new_client_key
from aegis.operations.deadletters import DeadLetters
from tests.repeats import LONG
from tests.workerkit import client, wait_until, worker
from tests.worlds import Builder, World

TERMS: Any = {"dp_epsilon": 0.5, "dp_sensitivity": 1.0}
#: A service's key that nobody has.
PUBLIC = "aegis-client-1:" + base64.b64encode(bytes(range(1, 33))).decode()
#: Looked for in everything that is written.
CANARY = 70_317.5


@dataclasses.dataclass(kw_only=True)
class Rig:
    """A service, and where its messages go."""

    world: World
    broker: str
    service: Client
    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """The settings of a worker of this world."""
        settings = self.world.settings
        return {"AEGIS_HOME": str(settings.home), "AEGIS_DATABASE_URL": str(settings.database_url)}

    def ask(self, query: str, **values: Any) -> Any:
        """Ask the control database for one value."""
        with self.world.control.connect() as connection:
            return connection.scalar(sa.text(query), values)


@pytest.fixture
def rig(builder: Builder, tmp_path: Path) -> Iterator[Rig]:
    """A service of a world on PostgreSQL, and a Redis without a worker."""
    world = builder.build("postgresql-one", tmp_path)
    new_client_key(tmp_path / "service.key")
    with EmbeddedRedis(tmp_path / "redis") as redis:
        service = Client(
            redis.url,
            workers_key=workers_public_key(world.system.worker_key),
            key_file=tmp_path / "service.key",
            database_url=world.settings.control.url,
            inputs=world.settings.inputs_url,
            outputs=world.settings.outputs_url,
        )
        yield Rig(world=world, broker=redis.url, service=service, folder=tmp_path)
        service.close()
    world.close()


def at_work(rig: Rig) -> Any:
    """Run a worker while the block runs."""
    options = ("--concurrency", "1", "--queues", "federated")
    words: dict[str, Any] = {"application": "worker.app", **rig.environ}
    return worker(rig.folder / "worker", rig.broker, *options, **words)


def test_through_a_worker(rig: Rig) -> None:
    """What is fit is answered once, what is not is refused visibly; nowhere is any of it in clear."""
    values: dict[str, Any] = {
        "number": CANARY,
        "nested": {"layers": {"one": [CANARY, 2.5]}, "bias": np.array([[CANARY]])},
        "million": np.full(1_000_000, CANARY, dtype=np.float32),
    }
    for request, value in values.items():
        rig.service.protect(value, 20, request_id=request, **TERMS)
        rig.service.protect(value, 20, request_id=request, **TERMS)
    with client(rig.broker) as redis:
        waiting = redis.lrange("federated", 0, -1)
        redis.lpush("federated", *reversed(waiting))
        redis.lpush("federated", json.dumps(by_hand(rig, "by-hand")))
    assert sum(map(len, waiting)) < 20_000
    send_unfit(rig)
    with at_work(rig) as running:
        answers = {request: rig.service.result(request, timeout=60) for request in values}
        assert isinstance(rig.service.result("by-hand", timeout=60)[0], float)
        settled(rig)
        assert running.alive
        log = running.log
    for request, value in values.items():
        noised, report = answers[request]
        again = rig.service.result(request)
        assert wire.encode(noised) == wire.encode(again[0])
        assert report == again[1]
        assert alike(noised, value)
    assert float(np.abs(answers["million"][0] - CANARY).max()) > 1
    assert rig.ask("SELECT count(*) FROM aegis_budget_charges") == len(values) + 1
    assert rig.ask("SELECT count(*) FROM aegis_releases WHERE state = 'released'") == len(values) + 1
    check_refused(rig)
    put_aside(rig)
    # Each message ended well, also those that were refused.
    assert log.count("'outcome': 'done'") == 4 * len(values) + 1
    assert log.count("'outcome': 'refused'") == 6
    assert "Traceback" not in log
    assert not nowhere(rig, log, [CANARY, float(answers["number"][0])])
    assert list(Path(rig.world.settings.inputs_url).iterdir()) == []
    (rig.world.settings.home / "planted").write_bytes(np.array([CANARY]).tobytes())
    assert nowhere(rig, log, [CANARY]) == ["planted"], "the search finds what there is to find"


if LONG:  # a message that goes back rests for five seconds

    def test_a_message_goes_back(rig: Rig) -> None:
        """A place that cannot be written keeps no request from its answer once it can be."""
        place = Path(rig.world.settings.outputs_url)
        place.write_text("no folder")
        rig.service.protect(np.ones(50_000), 20, request_id="later", **TERMS)
        with at_work(rig) as running:
            running.wait_for("goes back to its queue")
            with pytest.raises(Pending):
                rig.service.result("later", timeout=0)
            place.unlink()
            assert rig.service.result("later", timeout=60)[0].shape == (50_000,)
            settled(rig)
            assert "Traceback" not in running.log
        assert rig.ask("SELECT count(*) FROM aegis_budget_charges") == 1


def by_hand(rig: Rig, request: str) -> dict[str, Any]:
    """Return a message as docs/examples/protect.mjs writes it, without Celery."""
    public = client_public_key(client_key(rig.folder / "service.key"))
    body = {"aggregated_value": CANARY, "participant_count": 20, "reply_to": public, **TERMS}
    key = workers_public_key(rig.world.system.worker_key)
    sealed = seal(key, wire.encode(body), about=messages.about_request(request))
    words = {"request_id": request, "sealed": base64.b64encode(sealed).decode()}
    number = str(uuid.uuid4())
    properties = {"body_encoding": "base64", "correlation_id": number, "delivery_mode": 2, "priority": 0}
    properties |= {"delivery_tag": number, "reply_to": ""}
    properties["delivery_info"] = {"exchange": "federated", "routing_key": "federated"}
    return {
        "body": base64.b64encode(json.dumps([[], words, {}]).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": "aegis.federated.protect", "id": number, "lang": "js"},
        "properties": properties,
    }


def send_unfit(rig: Rig) -> None:
    """Send what is in clear, forged, without an id, refers to what is not there, or is of too few."""
    send = rig.service._post._app.send_task  # noqa: SLF001 - as a service in another language would
    task, queue = "aegis.federated.protect", dict[str, Any](queue="federated")
    send(task, kwargs={"request_id": "plain", "aggregated_value": [CANARY], "participant_count": 20}, **queue)
    send(task, args=[[CANARY], 20], kwargs={"request_id": "called"}, **queue)
    send(task, kwargs={"request_id": "forged", "sealed": "AAAA"}, **queue)
    send(task, kwargs={"request_id": "missing", **_reference("missing")}, **queue)
    send(task, kwargs={"request_id": "escaping", **_reference("../../x")}, **queue)
    send(task, kwargs={}, **queue)
    rig.service.protect(CANARY, 3, request_id="few", min_participants=5, **TERMS)


def check_refused(rig: Rig) -> None:
    """Whoever looks at its row, or asks for its answer, sees that it was refused."""
    for request in ("plain", "forged", "missing", "escaping"):
        with pytest.raises(UsageError, match=f"request {request}: "):
            rig.service.result(request)
        assert rig.ask("SELECT state FROM aegis_requests WHERE request_id = :id", id=request) == "failed"
    with pytest.raises(PermissionError):
        rig.service.result("few")


def put_aside(rig: Rig) -> None:
    """What is no message of ours waits for a person; dropped, it is nowhere."""
    with Redis.from_url(rig.broker, protocol=2) as redis:
        letters = DeadLetters(redis)
        (letter,) = letters.read()
        assert letter.reason == "forbidden"
        assert json.loads(base64.b64decode(json.loads(letter.entry)["body"]))[1]["request_id"] == "called"
        letters.drop(letter.id)


def settled(rig: Rig) -> None:
    """Wait until no message is left."""
    with client(rig.broker) as redis:
        wait_until(lambda: not redis.llen("federated") and not redis.hlen("unacked"), "all messages are done")


def alike(one: Any, other: Any) -> bool:
    """Whether two values have the same shape and types."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape) == (other.dtype, other.shape)
    return type(one) is type(other)


def nowhere(rig: Rig, log: str, values: list[float]) -> list[str]:
    """Return where one of the values stands in clear, as text or as bytes."""
    needles = [str(value).encode() for value in values]
    needles += [np.array([value], dtype=kind).tobytes() for value in values for kind in ("<f4", "<f8", ">f8")]
    places = {"log": log.encode()}
    with rig.world.control.connect() as connection:
        for table in sa.inspect(connection).get_table_names():
            rows = connection.execute(sa.text(f'SELECT * FROM "{table}"')).all()  # noqa: S608 - its own name
            places[table] = b"\n".join(
                bytes(part) if isinstance(part, bytes | memoryview) else str(part).encode()
                for row in rows
                for part in row
            )
    for file in rig.world.settings.home.rglob("*"):
        if file.is_file():
            places[file.name] = file.read_bytes()
    return [name for name, content in places.items() if any(needle in content for needle in needles)]


def _reference(name: str) -> dict[str, Any]:
    digest = hashlib.sha256(b"").hexdigest()
    return {"reference": {"name": name, "sha256": digest}, "reply_to": PUBLIC, "participant_count": 20}
