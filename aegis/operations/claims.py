"""Claims: a run, or one of its ranges, belongs to one worker at a time, under the epoch of its claim.

All times come from the control database's clock, so that workers need not agree on theirs.
"""

import datetime as dt
import functools
import os
import random
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.actions import Action
from aegis.audit.events import Event
from aegis.audit.recorder import Note, store
from aegis.db import dialects
from aegis.db.engines import CONTROL, reading, writing
from aegis.db.tables import Run, RunShard, Source
from aegis.errors import Busy, Fenced
from aegis.operations import ranges
from aegis.operations.runs import fetch, row
from aegis.operations.states import CLAIMABLE, FINAL, State, Wait, sources_of
from aegis.operations.system import System

#: The longest wait between two tries, in seconds.
LONGEST_WAIT: Final = 300.0


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to work on a run until the lease ends."""

    run: Mapping[str, Any]
    epoch: int
    owner: str
    #: The row of the range, where the run is cut into several; None: the run itself.
    range_row: Mapping[str, Any] | None = None

    @property
    def shard(self) -> int:
        """The shard of the journal that the claim writes to."""
        return self.range_row["shard"] if self.range_row else 0

    @property
    def id(self) -> str:
        """The run's id."""
        return str(self.run["id"])


def claim(system: System, run_id: str) -> Claim:
    """Take the run, or one of its open ranges, for one lease; `attempts` is committed before any work.

    Raises:
        Busy: another worker has it or its table, it is not due, or a person must act first.

    """
    run = fetch(system, run_id)
    with writing(system.databases.control, CONTROL) as connection:
        # One claim at a time per source, so that two runs never share a table.
        connection.execute(sa.select(Source.name).where(Source.name == run["datasource"]).with_for_update())
        run = row(connection, run_id, lock=True)
        moment = dialects.now(connection)
        _refuse_unless_free(connection, run, moment)
        part = None
        if run["shards"] > 1 and ranges.unfinished(connection, run_id):
            part = ranges.free(connection, run, moment)
        attempts = (part or run)["attempts"]
        if attempts < system.settings.operations.max_attempts:
            take = _take if part is None else functools.partial(_take_range, part=part)
            return take(system, connection, run, moment)
    quarantine(system, {**run, "attempts": attempts})
    message = (
        f"run {run_id} was claimed {attempts} times without one committed batch: quarantined. Find out why, "
        f"then `aegis retention resume {run_id}`"
    )
    raise Busy(message)


def _take_range(
    system: System,
    connection: sa.Connection,
    run: Mapping[str, Any],
    moment: dt.datetime,
    *,
    part: Mapping[str, Any],
) -> Claim:
    owner = f"{socket.gethostname()}/{os.getpid()}"
    values = {
        "epoch": part["epoch"] + 1,
        "attempts": part["attempts"] + 1,
        "lease_owner": owner,
        "lease_until": moment + dt.timedelta(seconds=system.settings.operations.lease_seconds),
        "not_before": None,
    }
    ranges.update(connection, part, part["epoch"], values)
    begun = {"state": State.RUNNING, "reason": None, "waits_for": None, "not_before": None}
    connection.execute(sa.update(Run).where(Run.id == run["id"]).values(**begun))
    return Claim(run={**run, **begun}, epoch=values["epoch"], owner=owner, range_row={**part, **values})


def _take(system: System, connection: sa.Connection, run: Mapping[str, Any], moment: dt.datetime) -> Claim:
    lease = dt.timedelta(seconds=system.settings.operations.lease_seconds)
    owner = f"{socket.gethostname()}/{os.getpid()}"
    values = {
        "epoch": run["epoch"] + 1,
        "attempts": run["attempts"] + 1,
        "lease_owner": owner,
        "lease_until": moment + lease,
        "state": State.RUNNING,
        "reason": None,
        "waits_for": None,
        "not_before": None,
        "started_at": run["started_at"] or moment,
    }
    connection.execute(sa.update(Run).where(Run.id == run["id"]).values(**values))
    return Claim(run={**run, **values}, epoch=values["epoch"], owner=owner)


def _refuse_unless_free(connection: sa.Connection, run: Mapping[str, Any], moment: dt.datetime) -> None:
    what = f"run {run['id']} of policy {run['policy']}"
    if run["state"] not in CLAIMABLE:
        message = f"{what} is {run['state']}"
        raise Busy(message)
    if run["state"] == State.WAITING and run["waits_for"] == Wait.PAUSED:
        message = f"{what} is paused: {run['reason']}"
        raise Busy(message)
    if run["lease_until"] and run["lease_until"] > moment:
        message = f"{what} is being worked on by {run['lease_owner']}"
        raise Busy(message)
    if run["not_before"] and run["not_before"] > moment:
        message = f"{what} is due at {run['not_before']:%H:%M:%S} UTC"
        raise Busy(message)
    if run["policy_id"] is None:
        # An erasure changes many tables, each row once; the rows' own locks are enough for it.
        return
    other = sa.select(Run.policy).where(
        Run.policy_id.is_not(None),
        Run.datasource == run["datasource"],
        Run.table_name == run["table_name"],
        Run.id != run["id"],
        sa.or_(Run.lease_until > moment, ranges.worked_on(moment)),
    )
    if rival := connection.scalar(other.limit(1)):
        message = f"{what} waits: policy {rival} is working on table {run['table_name']}"
        raise Busy(message)


def renew(system: System, claimed: Claim, *, progress: bool) -> None:
    """Renew the lease; with progress, that is a batch in the journal, attempts start anew."""
    anew = {"attempts": 0} if progress else {}
    with writing(system.databases.control, CONTROL) as connection:
        lease = dt.timedelta(seconds=system.settings.operations.lease_seconds)
        _update(connection, claimed, anew | {"lease_until": dialects.now(connection) + lease})


def extend(system: System, claimed: Claim, seconds: float) -> None:
    """Make the lease last for one long statement."""
    with writing(system.databases.control, CONTROL) as connection:
        until = dialects.now(connection) + dt.timedelta(seconds=seconds)
        _update(connection, claimed, {"lease_until": until})


def catch_up(system: System, claimed: Claim, epoch: int) -> bool:
    """Count on from the epoch in the data source, when the control database was restored to an older one.

    Returns:
        Whether the run was still this claim's, and is free again; the try does not count.

    """
    if epoch <= claimed.epoch:
        return False
    free = {"epoch": epoch, "lease_owner": None, "lease_until": None}
    with writing(system.databases.control, CONTROL) as connection:
        mine = (Run.id == claimed.id) & Run.state.in_([State.RUNNING, State.VERIFYING])
        if (part := claimed.range_row) is not None:
            still = connection.scalar(sa.select(Run.id).where(mine).with_for_update())
            mine = (RunShard.run == part["run"]) & (RunShard.shard == part["shard"])
            change = sa.update(RunShard).where(mine, RunShard.epoch == claimed.epoch)
            change = change.values(**free, attempts=RunShard.attempts - 1)
            return still is not None and connection.execute(change).rowcount == 1
        change = sa.update(Run).where(mine, Run.epoch == claimed.epoch)
        return connection.execute(change.values(**free, attempts=Run.attempts - 1)).rowcount == 1


def note(system: System, claimed: Claim, **values: Any) -> None:
    """Write fields of the run under the claim."""
    with writing(system.databases.control, CONTROL) as connection:
        _update(connection, claimed, values)


def settle(
    system: System,
    claimed: Claim,
    state: State,
    *,
    reason: str | None = None,
    wait: float | None = None,
    event: Event | None = None,
    also: Sequence[Callable[[sa.Connection], None]] = (),
    **values: Any,
) -> None:
    """Give the claim back with a new state; the event stands in the same transaction.

    Args:
        also: what else is written in that transaction.
        wait: seconds before anybody may claim it again.

    Raises:
        Fenced: another worker took the run over meanwhile.

    """
    if claimed.range_row and state in {State.RUNNING, State.ACCEPTED}:
        _give_back(system, claimed, claimed.range_row, wait)
        return
    with writing(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        values |= {
            "state": state,
            "reason": reason,
            "lease_owner": None,
            "lease_until": None,
            "sent_at": moment,
        }
        values["not_before"] = None if wait is None else moment + dt.timedelta(seconds=wait)
        if state in {State.RUNNING, State.VERIFYING, State.WAITING}:
            # The slice ended as it should: nothing was in vain.
            values["attempts"] = 0
        elif wait is not None:
            values["attempts"] = _returned(system, claimed.run["attempts"])
        if state in FINAL:
            values["finished_at"] = moment
        # Another range may have ended the run for the same reason: that is told once.
        told = claimed.range_row and row(connection, claimed.id, lock=True)["state"] == state
        _update(connection, claimed, values, allowed=sources_of(state))
        if event and not told:
            store(connection, event)
        for write in also:
            write(connection)


def _give_back(system: System, claimed: Claim, part: Mapping[str, Any], wait: float | None) -> None:
    """Let go of a range; the run goes on, whatever its other ranges do."""
    with writing(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        values: dict[str, Any] = {"lease_owner": None, "lease_until": None, "not_before": None}
        if wait is None:
            values["attempts"] = 0
        else:
            values["not_before"] = moment + dt.timedelta(seconds=wait)
            values["attempts"] = _returned(system, part["attempts"])
        # The run before its range, in the order of `claim`: two workers must not wait for each other.
        connection.execute(sa.update(Run).where(Run.id == claimed.id).values(sent_at=moment))
        ranges.update(connection, part, claimed.epoch, values)


def _returned(system: System, attempts: int) -> int:
    """Return the tries to count for a run that was given back in order, after a fault that passes.

    They make the next wait longer; only a run that kills its workers comes to the end of them.
    """
    return min(attempts, system.settings.operations.max_attempts // 2)


def finish_range(system: System, claimed: Claim, part: Mapping[str, Any]) -> None:
    """Note that a range is through to its end."""
    with writing(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        values = {"lease_owner": None, "lease_until": None, "attempts": 0, "finished_at": moment}
        connection.execute(sa.update(Run).where(Run.id == claimed.id).values(sent_at=moment))
        ranges.update(connection, part, claimed.epoch, values)


def cut(system: System, claimed: Claim, marks: Sequence[Mapping[str, Any]]) -> int:
    """Cut a claimed run into ranges between marks, and give it back; return how many there are."""
    with writing(system.databases.control, CONTROL) as connection:
        # The run before its ranges: an insert would only share its lock, and wait for whoever waits for us.
        _update(connection, claimed, {"shards": len(marks) + 1})
        ranges.cut(system, connection, claimed.id, marks)
    settle(system, claimed, State.RUNNING)
    return len(marks) + 1


def shard_epochs(system: System, claimed: Claim) -> dict[int, int]:
    """Return the epoch of each shard of a run; the run itself is shard 0."""
    query = sa.select(RunShard.shard, RunShard.epoch).where(RunShard.run == claimed.id)
    with reading(system.databases.control, CONTROL) as connection:
        return {0: claimed.epoch} | {row.shard: row.epoch for row in connection.execute(query)}


def backoff(attempts: int) -> float:
    """Return the seconds to wait after so many tries in vain: doubling, bounded, with jitter."""
    return float(min(LONGEST_WAIT, 2.0 ** min(attempts, 16)) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter


def quarantine(system: System, run: Mapping[str, Any]) -> None:
    """Take a run that never gets anywhere out of circulation until a person resumes it."""
    reason = f"{run['attempts']} claims without one committed batch"
    details = {"table": run["table_name"], "datasource": run["datasource"], "state": State.QUARANTINED.value}
    event = system.recorder.prepare(
        Note(
            action=Action.RETENTION_RUN,
            actor="system",
            target_type="run",
            target_id=run["id"],
            outcome="failure",
            details=details,
            correlation_id=run["id"],
        )
    )
    with writing(system.databases.control, CONTROL) as connection:
        same = (Run.id == run["id"]) & (Run.epoch == run["epoch"]) & Run.state.in_(sorted(CLAIMABLE))
        values = {"state": State.QUARANTINED, "reason": reason, "lease_owner": None, "lease_until": None}
        if connection.execute(sa.update(Run).where(same).values(**values)).rowcount:
            store(connection, event)


def _update(
    connection: sa.Connection,
    claimed: Claim,
    values: Mapping[str, Any],
    *,
    allowed: frozenset[State] | None = None,
) -> None:
    mine = Run.id == claimed.id
    if claimed.range_row:
        values = _lease_in_range(connection, claimed, claimed.range_row, values)
    else:
        mine &= Run.epoch == claimed.epoch
    if not values:
        return
    if allowed is not None:
        mine &= Run.state.in_(sorted(allowed))
    if connection.execute(sa.update(Run).where(mine).values(**values)).rowcount != 1:
        message = f"run {claimed.id} was taken over by another worker, or cancelled"
        raise Fenced(message)


def _lease_in_range(
    connection: sa.Connection, claimed: Claim, part: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the lease's fields to the row of the range; return what is left for the run."""
    lease = {name: value for name, value in values.items() if name in ranges.LEASE}
    if lease.keys() != values.keys():
        row(connection, claimed.id, lock=True)
    ranges.update(connection, part, claimed.epoch, lease or {"epoch": claimed.epoch})
    return {name: value for name, value in values.items() if name not in lease}
