"""The privacy operations: one function each, one unit of work, audited.

Services that installed the wheel import the same functions from `aegis.privacy`.
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from aegis.arguments import Long, Parsed, RequestId, door
from aegis.db.engines import reading
from aegis.db.tables import DataRetentionPolicy
from aegis.errors import UsageError
from aegis.operations import holds, requests, reviews, rowkeys, runs, stops
from aegis.operations.scopes import Scope
from aegis.operations.system import current
from aegis.retention import (
    briefing,
    control,
    dossier,
    enforcement,
    forecast,
    landing,
    plans,
    preview,
    purges,
    queries,
    returning,
    scheduling,
    standing,
    stopped,
    whatif,
    words,
)
from aegis.retention import policies as registry
from aegis.retention.definition import Definition
from aegis.retention.runs import advance
from aegis.retention.slices import OnProgress
from aegis.tenancy import check_isolation

from .budgets import budget_history as budget_history  # noqa: PLC0414
from .budgets import create_budget as create_budget  # noqa: PLC0414
from .budgets import set_budget as set_budget  # noqa: PLC0414
from .budgets import show_budgets as show_budgets  # noqa: PLC0414
from .erasure import anonymize_user as anonymize_user  # noqa: PLC0414 - a door of both
from .erasure import anonymize_users as anonymize_users  # noqa: PLC0414
from .federated import estimate_release as estimate_release  # noqa: PLC0414
from .federated import federated_aggregation_protect as federated_aggregation_protect  # noqa: PLC0414


@door
def register_retention_policy(  # noqa: PLR0917 - the signature that services already use
    name: str,
    table: str,
    timestamp_column: str = "created_at",
    retention_days: int = 90,
    action: str = "delete",
    tenant_column: str | None = None,
    filter_sql: Long | None = None,
    *,
    datasource: str = "default",
    timestamp_unit: str | None = None,
    zone: str = "UTC",
    period: str | None = None,
    masks: Mapping[str, Any] | None = None,
    marker_column: str | None = None,
    delete_after_days: int | None = None,
    tenant_days: Mapping[str, int] | None = None,
    tenant_session: str | None = None,
    guards: Mapping[str, Any] | None = None,
    archive: Mapping[str, Any] | None = None,
    cascades: Sequence[str] = (),
    after: Sequence[str] = (),
    cron: str = "0 2 * * *",
    cron_zone: str = "UTC",
    windows: Sequence[str] = (),
    budget: Mapping[str, int] | None = None,
    parallel: int = 1,
    purpose: Long | None = None,
    legal_basis: Long | None = None,
    categories: Sequence[str] = (),
    owner: str | None = None,
    review_by: dt.date | None = None,
    actor: str = "system",
) -> DataRetentionPolicy:
    """Register a retention policy; it changes nothing until it is approved.

    Args:
        name: the policy's name; the same name again makes a new version when anything differs.
        table: `table` or `schema.table` in the data source.
        timestamp_column: the clock that tells a row's age.
        retention_days: whole days of 24 hours; a row goes when it is strictly older.
        action: `delete`.
        tenant_column: the column that tells tenants apart.
        filter_sql: a condition on the row: columns, literals, comparisons, AND OR NOT, IN, BETWEEN,
            LIKE, IS NULL; no function calls.
        datasource: the name in `aegis.toml`; `default` when there is only one.
        timestamp_unit: `s`, `ms` or `us` when the clock holds whole numbers since 1970.
        zone: how a clock without a zone is read.
        period: ISO 8601 (`P2Y`) in place of days.
        masks: column → strategy, for the action `anonymize`.
        marker_column: set in the same UPDATE, where the masks alone do not show that they were applied.
        delete_after_days: an anonymized row is deleted when it is so many days older.
        tenant_days: tenant → days, in place of `retention_days`.
        tenant_session: the setting that row policies of the application read, such as `app.tenant`; each run
            is for one tenant, and sees what its session sees (PostgreSQL).
        guards: what stops a run before its first row: `max_rows`, `max_share`, `usual_times`.
        archive: `keep_days`: rows are written to files first; `backup_hours`: a backup must be that young;
            `{}`: files, kept 14 days.
        cascades: tables whose rows may go with their parents'.
        after: policies that have to be through with their tables before this one.
        cron: when it runs, five fields; `cron_zone` says in which zone.
        windows: quiet hours such as `22:00-06:00`, in `cron_zone`.
        budget: most `rows` and `seconds` of one run.
        parallel: key ranges that workers may work on at the same time.
        purpose: what the data is for; part of what is approved.
        legal_basis: why it may be kept so long; part of what is approved.
        categories: kinds of personal data, for the record of processing.
        owner: who answers for the policy.
        review_by: when somebody should look at it again: a date, or its ISO text from JSON.
        actor: who registers it.

    Returns:
        The policy, `state` pending (or as it was, when nothing differs).

    Raises:
        ValueError: an unknown table or column, or a policy that cannot mean what it says.
        aegis.errors.UnsafeTable: a view, a system table, no primary key, or an unnamed cascade.

    """
    system = current()
    definition = Definition(
        name=name,
        table=table,
        timestamp_column=timestamp_column,
        retention_days=retention_days,
        action=action,
        tenant_column=tenant_column,
        tenant_session=tenant_session,
        filter_sql=filter_sql,
        datasource=system.settings.source_name(datasource),
        timestamp_unit=timestamp_unit,
        zone=zone,
        period=period,
        masks=masks,
        marker_column=marker_column,
        delete_after_days=delete_after_days,
        tenant_days=tenant_days,
        guards=guards,
        archive=archive,
        cascades=tuple(cascades),
        after=tuple(after),
        cron=cron,
        cron_zone=cron_zone,
        windows=tuple(windows),
        budget=budget,
        parallel=parallel,
        purpose=purpose,
        legal_basis=legal_basis,
        categories=tuple(categories),
        review_by=review_by,
    )
    return registry.register(system, definition, actor=actor, owner=owner)


@door
def register_policy_once(request_id: RequestId, definition: Mapping[str, Any]) -> dict[str, str]:
    """Register a policy for a request; return its name and state then, also when it comes again.

    A message that comes again late must not bring back a definition that another one has replaced.

    Args:
        request_id: the producer's id for this request.
        definition: the arguments of `register_retention_policy`.

    Raises:
        ValueError: as `register_retention_policy`.
        aegis.errors.Conflict: the id was used for something else.

    """
    system = current()
    asked: dict[str, Any] = {
        "request_id": request_id,
        "operation": "retention.register",
        # A share is a number with a fraction, which a digest's plain data may not have.
        "arguments": {"definition": json.dumps(definition, sort_keys=True)},
    }
    with reading(system.databases.control, "control database") as connection:
        known = requests.earlier(system, connection, **asked)
    if known is not None:
        return dict(known)
    policy = register_retention_policy(**definition)
    kept = {"policy": policy.name, "state": str(policy.state)}
    return dict(requests.once(system, work=lambda _: kept, **asked))


@door
def approve_retention_policy(
    name: str, actor: str, *, digest: str | None = None, signature: bytes | None = None
) -> DataRetentionPolicy:
    """Approve the newest version of a policy, bound to its digest.

    Args:
        name: the policy.
        actor: who approves; with a signature, the owner of its key.
        digest: what was looked at; refused when the policy has another by now.
        signature: over `approval_message(name)`: the file of `ssh-keygen -Y sign -n aegis`, or 64 bytes
            of Ed25519. Needed as soon as an approver key is registered.

    Returns:
        The policy; still pending while a second person has to approve it.

    Raises:
        ValueError: there is no such policy.
        aegis.errors.Refused: it changed since it was registered or looked at, or its signature is
            missing or wrong.

    """
    return registry.approve(current(), name, actor=actor, digest=digest, signature=signature)


@door
def approval_message(name: str, *, run: str | None = None) -> bytes:
    """Return the bytes to sign for a policy's newest version, or for a run of it that a guard stopped."""
    system = current()
    if run is not None:
        return stopped.find(system, name, run).message
    return registry.subject_of(registry.find(system, name)).message


@door
def approve_stopped_run(
    name: str, run: str, actor: str, *, signature: bytes | None = None
) -> Mapping[str, Any]:
    """Let exactly this run of a policy go on, for the rows at which a guard stopped it; return its row.

    Raises:
        ValueError: there is no such run.
        aegis.errors.Refused: no guard stopped it, or the signature is missing or wrong.

    """
    return stopped.approve(current(), name, run, actor=actor, signature=signature)


@door
def confirm_retention_policy(name: str, actor: str) -> DataRetentionPolicy:
    """Confirm what the first portion of a policy took, so that its scheduled runs go on.

    Raises:
        ValueError: there is no such policy.
        aegis.errors.Refused: there is nothing to confirm.

    """
    return landing.confirm(current(), name, actor=actor)


@door
def disable_retention_policy(name: str, actor: str) -> DataRetentionPolicy:
    """Stop a policy for good; registering it again makes a new version."""
    return registry.disable(current(), name, actor=actor)


@door
def list_retention_policies(names: Sequence[str] | None = None) -> list[DataRetentionPolicy]:
    """Return the newest version of every policy, or of those named."""
    return registry.newest(current(), names)


@door
def apply_retention_policies(
    text: Parsed, *, file: Long = "policies.yaml", check: bool = False, actor: str = "system"
) -> list[dict[str, Any]]:
    """Register what is new or changed in a policy file; nothing when anything in it is wrong.

    Args:
        text: the file's content, YAML.
        file: what it is called in a message.
        check: only compare.
        actor: who registers.

    Returns:
        For each policy: policy, status (new, changed, unchanged, proposed, rejected, only in the database),
        changes (key, old, new), the state it was in, and whether it is a new version that waits for approval.

    Raises:
        aegis.errors.InvalidFile: has one line for each fault.

    """
    system = current()
    steps, filed = plans.plan(system, text, file)
    if not check:
        plans.carry_out(system, steps, filed, actor=actor)
    return [step.report() for step in steps]


@door
def export_retention_policies(names: Sequence[str] | None = None) -> str:
    """Return the policies, or those named, as a file that applies without a change."""
    return plans.export(current(), names)


def retention_policy_schema() -> dict[str, Any]:
    """Return the JSON Schema of a policy file."""
    return words.schema()


@door
def preview_retention_policy(name: str, *, tenant_id: Any = None, sampled: bool = False) -> preview.Preview:
    """Count what a policy would do now, by tenant and month, without changing anything.

    Args:
        name: the policy.
        tenant_id: this tenant's rows only.
        sampled: estimate from some of the table's blocks (PostgreSQL); `sample` has the margin.

    """
    system = current()
    policy = registry.find(system, name)
    return preview.look(system, policy, tenant=tenant_id, in_full=True, sampled=sampled)


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


def retention_purges(limit: int = 20) -> list[Mapping[str, Any]]:
    """Return whether the rows of the newest runs are gone from the files too; open ones first."""
    return purges.recent(current(), limit)


@door
def purge_run(run: str, *, execute: bool = False) -> Mapping[str, Any]:
    """Look whether a run's rows are gone from the files too.

    Args:
        run: its id.
        execute: vacuum the tables first (PostgreSQL), or empty the write-ahead log (SQLite).

    Raises:
        ValueError: the run has nothing to purge.
        aegis.errors.Refused: the server would not vacuum, or only a rebuild helps.

    """
    system = current()
    return purges.execute(system, run) if execute else purges.look(system, purges.fetch(system, run))


def look_after_purges() -> int:
    """Look at the runs whose rows may still be in the files; return how many are gone by now."""
    return purges.look_after(current())


def policy_figures() -> list[forecast.Figures]:
    """Return what beat's endpoint says of each policy: stored numbers, and none that has to be counted."""
    return forecast.figures(current())


@door
def enforce_retention_policies(
    dry_run: bool = True,  # noqa: FBT001, FBT002 - the signature that services already use
    tenant_id: Any = None,
    *,
    policies: Sequence[str] | None = None,
    actor: str = "system",
    on_progress: OnProgress | None = None,
    full_speed: bool = False,
) -> list[dict[str, Any]]:
    """Count what is past its time, or with `dry_run=False` make it go, in this process.

    Args:
        dry_run: count only; nothing is changed.
        tenant_id: this tenant's rows only; every chosen policy must have a tenant column.
        policies: names; default: every policy.
        actor: who asks for it.
        on_progress: called after each batch with what it did.
        full_speed: no pauses and no throttle, for a maintenance window.

    Returns:
        For each policy: policy, table, action, cutoff (ISO 8601), rows, applied, status, reason.

    Raises:
        ValueError: an unknown policy, or a tenant for a policy without a tenant column.

    """
    system = current()
    chosen = enforcement.choose(system, policies, tenant_id)
    if dry_run:
        return [enforcement.count_only(system, policy, tenant_id) for policy in chosen]
    return [
        enforcement.apply(
            system,
            policy,
            tenant=tenant_id,
            actor=actor,
            on_progress=on_progress,
            full_speed=full_speed,
        )
        for policy in chosen
    ]


@door
def create_retention_runs(
    request_id: RequestId,
    *,
    tenant_id: Any = None,
    policies: Sequence[str] | None = None,
    actor: str = "system",
) -> list[str]:
    """Create one run for each permitted policy, once for this request; return their ids."""
    system = current()
    orders = [
        enforcement.order(policy, tenant=tenant_id, actor=actor, origin="task", request_id=request_id)
        for policy in enforcement.choose(system, policies, tenant_id)
        if registry.permitted(system, policy)
    ]
    actor_ref = system.recorder.actor_ref(actor)

    def work(connection: sa.Connection) -> list[str | None]:
        return [runs.create(connection, order, actor_ref) for order in orders]

    arguments = {"tenant_id": tenant_id, "policies": policies and list(policies), "actor": actor}
    made = requests.once(
        system,
        request_id=request_id,
        operation="retention.enforce",
        arguments=arguments,
        work=work,
        actor_ref=actor_ref,
    )
    return [str(run_id) for run_id in made if run_id]


@door
def advance_run(run_id: str, seconds: float | None = None) -> dict[str, Any]:
    """Work on a run for one slice and give it back.

    Returns:
        run, policy, table, action, rows (of this slice), total, `more` (call again), outcome
        (more, done, busy, fenced, waiting, blocked, retry, failed) and reason.

    """
    system = current()
    return advance(
        system, run_id, system.settings.retention.slice_seconds if seconds is None else seconds
    ).report()


def carry_out_unfinished(*, on_progress: OnProgress | None = None) -> list[dict[str, Any]]:
    """Work on every run that is not finished, each until it ends or waits, in this process.

    Returns:
        For each run: what `enforce_retention_policies` returns.

    """
    system = current()
    return [
        enforcement.carry_out(system, registry.by_id(system, run["policy_id"]), run["id"], on_progress)
        for run in runs.unfinished(system)
    ]


def scheduled_policies() -> list[scheduling.Scheduled]:
    """Return what beat plans with: the permitted policies and their last planned instants."""
    return scheduling.scheduled(current())


@door
def create_scheduled_run(policy_id: str, instant: dt.datetime) -> str | None:
    """Create the run of a scheduled instant; None when somebody did already."""
    return scheduling.create(current(), policy_id, instant)


@door
def note_missed_runs(policy_id: str, first: dt.datetime, last: dt.datetime, count: int) -> None:
    """Record scheduled instants that were missed and are not made up."""
    scheduling.missed(current(), policy_id, first, last, count)


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


def due_runs() -> list[str]:
    """Return the runs whose message or worker was lost, to be sent again; look after the holds."""
    reviews.look_after(current())
    return runs.due(current())


@door
def pause_run(run_id: str, actor: str) -> None:
    """Let the batch in flight be a run's last; it goes on when a person resumes it."""
    control.pause(current(), run_id, actor=actor)


@door
def resume_run(run_id: str, actor: str) -> None:
    """Let a run go on that was paused, blocked or quarantined; the reconciler sends it."""
    control.resume(current(), run_id, actor=actor)


@door
def resume_source(datasource: str, actor: str) -> returning.Resumed:
    """Let a data source go on that was restored from a backup, once it is accounted for what came back.

    Raises:
        aegis.errors.Refused: it is in order, was tampered with, or is another database.

    """
    return returning.resume(current(), datasource, actor=actor)


@door
def cancel_run(run_id: str, actor: str) -> int:
    """End a run for good after the batch in flight; return the rows that went until then."""
    return control.cancel(current(), run_id, actor=actor)


@door
def place_hold(
    *,
    matter: Long,
    owner: str,
    review_by: dt.date,
    datasource: str = "default",
    key: Mapping[str, Any] | None = None,
    **scope: Any,
) -> str:
    """Place a legal hold and return its id once it is in force: the next batch obeys it.

    Args:
        matter: what it is about.
        owner: who answers for it.
        review_by: when somebody looks at it again; past it the hold alarms and stays.
        datasource: the name in `aegis.toml`.
        key: one row of `table`: each column of its primary key → the value. Kept sealed, never logged.
        scope: what narrows it: `policy`, `table`, `tenant`, `since`, `until`.

    Raises:
        ValueError: a policy, a table or a row of that name does not exist.
        aegis.errors.Unreachable: the hold is kept and NOT yet in force.

    """
    if key is not None:
        scope["key"] = rowkeys.spell(key)
    return holds.place(
        current(), Scope(**scope), datasource=datasource, matter=matter, owner=owner, review_by=review_by
    )


@door
def list_holds(*, everything: bool = False) -> list[dict[str, Any]]:
    """Return the holds and stops that are not over, or all of them."""
    return holds.listed(current(), everything=everything)


@door
def release_hold(hold_id: str, actor: str) -> None:
    """Release a legal hold; runs that waited for it go on."""
    holds.release(current(), hold_id, actor=actor)


@door
def stop_operations(
    reason: Long, actor: str, *, datasource: str | None = None, everywhere: bool = False
) -> list[stops.Switched]:
    """Stop everything that changes rows in one data source, or everywhere, from the next batch on."""
    system = current()
    return stops.stop(system, _sources(datasource, everywhere=everywhere), reason=reason, actor=actor)


@door
def start_operations(
    actor: str, *, datasource: str | None = None, everywhere: bool = False
) -> list[stops.Switched]:
    """Let what was stopped go on."""
    return stops.start(current(), _sources(datasource, everywhere=everywhere), actor=actor)


def _sources(datasource: str | None, *, everywhere: bool) -> list[str]:
    settings = current().settings
    if everywhere and datasource is not None:
        message = "name one data source or all of them, not both"
        raise UsageError(message)
    return sorted(settings.sources) if everywhere else [settings.source_name(datasource)]


def tenant_isolation_check(requesting_tenant: Any, resource_tenant: Any) -> None:
    """Return when both are the same tenant; otherwise raise and record the denial.

    Raises:
        ValueError: one of them is missing.
        PermissionError: they differ.

    """
    check_isolation(current(), requesting_tenant, resource_tenant)
