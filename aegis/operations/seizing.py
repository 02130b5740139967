"""What takes a run from its workers for a person, and lets it go on."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from aegis.audit.events import Event
from aegis.audit.recorder import store
from aegis.db import dialects
from aegis.db.engines import CONTROL, writing
from aegis.db.tables import Run, RunShard
from aegis.errors import Refused
from aegis.operations.claims import Claim
from aegis.operations.runs import row
from aegis.operations.states import CLAIMABLE, STUCK, State, Wait
from aegis.operations.system import System


def seize(system: System, run_id: str, states: frozenset[State], *, reason: str, event: Event) -> Claim:
    """Take a run from whoever works on it, for a person; it waits, paused, under a newer epoch.

    Raises:
        UnknownName: there is no such run.
        Refused: it is in none of these states.

    """
    with writing(system.databases.control, CONTROL) as connection:
        run = row(connection, run_id, lock=True)
        if run["state"] not in states:
            message = f"run {run_id} of policy {run['policy']} is {run['state']}"
            raise Refused(message)
        values = {"epoch": run["epoch"] + 1, "lease_owner": None, "lease_until": None, "not_before": None}
        if run["state"] in CLAIMABLE:
            values |= {"state": State.WAITING, "waits_for": Wait.PAUSED, "reason": reason}
        connection.execute(sa.update(Run).where(Run.id == run_id).values(**values))
        shards = sa.update(RunShard).where(RunShard.run == run_id)
        free = {"lease_owner": None, "lease_until": None}
        connection.execute(shards.values(epoch=RunShard.epoch + 1, **free))
        store(connection, event)
    return Claim(run={**run, **values}, epoch=values["epoch"], owner="a person")


def reopen(system: System, run_id: str, event: Event, report: Mapping[str, Any] | None = None) -> bool:
    """Let a run go on that waits for a person; return whether it did.

    Args:
        report: what it goes on from; none: from nothing.

    """
    paused = (Run.state == State.WAITING) & (Run.waits_for == Wait.PAUSED)
    waits = (Run.id == run_id) & (paused | Run.state.in_(sorted(STUCK)))
    values = {"state": State.ACCEPTED, "attempts": 0, "reason": None, "waits_for": None}
    # What a blocked run said of its rows until now is not its last word any more.
    values |= {"rows": None, "report": report or None}
    with writing(system.databases.control, CONTROL) as connection:
        values |= {"not_before": dialects.now(connection)}
        done = connection.execute(sa.update(Run).where(waits).values(**values)).rowcount == 1
        if done:
            again = sa.update(RunShard).where(RunShard.run == run_id)
            connection.execute(again.values(attempts=0, not_before=None))
            store(connection, event)
    return done
