"""`aegis retention purge`: whether rows that went are gone from the files too."""

from collections.abc import Mapping
from typing import Any

import click

from api import privacy
from cli import output

#: What a look found, as people read it.
HOWS = {
    "vacuumed": "the tables were vacuumed since",
    "rewritten": "the tables' files were written anew since",
    "overwritten": "overwritten when they were deleted, and the write-ahead log is empty",
    "dropped": "the tables are not there any more",
}


@click.command()
@click.argument("run", required=False)
@click.option(
    "--execute",
    is_flag=True,
    help="Vacuum the run's tables (PostgreSQL), or empty the write-ahead log (SQLite).",
)
@output.json_option
def purge(*, run: str | None, execute: bool, as_json: bool) -> int:
    """Tell whether the rows of a run are gone from the database's files too.

    A deleted row stays readable in the files until the database cleans up. Without RUN the newest runs are
    listed, those that wait first. Beat looks again and again; --execute does what needs no rewrite.
    Exit code 1: not gone, and the time for it is over.
    """
    if run is None:
        if execute:
            message = "--execute needs the RUN whose tables are cleaned"
            raise click.UsageError(message)
        found = privacy.retention_purges()
    else:
        found = [privacy.purge_run(run, execute=execute)]
    if as_json:
        documents = [_document(item) for item in found]
        output.print_json(documents if run is None else documents[0])
    elif run is None:
        _list(found)
    else:
        _show(found[0])
    return int(any(item["state"] == "overdue" for item in found))


def _document(item: Mapping[str, Any]) -> dict[str, Any]:
    report = item["report"]
    shown = {name: item[name] for name in item if name != "report"}
    told = {name: report.get(name) for name in ("rows", "how", "why", "remains")}
    return shown | told | {"tables": list(report["baseline"]["parts"])}


def _list(found: list[Mapping[str, Any]]) -> None:
    if not found:
        output.say("No run has changed a row yet.")
        return
    rows = [
        (
            item["run"],
            item["policy"],
            output.number(item["report"]["rows"]),
            item["state"],
            output.moment(item["done_at"] or item["due_at"]),
        )
        for item in found
    ]
    output.columns(["run", "policy", "rows", "files", "done, or due"], rows, right=["rows"])


def _show(item: Mapping[str, Any]) -> None:
    report = item["report"]
    output.say(f"Run {item['run']} of policy {item['policy']}: {item['state']}\n")
    done = item["state"] == "done"
    output.facts(
        [
            ("rows", output.number(report["rows"])),
            ("tables", ", ".join(report["baseline"]["parts"])),
            ("gone from the tables", output.moment(item["changed_at"])),
            ("gone from the files", HOWS.get(report["how"], report["how"]) if done else report.get("why")),
            ("done" if done else "due", output.moment(item["done_at"] or item["due_at"])),
        ]
    )
    for text in report.get("remains") or ():
        output.say(f"\nStill readable: {text}.")
    if not done:
        output.say(f"\nNext:  aegis retention purge {item['run']} --execute")
