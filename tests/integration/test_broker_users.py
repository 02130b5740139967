"""The users that `deploy/redis/render.sh` makes: enough for everything that is done, and not more."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from tests.brokerlife import SHOP, TASK, TENANTS, Denied, Life, instead, rights, weaker
from tests.deployed import KINDS, Deployed, Kind
from tests.repeats import LONG

#: Rights whose lack is tried always; of all the others only by `make test-long`.
SAMPLE = {"worker": ("+brpop",), "beat": ("%W~maintenance",)}


@pytest.fixture(params=KINDS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployed]:
    """The deployed broker, of both kinds."""
    kind: Kind = request.param
    with Deployed(tmp_path / "broker", kind, producers=SHOP) as server:
        yield server


@pytest.fixture
def life(broker: Deployed, home_template: Path, tmp_path: Path) -> Life:
    """Its life, with a home for worker and beat."""
    shutil.copytree(home_template, tmp_path / "home")
    return Life(broker, tmp_path)


def test_enough(life: Life) -> None:
    """Worker, beat, a service and an exporter do all their work, and the server refuses nothing."""
    life.run()


def unneeded(broker: Deployed, user: str, tried: list[str], work: Callable[[], None]) -> list[str]:
    """Return the rights that the user's work goes on without."""
    found = []
    for right in tried:
        for less in weaker(right):
            with instead(broker, user, right, less):
                if not denied(broker, work):
                    found.append(f"{right} -> {less or 'nothing'}")
    return found


def denied(broker: Deployed, work: Callable[[], None]) -> bool:
    """Say whether the server refuses something of this work."""
    try:
        work()
    except Denied:
        return True
    except Exception:
        # Whatever else it comes to, such as a worker that ends, must come from that.
        if not broker.refusals():
            raise
        return True
    return bool(broker.refusals())


@pytest.mark.parametrize(("user", "work"), [("producer-shop", Life.service), ("exporter", Life.exported)])
def test_least_of_who_sends_and_who_looks(life: Life, user: str, work: Callable[[Life], None]) -> None:
    """A service and an exporter cannot do without any right that they have."""
    work(life)
    assert unneeded(life.broker, user, rights(life.broker, user), lambda: work(life)) == []


@pytest.mark.timeout(3600 if LONG else 300)
@pytest.mark.parametrize("broker", KINDS if LONG else KINDS[-1:], indirect=True)
@pytest.mark.parametrize("user", ["worker", "beat"])
def test_least_of_our_processes(life: Life, user: str) -> None:
    """Worker and beat cannot do without any right that they have."""
    tried = [right for right in rights(life.broker, user) if LONG or right in SAMPLE[user]]
    assert tried
    assert unneeded(life.broker, user, tried, life.run) == []


def test_a_service_that_declares_is_told(broker: Deployed) -> None:
    """Celery by itself declares its queue, which a service may not: it hears so, and sends nothing."""
    with (
        Celery("shop", broker=broker.url_of("producer-shop"), set_as_current=False) as app,
        pytest.raises(OperationalError, match=r"(?i)no permissions"),
    ):
        app.send_task(TASK, kwargs=dict(TENANTS), queue="audit", ignore_result=True, retry=False)
    assert broker.refusals() != []


def test_a_restart_keeps_what_was_taken(broker: Deployed) -> None:
    """What a worker took and has not finished is there after a restart, and what it finished is not."""
    with broker.client("worker") as worker:
        for tag in ("one", "two"):
            with worker.pipeline(transaction=True) as taken:
                taken.zadd("unacked_index", {tag: 1}).hset("unacked", tag, "[]").execute()
        with worker.pipeline(transaction=True) as done:
            done.zrem("unacked_index", "one").hdel("unacked", "one").execute()
    broker.stop()
    broker.start()
    with broker.client("worker") as worker:
        assert worker.hgetall("unacked") == {"two": "[]"}
        assert worker.zrange("unacked_index", 0, -1) == ["two"]
    assert broker.refusals() == []
    with (
        redis.Redis.from_url(broker.url_of("default", "x"), protocol=2) as nobody,
        pytest.raises(redis.AuthenticationError),
    ):
        nobody.ping()
