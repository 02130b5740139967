"""A restored data source goes on: what came back with it is accounted for, and both sides agree again.

First the source: its open runs are shut out, its holds are what the control database says, and its
own row gets the next incarnation. Then the control database, in one transaction: the ledger counts
what came back, marks fall back to what the journal has, and the source is in order. Until that
commits the source stays held, and all of it can be repeated.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.actions import Action
from aegis.audit.events import Event
from aegis.audit.recorder import Note, store
from aegis.audit.transfer import count_up
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading, writing
from aegis.db.journal import Journal, SourceRow
from aegis.db.tables import RelayMark, Run, RunShard, Source
from aegis.errors import Busy, Refused
from aegis.operations import holds, requests
from aegis.operations.states import FINAL, State
from aegis.operations.system import System
from aegis.retention import outcomes, policies
from aegis.retention.attaching import attach_again
from aegis.retention.comparing import Findings, Lost, compare

#: Before the name of an action in the ledger: rows to which it was done, and that came back as they were.
REVERTED: Final = "reverted_"
#: The state of a source whose journal somebody changed.
TAMPERED: Final = "tampered"


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """What became of a restored source."""

    datasource: str
    incarnation: int
    #: (policy, table, action) → rows to which that was done, and that came back with the restore.
    returned: Mapping[tuple[str, str, str], int]
    #: Runs that were cancelled; the next run of their policy begins anew.
    cancelled: Sequence[str]


def resume(system: System, datasource: str, *, actor: str) -> Resumed:
    """Let a source go on that was restored, or whose older replica was promoted; safe to repeat.

    One whose journal was tampered with goes on when it is again as it was written.

    Raises:
        Refused: it is in order, or is another database; or a partition cannot be attached again.
        Tampered: its journal was changed, and is not as it was again.
        Busy: something changed meanwhile; to be repeated.

    """
    name = system.settings.source_name(datasource)
    known = _refuse_unless_reverted(system, name)
    if known.state == TAMPERED:
        return _mended(system, name, known.incarnation, actor)
    holds.bring_in_line(system, name)
    started = _started(system, name)
    _shut_out(system, name, started)
    _attach_partitions(system, name)
    found = compare(system, name)
    _align_journal(system, name, known, found)
    incarnation = known.incarnation + 1
    cancelled = [_cancelled(system, run, found.lost) for run in started]
    details = {"datasource": name, "incarnation": incarnation, "cancelled": len(cancelled)}
    note = Note(
        action=Action.RETENTION_RESUME, actor=actor, target_type="source", target_id=name, details=details
    )
    told = [*_returned(system, name, found.lost, incarnation, actor), system.recorder.prepare(note)]
    _align_control(system, known, found, cancelled, told)
    system.relay.relay(name)
    return Resumed(
        datasource=name,
        incarnation=incarnation,
        returned=found.returned,
        cancelled=[str(run["id"]) for run in started],
    )


def _mended(system: System, name: str, incarnation: int, actor: str) -> Resumed:
    """Let a source go on whose journal is again as it was written.

    Raises:
        Tampered: it is not.

    """
    system.relay.recheck(name)
    details = {"datasource": name, "incarnation": incarnation, "cancelled": 0}
    note = Note(
        action=Action.RETENTION_RESUME, actor=actor, target_type="source", target_id=name, details=details
    )
    event = system.recorder.prepare(note)
    with writing(system.databases.control, CONTROL) as connection:
        mine = (Source.name == name) & (Source.state == TAMPERED)
        if connection.execute(sa.update(Source).where(mine).values(state="ok", reason=None)).rowcount:
            store(connection, event)
    system.relay.relay(name)
    return Resumed(datasource=name, incarnation=incarnation, returned={}, cancelled=[])


def _refuse_unless_reverted(system: System, name: str) -> Any:
    with reading(system.databases.control, CONTROL) as connection:
        known = connection.execute(sa.select(table_of(Source)).where(Source.name == name)).one_or_none()
    if known is None or known.state == "ok":
        message = f"data source {name} is in order, there is nothing to resume"
        raise Refused(message)
    identity = system.source_row(name).identity
    if known.identity != identity:
        message = (
            f"data source {name} is another database than before (identity {identity}, expected "
            f"{known.identity}): correct its URL first"
        )
        raise Refused(message)
    return known


def _started(system: System, name: str) -> Sequence[Mapping[str, Any]]:
    """Return the runs of the source that somebody has begun and that have not ended, with their shards."""
    query = sa.select(table_of(Run)).where(
        Run.datasource == name, Run.started_at.is_not(None), Run.state.not_in(sorted(FINAL))
    )
    with reading(system.databases.control, CONTROL) as connection:
        found = [dict(row) for row in connection.execute(query.order_by(Run.id)).mappings()]
        for run in found:
            shards = sa.select(RunShard.shard, RunShard.epoch).where(RunShard.run == run["id"])
            run["epochs"] = {0: run["epoch"]} | {row.shard: row.epoch for row in connection.execute(shards)}
    return found


def _shut_out(system: System, name: str, started: Sequence[Mapping[str, Any]]) -> None:
    """Let no worker go on with these runs; waits for their batches in flight."""
    engine = system.databases.source(name)
    journal = Journal(engine.dialect.name)
    with writing(engine, f"data source {name}") as connection:
        for run in started:
            for shard, epoch in run["epochs"].items():
                journal.take_over(connection, run["id"], shard, epoch + 1)


def _attach_partitions(system: System, name: str) -> None:
    """Attach what stood detached at the moment to which the source was restored."""
    engine = system.databases.source(name)
    if engine.dialect.name != dialects.POSTGRESQL:
        return
    with reading(engine, f"data source {name}") as connection:
        epochs = Journal(engine.dialect.name).epochs(connection, 0)
    for run, epoch in epochs.items():
        attach_again(system, {"id": run, "datasource": name}, epoch=epoch + 1)


def _align_journal(system: System, name: str, known: Any, found: Findings) -> None:
    """Write what the source itself has to know; repeating it writes the same."""
    engine = system.databases.source(name)
    journal = Journal(engine.dialect.name)
    with writing(engine, f"data source {name}") as connection:
        here = journal.source(connection, lock=True)
        # A relay waits for that row: nothing that was relayed since somebody else resumed is taken back.
        with reading(system.databases.control, CONTROL) as control:
            _refuse_if_resumed(control, known)
        moment = dialects.now(connection)
        for (run, shard), number in found.marks.items():
            journal.mark_through(connection, run, shard, number, moment)
        values = {"incarnation": known.incarnation + 1, "relayed": int(known.relayed)}
        journal.put_source(connection, SourceRow(**vars(here) | values))


def _cancelled(
    system: System, run: Mapping[str, Any], lost: Sequence[Lost]
) -> tuple[Mapping[str, Any], Mapping[str, Any], Event]:
    """Return a run with the report and the event that end it."""
    engine = system.databases.source(run["datasource"])
    journal = Journal(engine.dialect.name)
    own = [batch.details for batch in lost if batch.details["run"] == run["id"]]
    with reading(engine, f"data source {run['datasource']}") as connection:
        kept, along = journal.rows_gone(connection, run["id"]), journal.along(connection, run["id"])
    came_back = sum(details["rows"] for details in own)
    for details in own:
        along.update(details["along"])
    report = {
        "rows": kept + came_back,
        "along": dict(along),
        "expected": run["rows_expected"],
        "came_back": came_back,
        "reason": f"the data source was restored: {came_back} of its rows came back; a new run begins anew",
    }
    approved = policies.by_id(system, run["policy_id"]).digest if run["policy_id"] else None
    digest = approved or requests.plan_digest(system, run["request_id"])
    event = outcomes.ended(system, run, State.CANCELLED, digest=digest, cutoff=run["cutoff"], report=report)
    return run, report, event


def _returned(
    system: System, name: str, lost: Sequence[Lost], incarnation: int, actor: str
) -> Iterator[Event]:
    """Yield one event for each shard, policy, table and action of which batches came back."""
    shards: dict[tuple[str, int, str], list[Lost]] = {}
    for batch in lost:
        run, shard, _ = batch.place
        # The batches of a run that masks and deletes later have two actions.
        own = json.dumps([batch.policy, batch.details["table"], batch.details["action"]])
        shards.setdefault((run, shard, own), []).append(batch)
    for (run, shard, own), batches in shards.items():
        policy, table, action = json.loads(own)
        along: Counter[str] = Counter()
        for batch in batches:
            along.update(batch.details["along"])
        numbers = [batch.place[2] for batch in batches]
        details = {
            "datasource": name,
            "run": run,
            "shard": shard,
            "first": min(numbers),
            "last": max(numbers),
            "table": table,
            "action": action,
            "rows": sum(batch.details["rows"] for batch in batches),
            "along": dict(along),
            "batches": len(batches),
            "incarnation": incarnation,
        }
        note = Note(
            action=Action.RETENTION_RETURNED,
            actor=actor,
            target_type="policy",
            target_id=policy,
            details=details,
            correlation_id=run,
        )
        yield system.recorder.prepare(note)


def _align_control(
    system: System,
    known: Any,
    found: Findings,
    cancelled: Sequence[tuple[Mapping[str, Any], Mapping[str, Any], Event]],
    told: Sequence[Event],
) -> None:
    """Commit everything that the control database has to know, or nothing of it."""
    with writing(system.databases.control, CONTROL) as connection:
        _refuse_if_resumed(connection, known, lock=True)
        for run, report, event in cancelled:
            _cancel(connection, run, report)
            store(connection, event)
        for (run_id, shard), number in found.marks.items():
            mark = (RelayMark.datasource == known.name) & (RelayMark.run == run_id)
            mark &= RelayMark.shard == shard
            connection.execute(sa.update(RelayMark).where(mark).values(number=number))
        came_back = found.returned.items()
        count_up(connection, {(of, table, REVERTED + action): n for (of, table, action), n in came_back})
        store(connection, *told)
        values = {"state": "ok", "reason": None, "incarnation": known.incarnation + 1}
        connection.execute(sa.update(Source).where(Source.name == known.name).values(**values))


def _refuse_if_resumed(connection: sa.Connection, known: Any, *, lock: bool = False) -> None:
    same = (Source.name == known.name) & (Source.state == "reverted")
    query = sa.select(Source.name).where(same, Source.incarnation == known.incarnation)
    if connection.scalar(query.with_for_update() if lock else query) is None:
        message = f"somebody else resumed data source {known.name} just now"
        raise Busy(message)


def _cancel(connection: sa.Connection, run: Mapping[str, Any], report: Mapping[str, Any]) -> None:
    same = (Run.id == run["id"]) & (Run.epoch == run["epoch"]) & Run.state.not_in(sorted(FINAL))
    values = {
        "state": State.CANCELLED,
        "epoch": run["epoch"] + 1,
        "reason": report["reason"],
        "rows": report["rows"],
        "report": report,
        "waits_for": None,
        "not_before": None,
        "lease_owner": None,
        "lease_until": None,
        "finished_at": dialects.now(connection),
    }
    if connection.execute(sa.update(Run).where(same).values(**values)).rowcount != 1:
        message = f"run {run['id']} changed just now; repeat the command"
        raise Busy(message)
