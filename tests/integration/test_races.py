"""Races with the application: what it changes while a batch waits for its lock is never destroyed."""

import datetime as dt
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from aegis.retention.runs import advance
from aegis.retention.slices import Slice
from api import privacy
from tests.workerkit import wait_until
from tests.worlds import ACTOR, CANARY, World, on

BOTH = ("postgresql-one", "sqlite+postgresql", "mariadb-one", "sqlite+mariadb")
#: Only a failing test waits this long.
PATIENCE = 20.0


@contextmanager
def at_work(world: World, run: str) -> Iterator[list[Slice]]:
    """Advance a run in a thread while the block runs; afterwards the list has its slice."""
    other, found = world.another(), []

    def work() -> None:
        found.append(advance(other, run, 30))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield found
    finally:
        thread.join(PATIENCE)


def patient(world: World) -> None:
    """Let a batch wait for its lock as long as the test needs."""
    limits = world.settings.retention
    fields = {**vars(limits), "lock_timeout_milliseconds": int(PATIENCE * 1000)}
    world.configure(retention=type(limits)(**{**fields, "statement_timeout_milliseconds": 30_000}))


@on(*BOTH)
@pytest.mark.parametrize(
    ("statement", "stays"),
    [
        ("UPDATE safety_events SET created_at = :now WHERE id = 7", True),
        ("UPDATE safety_events SET kind = 'hold' WHERE id = 7", True),
        ("UPDATE safety_events SET tenant = 'beta' WHERE id = 7", True),
        ("DELETE FROM safety_events WHERE id = 7", False),
    ],
    ids=["refreshed", "outside the condition", "another tenant", "deleted"],
)
def test_changed_while_the_batch_waits(world: World, statement: str, stays: bool) -> None:  # noqa: FBT001
    """A row that the application changes under the batch's hands stays; one it deletes is not counted."""
    world.safety_events()
    world.events(range(20), 60)
    world.policy(filter_sql="kind = 'low'", tenant_column="tenant")
    patient(world)
    run = world.start(tenant_id="acme")
    with world.app.connect() as mine:
        words = {"now": world.value(dt.datetime.now(dt.UTC))} if ":now" in statement else {}
        mine.execute(sa.text(statement), words)
        with at_work(world, run) as found:
            wait_until(world.lock_waits, "the batch waits", PATIENCE)
            mine.commit()
    if not stays:
        world._removed["safety_events"] += 1  # noqa: SLF001 - in a transaction of its own
    assert (found[0].outcome, found[0].rows) == ("done", 19)
    assert world.ids() == ([7] if stays else [])


@on(*BOTH)
@pytest.mark.parametrize(
    ("statement", "stays"),
    [
        ("UPDATE safety_events SET created_at = :now WHERE id = 7", 1),
        ("UPDATE safety_events SET kind = 'hold' WHERE id = 7", 1),
        ("UPDATE safety_events SET tenant = 'beta' WHERE id = 7", 1),
        ("UPDATE safety_events SET email = 's1_0123456789abcdef0123456789abcdef' WHERE id = 7", 0),
        ("DELETE FROM safety_events WHERE id = 7", 0),
    ],
    ids=["refreshed", "outside the condition", "another tenant", "masked by somebody else", "deleted"],
)
def test_changed_while_the_batch_waits_to_mask_it(world: World, statement: str, stays: int) -> None:
    """A row that the application changes under the batch's hands is not masked, nor counted."""
    world.safety_events()
    world.events(range(20), 60)
    masks = {"email": "surrogate"}
    world.policy(action="anonymize", masks=masks, filter_sql="kind = 'low'", tenant_column="tenant")
    patient(world)
    run = world.start(tenant_id="acme")
    with world.app.connect() as mine:
        words = {"now": world.value(dt.datetime.now(dt.UTC))} if ":now" in statement else {}
        mine.execute(sa.text(statement), words)
        with at_work(world, run) as found:
            wait_until(world.lock_waits, "the batch waits", PATIENCE)
            mine.commit()
    world._removed["safety_events"] += statement.startswith("DELETE")  # noqa: SLF001 - in a transaction of its own
    world.masked["safety_events"] += 19
    assert (found[0].outcome, found[0].rows) == ("done", 19)
    assert world.count("safety_events", f"email LIKE '{CANARY}%'") == stays


@on(*BOTH)
def test_a_row_refreshed_between_the_stages_is_not_deleted(world: World) -> None:
    """Masked and then refreshed by the application before the deletion gets its lock: it stays."""
    world.safety_events()
    world.events(range(20), 100)
    world.policy(action="anonymize", masks={"email": "surrogate"}, delete_after_days=30)
    patient(world)
    run = world.start()
    while not privacy.advance_run(run, 0)["rows"]:
        continue
    with world.app.connect() as mine:
        words = {"now": world.value(dt.datetime.now(dt.UTC))}
        mine.execute(sa.text("UPDATE safety_events SET created_at = :now WHERE id = 7"), words)
        with at_work(world, run) as found:
            wait_until(world.lock_waits, "the batch waits", PATIENCE)
            mine.commit()
    world.masked["safety_events"] += 20
    assert (found[0].outcome, found[0].actions) == ("done", {"delete": 19})
    assert world.ids() == [7]


@on("postgresql-one", "mariadb-one")
def test_a_lock_makes_batches_smaller_and_the_run_ends_after_it(world: World) -> None:
    """While a row is locked the others go; the run is blocked, and once it is released it completes."""
    world.safety_events()
    world.events(range(60), 60)
    world.policy()
    limits = world.settings.retention
    world.configure(retention=type(limits)(**{**vars(limits), "lock_timeout_milliseconds": 100}))
    run = world.start()
    locked = 59 if world.dialect == "postgresql" else 0
    with world.app.connect() as mine:
        mine.execute(sa.text("SELECT 1 FROM safety_events WHERE id = :id FOR UPDATE"), {"id": locked})
        if world.dialect == "postgresql":
            assert world.finish(run)["outcome"] == "blocked"
            assert world.ids() == [59]
        else:
            # One second for each halving: one lock time-out is enough to see that nothing is lost.
            report = privacy.advance_run(run, seconds=0)
            assert (report["outcome"], report["rows"]) == ("more", 0)
        mine.rollback()
    if world.run_row(run)["state"] == "blocked":
        privacy.resume_run(run, ACTOR)
    assert world.finish(run)["outcome"] == "done"
    assert world.count("safety_events") == 0


@on("postgresql-one", "sqlite+postgresql")
@pytest.mark.parametrize("cascades", [False, True], ids=["alone", "with children"])
def test_a_row_that_stays_locked_is_passed_by(world: World, cascades: bool) -> None:  # noqa: FBT001
    """The rows behind it go in every sweep; the run ends blocked with the number, and resumed it is done."""
    world.safety_events()
    world.events(range(12), 60)
    world.events(range(100, 110), 1)
    if cascades:
        world.create(
            "notes",
            "id BIGINT PRIMARY KEY, event BIGINT, "
            "FOREIGN KEY (event) REFERENCES safety_events (id) ON DELETE CASCADE",
        )
        world.insert("notes", [{"id": n, "event": n} for n in range(12)])
    world.policy(cascades=("notes",) if cascades else ())
    limits = world.settings.retention
    small = {"lock_timeout_milliseconds": 100, "first_batch_rows": 2, "largest_batch_rows": 2}
    world.configure(retention=type(limits)(**{**vars(limits), **small}))
    run = world.start()
    with world.app.connect() as mine:
        mine.execute(sa.text("SELECT 1 FROM safety_events WHERE id = 5 FOR UPDATE"))
        report = world.finish(run)
        left = [n for n in world.ids() if n < 100]
        assert left == [5]
        assert (report["outcome"], report["skipped"]) == ("blocked", len(left))
        assert f"could not be changed: {len(left)}" in report["reason"]
        assert json.loads(world.run_row(run)["report"])["skipped"] == len(left)
        privacy.resume_run(run, ACTOR)
        assert world.finish(run)["outcome"] == "blocked"
        mine.rollback()
    privacy.resume_run(run, ACTOR)
    assert world.finish(run)["outcome"] == "done"
    assert world.run_row(run)["rows"] == 12
    assert world.count("safety_events") == 10


@on("postgresql-one")
def test_a_serialization_failure_is_tried_again(world: World) -> None:
    """In a database that isolates strictly, a row changed meanwhile costs a retry, not the run."""
    world.safety_events()
    world.events(range(30), 60)
    world.policy()
    name = world.all("SELECT current_database()")[0]
    world.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
    patient(world)
    run = world.start()
    with world.app.connect() as mine:
        words = {"now": dt.datetime.now(dt.UTC)}
        mine.execute(sa.text("UPDATE safety_events SET created_at = :now WHERE id = 3"), words)
        with at_work(world, run) as found:
            wait_until(world.lock_waits, "the batch waits", PATIENCE)
            mine.commit()
    assert (found[0].outcome, found[0].rows) == ("done", 29)
    assert world.ids() == [3]


@on("postgresql-one", "mariadb-one")
def test_a_deadlock_is_tried_again(world: World) -> None:
    """Whoever the server chooses as the victim, the run completes and the account is exact."""
    world.safety_events()
    world.events(range(40), 60)
    world.policy()
    patient(world)
    run = world.start()
    victim = False
    with world.app.connect() as mine:
        mine.execute(sa.text("UPDATE safety_events SET kind = 'a' WHERE id = 39"))
        with at_work(world, run) as found:
            wait_until(world.lock_waits, "the batch waits", PATIENCE)
            try:
                mine.execute(sa.text("UPDATE safety_events SET kind = 'b' WHERE id = 0"))
                mine.commit()
            except sa.exc.OperationalError:
                victim = True
                mine.rollback()
    if found[0].outcome == "retry":
        with world.control.begin() as connection:
            connection.execute(sa.text("UPDATE aegis_runs SET not_before = NULL"))
    assert found[0].outcome in {"done", "retry"} or victim
    assert world.finish(run)["outcome"] == "done"
    assert world.run_row(run)["rows"] == 40
