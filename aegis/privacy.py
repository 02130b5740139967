"""The privacy operations, for a service that installs Aegis beside its own code.

The same functions as `api.privacy`, without a top-level `api` that could collide with the service's.
"""

#: True for the type checker in a checkout only, where no `aegis._app.api` lies on disk.
IN_CHECKOUT = False

if not IN_CHECKOUT:
    from aegis._app.api import privacy as _doors
else:
    from api import privacy as _doors

advance_run = _doors.advance_run
anonymize_user = _doors.anonymize_user
anonymize_users = _doors.anonymize_users
apply_retention_policies = _doors.apply_retention_policies
approval_message = _doors.approval_message
approve_retention_policy = _doors.approve_retention_policy
approve_stopped_run = _doors.approve_stopped_run
brief_retention_policy = _doors.brief_retention_policy
budget_history = _doors.budget_history
cancel_run = _doors.cancel_run
confirm_retention_policy = _doors.confirm_retention_policy
create_budget = _doors.create_budget
disable_retention_policy = _doors.disable_retention_policy
enforce_retention_policies = _doors.enforce_retention_policies
estimate_release = _doors.estimate_release
export_retention_policies = _doors.export_retention_policies
federated_aggregation_protect = _doors.federated_aggregation_protect
list_holds = _doors.list_holds
list_retention_policies = _doors.list_retention_policies
pause_run = _doors.pause_run
place_hold = _doors.place_hold
preview_retention_policy = _doors.preview_retention_policy
register_retention_policy = _doors.register_retention_policy
release_hold = _doors.release_hold
resume_run = _doors.resume_run
resume_source = _doors.resume_source
retention_forecasts = _doors.retention_forecasts
retention_progress = _doors.retention_progress
run_dossier = _doors.run_dossier
run_standing = _doors.run_standing
set_budget = _doors.set_budget
show_budgets = _doors.show_budgets
show_retention_queries = _doors.show_retention_queries
start_operations = _doors.start_operations
stop_operations = _doors.stop_operations
tenant_isolation_check = _doors.tenant_isolation_check
what_if_retention_policy = _doors.what_if_retention_policy
