"""SIGTERM in the middle of a large run: the worker is gone in seconds, and the next one goes on at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.embedded.redis import EmbeddedRedis
from aegis.operations.table import ENFORCE, ROUTES
from tests.conftest import balance
from tests.workerkit import DEADLINE, client, program, sender, wait_until, worker
from tests.worlds import Builder, World
from worker.shutdown import GRACE_SECONDS

ROWS: Final = 20_000
FILL: Final = """
INSERT INTO safety_events (id, tenant, created_at)
SELECT i, 'acme', now() - interval '90 days' + i * interval '1 second' FROM generate_series(1, :rows) i
"""


@pytest.fixture
def world(builder: Builder, tmp_path: Path) -> Iterator[World]:
    """A world on PostgreSQL with many rows that are due; its account must balance."""
    made = builder.build("postgresql-one", tmp_path)
    try:
        made.safety_events()
        made.execute(FILL, rows=ROWS)
        made.born("safety_events", ROWS)
        made.policy()
        yield made
        balance(made)
    finally:
        made.close()


def test_a_large_run_stops_at_a_batch_and_another_worker_resumes_it(world: World, tmp_path: Path) -> None:
    """Nobody waits for the lease of a worker that was told to go: the run is given back at its next batch."""
    words: Any = {
        "application": "worker.app",
        "AEGIS_HOME": str(world.settings.home),
        "AEGIS_DATABASE_URL": str(world.settings.database_url),
        "AEGIS_RETENTION__SOFT_LANDING_HOURS": "0",
        "AEGIS_RETENTION__FIRST_BATCH_ROWS": "50",
        "AEGIS_RETENTION__LARGEST_BATCH_ROWS": "50",
        "AEGIS_THROTTLE__ACTIVE_SESSIONS": "0",
        "AEGIS_THROTTLE__LOCK_WAITS": "0",
        # Longer than the test waits for anything.
        "AEGIS_OPERATIONS__LEASE_SECONDS": "600",
        "AEGIS_RETENTION__SLICE_SECONDS": "60",
        "AEGIS_WORKER__VISIBILITY_TIMEOUT_SECONDS": "7200",
    }
    with EmbeddedRedis(tmp_path / "redis") as redis, client(redis.url) as looking:
        with sender(redis.url) as app:
            asked = {"dry_run": False, "request_id": "one", "policies": ["p"]}
            app.send_task(ENFORCE, kwargs=asked, queue=ROUTES[ENFORCE])
        options = ("--concurrency", "1", "--queues", "retention")
        with worker(tmp_path / "first", redis.url, *options, **words) as running:
            wait_until(lambda: world.count("safety_events") < ROWS, "a batch")
            running.process.terminate()
            assert running.process.wait(GRACE_SECONDS + 20) == 0
        assert 0 < world.count("safety_events") < ROWS
        run = the_run(world)
        assert (run["state"], run["lease_until"], run["attempts"]) == ("running", None, 0)
        assert (looking.llen("retention"), looking.hlen("unacked")) == (1, 0)
        words["AEGIS_RETENTION__LARGEST_BATCH_ROWS"] = "5000"
        with worker(tmp_path / "last", redis.url, *options, **words):
            wait_until(lambda: the_run(world)["state"] == "done", "the run is done")
        assert (world.count("safety_events"), the_run(world)["rows"]) == (0, ROWS)


def the_run(world: World) -> dict[str, Any]:
    """Return the only run."""
    with world.control.connect() as connection:
        return dict(connection.execute(sa.text("SELECT * FROM aegis_runs")).mappings().one())


def test_beat_ends_although_the_exit_was_lost(tmp_path: Path) -> None:
    """A driver may raise an error of its own in the place of the exit: beat ends all the same."""
    words = ("beat", "--scheduler", "tests.workerkit_deaf.DeafScheduler")
    with (
        EmbeddedRedis(tmp_path / "redis") as redis,
        program(tmp_path / "beat", redis.url, *words, application="worker.app") as beat,
    ):
        assert beat.process.wait(DEADLINE) == 0, beat.log
