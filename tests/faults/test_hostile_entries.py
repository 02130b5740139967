"""Entries of a queue that are no message of ours: each is put aside, none is run, and the worker goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_py

from aegis.embedded.redis import EmbeddedRedis
from aegis.operations.deadletters import DeadLetters
from tests.hostile import CANARY, ENTRIES, QUEUE, raw
from tests.workerkit import sender, wait_until, worker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of its own."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


def test_a_worker_outlives_them_all_and_runs_none(broker: EmbeddedRedis, tmp_path: Path) -> None:
    """Each is in the list of dead letters as it was, counted by its reason; the next task is done."""
    hostile = [raw(made) for made in ENTRIES.values()]
    with (
        redis_py.Redis.from_url(broker.url, protocol=2) as redis,
        worker(tmp_path / "worker", broker.url, "--concurrency", "1") as running,
        sender(broker.url) as app,
    ):
        letters = DeadLetters(redis)
        redis.lpush(QUEUE, *hostile)
        wait_until(lambda: letters.count() == len(hostile) or not running.alive, "each was put aside")
        assert running.alive, running.log
        assert sorted(letter.entry for letter in letters.read()) == sorted(hostile)
        app.send_task("test.count", kwargs={"number": 5})
        wait_until(lambda: redis.lrange("ran", 0, -1) == [b"5"], "the worker does the next task")
        wait_until(
            lambda: redis.llen(QUEUE) == redis.hlen("unacked") == 0, "it is acknowledged, which comes after"
        )
        counted = running.scrape()
        refused = {name: count for name, count in counted.items() if "messages_refused" in name}
        assert sum(refused.values()) == len(hostile)
        assert len(refused) > 3
        assert CANARY not in running.log
        assert redis.lrange("ran", 0, -1) == [b"5"]
