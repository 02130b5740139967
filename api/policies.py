"""The doors of retention policies: register, approve, disable, keep them in a file."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

from aegis.arguments import Long, Parsed, RequestId, door
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import DataRetentionPolicy
from aegis.operations import requests
from aegis.operations.system import current
from aegis.retention import landing, plans, registering, stopped, words
from aegis.retention import policies as registry
from aegis.retention.definition import Definition


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
    return registering.register(system, definition, actor=actor, owner=owner)


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
    with reading(system.databases.control, CONTROL) as connection:
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
    return registering.approve(current(), name, actor=actor, digest=digest, signature=signature)


@door
def approval_message(name: str, *, run: str | None = None) -> bytes:
    """Return the bytes to sign for a policy's newest version, or for a run of it that a guard stopped.

    Raises:
        ValueError: there is no such policy, or no such run of it.
        aegis.errors.Refused: no guard stopped that run.

    """
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
    """Stop a policy for good; registering it again makes a new version.

    Raises:
        ValueError: there is no such policy.

    """
    return registering.disable(current(), name, actor=actor)


@door
def list_retention_policies(names: Sequence[str] | None = None) -> list[DataRetentionPolicy]:
    """Return the newest version of every policy, or of those named.

    Raises:
        ValueError: one of the names is not registered.

    """
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
    """Return the policies, or those named, as a file that applies without a change.

    Returns:
        YAML, as `apply_retention_policies` reads it.

    Raises:
        ValueError: one of the names is not registered.

    """
    return plans.export(current(), names)


def retention_policy_schema() -> dict[str, Any]:
    """Return the JSON Schema of a policy file."""
    return words.schema()
