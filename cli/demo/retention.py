"""Retention: policies registered, previewed, approved, fired by beat, watched."""

import datetime as dt
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from aegis.errors import OperationFailed
from api import audit, privacy
from cli.demo.database import DEVICE, TENANTS, Standing
from cli.demo.stage import SOURCE, Stage

#: How long the runs may take before the demo gives up.
_PATIENCE: Final = 180.0
#: Seconds that preview and approval need before the policies' instant.
_LEAD: Final = 8
_OFFICER: Final = "privacy-officer@example.com"

POLICIES: Final[tuple[Mapping[str, Any], ...]] = (
    {
        "name": "safety_90",
        "table": "safety_events",
        "retention_days": 90,
        "purpose": "abuse prevention",
    },
    {
        "name": "jobs_180",
        "table": "jobs",
        "timestamp_column": "finished_at",
        "retention_days": 180,
        "filter_sql": "status IN ('done', 'failed')",
        "purpose": "support",
    },
    {
        "name": "tokens_30",
        "table": "refresh_tokens",
        "timestamp_column": "expires_at",
        "retention_days": 30,
        "purpose": "sign-in",
    },
    {
        "name": "sign_ins_30",
        "table": "sign_ins",
        "retention_days": 30,
        "action": "anonymize",
        "masks": {"address": "truncate_ip", DEVICE: "null"},
        "purpose": "account security; later, figures without persons",
    },
)


def action_of(policy: Mapping[str, Any]) -> str:
    """Return what a policy does to a row."""
    return str(policy.get("action", "delete"))


def play(stage: Stage) -> None:
    """Go from the registration to the end of every run."""
    instant = _next_minute()
    stage.say(f"Registering four retention policies, each due every day at {instant:%H:%M} UTC")
    _register_all(instant)
    for policy in POLICIES:
        stage.tell(_described(policy))
    _preview(stage)
    _refuse(stage)
    _approve(stage)
    _wait(stage, _in_time(stage, instant))
    _watch(stage)


def show_tenants(stage: Stage, before: Standing, after: Standing) -> None:
    """Show what went and what was masked, as the application's own tables have it."""
    stage.say("What went, and what was masked, by tenant: counted in the application's own tables")
    rows = []
    for policy in POLICIES:
        name = policy["table"]
        done = [before[name][tenant] - after[name][tenant] for tenant in TENANTS]
        rows.append([action_of(policy), name, *[f"{rows:,}" for rows in done], f"{sum(done):,}"])
    stage.table(["action", "table", *TENANTS, "all"], rows, numbers_from=2)


def _described(policy: Mapping[str, Any]) -> str:
    how = ", ".join(f"{column}: {mask}" for column, mask in policy.get("masks", {}).items())
    what = f"{action_of(policy)} {policy['table']}" + (f" ({how})" if how else "")
    return f"{policy['name']:<12}{what}, {policy['retention_days']} days"


def _preview(stage: Stage) -> None:
    stage.say("Preview: what would go or be masked, counted in the live database, nothing changed")
    rows = []
    for policy in POLICIES:
        seen = privacy.preview_retention_policy(policy["name"])
        counts = [seen.total, seen.rows, *[seen.tenants.get(tenant, 0) for tenant in TENANTS]]
        rows.append([policy["name"], policy["table"], *[f"{count:,}" for count in counts]])
    stage.table(["policy", "table", "rows", "due", *TENANTS], rows, numbers_from=2)


def _refuse(stage: Stage) -> None:
    stage.say("Unapproved policies do nothing")
    (refused,) = privacy.enforce_retention_policies(dry_run=False, policies=["safety_90"])
    if refused["applied"] or refused["status"] != "unapproved":
        message = f"an unapproved policy did not stop: {refused['status']}"
        raise OperationFailed(message)
    stage.tell(f"enforce_retention_policies(dry_run=False) → {refused['status']}, 0 rows changed")


def _approve(stage: Stage) -> None:
    stage.say("Approving all four, each bound to its digest")
    stage.tell("The demo switches soft landing off (soft_landing_hours = 0): otherwise beat waits a day")
    stage.tell("with a new policy, takes a first portion, and waits to have it confirmed.")
    for policy in POLICIES:
        approved = privacy.approve_retention_policy(policy["name"], actor=_OFFICER)
        stage.tell(f"{approved.name:<12}sha256:{approved.digest[:16]}…")


def _in_time(stage: Stage, instant: dt.datetime) -> dt.datetime:
    """Return the instant, or a later one when it was over before the last approval."""
    if dt.datetime.now(dt.UTC) < instant:
        return instant
    later = _next_minute()
    stage.say(f"Too late for {instant:%H:%M} UTC: moved to {later:%H:%M}; when is no part of the digest")
    _register_all(later)
    return later


def _wait(stage: Stage, instant: dt.datetime) -> None:
    stage.say(f"Waiting for {instant:%H:%M:%S} UTC: beat fires by itself")
    with stage.console.status("") as status:
        while (left := (instant - dt.datetime.now(dt.UTC)).total_seconds()) > 0:
            stage.interrupts.obey()
            status.update(f"{left:.0f} s")
            time.sleep(min(left, 0.5))


def _watch(stage: Stage) -> None:
    stage.say("Beat sends, Redis carries, the worker deletes and masks in batches")
    columns = (
        TextColumn("  {task.description:<11}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[state]}"),
    )
    with Progress(*columns, console=stage.console) as progress:
        bars = {
            policy["name"]: progress.add_task(policy["name"], total=None, state="") for policy in POLICIES
        }
        for name, run in _until_done():
            stage.interrupts.obey()
            progress.update(bars[name], total=run["expected"], completed=run["rows"], state=run["state"])
    audit.relay_journals()


def _until_done() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each policy's run again and again until all are done."""
    deadline, done = time.monotonic() + _PATIENCE, set[str]()
    while len(done) < len(POLICIES):
        if time.monotonic() > deadline:
            message = "the runs did not finish in time; run `aegis demo --keep` and read processes.log"
            raise OperationFailed(message)
        time.sleep(0.1)
        for policy in POLICIES:
            for run in privacy.retention_progress(policy["name"])[:1]:
                yield policy["name"], run
                if run["state"] in {"blocked", "failed", "quarantined"}:
                    message = f"policy {policy['name']} is {run['state']}: {run['reason']}"
                    raise OperationFailed(message)
                if run["state"] == "done":
                    done.add(policy["name"])


def _register_all(instant: dt.datetime) -> None:
    for policy in POLICIES:
        privacy.register_retention_policy(
            **policy,
            tenant_column="tenant",
            datasource=SOURCE,
            cron=f"{instant.minute} {instant.hour} * * *",
            actor="demo",
        )


def _next_minute() -> dt.datetime:
    earliest = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=_LEAD)
    return earliest.replace(second=0, microsecond=0) + dt.timedelta(minutes=1)
