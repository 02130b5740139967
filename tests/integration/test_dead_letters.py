"""Dead letters: kept as they were, shown without their content, put back or dropped, told to the log."""

import datetime as dt
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis

from aegis.embedded.redis import EmbeddedRedis
from aegis.errors import UnknownName, Unreachable
from aegis.operations import deadletters
from aegis.operations.deadletters import DeadLetters, Reason
from aegis.operations.system import System, use
from api import letters
from api.audit import get_audit_events
from tests.starter import starter
from tests.worlds import Builder
from worker.gauges.broker import BrokerCollector

PERSON = "erin@example.com"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """A Redis for this module."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as made:
        yield made


@pytest.fixture
def broker(server: EmbeddedRedis) -> Iterator[redis.Redis]:
    """Its client, with nothing in it."""
    with redis.Redis.from_url(server.url, protocol=2) as client:
        client.flushall()
        yield client


@pytest.fixture
def system(server: EmbeddedRedis, broker: redis.Redis, builder: Builder, tmp_path: Path) -> Iterator[System]:
    """A system with that broker."""
    del broker
    settings = replace(builder.settings("sqlite-one", tmp_path), broker_url=server.url)
    made = use(settings)
    yield made
    made.close()


@pytest.fixture
def put(broker: redis.Redis) -> Callable[..., None]:
    """Puts an entry aside, as a worker does."""
    return DeadLetters(broker).put


@pytest.mark.usefixtures("system")
def test_requeued_as_it_was(broker: redis.Redis, put: Callable[..., None]) -> None:
    """Byte by byte, to the end from which the next message is not taken; the log knows who did it."""
    broker.lpush("erasure", b"the first")
    put("erasure", Reason.UNKNOWN_TASK, b"\xff\x00 " + PERSON.encode(), task="aegis.later")
    (letter,) = letters.dead_letters()
    assert (letter.queue, letter.reason, letter.task) == ("erasure", "unknown-task", "aegis.later")
    assert letters.requeue_dead_letter(letter.id, "ops") == letter
    assert broker.lrange("erasure", 0, -1) == [letter.entry, b"the first"]
    assert letters.dead_letters() == []
    (event,) = get_audit_events(1, action="message:requeue")
    assert (event["actor"], event["target_id"], event["details"]) == (
        "ops",
        "queue erasure",
        {"reason": "unknown-task"},
    )


@pytest.mark.usefixtures("system")
def test_dropped(broker: redis.Redis, put: Callable[..., None]) -> None:
    """One is gone and the others stay; twice is an unknown name."""
    for number in range(3):
        put("audit", Reason.MALFORMED, str(number).encode())
    gone = letters.dead_letters()[1]
    letters.drop_dead_letter(gone.id, "ops")
    assert [letter.entry for letter in letters.dead_letters()] == [b"0", b"2"]
    assert broker.llen("audit") == 0
    with pytest.raises(UnknownName, match="no dead letter"):
        letters.drop_dead_letter(gone.id, "ops")
    with pytest.raises(UnknownName, match="no dead letter"):
        letters.requeue_dead_letter(gone.id, "ops")
    assert len(get_audit_events(10, action="message:drop")) == 1


def test_the_list_does_not_grow_for_ever(
    broker: redis.Redis, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest go, and are counted all the same; what is none of ours in the list is left out."""
    monkeypatch.setattr(deadletters, "KEPT", 3)
    for number in range(5):
        put("seal", Reason.UNREADABLE, str(number).encode())
    found = DeadLetters(broker)
    assert [letter.entry for letter in found.read()] == [b"2", b"3", b"4"]
    assert found.take_counts()[1] == {("seal", "unreadable"): 5}
    broker.rpush(deadletters.LIST, "no letter", json.dumps({"id": 1}), json.dumps([]))
    assert len(found.read()) == 3


@pytest.mark.usefixtures("system")
def test_none_is_kept_for_ever(put: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """It may name people: after two weeks it goes by itself."""
    then = dt.datetime.now(dt.UTC) - dt.timedelta(days=deadletters.KEPT_DAYS, minutes=1)
    with monkeypatch.context() as patched:
        patched.setattr(
            deadletters, "dt", SimpleNamespace(datetime=SimpleNamespace(now=lambda _: then), UTC=dt.UTC)
        )
        put("erasure", Reason.UNREADABLE, b"old")
    put("erasure", Reason.UNREADABLE, b"new")
    letters.tend_dead_letters()
    assert [letter.entry for letter in letters.dead_letters()] == [b"new"]


@pytest.mark.usefixtures("system")
def test_told_to_the_log_once(
    broker: redis.Redis, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many, of which queue, why: also when whoever tells it dies before the counts are forgotten."""
    for _ in range(2):
        put("retention", Reason.FORBIDDEN, b"x")
    put("erasure", Reason.UNREADABLE, PERSON.encode())

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(DeadLetters, "told", die)
        with pytest.raises(KeyboardInterrupt):
            letters.tend_dead_letters()
    put("retention", Reason.FORBIDDEN, b"later")
    assert letters.tend_dead_letters() == 3
    assert letters.tend_dead_letters() == 1
    assert letters.tend_dead_letters() == 0
    told = [
        (event["target_id"], event["details"], event["outcome"])
        for event in get_audit_events(10, action="message:refuse")
    ]
    assert sorted(told, key=str) == sorted(
        [
            ("queue retention", {"reason": "forbidden", "count": 2}, "denied"),
            ("queue erasure", {"reason": "unreadable", "count": 1}, "denied"),
            ("queue retention", {"reason": "forbidden", "count": 1}, "denied"),
        ],
        key=str,
    )
    assert broker.exists(deadletters.COUNTS, deadletters.TAKEN) == 0


def test_by_command(system: System, server: EmbeddedRedis, put: Callable[..., None], tmp_path: Path) -> None:
    """Shown without what is in them; exit 1 while there are any; the other words still go to Celery."""
    environment = {
        "AEGIS_HOME": str(system.settings.home),
        "AEGIS_BROKER_URL": server.url,
        "PATH": os.environ["PATH"],
    }

    def run(*words: str) -> tuple[int, str]:
        ended, out, err = starter().run(words, folder=tmp_path, environment=environment)
        return ended, out + err

    assert run("worker", "dead-letters") == (0, "no dead letters\n")
    put("retention", Reason.WRONG_QUEUE, PERSON.encode(), task="aegis.erasure.run")
    (letter,) = letters.dead_letters()
    ended, said = run("worker", "dead-letters")
    assert ended == 1
    assert all(word in said for word in (letter.id, "retention", "wrong-queue", "aegis.erasure.run"))
    assert PERSON not in said
    ended, said = run("worker", "dead-letters", "--json")
    assert json.loads(said)[0]["bytes"] == len(PERSON)
    assert run("worker", "dead-letters", "--requeue", "x", "--drop", "y")[0] == 2
    assert run("worker", "dead-letters", "--drop", "x")[0] == 2
    assert run("worker", "dead-letters", "--drop", letter.id) == (0, "dropped; it was in queue retention\n")
    ended, said = run("worker", "--no-such-option")
    assert ended == 2
    assert "No such option" in said


def test_beat_says_what_lies_in_the_broker(
    system: System, server: EmbeddedRedis, broker: redis.Redis, put: Callable[..., None]
) -> None:
    """How long each queue is and how many were put aside; a broker that is away is a figure as well."""
    broker.lpush("erasure", "1", "2")
    put("erasure", Reason.MALFORMED, b"x")
    collector = BrokerCollector(letters.broker_load)
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in collector.collect()
        for sample in metric.samples
    }
    assert samples["aegis_broker_up",] == samples["aegis_dead_letters",] == 1
    assert samples["aegis_queue_length", "erasure"] == 2
    assert samples["aegis_queue_length", "retention"] == 0
    use(replace(system.settings, broker_url=server.url.replace(server.url.rsplit(":", 1)[1], "1/0")))
    (metric,) = collector.collect()
    assert [(sample.name, sample.value) for sample in metric.samples] == [("aegis_broker_up", 0)]
    with pytest.raises(Unreachable, match="the broker does not answer"):
        letters.dead_letters()
