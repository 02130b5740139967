"""`aegis retention run`: run policies in this process."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from aegis.db.tables import DataRetentionPolicy
from aegis.errors import AegisError, Interrupted, UsageError
from aegis.operations.states import State, Wait
from aegis.operations.system import current
from aegis.retention import enforcement, policies
from aegis.retention.slices import Slice
from api import privacy
from cli import masks, output, progress
from cli.policy import EMPTY
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


@click.command()
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
