"""Opening a run: read its table, and before its first row fix the cutoffs, count, and refuse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from aegis.db import dialects, transactions
from aegis.db.engines import reading
from aegis.db.tables import DataRetentionPolicy
from aegis.operations import claims
from aegis.operations.claims import Claim
from aegis.operations.system import System
from aegis.retention import inspecting, watermarks
from aegis.retention.children import without_index
from aegis.retention.counting import Patient, foreseen, sampler
from aegis.retention.cutoffs import Cutoffs, began_at, cutoffs_for
from aegis.retention.gates import Outlook, before_first
from aegis.retention.sessions import seen_by
from aegis.retention.stages import Stage, deleted, stages_of
from aegis.retention.target import Target
from aegis.retention.walkers import Walker, resume
from aegis.settings import RetentionSettings


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A run's table as it stands now, and what the run was counted to have before it."""

    target: Target
    walker: Walker
    cutoffs: Cutoffs
    #: Estimated where the report says so; None: not known.
    expected: int | None


def open_run(
    system: System, claimed: Claim, policy: DataRetentionPolicy, mark: Mapping[str, Any], known: Target
) -> Opened:
    """Prepare a slice; on the first fix the cutoffs, count, and refuse what must not start.

    Args:
        system: this process's Aegis.
        claimed: the run.
        policy: its policy.
        mark: where it goes on; the walker is the one that made it.
        known: its table, as it was looked at before this slice.

    Raises:
        Refused: a guard, a reference or an archive speaks against the first row.

    """
    run = claimed.run
    with reading(
        system.databases.source(policy.datasource), f"data source {policy.datasource}"
    ) as connection:
        count_patiently(system, connection, policy, run["tenant"])
        # What the first look found holds for the whole run: a row that strays in later stays.
        forms = None if run["cutoff"] is None else (run["report"] or {}).get("forms")
        target = inspecting.read_policy_target(connection, policy, system, forms, known)
        if run["cutoff"] is None:
            cutoffs, expected = _first_look(system, claimed, policy, connection, target)
        else:
            moment, expected = began_at(run, policy), run["rows_expected"]
            cutoffs = cutoffs_for(policy, moment, target, tenant=run["tenant"], base=run["cutoff"])
        walker = resume(connection, target, mark, cutoff=cutoffs.latest, expected=expected)
    return Opened(target=target, walker=walker, cutoffs=cutoffs, expected=expected)


def count_patiently(
    system: System, connection: sa.Connection, policy: DataRetentionPolicy, tenant: Any
) -> None:
    """Prepare a reading transaction for counts, which may take long and wait for no lock."""
    limits = system.settings.retention
    transactions.begin_work(
        connection,
        lock_ms=limits.lock_timeout_milliseconds,
        statement_ms=_longest_ms(limits),
        seen_by=seen_by(policy, tenant),
    )


def patient(system: System, connection: sa.Connection, target: Target) -> Patient:
    """Return what counts in such a transaction for no longer than the settings let it."""
    limits = system.settings.retention
    return Patient(connection, target, limits.count_seconds, _longest_ms(limits))


def _longest_ms(limits: RetentionSettings) -> int:
    return max(limits.statement_timeout_milliseconds, round(1000 * limits.count_seconds))


def keep_for_counting(system: System, claimed: Claim) -> None:
    """Make the lease last for all that is counted before the first row, or after the last."""
    settings = system.settings
    claims.extend(system, claimed, settings.retention.count_seconds + settings.operations.lease_seconds)


def _first_look(
    system: System,
    claimed: Claim,
    policy: DataRetentionPolicy,
    connection: sa.Connection,
    target: Target,
) -> tuple[Cutoffs, int | None]:
    """Fix the cutoffs and count; pass the gates; write down what was found.

    A count that takes too long stops nothing but a guard: the report names it, and the rows that are
    expected are estimated, or not known.
    """
    run = claimed.run
    keep_for_counting(system, claimed)
    # A run that a guard stopped is approved for what was counted at this instant.
    moment = run["moment"] or dialects.now(connection)
    claims.note(system, claimed, moment=moment)
    cutoffs = cutoffs_for(policy, moment, target, tenant=run["tenant"])
    stages = stages_of(target, policy, cutoffs)
    counter = patient(system, connection, target)
    counted = counter.within(lambda: foreseen(counter, stages, run["tenant"]))
    # A guard may stop it below: what is past its time is overdue all the same.
    watermarks.begun(system, run, policy, due=counted, arriving=None)
    outlook = Outlook(
        system=system,
        policy=policy,
        run=run,
        connection=connection,
        counter=counter,
        target=target,
        cutoffs=cutoffs,
        deleted=deleted(stages, run["tenant"]),
        expected=counted,
    )
    uncounted = before_first(outlook)
    arriving = counter.within(lambda: watermarks.arriving_per_day(counter, target, policy, cutoffs))
    expected = _about(counter, connection, stages, run["tenant"]) if counted is None else counted
    uncounted += ["expected"] if counted is None else []
    uncounted += ["arriving"] if arriving is None else []
    found: dict[str, Any] = {
        "unindexed": without_index(connection, target),
        "uncounted": ", ".join(uncounted),
    }
    if target.forms:
        found["forms"] = target.forms
    watermarks.begun(system, run, policy, due=expected, arriving=arriving)
    claims.note(system, claimed, moment=moment, cutoff=cutoffs.base, rows_expected=expected, report=found)
    return cutoffs, expected


def _about(counter: Patient, connection: sa.Connection, stages: Sequence[Stage], tenant: Any) -> int | None:
    """Estimate the rows that would go from a sample; None where none can be had, never 0."""
    if connection.dialect.name != dialects.POSTGRESQL:
        return None
    sample = sampler(connection, stages[0].target)
    found = None if sample is None else counter.within(lambda: foreseen(sample, stages, tenant))
    return None if found is None else max(1, found)
