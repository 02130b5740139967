"""Redis has no memory left and evicts nothing: it takes no message, and none that it has is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis.embedded.redis import EmbeddedRedis
from tests.workerkit import client, sender, wait_until, worker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of its own."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


def test_a_worker_outlives_a_full_redis(broker: EmbeddedRedis, tmp_path: Path) -> None:
    """What lies in the queue is carried out when there is memory again; the worker is the same."""
    gate = tmp_path / "gate"
    with (
        worker(tmp_path / "worker", broker.url, "--concurrency", "1") as running,
        sender(broker.url) as app,
        client(broker.url) as redis,
    ):
        app.send_task("test.wait", kwargs={"gate": str(gate)})
        wait_until(gate.with_name("gate.begun").exists, "the first task runs")
        for number in range(3):
            app.send_task("test.count", kwargs={"number": number})
        redis.config_set("maxmemory", "1")
        gate.touch()
        running.wait_for("Redis has no memory left")
        redis.config_set("maxmemory", "0")
        wait_until(lambda: redis.llen("ran") >= 3, "the others are carried out")
        assert sorted(redis.lrange("ran", 0, -1)) == ["0", "1", "2"]
        assert running.alive
