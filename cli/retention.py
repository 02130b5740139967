"""`aegis retention`: run policies in this process, and see what ran."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from aegis.db.tables import DataRetentionPolicy
from aegis.errors import AegisError, Interrupted, UsageError
from aegis.operations import runs
from aegis.operations.states import State, Wait
from aegis.operations.system import current
from aegis.retention import enforcement, policies, returning
from aegis.retention.slices import Slice
from api import privacy
from cli import archives, masks, output, pages, progress, run_page, standing
from cli.policy import EMPTY
from cli.purge import purge
from schedules import instants
from schedules.planning import Due, Missed

#: What a report's status means to a reader.
_WORDS: Final[Mapping[str, str]] = {
    "unapproved": "not approved",
    "busy": "somebody else works on it",
    "fenced": "taken over by another worker",
    "retry": "to be tried again",
}
_GOOD: Final = frozenset({"done", "dry_run"})
#: Stopped, and what was committed stands; a later call goes on.
_LATER: Final = frozenset(
    {"busy", "fenced", "interrupted", "retry", "more", "accepted", "running", "verifying"}
)
#: A run that waits for one of these goes on by itself.
_BY_ITSELF: Final = (Wait.LANDING.value, Wait.WINDOW.value)


@click.group()
def retention() -> None:
    """Run policies now, or see what ran.

    Beat and a worker run approved policies at their instants; these commands need neither.
    """


retention.add_command(purge)


@retention.command()
@click.option("--policy", "names", multiple=True, metavar="P", help="Only this policy; may be repeated.")
@click.option("--tenant", metavar="T", help="Only this tenant's rows.")
@click.option("--execute", is_flag=True, help="Let the rows go; without it this is a dry run.")
@click.option("--scheduled", is_flag=True, help="For a CronJob without beat: what is due by the schedule.")
@click.option("--full-speed", is_flag=True, help="No pauses and no throttle, for a maintenance window.")
@click.option("--events", is_flag=True, help="Tell each batch on stderr as one line of JSON, for programs.")
@output.actor_option(required=False)
@output.json_option
def run(
    *,
    names: tuple[str, ...],
    tenant: str | None,
    execute: bool,
    events: bool,
    scheduled: bool,
    full_speed: bool,
    actor: str,
    as_json: bool,
) -> int:
    """Count what is past its time; with --execute let it go, in this process.

    Ctrl-C stops after the batch in flight; what is gone is accounted for. A policy that is not approved is
    counted and never run.

    With --scheduled the instants of the policies' schedules that are due become runs, as beat makes them, and
    these and all unfinished runs go on until they end or wait. Beat may run at the same time.
    """
    if scheduled:
        if names or tenant:
            message = "--scheduled runs what is due of every policy: leave out --policy and --tenant"
            raise UsageError(message)
        return _scheduled(execute=execute, as_json=as_json)
    chosen = enforcement.choose(current(), names or None, tenant)
    if execute:
        reports, interrupted = _execute(
            chosen, tenant, actor, quiet=as_json, events=events, full_speed=full_speed
        )
    else:
        reports, interrupted = _count(chosen, tenant), None
    code = _exit_code(reports, interrupted=interrupted is not None)
    if as_json:
        output.print_json({"dry_run": not execute, "interrupted": interrupted, "results": reports})
    elif not chosen:
        output.say(EMPTY)
    else:
        _show(reports)
        _close(chosen, execute=execute, interrupted=interrupted)
    return code


for _command in (archives.list_archives, archives.restore, archives.attest_backup):
    retention.add_command(_command)


@retention.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many runs.")
@pages.html_option
@output.json_option
def status(*, run_id: str | None, limit: int, html: str | None, as_json: bool) -> None:
    """List the newest runs, however they were started; with RUN, tell everything of that one.

    The page is the report of that run: what it did over time, its account, and who permitted it.
    """
    if run_id is not None:
        _one(run_id, html, as_json=as_json)
        return
    if html is not None:
        message = "--html is the report of one run: name the RUN"
        raise UsageError(message)
    found = runs.recent(current(), limit)
    if as_json:
        output.print_json(found)
    elif not found:
        output.say("Nothing has run yet.")
    else:
        headings = ["run", "started", "policy", "tenant", "state", "rows", "of", "by"]
        rows = [
            (
                row["id"],
                output.moment(row["started_at"] or row["created_at"]),
                row["policy"],
                row["tenant"] or "all",
                _state(row),
                output.number(row["rows"]),
                output.number(row["rows_expected"]),
                row["origin"],
            )
            for row in found
        ]
        output.columns(headings, rows, right=["rows", "of"])
        for row in found:
            if row["reason"]:
                output.say(f"\n{row['policy']}, run {row['id']}, is {_state(row)}: {row['reason']}")


@retention.command()
@click.argument("run_id", metavar="RUN")
@output.actor_option(required=True)
@output.json_option
def pause(*, run_id: str, actor: str, as_json: bool) -> None:
    """Pause a run: the batch in flight is its last until somebody resumes it."""
    privacy.pause_run(run_id, actor)
    _controlled(run_id, "paused", as_json=as_json)


@retention.command()
@click.argument("run_id", metavar="RUN", required=False)
@click.option("--datasource", metavar="D", help="Instead of a run: a data source that was restored.")
@output.actor_option(required=True)
@output.json_option
def resume(*, run_id: str | None, datasource: str | None, actor: str, as_json: bool) -> None:
    """Let a run go on that was paused, or that is blocked or quarantined.

    With --datasource: let a data source go on that was restored, or whose older replica was promoted. What
    came back is accounted for, its unfinished runs are cancelled, and policies run at their next instant.
    """
    if (run_id is None) == (datasource is None):
        message = "name one run, or one data source with --datasource"
        raise UsageError(message)
    if run_id is None:
        _source_resumed(privacy.resume_source(str(datasource), actor), as_json=as_json)
        return
    privacy.resume_run(run_id, actor)
    _controlled(run_id, "accepted", as_json=as_json)


@retention.command()
@click.argument("run_id", metavar="RUN")
@output.actor_option(required=True)
@output.json_option
def cancel(*, run_id: str, actor: str, as_json: bool) -> None:
    """End a run for good after the batch in flight; what is gone stays gone and accounted for."""
    rows = privacy.cancel_run(run_id, actor)
    _controlled(run_id, "cancelled", as_json=as_json, rows=rows)


def _one(run_id: str, html: str | None, *, as_json: bool) -> None:
    with pages.opened(html) as file:
        if file is None:
            one = privacy.run_standing(run_id)
        else:
            found = privacy.run_dossier(run_id)
            file.write(run_page.page_of(found))
            one = found.standing
    if as_json:
        output.print_json(standing.document(one))
    else:
        standing.show(one)
        pages.say(html)


def _source_resumed(done: returning.Resumed, *, as_json: bool) -> None:
    rows = [(*names, rows) for names, rows in sorted(done.returned.items())]
    if as_json:
        keys = ("policy", "table", "action", "rows")
        returned = [dict(zip(keys, row, strict=True)) for row in rows]
        output.print_json({**vars(done), "returned": returned})
        return
    output.say(f"Data source {done.datasource} goes on, as incarnation {done.incarnation}.")
    if rows:
        output.say("These rows had gone, or were changed, and came back as they were:\n")
        lines = [(*row[:3], output.number(row[3])) for row in rows]
        output.columns(["policy", "table", "action", "rows"], lines, right=["rows"])
    for run_id in done.cancelled:
        output.say(f"Run {run_id} is cancelled; the next run of its policy begins anew.")


def _controlled(run_id: str, state: str, *, as_json: bool, rows: int | None = None) -> None:
    if as_json:
        output.print_json({"run": run_id, "state": state, "rows": rows})
        return
    went = "" if rows is None else f" {output.counted(rows, 'row')} went before that."
    goes_on = " A worker goes on with it." if state == "accepted" else ""
    output.say(f"Run {run_id} is {state}.{went}{goes_on}")


def _state(row: Mapping[str, Any]) -> str:
    return f"{row['state']} ({row['waits_for']})" if row["waits_for"] else str(row["state"])


def _execute(
    chosen: Sequence[DataRetentionPolicy],
    tenant: str | None,
    actor: str,
    *,
    quiet: bool,
    events: bool,
    full_speed: bool,
) -> tuple[list[dict[str, Any]], str | None]:
    """Run each policy to its end; return the reports, and the policy in which somebody stopped it."""
    reports: list[dict[str, Any]] = []
    with progress.Stopper() as stopper, progress.display(quiet=quiet, events=events) as shown:

        def on_progress(piece: Slice) -> None:
            shown.advance(piece)
            if piece.outcome in {"more", "retry"}:
                stopper.check()

        for policy in chosen:
            shown.start(policy.name)
            try:
                stopper.check()
                reports += privacy.enforce_retention_policies(
                    dry_run=False,
                    tenant_id=tenant,
                    policies=[policy.name],
                    actor=actor,
                    on_progress=on_progress,
                    full_speed=full_speed,
                )
            except KeyboardInterrupt:
                _relay(policy.datasource)
                return reports, policy.name
    return reports, None


def _scheduled(*, execute: bool, as_json: bool) -> int:
    """Do what beat and a worker would do now; return the exit code."""
    found = instants.planned(dt.timedelta(seconds=current().settings.operations.catch_up_seconds))
    reports: list[dict[str, Any]] = []
    failed: list[str] = []
    if execute:
        failed = [item.policy for item, policy_id in found if not _claimed(item, policy_id)]
        with progress.Stopper() as stopper:
            reports = privacy.carry_out_unfinished(on_progress=lambda _piece: stopper.check())
    if as_json:
        due = [vars(item) for item, _ in found]
        output.print_json({"dry_run": not execute, "instants": due, "results": reports})
    elif execute:
        _show(reports)
        output.say("" if reports else "Nothing is due.")
    else:
        for item, _ in found:
            when = item.scheduled_for if isinstance(item, Due) else item.last
            word = "due" if isinstance(item, Due) else "missed"
            output.say(f"{item.policy}: {word} for {output.moment(when)}")
        output.say("Dry run: nothing was changed. With --execute what is due runs.")
    return AegisError.exit_code if failed else _exit_code(reports, interrupted=False)


def _claimed(item: Due | Missed, policy_id: str) -> bool:
    """Make the run of an instant; a fault of one policy stops no other."""
    try:
        instants.carry_out(item, policy_id)
    except AegisError as error:
        click.echo(f"aegis: policy {item.policy} cannot run as scheduled: {error}", err=True)
        return False
    return True


def _relay(datasource: str) -> None:
    """Bring what the stopped run did into the log; when that fails, beat does it later."""
    try:
        current().relay.relay(datasource)
    except AegisError as error:
        click.echo(f"aegis: the log gets the stopped run's events later: {error}", err=True)


def _count(chosen: Sequence[DataRetentionPolicy], tenant: str | None) -> list[dict[str, Any]]:
    names = [policy.name for policy in chosen]
    return privacy.enforce_retention_policies(dry_run=True, tenant_id=tenant, policies=names)


def _exit_code(reports: Sequence[Mapping[str, Any]], *, interrupted: bool) -> int:
    left = [report for report in reports if report["status"] not in _GOOD]
    if not all(_goes_on(report) for report in left):
        return AegisError.exit_code
    return Interrupted.exit_code if left or interrupted else 0


def _goes_on(report: Mapping[str, Any]) -> bool:
    """Whether a later call goes on without anybody having to decide something."""
    waits = report["status"] == State.WAITING and str(report["reason"]).startswith(_BY_ITSELF)
    return waits or report["status"] in _LATER


def _show(reports: Sequence[Mapping[str, Any]]) -> None:
    if not reports:
        return
    rows = [
        (
            report["policy"],
            report["table"],
            output.moment(report["cutoff"]),
            output.number(report["rows"]),
            _word(report),
        )
        for report in reports
    ]
    output.columns(["policy", "table", "older than", "rows", "result"], rows, right=["rows"])
    for report in reports:
        if report["reason"]:
            output.say(f"\n{report['policy']}: {output.printable(report['reason'])}")
        if "seen" in report:
            output.say(f"\n{report['policy']}: {output.printable(report['seen'])}")


def _word(report: Mapping[str, Any]) -> str:
    if report["applied"] and not report["rows"]:
        return "nothing due"
    if report["applied"]:
        return masks.counts(report["actions"], masks.DONE)
    if report["status"] == "dry_run":
        return masks.counts(report["actions"], masks.WOULD)
    return _WORDS.get(report["status"], str(report["status"]))


def _close(chosen: Sequence[DataRetentionPolicy], *, execute: bool, interrupted: str | None) -> None:
    if interrupted is not None:
        output.say(
            f"\nStopped in policy {interrupted}. What is gone is committed and accounted for.\n"
            "The same command goes on with what is left; a worker, where one runs, finishes the stopped run."
        )
    elif not execute:
        waiting = [policy.name for policy in chosen if not policies.permitted(current(), policy)]
        if waiting:
            output.say(f"\nNot approved, so --execute would leave out: {', '.join(waiting)}")
        output.say("\nDry run: nothing was changed. With --execute the rows of approved policies go.")
