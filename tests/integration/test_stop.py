"""The kill switch, and holds over a whole table: in force at the very next batch of a run at work."""

import datetime as dt
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

from aegis.db.columns import table_of
from aegis.db.tables import Run
from aegis.errors import Refused
from aegis.operations import holds, stops
from aegis.operations.scopes import Scope
from aegis.operations.system import use
from aegis.retention.runs import advance
from aegis.retention.slices import Slice
from aegis.settings import Settings, SourceSettings
from api import privacy
from api.audit import get_audit_events
from tests.forks import forking
from tests.worlds import ACTOR, EACH_DATABASE, World, on

REVIEW = dt.date(2099, 1, 1)
#: Only a failing test waits so long.
PATIENCE = 30.0


def work(settings: Settings, run: str, pipe: Connection) -> None:
    """Advance a run in another process; after each batch tell it and wait for a word."""
    system = use(settings)

    def told(piece: Slice) -> None:
        pipe.send(piece.rows)
        pipe.recv()

    pipe.send(advance(system, run, 60, told).report())
    system.close()


@contextmanager
def a_process_between_batches(world: World, run: str) -> Iterator[Callable[[], Any]]:
    """Stop another process between its first batch and the next; yield what lets it go on to its end."""
    context = forking()
    mine, its = context.Pipe()
    child = context.Process(target=work, args=(world.settings, run, its))
    child.start()

    def receive() -> Any:
        assert mine.poll(PATIENCE), "the other process is silent"
        return mine.recv()

    assert receive() == 7
    assert child.pid is not None
    os.kill(child.pid, signal.SIGSTOP)

    def go_on() -> Any:
        os.kill(child.pid or 0, signal.SIGCONT)
        said: Any = 0
        while not isinstance(said, dict):
            mine.send("go")
            said = receive()
        return said

    try:
        yield go_on
    finally:
        psutil.Process(child.pid).resume() if child.is_alive() else None
        mine.close()
        child.join(PATIENCE)


def stop(world: World) -> Callable[[], object]:
    """Stop the world's data source; return what starts it again."""
    (done,) = privacy.stop_operations("a wrong policy", ACTOR)
    assert (done.datasource, done.in_force) == (world.datasource, True)
    return lambda: privacy.start_operations(ACTOR)


def hold(world: World) -> Callable[[], object]:
    """Place a hold over the whole table; return what releases it."""
    placed = privacy.place_hold(
        matter="m", owner=ACTOR, review_by=REVIEW, datasource=world.datasource, table="safety_events"
    )
    return lambda: privacy.release_hold(placed, ACTOR)


@on(*EACH_DATABASE)
@pytest.mark.parametrize("place", [stop, hold])
def test_in_force_at_the_next_batch(world: World, place: Callable[[World], Callable[[], object]]) -> None:
    """A process that is stopped between two batches changes nothing more; after the release all goes."""
    world.safety_events()
    world.events(range(40), 60)
    world.policy()
    world.batches_of(7)
    run = world.start()
    with a_process_between_batches(world, run) as go_on:
        release = place(world)
        report = go_on()
    assert (report["outcome"], report["rows"]) == ("waiting", 7)
    assert world.count("safety_events") == 33
    row = world.run_row(run)
    assert (row["state"], row["waits_for"]) == ("waiting", "hold")
    assert privacy.due_runs() == []
    assert privacy.advance_run(run)["outcome"] == "waiting"
    release()
    assert privacy.due_runs() == [run]
    assert world.finish(run)["outcome"] == "done"
    assert world.count("safety_events") == 0


@on("sqlite-one", "postgresql-one")
def test_the_message_that_wakes_a_run_may_be_lost(world: World) -> None:
    """A run that may go on is sent again, soon and again, until a worker has claimed it."""
    world.safety_events()
    world.events(range(9), 60)
    world.policy()
    run = world.start()
    release = hold(world)
    assert privacy.advance_run(run)["outcome"] == "waiting"
    release()
    assert privacy.due_runs() == [run]
    assert privacy.due_runs() == []
    with world.control.begin() as connection:
        resend = dt.timedelta(seconds=world.settings.operations.resend_seconds + 1)
        columns = table_of(Run).c
        row = connection.execute(sa.select(columns.sent_at, columns.not_before)).one()._asdict()
        # As if so much time had passed.
        connection.execute(sa.update(Run).values({name: at - resend for name, at in row.items() if at}))
    assert privacy.due_runs() == [run]
    assert world.finish(run)["outcome"] == "done"
    assert privacy.due_runs() == []


@on("sqlite-one", "sqlite+postgresql")
def test_every_room_is_told(world: World) -> None:
    """A stop refuses what asks for it, of this source and of what belongs to all; and it is audited."""
    assert stops.stopped(world.system) is None
    stop(world)
    for source in (None, world.datasource):
        with pytest.raises(Refused, match="aegis start"):
            stops.refuse_if_stopped(world.system, source)
    assert stops.stopped(world.system, "another") is None
    (started,) = privacy.start_operations(ACTOR)
    assert started.in_force
    assert privacy.start_operations(ACTOR) == []
    assert stops.stopped(world.system) is None
    told = [get_audit_events(action=f"operations:{word}")[0] for word in ("stop", "start")]
    assert [event["actor"] for event in told] == [ACTOR, ACTOR]
    assert told[0]["details"]["matter"] == "a wrong policy"


@on("sqlite+postgresql")
def test_a_source_that_cannot_be_reached(world: World) -> None:
    """It is named as not in force; as soon as somebody reaches it, the reconciler puts it in force."""
    world.safety_events()
    world.events(range(20), 60)
    world.policy()
    reachable = world.settings.datasources["app"]
    world.configure(datasources={"app": SourceSettings(url="postgresql://aegis:x@127.0.0.1:1/nowhere")})
    (done,) = privacy.stop_operations("r", ACTOR, everywhere=True)
    assert not done.in_force
    assert "NOT yet in force" in str(done.reason)
    assert privacy.due_runs() == []
    world.configure(datasources={"app": reachable})
    assert [found["state"] for found in privacy.list_holds()] == ["placed"]
    privacy.due_runs()
    assert [found["state"] for found in privacy.list_holds()] == ["in_force"]
    assert world.enforce()["status"] == "waiting"
    world.configure(datasources={"app": SourceSettings(url="postgresql://aegis:x@127.0.0.1:1/nowhere")})
    (still,) = privacy.start_operations(ACTOR)
    assert not still.in_force
    assert [found["state"] for found in privacy.list_holds()] == ["releasing"]
    world.configure(datasources={"app": reachable})
    privacy.due_runs()
    assert privacy.list_holds() == []
    assert world.enforce()["rows"] == 20


@on("sqlite-one")
def test_released_while_it_was_being_put_in_force(world: World) -> None:
    """A hold that somebody released in between does not stand in the source afterwards."""
    scope = Scope(tenant="beta")
    holds.place(world.system, scope, datasource=world.datasource, matter="m", owner=ACTOR, review_by=REVIEW)
    holds.release(world.system, scope.id, actor=ACTOR)
    holds.put_in_force(world.system, scope, world.datasource)
    assert world.count(world.journal, "shard = 1 AND number > 0 AND run LIKE '0000%'") == 0


@on("sqlite-one", "postgresql-one", "mariadb-one")
def test_a_review_that_is_overdue(world: World) -> None:
    """The log is told once, the hold stays in force, and the rows stay."""
    world.safety_events()
    world.events(range(5), 60)
    world.policy()
    made = privacy.place_hold(matter="m", owner=ACTOR, review_by=dt.date(2001, 1, 1), policy="p")
    for _ in range(2):
        privacy.due_runs()
    (event,) = get_audit_events(action="hold:overdue")
    assert (event["target_id"], event["details"]["review_by"]) == (made, "2001-01-01")
    assert world.enforce()["applied"] is False
    assert world.count("safety_events") == 5
