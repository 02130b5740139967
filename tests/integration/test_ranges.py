"""Ranges: one run on several workers at once, each row once, the account exact."""

import datetime as dt
import threading
from collections import Counter

import pytest
import sqlalchemy as sa

from aegis.errors import Fenced, Passing
from aegis.operations import claims
from aegis.operations.batches import Shard
from aegis.operations.states import State
from aegis.operations.system import System
from aegis.retention import work
from aegis.retention.runs import advance
from api import privacy
from tests.worlds import DAY, EACH_DATABASE, World, on

ROWS = 400


@pytest.fixture(autouse=True)
def _small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows are worth a range of their own."""
    monkeypatch.setattr(work, "LEAST_ROWS", 20)


def shards(world: World, run: str) -> dict[int, int]:
    """Return the rows that went, by shard of the run."""
    query = f"SELECT * FROM {world.journal} WHERE run = :run AND number > 0"  # noqa: S608
    gone: Counter[int] = Counter()
    with world.app.connect() as connection:
        for row in connection.execute(sa.text(query), {"run": run}).mappings():
            gone[row["shard"]] += row["rows"]
    return gone


def filled(world: World, *, index: bool = True) -> None:
    """Create the usual table with expired rows and live ones between them."""
    world.safety_events(index=index)
    for start in range(0, ROWS, 100):
        world.events(range(start, start + 100), 90 - start / 10)
    world.events(range(1000, 1050), 1)
    if world.dialect == "postgresql":
        world.execute("ANALYZE safety_events")


def race(run: str, systems: list[System]) -> list[str]:
    """Let every system work on the run in a thread of its own until there is no more; return the outcomes."""
    outcomes: list[str] = []

    def work(system: System) -> None:
        for _ in range(100):
            piece = advance(system, run, 0.01)
            outcomes.append(piece.outcome)
            if piece.outcome in {"done", "failed", "blocked"}:
                return

    threads = [threading.Thread(target=work, args=(system,)) for system in systems]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.parametrize("index", [True, False], ids=["index", "no index"])
@on(*EACH_DATABASE, "sqlite+postgresql")
def test_workers_share_a_run(world: World, index: bool) -> None:  # noqa: FBT001
    """Four workers at four ranges: every expired row goes once, in the ranges, and no live one."""
    filled(world, index=index)
    world.policy(parallel=4)
    world.batches_of(10)
    run = world.start()
    race(run, [world.another() for _ in range(4)])
    assert world.finish(run)["outcome"] == "done"
    assert world.ids() == list(range(1000, 1050))
    gone = shards(world, run)
    assert sum(gone.values()) == ROWS == world.run_row(run)["rows"]
    assert len(gone) > 1
    assert 0 not in gone


@pytest.mark.parametrize("index", [True, False], ids=["index", "no index"])
@on(*EACH_DATABASE)
def test_ranges_are_of_the_same_work(world: World, index: bool) -> None:  # noqa: FBT001
    """Where all that is due stands at the beginning of the table, every worker still gets its share of it."""
    world.safety_events(index=index)
    world.events(range(ROWS), 60)
    world.events(range(1000, 1000 + ROWS), 1)
    if world.dialect == "postgresql":
        world.execute("ANALYZE safety_events")
    world.policy(parallel=4)
    report = world.enforce()
    gone = shards(world, report["run"])
    assert (report["rows"], len(gone)) == (ROWS, 4)
    # Blocks of the heap cannot be cut finer than a block.
    assert max(gone.values()) <= 0.4 * ROWS


@on(*EACH_DATABASE)
def test_one_process_does_them_one_after_the_other(world: World) -> None:
    """A call without any worker goes through all ranges to the end."""
    filled(world)
    world.policy(parallel=3)
    report = world.enforce()
    assert (report["applied"], report["rows"]) == (True, ROWS)
    assert world.ids() == list(range(1000, 1050))


@on("sqlite-one", "postgresql-one")
def test_a_few_rows_are_not_cut(world: World) -> None:
    """Where there is little to do the run stays whole."""
    world.safety_events()
    world.events(range(30), 60)
    world.policy(parallel=4)
    report = world.enforce()
    assert (report["rows"], set(shards(world, report["run"]))) == (30, {0})


@on("postgresql-one")
def test_an_instant_that_holds_more_than_a_range(world: World) -> None:
    """Rows of one instant are in one range only."""
    world.safety_events()
    old = dt.datetime.now(dt.UTC) - 60 * DAY
    rows = [{"id": n, "tenant": "a", "email": "e", "kind": "k", "created_at": old} for n in range(300)]
    world.insert("safety_events", rows)
    world.execute("ANALYZE safety_events")
    world.policy(parallel=4)
    world.batches_of(7)
    assert world.enforce()["rows"] == 300
    assert world.ids() == []


@on(*EACH_DATABASE)
def test_a_range_whose_worker_died_is_taken_over(world: World) -> None:
    """The next worker goes on from the range's mark, and the dead one's epoch cannot write any more."""
    filled(world)
    world.policy(parallel=2)
    world.batches_of(10)
    run = world.start()
    assert privacy.advance_run(run)["ranges"] == 2
    dead = claims.claim(world.system, run)
    assert dead.shard == 1
    old = Shard(world.system, datasource=world.datasource, run=run, epoch=dead.epoch, shard=1)
    old.take_over()
    with world.control.begin() as connection:
        connection.execute(sa.text("UPDATE aegis_run_shards SET lease_until = NULL"))
    report = world.finish(run)
    assert (report["outcome"], report["total"]) == ("done", ROWS)
    with pytest.raises(Fenced):
        claims.settle(world.system, dead, State.RUNNING)


@on(*EACH_DATABASE)
def test_a_row_that_comes_late_is_swept_up(world: World) -> None:
    """A row that appears in a range that is through goes before the run ends."""
    filled(world)
    world.policy(parallel=2)
    run = world.start()
    assert privacy.advance_run(run)["ranges"] == 2
    while world.count("safety_events") > 50:
        privacy.advance_run(run)
    world.events([7], 85)
    report = world.finish(run)
    assert (report["outcome"], report["total"]) == ("done", ROWS + 1)


@on(*EACH_DATABASE)
def test_another_run_waits_for_the_table(world: World) -> None:
    """While a range of one run is worked on, no other run takes the table."""
    filled(world)
    world.policy(parallel=2)
    world.policy("q", retention_days=20)
    run, rival = world.start(), world.start("q")
    privacy.advance_run(run)
    claimed = claims.claim(world.system, run)
    assert advance(world.another(), rival, 1).outcome == "busy"
    claims.settle(world.system, claimed, State.RUNNING)
    assert world.finish(run)["outcome"] == "done"
    assert world.finish(rival)["outcome"] == "done"


@on("sqlite-one", "postgresql-one")
def test_lost_messages_are_sent_again_for_every_range(world: World) -> None:
    """When nobody works on a cut run, the reconciler wakes a worker for each open range."""
    filled(world)
    world.policy(parallel=3)
    run = world.start()
    privacy.advance_run(run)
    with world.control.begin() as connection:
        past = dt.datetime.now(dt.UTC) - DAY
        connection.execute(
            sa.text("UPDATE aegis_runs SET sent_at = :past").bindparams(
                sa.bindparam("past", past.replace(tzinfo=None) if world.layout == "sqlite-one" else past)
            )
        )
    assert privacy.due_runs() == [run] * 3
    assert world.finish(run)["outcome"] == "done"


@on("mariadb-one", "postgresql-one")
def test_a_claim_that_waits_too_long_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock of the control database that is not granted in time ends the slice, not the worker."""
    filled(world)
    world.policy()
    run = world.start()

    def locked(*_: object) -> None:
        message = "control database: a lock was not granted in time"
        raise Passing(message)

    with monkeypatch.context() as patched:
        patched.setattr(claims, "claim", locked)
        piece = advance(world.system, run, 1)
    assert (piece.outcome, piece.rows) == ("retry", 0)
    assert world.finish(run)["outcome"] == "done"


@pytest.mark.parametrize("given", [0, 65, True, "2"])
@on("sqlite-one")
def test_a_number_of_ranges_that_cannot_be_meant(world: World, given: object) -> None:
    """Fewer than one, too many, or no number at all is refused."""
    world.safety_events()
    with pytest.raises(ValueError, match="expected parallel from 1 to 64"):
        world.policy(parallel=given)
