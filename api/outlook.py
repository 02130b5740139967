"""The doors that tell what a policy would do, and what its runs did; they change nothing."""

from collections.abc import Sequence
from typing import Any

from aegis.arguments import door
from aegis.operations import runs
from aegis.operations.system import current
from aegis.retention import briefing, dossier, forecast, queries, standing, whatif
from aegis.retention import policies as registry
from aegis.retention.looking import look
from aegis.retention.preview import Preview


@door
def preview_retention_policy(name: str, *, tenant_id: Any = None, sampled: bool = False) -> Preview:
    """Count what a policy would do now, by tenant and month, without changing anything.

    Args:
        name: the policy.
        tenant_id: this tenant's rows only.
        sampled: estimate from some of the table's blocks (PostgreSQL); `sample` has the margin.

    """
    system = current()
    policy = registry.find(system, name)
    return look(system, policy, tenant=tenant_id, in_full=True, sampled=sampled)


@door
def show_retention_queries(name: str, *, tenant_id: Any = None) -> queries.Queries:
    """Write out the plain queries that show the rows that a policy would take now; none of them is run.

    Args:
        name: the policy.
        tenant_id: this tenant's rows only.

    """
    system = current()
    return queries.write(system, registry.find(system, name), tenant=tenant_id)


@door
def brief_retention_policy(name: str, *, tenant_id: Any = None, sampled: bool = False) -> briefing.Briefing:
    """Return what an approver needs to know of a policy, without changing anything.

    It is the preview, and beside it the rows that stay by month and tenant, what guards, holds and minimum
    periods say, and who approved it.

    Args:
        name: the policy.
        tenant_id: this tenant's rows only.
        sampled: estimate from some of the table's blocks (PostgreSQL); `sample` has the margin.

    """
    system = current()
    return briefing.brief(system, registry.find(system, name), tenant=tenant_id, sampled=sampled)


@door
def what_if_retention_policy(
    name: str, *, days: int | None = None, period: str | None = None, tenant_id: Any = None
) -> whatif.WhatIf:
    """Count what a policy would do with other days or another period, beside today's; nothing is changed.

    Raises:
        ValueError: there is no such policy, or neither or both of `days` and `period` are given.

    """
    system = current()
    return whatif.what_if(system, registry.find(system, name), days=days, period=period, tenant=tenant_id)


@door
def retention_forecasts(names: Sequence[str] | None = None) -> list[forecast.Forecast]:
    """Return how far each policy is and whether it keeps up, from what its runs counted."""
    system = current()
    return [forecast.forecast(system, policy) for policy in registry.newest(system, names)]


@door
def run_standing(run_id: str) -> standing.Standing:
    """Return where a run stands: its row, what its journal has, its rate and what is left.

    Raises:
        ValueError: there is no such run.

    """
    return standing.standing(current(), run_id)


@door
def run_dossier(run_id: str) -> dossier.Dossier:
    """Return all that is known of a policy's run: what it did over time, its account, and who permitted it.

    Raises:
        ValueError: there is no such run, or it is an erasure.

    """
    return dossier.dossier(current(), run_id)


def policy_figures() -> list[forecast.Figures]:
    """Return what beat's endpoint says of each policy: stored numbers, and none that has to be counted."""
    return forecast.figures(current())


@door
def retention_progress(policy: str) -> list[dict[str, Any]]:
    """Return the unfinished and the newest runs of a policy: run, state, reason, rows so far, expected."""
    system = current()
    return [
        {
            "run": run["id"],
            "state": run["state"],
            "reason": run["reason"],
            "rows": run["rows"] if run["rows"] is not None else runs.rows_gone(system, run),
            "expected": run["rows_expected"],
        }
        for run in runs.newest(system, policy)
    ]
