"""SIGKILL between any two statements of an erasure: whoever goes on ends it, with the same counts."""

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.operations.system import use
from aegis.settings import ErasureSettings, Settings
from api import erasure
from api.audit import get_audit_events
from tests.forks import forking
from tests.oneperson import EACH as DONE
from tests.oneperson import begin, content, expect, people
from tests.repeats import LONG
from tests.worlds import ACTOR, World

#: Layouts, and rows that are still one transaction.
CASES: Final = [
    (layout, most)
    for layout in ("sqlite+sqlite", "sqlite+postgresql", "sqlite+mariadb", "postgresql-one")
    for most in (5_000, 2)
    if LONG or (layout, most) in {("sqlite+mariadb", 5_000), ("sqlite+postgresql", 2)}
]
#: Only a failing test waits so long.
PATIENCE: Final = 60.0
#: So many statements from one death to the next.
STEP: Final = 1 if LONG else 61
FIRST: Final = 100


def work(settings: Settings, run: str, fatal: int) -> None:
    """Work on an erasure, and die at a statement."""
    use(settings)
    done = 0

    @sa.event.listens_for(sa.Engine, "before_cursor_execute")
    def _count(*_: Any) -> None:
        nonlocal done
        done += 1
        if done == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    while erasure.advance_erasure(run)["more"]:
        pass


def killed(world: World, run: str, fatal: int) -> bool:
    """Let another process work until it dies; return whether it did."""
    child = forking().Process(target=work, args=(world.settings, run, fatal))
    child.start()
    child.join(PATIENCE)
    assert child.exitcode in {0, -signal.SIGKILL}
    with world.control.begin() as connection:
        connection.execute(sa.text("UPDATE aegis_runs SET lease_until = NULL, not_before = NULL"))
    return child.exitcode != 0


@pytest.mark.parametrize(("world", "most"), CASES, indirect=["world"])
@pytest.mark.timeout(3600 if LONG else 300)
def test_killed_at_any_statement(world: World, tmp_path: Path, most: int) -> None:
    """For each statement somebody else's erasure; all are the same in the end."""
    begin(world, tmp_path)
    world.batches_of(1)
    world.configure(erasure=ErasureSettings(single_transaction_rows=most))
    person, alive = FIRST, False
    while not alive:
        people(world, range(person, person + 1))
        run = erasure.request_erasure([person], str(person), actor=ACTOR)
        alive = not killed(world, run, 1 + (person - FIRST) * STEP)
        done = erasure.carry_out_erasure(str(person))
        assert (done.status, done.rows) == ("done", DONE), person
        expect(world, DONE)
        person += 1
    assert person > FIRST + 3
    ended = Counter(event["correlation_id"] for event in get_audit_events(10_000, action="erasure:run"))
    assert set(ended.values()) == {1}
    assert len(ended) == person - FIRST
    assert not [row for row in content(world, "users") if row[0] >= FIRST and "@example.com" in row[2]]
    assert not [row for row in content(world, "visits") if row[0] is not None and row[0] >= FIRST]


@pytest.mark.parametrize(
    "world", ["sqlite+sqlite", "postgresql-one"] if LONG else ["sqlite+sqlite"], indirect=True
)
@pytest.mark.timeout(3600 if LONG else 300)
def test_killed_while_it_searches_for_others_too(world: World, tmp_path: Path) -> None:
    """Whoever was taken along is free when its lease ends, and all end as if nobody had died."""
    begin(world, tmp_path)
    first, alive, step, taken_along = FIRST, False, 11 if LONG else 137, 0
    while not alive:
        together = range(first, first + 3)
        people(world, together)
        runs = [erasure.request_erasure([person], str(person), actor=ACTOR) for person in together]
        assert [erasure.advance_erasure(run)["outcome"] for run in runs[:-1]] == ["waiting"] * 2
        alive = not killed(world, runs[-1], 1 + (first - FIRST) // 3 * step)
        taken_along += not alive and all(world.run_row(run)["epoch"] == 2 for run in runs[:-1])
        for person in reversed(together):
            done = erasure.carry_out_erasure(str(person))
            assert (done.status, done.rows) == ("done", DONE), person
            expect(world, DONE)
        first += 3
    assert taken_along
    ended = Counter(event["correlation_id"] for event in get_audit_events(10_000, action="erasure:run"))
    assert set(ended.values()) == {1}
    assert len(ended) == first - FIRST
