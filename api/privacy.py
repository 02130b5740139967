"""The privacy operations: one function each, one unit of work, audited.

The functions stand by their nouns in the modules beside this one. Services that installed the wheel import
the same ones from `aegis.privacy`.
"""

from .budgets import budget_history, create_budget, set_budget, show_budgets
from .erasure import anonymize_user, anonymize_users
from .federated import estimate_release, federated_aggregation_protect
from .holds import (
    list_holds,
    place_hold,
    release_hold,
    start_operations,
    stop_operations,
)
from .outlook import (
    brief_retention_policy,
    policy_figures,
    preview_retention_policy,
    retention_forecasts,
    retention_progress,
    run_dossier,
    run_standing,
    show_retention_queries,
    what_if_retention_policy,
)
from .policies import (
    apply_retention_policies,
    approval_message,
    approve_retention_policy,
    approve_stopped_run,
    confirm_retention_policy,
    disable_retention_policy,
    export_retention_policies,
    list_retention_policies,
    register_policy_once,
    register_retention_policy,
    retention_policy_schema,
)
from .purges import look_after_purges, purge_run, retention_purges
from .runs import (
    advance_run,
    cancel_run,
    carry_out_unfinished,
    create_retention_runs,
    create_scheduled_run,
    due_runs,
    enforce_retention_policies,
    note_missed_runs,
    pause_run,
    resume_run,
    resume_source,
    scheduled_policies,
)
from .tenancy import tenant_isolation_check

__all__ = [
    "advance_run",
    "anonymize_user",
    "anonymize_users",
    "apply_retention_policies",
    "approval_message",
    "approve_retention_policy",
    "approve_stopped_run",
    "brief_retention_policy",
    "budget_history",
    "cancel_run",
    "carry_out_unfinished",
    "confirm_retention_policy",
    "create_budget",
    "create_retention_runs",
    "create_scheduled_run",
    "disable_retention_policy",
    "due_runs",
    "enforce_retention_policies",
    "estimate_release",
    "export_retention_policies",
    "federated_aggregation_protect",
    "list_holds",
    "list_retention_policies",
    "look_after_purges",
    "note_missed_runs",
    "pause_run",
    "place_hold",
    "policy_figures",
    "preview_retention_policy",
    "purge_run",
    "register_policy_once",
    "register_retention_policy",
    "release_hold",
    "resume_run",
    "resume_source",
    "retention_forecasts",
    "retention_policy_schema",
    "retention_progress",
    "retention_purges",
    "run_dossier",
    "run_standing",
    "scheduled_policies",
    "set_budget",
    "show_budgets",
    "show_retention_queries",
    "start_operations",
    "stop_operations",
    "tenant_isolation_check",
    "what_if_retention_policy",
]
