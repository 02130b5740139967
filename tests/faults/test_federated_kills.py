"""SIGKILL of the worker's child at every step of a release: the same bytes come out, and one charge."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from aegis.client import Client
from aegis.embedded.redis import EmbeddedRedis
from aegis.envelopes import workers_public_key
from aegis.federated import wire
from aegis.keys import new_client_key
from api.federated import federated_aggregation_protect
from tests.repeats import LONG
from tests.workerkit import client, wait_until, worker
from tests.worlds import Builder, World

TERMS: Any = {"dp_epsilon": 0.5, "dp_sensitivity": 1.0}
#: In a short run not every step is the last one.
STRIDE = 1 if LONG else 9
#: The answer is a file, and so is what is kept of the release.
LARGE = np.ones(20_000, dtype=np.float32)


@pytest.fixture
def world(builder: Builder, tmp_path: Path) -> Iterator[World]:
    """A world on PostgreSQL."""
    made = builder.build("postgresql-one", tmp_path)
    yield made
    made.close()


@pytest.mark.timeout(900)
def test_killed_at_every_step(world: World, tmp_path: Path) -> None:
    """Whatever the child had done, the message that comes back is answered as if nothing had been."""
    new_client_key(tmp_path / "service.key")
    order, settings = tmp_path / "die", world.settings
    environ = {"AEGIS_HOME": str(settings.home), "AEGIS_DATABASE_URL": str(settings.database_url)}
    with EmbeddedRedis(tmp_path / "redis") as redis:
        service = Client(
            redis.url,
            workers_key=workers_public_key(world.system.worker_key),
            key_file=tmp_path / "service.key",
            database_url=settings.control.url,
            inputs=settings.inputs_url,
            outputs=settings.outputs_url,
        )
        options = ("--concurrency", "1", "--queues", "federated")
        words: Any = {"application": "tests.workerkit_deadly", "TEST_DIE": str(order), **environ}
        with worker(tmp_path / "worker", redis.url, *options, **words) as running:
            kills = 0
            for step in itertools.count(1, STRIDE):
                value = LARGE if step % 2 else 1.5
                order.write_text(str(step), "ascii")
                request = service.protect(value, 20, request_id=f"step-{step}", **TERMS)
                answer, report = service.result(request, timeout=60)
                settled(redis.url)
                again, _ = service.result(request)
                kept = federated_aggregation_protect(value, 20, idempotency_key=request, **TERMS)
                assert wire.encode(answer) == wire.encode(again) == wire.encode(kept)
                assert report
                assert one_of_each(world, kills + 1)
                if not order.with_suffix(".died").exists():
                    break
                order.with_suffix(".died").unlink()
                kills += 1
            assert running.alive
        service.close()
    assert kills * STRIDE >= 25, f"only {kills} steps were found to die at"
    # A killed child may leave a file that no row names; it goes when it is old.
    assert list(Path(settings.inputs_url).iterdir()) == []


def settled(broker: str) -> None:
    """Wait until no message is left."""
    with client(broker) as redis:
        wait_until(lambda: not redis.llen("federated") and not redis.hlen("unacked"), "all messages are done")


def one_of_each(world: World, expected: int) -> bool:
    """Whether there are as many charges, releases and answers as requests."""
    queries = (
        "SELECT count(*) FROM aegis_budget_charges",
        "SELECT count(*) FROM aegis_releases WHERE state = 'released'",
        "SELECT count(*) FROM aegis_requests WHERE state = 'done' AND operation = 'federated.protect'",
    )
    with world.control.connect() as connection:
        found = [connection.scalar(sa.text(query)) for query in queries]
    assert found == [expected] * 3
    return True
