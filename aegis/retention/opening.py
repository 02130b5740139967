"""Opening a run: read its table, and before its first row fix the cutoffs, count, and refuse."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.engines import reading
from aegis.db.tables import DataRetentionPolicy
from aegis.operations import claims
from aegis.operations.claims import Claim
from aegis.operations.system import System
from aegis.retention import policies, watermarks
from aegis.retention.children import without_index
from aegis.retention.cutoffs import Cutoffs, began_at, cutoffs_for
from aegis.retention.gates import Outlook, before_first
from aegis.retention.preview import COUNTING_MS, foreseen
from aegis.retention.stages import deleted, stages_of
from aegis.retention.target import Target
from aegis.retention.walkers import Walker, resume


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A run's table as it stands now, and what the run was counted to have before it."""

    target: Target
    walker: Walker
    cutoffs: Cutoffs
    expected: int | None


def open_run(system: System, claimed: Claim, policy: DataRetentionPolicy, mark: Mapping[str, Any]) -> Opened:
    """Read the table; on the first slice fix the cutoffs, count, and refuse what must not start.

    Args:
        system: this process's Aegis.
        claimed: the run.
        policy: its policy.
        mark: where it goes on; the walker is the one that made it.

    Raises:
        Refused: a guard, a reference or an archive speaks against the first row.

    """
    run = claimed.run
    with reading(
        system.databases.source(policy.datasource), f"data source {policy.datasource}"
    ) as connection:
        count_patiently(system, connection)
        target = policies.read_policy_target(connection, policy, system)
        walker = resume(connection, target, mark)
        if run["cutoff"] is None:
            cutoffs, expected = _first_look(system, claimed, policy, connection, target)
        else:
            moment, expected = began_at(run, policy), run["rows_expected"]
            cutoffs = cutoffs_for(policy, moment, target, tenant=run["tenant"], base=run["cutoff"])
    return Opened(target=target, walker=walker, cutoffs=cutoffs, expected=expected)


def count_patiently(system: System, connection: sa.Connection) -> None:
    """Prepare a reading transaction for counts, which may take long and wait for no lock."""
    limits = system.settings.retention
    dialects.begin_work(connection, lock_ms=limits.lock_timeout_milliseconds, statement_ms=COUNTING_MS)


def _first_look(
    system: System,
    claimed: Claim,
    policy: DataRetentionPolicy,
    connection: sa.Connection,
    target: Target,
) -> tuple[Cutoffs, int]:
    """Fix the cutoffs and count; pass the gates; write down what was found."""
    run = claimed.run
    claims.extend(system, claimed, 2 * COUNTING_MS / 1000)
    # A run that a guard stopped is approved for what was counted at this instant.
    moment = run["moment"] or dialects.now(connection)
    claims.note(system, claimed, moment=moment)
    cutoffs = cutoffs_for(policy, moment, target, tenant=run["tenant"])
    stages = stages_of(target, policy, cutoffs)
    expected = foreseen(connection, stages, run["tenant"])
    outlook = Outlook(
        system=system,
        policy=policy,
        run=run,
        connection=connection,
        target=target,
        cutoffs=cutoffs,
        doomed=target.expired(cutoffs, run["tenant"]),
        deleted=deleted(stages, run["tenant"]),
        expected=expected,
    )
    before_first(outlook)
    arriving = watermarks.arriving_per_day(connection, target, policy, cutoffs)
    slow = {"unindexed": without_index(connection, target)}
    watermarks.begun(system, run, policy, due=expected, arriving=arriving)
    claims.note(system, claimed, moment=moment, cutoff=cutoffs.base, rows_expected=expected, report=slow)
    return cutoffs, expected
