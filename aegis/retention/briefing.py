"""What an approver needs to know of a policy: what it would do, what stays, and what speaks against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aegis.db.tables import DataRetentionPolicy
from aegis.errors import Refused
from aegis.operations import approvals, holds
from aegis.operations.approvals import Word
from aegis.operations.system import System
from aegis.retention import guards, inspecting, policies
from aegis.retention.guards import Verdict
from aegis.retention.looking import look
from aegis.retention.preview import Beside, Preview


@dataclass(frozen=True, kw_only=True)
class Briefing:
    """A policy as an approver sees it."""

    preview: Preview
    #: The tenant that it was counted for; None: all of them.
    tenant: str | None
    guards: Sequence[Verdict]
    #: Holds and stops that can cover its rows; what they are about is not told.
    holds: Sequence[Mapping[str, Any]]
    approvals: Sequence[Word]
    #: What is missing until it may change a row; None: nothing.
    lacking: str | None
    #: Why nobody can approve it as it stands; None: somebody can.
    changed: str | None

    @property
    def broken(self) -> list[Verdict]:
        """The guards that would stop a run now."""
        return [verdict for verdict in self.guards if verdict.broken]


def brief(system: System, policy: DataRetentionPolicy, *, tenant: Any, sampled: bool) -> Briefing:
    """Count what a policy would do, and gather what an approver needs beside it; nothing is changed."""
    seen = look(system, policy, tenant=tenant, in_full=True, sampled=sampled, beside=True)
    named = None if tenant is None else str(tenant)
    label = policies.definition_of(policy).table
    return Briefing(
        preview=seen,
        tenant=named,
        guards=_guards(system, policy, named, seen.beside),
        holds=holds.touching(system, datasource=policy.datasource, policy=policy.name, table=label),
        approvals=approvals.words(system, policies.subject_of(policy)),
        lacking=None if policies.permitted(system, policy) else policies.why_not_permitted(system, policy),
        changed=_changed(system, policy),
    )


def _guards(
    system: System, policy: DataRetentionPolicy, tenant: str | None, beside: Beside | None
) -> list[Verdict]:
    counted = beside or Beside(staying=None, expected=None, chosen=None)
    run = {"policy": policy.name, "tenant": tenant}
    found = guards.verdicts(system, policy, run, expected=counted.expected, total=lambda: counted.chosen)
    return list(found)


def _changed(system: System, policy: DataRetentionPolicy) -> str | None:
    try:
        inspecting.refuse_changed(system, policy)
    except Refused as refused:
        return str(refused)
    return None
