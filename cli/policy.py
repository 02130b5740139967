"""`aegis policy`: register, look at, approve and disable retention policies."""

import json
from pathlib import Path
from typing import Any, Final

import click

from aegis.audit.actions import Action
from aegis.audit.reading import MOST
from aegis.db.tables import DataRetentionPolicy
from aegis.operations.states import PolicyState, State
from aegis.operations.system import current
from aegis.retention import policies
from api import audit, privacy
from cli import (
    masks,
    outlook,
    output,
    pages,
    policy_add,
    policy_files,
    policy_queries,
    policy_rows,
    preview,
    preview_page,
    signing,
)

EMPTY: Final = """No policy is registered yet. The first one:

  aegis policy add NAME --table TABLE --days 90 --action delete"""


@click.group()
def policy() -> None:
    """Register, look at, approve and disable retention policies.

    A new policy is pending: it changes nothing until somebody approves exactly what it says, against exactly
    this database. When either changes, it stops and waits for a new approval.
    """


for _command in (
    policy_add.add,
    outlook.what_if,
    outlook.status,
    policy_files.apply,
    policy_files.export,
    policy_files.schema,
):
    policy.add_command(_command)


@policy.command("list")
@output.json_option
def list_policies(*, as_json: bool) -> None:
    """List every policy in its newest version."""
    found = privacy.list_retention_policies()
    if as_json:
        output.print_json([policy_rows.listed(item) for item in found])
    elif not found:
        output.say(EMPTY)
    else:
        several = len({item.datasource for item in found}) > 1
        headings = ["policy", "version", "table", "keeps", "action", "state", "runs"]
        output.columns(
            headings, (policy_rows.row(item, several=several) for item in found), right=["version"]
        )


@policy.command()
@click.argument("name")
@click.option("--sql", is_flag=True, help="The read-only query that shows the rows it would take now.")
@click.option("--tenant", metavar="T", help="With --sql: this tenant's rows only.")
@output.json_option
def show(*, name: str, sql: bool, tenant: str | None, as_json: bool) -> None:
    """Show every field and the approval.

    The document that it prints is what an approval binds to: its SHA-256 is the policy's digest. With --sql
    it prints plain queries in its place, which an auditor runs himself to see the rows that would go.
    """
    if sql:
        policy_queries.show(privacy.show_retention_queries(name, tenant_id=tenant), as_json=as_json)
        return
    if tenant is not None:
        message = "--tenant goes with --sql"
        raise click.UsageError(message)
    (found,) = privacy.list_retention_policies([name])
    approval = _approval(found)
    fields = {column.name: getattr(found, column.name) for column in found.__table__.columns}
    text = fields.pop("definition")
    if as_json:
        output.print_json({**fields, "document": json.loads(text), "canonical": text, "approval": approval})
        return
    fields["masks"] = masks.shown(found.masks)
    output.say(f"Policy {name}, version {found.version}: {found.state}\n")
    output.facts((field, _shown(value)) for field, value in fields.items() if value is not None)
    unset = [field for field, value in fields.items() if value is None]
    output.say(f"\nNot set: {', '.join(unset)}")
    output.say(f"\nApproval: {_approval_sentence(found, approval)}")
    output.say(f"\nThe digest is the SHA-256 of this line, without its end:\n{text}")
    if not policies.permitted(current(), found):
        output.say(f"\nTo approve it with a key of OpenSSH:\n{policies.subject_of(found).signing}")


@policy.command("preview")
@click.argument("name")
@click.option("--tenant", metavar="T", help="Count this tenant's rows only.")
@click.option(
    "--sampled",
    is_flag=True,
    help="Estimate from some of a large table's blocks, with the margin (PostgreSQL).",
)
@pages.html_option
@output.json_option
def preview_policy(*, name: str, tenant: str | None, sampled: bool, html: str | None, as_json: bool) -> None:
    """Count what a policy would do now, by tenant and month; changes nothing.

    The page has more: what stays by tenant and month, guards, holds, and who approved the policy.
    """
    with pages.opened(html) as file:
        if file is None:
            seen = privacy.preview_retention_policy(name, tenant_id=tenant, sampled=sampled)
        else:
            brief = privacy.brief_retention_policy(name, tenant_id=tenant, sampled=sampled)
            file.write(preview_page.page_of(brief))
            seen = brief.preview
    if as_json:
        output.print_json(preview.document(seen, tenant))
        return
    preview.show(seen, tenant)
    output.say("\nNothing was changed.")
    pages.say(html)
    if seen.policy.state == PolicyState.PENDING:
        output.say(f"Next:  aegis policy approve {name} --actor YOU --digest {seen.policy.digest}")
    elif seen.policy.state == PolicyState.APPROVED:
        output.say(f"Next:  aegis retention run --policy {name} --execute")


@policy.command()
@click.argument("name")
@output.actor_option(required=True)
@click.option("--digest", metavar="D", help="What was looked at; refused when the policy has another by now.")
@click.option("--run", "stopped", metavar="RUN", help="Not the policy: one run of it that a guard stopped.")
@signing.options
@output.json_option
def approve(
    *,
    name: str,
    actor: str,
    digest: str | None,
    stopped: str | None,
    private: Path | None,
    made: Path | None,
    as_json: bool,
) -> None:
    """Approve a policy as it stands now, or one run of it that a guard stopped.

    The approval binds to the policy's digest: to its words and to the live database. As soon as the key of
    an approver is registered (`aegis approver add`) it has to be signed. Without keys it is recorded for the
    actor that was named; nothing proves who that was, and the record says so.
    """
    if stopped is not None:
        _approve_run(name, stopped, actor, private, made, as_json=as_json)
        return
    (before,) = privacy.list_retention_policies([name])
    known = policies.permitted(current(), before)
    seen = None if known else privacy.preview_retention_policy(name)
    signature = signing.signature(policies.subject_of(before).message, private, made)
    approved = privacy.approve_retention_policy(
        name, actor, digest=digest or before.digest, signature=signature
    )
    if as_json:
        output.print_json({**policy_rows.listed(approved), "approval": _approval(approved)})
    elif seen is None:
        output.say(
            f"Policy {name}, version {approved.version}: {_approval_sentence(approved, _approval(approved))}"
        )
    else:
        preview.show_essentials(seen)
        how = "signed" if signature else "as claimed: no key proves who typed it"
        output.say(f"\nApproved by {output.printable(actor)}, {how}.")
        output.say(f"Digest {approved.digest}")
        output.say(f"Next:  {_next(approved)}")


@policy.command()
@click.argument("name")
@output.actor_option(required=True)
@output.json_option
def confirm(*, name: str, actor: str, as_json: bool) -> None:
    """Confirm what the first portion of a new policy took, so that its scheduled runs go on."""
    confirmed = privacy.confirm_retention_policy(name, actor)
    if as_json:
        output.print_json(policy_rows.listed(confirmed) | {"confirmed_at": confirmed.confirmed_at})
    else:
        output.say(f"Policy {name}, version {confirmed.version}: confirmed. Its scheduled runs go on.")


@policy.command()
@click.argument("name")
@output.actor_option(required=True)
@output.json_option
def disable(*, name: str, actor: str, as_json: bool) -> None:
    """Stop a policy for good.

    Adding it again makes a new version that waits for its own approval.
    """
    stopped = privacy.disable_retention_policy(name, actor)
    if as_json:
        output.print_json(policy_rows.listed(stopped))
    else:
        output.say(f"Policy {name}, version {stopped.version}: disabled. It does not run any more.")


def _approve_run(
    name: str, run: str, actor: str, private: Path | None, made: Path | None, *, as_json: bool
) -> None:
    signature = signing.signature(privacy.approval_message(name, run=run), private, made)
    row = privacy.approve_stopped_run(name, run, actor, signature=signature)
    if as_json:
        output.print_json(row)
        return
    counted = output.counted(row["report"]["counted"], "row")
    if row["state"] == State.BLOCKED:
        output.say(f"Run {run}: somebody else has to approve it as well; nothing runs until then.")
    else:
        output.say(f"Run {run} may take up to {counted}, once. A worker goes on with it soon; or at once:")
        output.say("aegis retention run --scheduled --execute")


def _next(found: DataRetentionPolicy) -> str:
    if found.state != PolicyState.APPROVED:
        return "somebody else has to approve it as well; nothing runs until then"
    return f"aegis retention run --policy {found.name} --execute, or let beat run it ({found.cron})"


def _approval(found: DataRetentionPolicy) -> dict[str, Any] | None:
    """Return who approved this version, as the audit log has it."""
    if found.approved_at is None:
        return None
    for event in audit.get_audit_events(MOST, action=Action.POLICY_APPROVE):
        if event["target_id"] == found.name and event["details"].get("version") == found.version:
            claimed = bool(event["details"].get("claimed"))
            digest = event["details"].get("digest")
            return {"actor": event["actor"], "time": event["time"], "digest": digest, "claimed": claimed}
    return {"actor": None, "time": found.approved_at, "digest": found.digest, "claimed": True}


def _approval_sentence(found: DataRetentionPolicy, approval: dict[str, Any] | None) -> str:
    if approval is None:
        return f"none. aegis policy approve {found.name} --actor YOU"
    who = output.printable(approval["actor"] or "somebody whose name was erased")
    how = "as claimed: no key proves it" if approval["claimed"] else "signed"
    same = "" if approval["digest"] == found.digest else ", FOR ANOTHER DIGEST"
    return f"approved by {who} ({how}) at {output.moment(approval['time'])}{same}"


def _shown(value: Any) -> str:
    return output.moment(value) if hasattr(value, "astimezone") else str(value)
