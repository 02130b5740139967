"""Ending a run: what is left, what it did, and the state in which it is given back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import transactions
from aegis.db.engines import reading
from aegis.db.journal import Journal
from aegis.db.reflection import leads_an_index
from aegis.db.tables import DataRetentionPolicy
from aegis.errors import AegisError, TooLong
from aegis.operations import claims, runs, tallies
from aegis.operations.claims import Claim
from aegis.operations.scopes import Scope
from aegis.operations.states import State, Wait
from aegis.operations.system import System
from aegis.retention import archiving, outcomes, policies, purges, watermarks
from aegis.retention.allowance import Allowance
from aegis.retention.counting import Counter, unclocked
from aegis.retention.forecast import forecast
from aegis.retention.opening import count_patiently, patient
from aegis.retention.partitions import dropped
from aegis.retention.portions import Portions
from aegis.retention.slices import Slice
from aegis.retention.stages import Stage, done, done_by
from aegis.retention.target import Target

#: Why rows past their time may stay.
STAYING: Final = ("held", "kept", "null_clock")


@dataclass(frozen=True, kw_only=True)
class Left:
    """Rows past their time that are still there at the end of a walk."""

    #: due, held, kept and null_clock → rows; empty: counting them took too long.
    counts: Mapping[str, int]
    by_tenant: watermarks.Leftovers

    @property
    def due(self) -> int | None:
        """Rows that nothing speaks for."""
        return self.counts.get("due")


def look(
    system: System, claimed: Claim, policy: DataRetentionPolicy, batches: Portions, scopes: Sequence[Scope]
) -> Left:
    """Count what is left past the cutoffs, by the reason why it stays."""
    try:
        return _look(system, claimed, policy, batches, scopes)
    except TooLong:
        return Left(counts={}, by_tenant={})


def _look(
    system: System, claimed: Claim, policy: DataRetentionPolicy, batches: Portions, scopes: Sequence[Scope]
) -> Left:
    tenant, target = claimed.run["tenant"], batches.target
    with reading(
        system.databases.source(policy.datasource), f"data source {policy.datasource}"
    ) as connection:
        count_patiently(system, connection, policy, tenant)
        if not _spares(target, scopes, tenant):
            # What lies past the cutoff now is dead but for what came late.
            indexed = leads_an_index(connection, target.layout, target.clock_column)
            transactions.count_among_the_dead(connection, indexed=indexed)
        counter = patient(system, connection, target)
        counts = {"due": 0, "held": 0, "kept": 0, "null_clock": unclocked(counter, target, tenant)}
        for stage in batches.stages:
            for reason, rows in _by_reason(counter, batches, stage, scopes, tenant).items():
                counts[reason] += rows
        by_tenant = watermarks.leftovers(
            counter,
            target,
            expired=sa.or_(*[stage.target.expired(stage.cutoffs, tenant) for stage in batches.stages]),
            due=sa.or_(*[batches.doomed(scopes, stage) for stage in batches.stages]),
            left=counts,
            tenant=tenant,
        )
        return Left(counts=counts, by_tenant=by_tenant)


def _by_reason(
    counter: Counter, batches: Portions, stage: Stage, scopes: Sequence[Scope], tenant: Any
) -> dict[str, int]:
    target = batches.target
    expired = counter.count(stage.target.expired(stage.cutoffs, tenant))
    # Without a hold or a minimum, what is past its time is due: no second count.
    spared = expired and _spares(target, scopes, tenant)
    due = counter.count(batches.doomed(scopes, stage)) if spared else expired
    held = expired - due
    if spared and target.floors:
        held = counter.count(batches.held(scopes, stage))
    return {"due": due, "held": held, "kept": expired - due - held}


def _spares(target: Target, scopes: Sequence[Scope], tenant: Any) -> bool:
    """Whether rows past their time can have a reason to stay."""
    one_tenants = tenant is not None and target.branches
    return bool(scopes or target.floors or target.own_holds or one_tenants)


def finish(
    system: System,
    claimed: Claim,
    policy: DataRetentionPolicy,
    *,
    batches: Portions,
    left: Left,
    allowance: Allowance,
    piece: Slice,
) -> None:
    """Write the report of a run that is done, with its event, its watermarks and its purge."""
    run, label = claimed.run, f"data source {policy.datasource}"
    engine = system.databases.source(policy.datasource)
    journal = Journal(engine.dialect.name)
    with reading(engine, label) as connection:
        total = journal.rows_gone(connection, claimed.id)
        along = dict(journal.along(connection, claimed.id))
        actions = done(connection, policy, claimed.id)
        files = purges.baseline_of(connection, run["table_name"], along)
        whole = dropped(connection, claimed.id) if batches.target.layout.partitioned else {}
    archiving.complete(system, run, policy, over=True)
    kept = runs.fetch(system, claimed.id)
    report = dict(kept["report"] or {}) | tallies.reported(kept["tally"])
    report |= {"rows": total, "actions": actions, "along": along, "expected": piece.expected}
    report |= allowance.told(left.due) | forecast(system, policy).rates()
    report |= {"partitions": whole} if whole else {}
    report |= {reason: left.counts.get(reason) for reason in STAYING}
    piece.held = {reason: left.counts[reason] for reason in STAYING if left.counts.get(reason)}
    if not left.counts:
        report["uncounted"] = ", ".join(filter(None, [report.get("uncounted"), "left"]))
    cutoffs = batches.cutoffs
    event = outcomes.ended(system, run, State.DONE, digest=policy.digest, cutoff=cutoffs.base, report=report)
    # The files of a partition that was dropped went with it: there is nothing to wait for.
    also = [*purges.begun(system, run, rows=total - whole.get("rows", 0), base=files)]
    if left.counts:
        also.append(watermarks.ended(run, cutoffs=cutoffs, left=left.counts, by_tenant=left.by_tenant))
    reason = _told(system, allowance, left)
    values: dict[str, Any] = {"reason": reason, "rows": total, "report": report}
    claims.settle(system, claimed, State.DONE, event=event, also=also, **values)
    piece.total, piece.outcome, piece.reason = total, "done", reason


def _told(system: System, allowance: Allowance, left: Left) -> str | None:
    """Return the reason of a run that is done, where there is something to say."""
    said = allowance.says(left.due)
    if left.counts:
        return said
    limit = system.settings.retention.count_seconds
    uncounted = f"what is left was not counted: it takes longer than retention.count_seconds ({limit:g})"
    return f"{said}; {uncounted}" if said else uncounted


def settle(
    system: System,
    claimed: Claim,
    piece: Slice,
    state: State,
    *,
    wait: float | None = None,
    waits_for: Wait | None = None,
) -> None:
    """Give the run back; when it does not go on by itself, with an event and what went until now."""
    event, values = None, {}
    if state in {State.BLOCKED, State.FAILED, State.CANCELLED}:
        policy = policies.by_id(system, claimed.run["policy_id"])
        archiving.complete_if_possible(system, claimed.run, policy)
        report = {"reason": piece.reason, **(piece.guard or {}), **_gone(system, claimed.run, policy)}
        if piece.skipped:
            report["skipped"] = piece.skipped
        values = {"rows": report["rows"], "report": report}
        cutoff = runs.fetch(system, claimed.id)["cutoff"]
        event = outcomes.ended(system, claimed.run, state, digest=policy.digest, cutoff=cutoff, report=report)
    claims.settle(
        system, claimed, state, reason=piece.reason, wait=wait, event=event, waits_for=waits_for, **values
    )


def _gone(system: System, run: Mapping[str, Any], policy: DataRetentionPolicy) -> dict[str, Any]:
    """Return the rows that went until now, and those along with them; None when nobody can tell."""
    try:
        actions = done_by(system, policy, run)
        return {"rows": sum(actions.values()), "actions": actions, "along": runs.along(system, run)}
    except AegisError:
        return {"rows": None, "actions": {}, "along": {}}
