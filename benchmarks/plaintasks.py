"""What anybody writes: a Celery task with the statement in it; `celery -A benchmarks.plaintasks worker`."""

import os
from functools import cache

import sqlalchemy as sa
from celery import Celery

from aegis.db.dialects import engine_url

app = Celery("plaintasks", broker=os.environ.get("TEST_REDIS"), backend=os.environ.get("TEST_REDIS"))
app.conf.update(task_default_queue="plain", task_acks_late=True, worker_prefetch_multiplier=1)

#: Of the application's rows.
DELETE = "DELETE FROM events WHERE created_at < now() - interval '90 days'"
RECORD = "INSERT INTO log (action, actor, target) VALUES (:action, :actor, :target)"


@cache
def _engine() -> sa.Engine:
    return sa.create_engine(engine_url(os.environ["BENCH_DATABASE"]))


@app.task(name="plain.delete")
def delete() -> int:
    """Delete what is due."""
    with _engine().begin() as connection:
        return int(connection.execute(sa.text(DELETE)).rowcount)


@app.task(name="plain.record")
def record(action: str, actor: str, target: str) -> None:
    """Record an event."""
    with _engine().begin() as connection:
        connection.execute(sa.text(RECORD), {"action": action, "actor": actor, "target": target})
