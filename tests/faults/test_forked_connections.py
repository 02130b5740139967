"""A worker whose main process used the database before it forked its pool."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis.embedded.postgres import EmbeddedPostgres
from aegis.embedded.redis import EmbeddedRedis
from tests.workerkit import client, sender, wait_until, worker

QUERIES = 200
PER_TASK = 10


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of its own."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def database(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of its own."""
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        yield server


def test_every_child_reads_only_its_own_rows(
    broker: EmbeddedRedis, database: EmbeddedPostgres, tmp_path: Path
) -> None:
    """Of 200 queries from two children at a time each gets its own row, with recycled children too."""
    url = database.url().replace("postgresql://", "postgresql+psycopg://")
    options = ("--concurrency", "2", "--max-tasks-per-child", "5")
    with (
        worker(tmp_path / "worker", broker.url, *options, TEST_DATABASE=url) as running,
        sender(broker.url) as app,
        client(broker.url) as redis,
    ):
        for first in range(0, QUERIES, PER_TASK):
            app.send_task("test.echo", kwargs={"first": first, "queries": PER_TASK})

        def answered() -> bool:
            assert redis.lrange("foreign", 0, -1) == []
            assert "failed" not in running.log
            return int(redis.llen("own")) == QUERIES

        wait_until(answered, "all queries are answered")
        assert {int(number) for number in redis.lrange("own", 0, -1)} == set(range(QUERIES))


def test_a_worker_whose_children_cannot_let_go_ends(broker: EmbeddedRedis, tmp_path: Path) -> None:
    """When a hook that drops the parent's connections fails, no task runs: the worker says so and is gone."""
    with (
        worker(tmp_path / "worker", broker.url, ready=False, TEST_BREAK_CHILDREN="1") as running,
        sender(broker.url) as app,
    ):
        app.send_task("test.count", kwargs={"number": 1})
        running.process.wait(30)
        assert "A child process cannot start" in running.log
        assert "succeeded" not in running.log
