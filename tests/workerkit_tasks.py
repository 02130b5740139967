"""Tasks that the tests of the process run. They tell Redis and the disk, not the log, what they did."""

import os
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import redis
from celery import current_app, shared_task

from aegis.errors import Refused

#: Longer than any wait of a test: a task that is to be released and is not fails its test.
PATIENCE = 30.0


def told() -> redis.Redis:
    """Return a client of the test's Redis."""
    return redis.Redis.from_url(os.environ["TEST_REDIS"], protocol=2, decode_responses=True)


@shared_task(name="test.wait")
def wait(gate: str, **_: Any) -> dict[str, Any]:
    """Say that it has begun (with its process id), wait until the gate is a file, say that it is done."""
    path = Path(gate)
    path.with_name(f"{path.name}.begun").write_text(f"{os.getpid()}\n", encoding="ascii")
    end = time.monotonic() + PATIENCE
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)
    path.with_name(f"{path.name}.done").touch()
    return {"operation": "test.wait", "outcome": "done"}


@shared_task(name="test.count")
def count(number: int) -> dict[str, Any]:
    """Record that it ran and in which process, and report one row."""
    redis = told()
    redis.rpush("ran", number)
    redis.rpush("pids", os.getpid())
    return {
        "operation": "test.count",
        "outcome": "done",
        "policy": "p",
        "table": "t",
        "action": "delete",
        "rows": 3,
        "batch_seconds": [0.01, 0.02],
    }


@shared_task(name="test.die")
def die(name: str, times: int | None = None) -> None:
    """Kill the process that carries it out: always, or so many times."""
    redis = told()
    if times is not None and redis.llen(f"died {name}") >= times:
        redis.rpush("survived", name)
        return
    redis.rpush(f"died {name}", os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task(name="test.fail")
def fail(how: str, secret: str) -> None:
    """Fail with a text that quotes its argument, in one of several ways."""
    if how == "database":
        sqlite3.connect(":memory:").execute(f'SELECT * FROM "{secret}"')  # noqa: S608 - it must fail
    message = f"could not find {secret}"
    if how == "plain":
        raise LookupError(message)
    message, cause = "the policy is not approved", LookupError(message)
    raise Refused(message) from cause


@shared_task(name="test.send")
def send(secret: str) -> dict[str, Any]:
    """Send a task that fails with that text."""
    current_app.send_task("test.fail", kwargs={"how": "plain", "secret": secret})
    return {"operation": "test.send", "outcome": "done", "policy": "p", "run": "r-1"}
