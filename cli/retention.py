"""`aegis retention`: run policies in this process, and see what ran."""

from collections.abc import Mapping
from typing import Any

import click

from aegis.errors import UsageError
from aegis.operations import runs
from aegis.operations.system import current
from aegis.retention import returning
from api import privacy
from cli import archives, output, pages, retention_run, run_page, standing
from cli.purge import purge


@click.group()
def retention() -> None:
    """Run policies now, or see what ran.

    Beat and a worker run approved policies at their instants; these commands need neither.
    """


for _command in (
    retention_run.run,
    purge,
    archives.list_archives,
    archives.restore,
    archives.attest_backup,
):
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
