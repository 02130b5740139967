"""The race that destroys data, on every walker and every database, for each thing that is done to rows.

The run has counted and stands before its first batch. Then the application changes rows and keeps its
transaction open until the batch is seen to wait for it. What it changed stays as it left it.
"""

import datetime as dt
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.operations.batches import Change, Shard
from aegis.retention.runs import advance
from api import privacy
from tests.integration.test_archives import archived_rows
from tests.integration.test_races import PATIENCE, patient
from tests.workerkit import wait_until
from tests.worlds import CANARY, DAY, World

_COLUMNS: Final = (
    "id BIGINT, tenant {text} NOT NULL, email {text}, kind {text}, created_at {instant}, legal_hold INT, "
    "PRIMARY KEY (id)"
)
_INDEX: Final = "CREATE INDEX by_time ON safety_events (created_at)"
MANY: Final = 20
#: What the application does in one transaction, while the run stands before its first batch.
REFRESH: Final = "UPDATE safety_events SET created_at = :now WHERE id = 7"
HOLD: Final = "UPDATE safety_events SET legal_hold = 1 WHERE id = 8"
ELSEWHERE: Final = "UPDATE safety_events SET kind = 'high' WHERE id = 9"
DELETE: Final = "DELETE FROM safety_events WHERE id = 10"


def plain(world: World) -> None:
    """Make a table without an index on its clock: blocks of the heap, or ranges of the key."""
    world.create("safety_events", _COLUMNS)
    _fill(world, range(MANY))


def ordered(world: World) -> None:
    """Make a table that was appended in the order of its indexed clock."""
    world.create("safety_events", _COLUMNS)
    world.execute(_INDEX)
    _fill(world, range(MANY))


def scattered(world: World) -> None:
    """Make a table with an index on its clock, whose rows lie in no order."""
    world.create("safety_events", _COLUMNS)
    world.execute(_INDEX)
    numbers = list(range(MANY))
    random.Random(7).shuffle(numbers)  # noqa: S311 - the same disorder each time
    _fill(world, numbers)
    world.execute("ANALYZE safety_events")


def partitioned(world: World) -> None:
    """Make a table in partitions by its key, without an index on its clock."""
    world.create("safety_events", _COLUMNS, "PARTITION BY RANGE (id)")
    world.execute("CREATE TABLE low PARTITION OF safety_events FOR VALUES FROM (0) TO (8)")
    world.execute("CREATE TABLE rest PARTITION OF safety_events DEFAULT")
    _fill(world, range(MANY))


def _fill(world: World, numbers: Any) -> None:
    now = dt.datetime.now(dt.UTC)
    row = {"tenant": "acme", "kind": "low", "legal_hold": 0}
    rows = [
        {"id": n, "email": f"{CANARY}.{n}", "created_at": now - (60 - n / 100) * DAY, **row} for n in numbers
    ]
    world.insert("safety_events", rows)


#: Each database with each way through a table, and what the preview calls it, where only one is meant.
WALKS: Final = [
    pytest.param("sqlite+postgresql", ordered, "time slices", id="postgresql-time"),
    pytest.param("sqlite+postgresql", plain, "blocks", id="postgresql-blocks"),
    pytest.param("sqlite+postgresql", scattered, "blocks", id="postgresql-scattered"),
    pytest.param("sqlite+postgresql", partitioned, "", id="postgresql-partitions"),
    pytest.param("sqlite+mariadb", plain, "primary key", id="mariadb-key"),
    pytest.param("sqlite+mariadb", ordered, "", id="mariadb-indexed"),
    pytest.param("sqlite+sqlite", plain, "primary key", id="sqlite-key"),
    pytest.param("sqlite+sqlite", ordered, "", id="sqlite-indexed"),
]
ACTIONS: Final[dict[str, dict[str, Any]]] = {
    "delete": {},
    "anonymize": {"action": "anonymize", "masks": {"email": "surrogate"}},
    "archive": {"archive": {"keep_days": 14}},
}


class Gate:
    """Lets a run come as far as its first batch, and tells when that batch waits for the application."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self._world = world
        self._reached, self._open, self._asked = (threading.Event() for _ in range(3))
        self._granted = threading.Event()
        self._worker: threading.Thread | None = None
        self.slices: list[Any] = []
        real: Callable[..., Change] = Shard.batch

        def batch(shard: Shard, *words: Any) -> Change:
            self._reached.set()
            assert self._open.wait(PATIENCE)
            return real(shard, *words)

        monkeypatch.setattr(Shard, "batch", batch)

    @contextmanager
    def at_the_first_batch(self, run: str) -> Iterator[None]:
        """Work on a run; the block begins when it stands before its first batch."""
        other = self._world.another()
        engine = other.databases.source(self._world.datasource)
        sa.event.listen(engine, "before_cursor_execute", self._before)
        sa.event.listen(engine, "after_cursor_execute", self._after)
        self._worker = threading.Thread(target=lambda: self.slices.append(advance(other, run, 300)))
        self._worker.start()
        try:
            assert self._reached.wait(PATIENCE)
            yield
        finally:
            self._open.set()
            self._worker.join(PATIENCE)

    def until_it_waits(self) -> None:
        """Let the batch go on, and return once it waits for a lock of the application."""
        self._open.set()
        if self._world.dialect != "sqlite":
            wait_until(self._world.lock_waits, "the batch waits", PATIENCE)
            return
        # Nobody can see a wait in SQLite; but what was asked for and is not granted is waited for.
        assert self._asked.wait(PATIENCE)
        assert not self._granted.is_set()

    def _before(self, *event: Any) -> None:
        if self._open.is_set() and event[2] == "BEGIN IMMEDIATE":
            self._asked.set()

    def _after(self, *event: Any) -> None:
        if self._open.is_set() and event[2] == "BEGIN IMMEDIATE":
            self._granted.set()


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(("world", "table", "walker"), WALKS, indirect=["world"])
def test_what_changes_while_the_batch_waits_stays(
    world: World,
    table: Callable[[World], None],
    *,
    walker: str,
    action: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Refreshed, put on hold, or no more of the condition: untouched, not counted and in no archive."""
    table(world)
    _hold_by_column(world, tmp_path)
    world.policy(filter_sql="kind = 'low'", **ACTIONS[action])
    patient(world)
    assert walker in privacy.preview_retention_policy("p").walker
    run = world.start()
    gate = Gate(world, monkeypatch)
    with gate.at_the_first_batch(run), world.app.connect() as mine:
        if world.dialect == "sqlite":
            mine.exec_driver_sql("BEGIN IMMEDIATE")
        mine.execute(sa.text(REFRESH), {"now": world.value(dt.datetime.now(dt.UTC))})
        for statement in (HOLD, ELSEWHERE, DELETE):
            mine.execute(sa.text(statement))
        gate.until_it_waits()
        mine.commit()
    world._removed["safety_events"] += 1  # noqa: SLF001 - in a transaction of its own
    (found,) = gate.slices
    changed = MANY - 4
    assert (found.outcome, found.rows) == ("done", changed)
    assert '"held": 1' in world.run_row(run)["report"]
    assert world.all(f"SELECT id FROM safety_events WHERE email LIKE '{CANARY}%' ORDER BY id") == [7, 8, 9]  # noqa: S608
    if action == "anonymize":
        world.masked["safety_events"] += changed
    if action == "archive":
        assert archived_rows(world, run) == changed


def _hold_by_column(world: World, folder: Path) -> None:
    path = folder / "app.datamap.yaml"
    path.write_text('tables:\n  safety_events: {hold: "legal_hold = 1"}\n')
    source = world.settings.datasources["app"]
    world.configure(datasources={"app": replace(source, datamap=path)})
