"""Pause, resume, cancel: in force at the next batch, and the account stays exact."""

import uuid

import pytest

from aegis.errors import Refused, UnknownName
from aegis.operations import claims
from aegis.operations.states import State
from aegis.retention.runs import advance
from aegis.retention.slices import Slice
from api import privacy
from api.audit import get_audit_events
from tests.worlds import ACTOR, EACH_DATABASE, World, on


def a_run(world: World) -> str:
    """Forty rows that go in batches of seven; return a run that nobody works on yet."""
    world.safety_events()
    world.events(range(40), 60)
    world.policy()
    world.batches_of(7)
    return world.start()


@on(*EACH_DATABASE)
def test_pause_at_the_next_batch_and_resume(world: World) -> None:
    """The worker stops after the batch in flight, nobody takes the run, and a person lets it go on."""
    run = a_run(world)
    other = world.another()

    def pause(_piece: Slice) -> None:
        privacy.pause_run(run, ACTOR)

    piece = advance(other, run, 60, pause)
    assert (piece.outcome, piece.rows, piece.more) == ("waiting", 7, False)
    assert "aegis retention resume" in str(piece.reason)
    row = world.run_row(run)
    assert (row["state"], row["waits_for"]) == ("waiting", "paused")
    assert privacy.due_runs() == []
    again = privacy.advance_run(run)
    assert (again["outcome"], again["rows"]) == ("waiting", 0)
    privacy.pause_run(run, ACTOR)
    privacy.resume_run(run, ACTOR)
    assert privacy.due_runs() == [run]
    assert world.finish(run)["outcome"] == "done"
    assert world.run_row(run)["rows"] == 40
    actions = ("retention:pause", "retention:resume")
    told = [event["actor"] for name in actions for event in get_audit_events(action=name)]
    assert told == [ACTOR] * 3


@on(*EACH_DATABASE)
def test_cancel_in_mid_run(world: World) -> None:
    """What is gone is reported and stands in the log; the rest stays, and nothing goes on."""
    run = a_run(world)
    other, went = world.another(), []

    def cancel(_piece: Slice) -> None:
        went.append(privacy.cancel_run(run, ACTOR))

    piece = advance(other, run, 60, cancel)
    assert (piece.outcome, piece.rows, went) == ("cancelled", 7, [7])
    row = world.run_row(run)
    assert (row["state"], row["rows"]) == ("cancelled", 7)
    assert world.count("safety_events") == 33
    (event,) = get_audit_events(action="retention:run")
    assert (event["details"]["state"], event["details"]["rows"]) == ("cancelled", 7)
    assert privacy.due_runs() == []
    for word in (privacy.pause_run, privacy.resume_run, privacy.cancel_run):
        with pytest.raises(Refused, match="cancelled"):
            word(run, ACTOR)


@on(*EACH_DATABASE)
def test_a_worker_that_has_not_begun_yet_is_shut_out(world: World) -> None:
    """Who claimed the run before the pause and reaches the source after it changes nothing."""
    run = a_run(world)
    claimed = claims.claim(world.system, run)
    privacy.pause_run(run, ACTOR)
    assert world.count(world.journal, "run = :run AND epoch > :old", run=run, old=claimed.epoch) == 1
    privacy.resume_run(run, ACTOR)
    assert world.finish(run)["outcome"] == "done"


@on("sqlite-one", "postgresql-one")
@pytest.mark.parametrize("state", [State.BLOCKED, State.QUARANTINED])
def test_a_person_resumes_what_is_stuck(world: World, state: State) -> None:
    """A blocked or quarantined run starts anew with its attempts, and its account is complete."""
    run = a_run(world)
    privacy.advance_run(run, seconds=0)
    claimed = claims.claim(world.system, run)
    claims.settle(world.system, claimed, state, reason="a test", rows=7, report={"rows": 7, "along": {}})
    assert privacy.advance_run(run)["outcome"] == state
    privacy.resume_run(run, ACTOR)
    row = world.run_row(run)
    assert (row["state"], row["attempts"], row["rows"], row["reason"]) == ("accepted", 0, None, None)
    assert world.finish(run)["outcome"] == "done"
    assert world.run_row(run)["rows"] == 40


@on("sqlite-one")
def test_what_cannot_be_controlled(world: World) -> None:
    """An unknown run, and one that goes on by itself."""
    run = a_run(world)
    for word in (privacy.pause_run, privacy.resume_run, privacy.cancel_run):
        with pytest.raises(UnknownName):
            word(str(uuid.uuid4()), ACTOR)
    with pytest.raises(Refused, match="by itself"):
        privacy.resume_run(run, ACTOR)
    assert privacy.cancel_run(run, ACTOR) == 0
