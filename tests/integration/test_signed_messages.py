"""Aegis's own transport on a real Redis: it signs what it sends and takes back what it gave."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import redis
from kombu import Consumer, Queue

from aegis.embedded.redis import EmbeddedRedis
from aegis.keys import KeyFiles, Secret
from aegis.operations.deadletters import DeadLetters
from aegis.operations.table import ENFORCE, RELAY, ROUTES
from aegis.producers import producer_public_key
from aegis.settings import ProducerSettings, Settings
from tests.workerkit import DEADLINE, program
from worker.app import AegisApp, build_app

SHOP: Final = producer_public_key(Secret(key_id="0" * 8, material=bytes(range(32))))
QUEUE: Final = ROUTES[ENFORCE]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """A Redis of the module's own."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def broker(server: EmbeddedRedis) -> Iterator[redis.Redis]:
    """The same, empty."""
    with redis.Redis.from_url(server.url, protocol=2) as client:
        client.flushall()
        yield client


@pytest.fixture
def app(server: EmbeddedRedis, tmp_path: Path) -> Iterator[AegisApp]:
    """The shipped application with keys and a producer."""
    KeyFiles(tmp_path).create()
    settings = Settings(
        home=tmp_path, broker_url=server.url, producers={"shop": ProducerSettings(key=(SHOP,))}
    )
    with build_app(settings, imports=(), routes=ROUTES) as made:
        yield made


def header(entry: Any) -> Any:
    """Return what an entry says of its sender."""
    return json.loads(entry)["headers"].get("aegis")


def requeue(message: Any, _: Any) -> None:
    """Put it back, as a worker that ends does."""
    message.requeue()


def restore(_: Any, channel: Any) -> None:
    """Put back what was not acknowledged, as a connection that closes does."""
    channel.qos.restore_unacked_once()


def expire(_: Any, channel: Any) -> None:
    """Put back what nobody acknowledged in time, as another worker does for one that was killed."""
    channel.qos.restore_visible()


@pytest.mark.parametrize("back", [requeue, restore, expire])
def test_a_message_that_goes_back(
    app: AegisApp, broker: redis.Redis, back: Callable[[Any, Any], None]
) -> None:
    """It keeps its signature, whichever way it goes back into its queue, and is let in again."""
    app.send_task(ENFORCE, kwargs={"request_id": "one"}, queue=QUEUE)
    (first,) = broker.lrange(QUEUE, 0, -1)
    assert header(first)["producer"] == "aegis"
    with app.connection_for_read(transport_options={"visibility_timeout": -1}) as connection:
        channel: Any = connection.channel()
        taken: list[Any] = []
        queue: Any = Queue(QUEUE, routing_key=QUEUE)
        with Consumer(
            channel, [queue], callbacks=[lambda _, message: taken.append(message)], accept=["json"]
        ):
            connection.drain_events(timeout=DEADLINE)
            back(taken[0], channel)
            (again,) = broker.lrange(QUEUE, 0, -1)
            assert json.loads(again)["headers"]["redelivered"]
            assert header(again) == header(first)
            connection.drain_events(timeout=DEADLINE)
        assert [message.headers["id"] for message in taken] == [taken[0].headers["id"]] * 2
        taken[1].ack()
    assert DeadLetters(broker).count() == 0


def test_only_our_tasks_are_signed(app: AegisApp, broker: redis.Redis) -> None:
    """A task of somebody else's queue goes there as it is."""
    app.send_task("partner.forget", queue=Queue("partner", routing_key="partner"))
    assert header(broker.lrange("partner", 0, -1)[0]) is None


def test_without_a_key(app: AegisApp, broker: redis.Redis, tmp_path: Path) -> None:
    """What is sent before there are keys is not signed, and not lost where nobody asks for it."""
    (tmp_path / "keys" / "worker.key").unlink()
    app.send_task(ENFORCE, queue=QUEUE)
    assert header(broker.lrange(QUEUE, 0, -1)[0]) is None


def test_told_at_start(server: EmbeddedRedis, tmp_path: Path) -> None:
    """With a producer that cannot be meant, or no key to sign with, worker and beat end with a sentence."""
    wrong = {"AEGIS_PRODUCERS__SHOP__KEY": SHOP, "AEGIS_PRODUCERS__SHOP__TASKS": RELAY}
    right = {"AEGIS_PRODUCERS__SHOP__KEY": SHOP}
    KeyFiles(tmp_path / "worker" / "home").create()
    with (
        program(tmp_path / "worker", server.url, "worker", **wrong) as worker,
        program(tmp_path / "beat", server.url, "beat", **right) as beat,
    ):
        assert (worker.process.wait(DEADLINE), beat.process.wait(DEADLINE)) == (2, 4)
        assert f"aegis: producers.shop: {RELAY} is sent by Aegis itself" in worker.log
        assert "worker.key is missing; run `aegis init`" in beat.log
        assert "Traceback" not in worker.log + beat.log
