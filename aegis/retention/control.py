"""A person's word over a run: pause, resume, cancel.

The run is taken from whoever works on it in both databases: first in the control database, so
that nobody claims it, then in the data source, where that waits for the batch in flight. What is
committed stands and is accounted for.
"""

from typing import Final

from aegis.audit.actions import Action
from aegis.audit.recorder import Note
from aegis.db.engines import writing
from aegis.db.journal import Journal
from aegis.errors import Refused
from aegis.operations import claims, runs, seizing
from aegis.operations.claims import Claim
from aegis.operations.states import CLAIMABLE, STUCK, State
from aegis.operations.system import System
from aegis.retention import archiving, outcomes, policies
from aegis.retention.attaching import attach_again

_ANYHOW: Final = frozenset(CLAIMABLE | STUCK)


def pause(system: System, run_id: str, *, actor: str) -> None:
    """Let the batch in flight be the last; the run goes on when a person resumes it.

    Raises:
        UnknownName: there is no such run.
        Refused: it has ended, or waits for a person already.
        Unreachable: the source was not told; a worker that is cut off stops within its lease.

    """
    _refuse_erasure(system, run_id)
    note = _note(Action.RETENTION_PAUSE, run_id, actor)
    reason = f"a person paused it; `aegis retention resume {run_id}` lets it go on"
    event = system.recorder.prepare(note)
    claimed = seizing.seize(system, run_id, CLAIMABLE, reason=reason, event=event)
    _fence(system, claimed, "paused")
    attach_again(system, claimed.run, epoch=claimed.epoch)


def cancel(system: System, run_id: str, *, actor: str) -> int:
    """End a run for good after the batch in flight; return the rows that went, all accounted for.

    Raises:
        UnknownName: there is no such run.
        Refused: it has ended.
        Unreachable: the run is paused, and cancelled when this is repeated with its source reachable.

    """
    _refuse_erasure(system, run_id)
    note = _note(Action.RETENTION_CANCEL, run_id, actor)
    reason = f"a person cancels it; repeat `aegis retention cancel {run_id}` if this stays"
    claimed = seizing.seize(system, run_id, _ANYHOW, reason=reason, event=system.recorder.prepare(note))
    _fence(system, claimed, "cancelled")
    attach_again(system, claimed.run, epoch=claimed.epoch)
    run = runs.fetch(system, run_id)
    policy = policies.by_id(system, run["policy_id"])
    archiving.complete_if_possible(system, run, policy)
    rows, along = runs.rows_gone(system, run), runs.along(system, run)
    report = {
        "rows": rows,
        "along": along,
        "expected": run["rows_expected"],
        "reason": "a person cancelled it",
    }
    event = outcomes.ended(
        system,
        run,
        State.CANCELLED,
        digest=policy.digest,
        cutoff=run["cutoff"],
        report=report,
    )
    claims.settle(
        system, claimed, State.CANCELLED, reason=report["reason"], event=event, rows=rows, report=report
    )
    system.relay.relay(run["datasource"])
    return rows


def resume(system: System, run_id: str, *, actor: str) -> None:
    """Let a run go on that a person paused, or that waits for one: blocked or quarantined.

    Raises:
        UnknownName: there is no such run.
        Refused: there is nothing to resume.

    """
    _refuse_erasure(system, run_id)
    event = system.recorder.prepare(_note(Action.RETENTION_RESUME, run_id, actor))
    if not seizing.reopen(system, run_id, event):
        run = runs.fetch(system, run_id)
        goes_on = "; it goes on by itself" if run["state"] in CLAIMABLE else ""
        message = f"run {run_id} is {run['state']}, there is nothing to resume{goes_on}"
        raise Refused(message)


def _refuse_erasure(system: System, run_id: str) -> None:
    """Refuse the run of an erasure: it has a plan and a person of its own."""
    run = runs.fetch(system, run_id)
    if run["policy_id"] is None:
        message = f"run {run_id} is an erasure; it is resumed or cancelled by its request {run['request_id']}"
        raise Refused(message)


def _fence(system: System, claimed: Claim, word: str) -> None:
    """Shut out every worker of the run in its source; waits for the batches in flight."""
    name = claimed.run["datasource"]
    engine = system.databases.source(name)
    journal = Journal(engine.dialect.name)
    epochs = claims.shard_epochs(system, claimed)
    with writing(engine, f"data source {name}: the run is NOT yet {word} there") as connection:
        for shard, epoch in epochs.items():
            journal.take_over(connection, claimed.id, shard, epoch)


def _note(action: Action, run_id: str, actor: str) -> Note:
    return Note(action=action, actor=actor, target_type="run", target_id=run_id, correlation_id=run_id)
