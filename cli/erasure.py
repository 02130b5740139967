"""`aegis erasure`: one person, everywhere in a data source."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from aegis.erasure.plan import Plan
from aegis.erasure.steps import Step
from api.erasure import export_person, plan_erasure
from cli import bars, erasing, output, pages, person
from cli.erasure_page import SHARED, page_of

_FINDING: Final = 1


@click.group()
def erasure() -> None:
    """One person, everywhere in a data source: plan an erasure, carry it out, export what is there.

    A data map says what happens to which row; without one that leaves nothing open nobody is erased.
    """


for _command in erasing.COMMANDS:
    erasure.add_command(_command)


@erasure.command()
@person.of_person
@pages.html_option
@output.json_option
def plan(
    *,
    user: tuple[str, ...],
    html: str | None,
    subject: str,
    datasource: str,
    tenant: str | None,
    as_json: bool,
) -> int:
    """Count every row of one person in one snapshot, and say what would happen to it.

    USER is the key of the person's row, a word for each of its columns; `-` reads it from stdin, a line
    for each, so that it stays out of the shell's history. Nothing is changed. Exit code 1: something
    speaks against it, and is listed.
    """
    with pages.opened(html) as file:
        made = plan_erasure(person.key_of(user), subject=subject, datasource=datasource, tenant=tenant)
        if file:
            file.write(page_of(made))
    if as_json:
        output.print_json(document(made))
    else:
        show(made)
        pages.say(html)
    against = [text for each in (made, *made.elsewhere) for text in each.objections]
    return _FINDING if against else 0


@erasure.command()
@person.of_person
@click.option(
    "-o", "--output", "path", required=True, metavar="FILE", help="A new file; only you can read it."
)
@click.option("--with-shared", is_flag=True, help="Also rows that are another person's too.")
@output.actor_option(required=True)
@output.json_option
def export(
    *,
    user: tuple[str, ...],
    path: str,
    subject: str,
    datasource: str,
    tenant: str | None,
    with_shared: bool,
    actor: str,
    as_json: bool,
) -> None:
    """Write every row of one person into a JSON file, for a request for access or portability.

    The rows are those that an erasure would delete, anonymize or keep; secrets are left out, and so is what
    another person owns too. That it was done is recorded. USER is the key of the person's row; `-` reads
    it from stdin.
    """
    with bars.rows(quiet=as_json) as tell:
        done = export_person(
            person.key_of(user),
            Path(path),
            actor=actor,
            subject=subject,
            datasource=datasource,
            tenant=tenant,
            with_shared=with_shared,
            on_progress=tell,
        )
    if as_json:
        output.print_json({**asdict(done), "file": path})
        return
    rows, tables = output.counted(sum(done.rows.values()), "row"), output.counted(len(done.rows), "table")
    output.say(f"Wrote {rows} of {tables} to {path}, which only you can read.")
    if done.left_out:
        output.say(f"Left out, as secrets: {', '.join(done.left_out)}.")
    for table, count in ({} if with_shared else done.shared).items():
        rows = output.counted(count, "row")
        output.say(f"Not in it: {rows} of {table} that another person owns too (--with-shared).")
    for table, count in done.mentioned.items():
        output.say(f"Not in it: {output.counted(count, 'row')} of {table} that other people own.")


def document(made: Plan) -> dict[str, Any]:
    """Return a plan as plain data; the person is not in it."""
    return {**asdict(made), "rows": made.rows, "kept": made.kept}


def show(made: Plan, *, last: bool = True) -> None:
    """Print a plan, and those for other data sources after it."""
    rows = output.counted(made.rows, "row")
    output.say(
        f"To erase this {made.subject} from {made.datasource}: {rows} would change, {made.kept} stay.\n"
    )
    headings = ["action", "table", "rows", "columns", "because"]
    output.columns(headings, [_line(step) for step in made.steps if step.rows or step.shared], right=["rows"])
    output.say()
    output.facts(_facts(made))
    for objection in made.objections:
        output.say(f"\nIt cannot be carried out: {output.printable(objection)}.")
    for other in made.elsewhere:
        output.say()
        show(other, last=False)
    if last:
        output.say("\nNothing was changed.")


def _line(step: Step) -> tuple[str, ...]:
    columns = ", ".join(f"{name}={mask}" if mask else name for name, mask in step.columns.items())
    because = ", ".join(step.ways) or "the person's own row"
    if step.reason:
        because += f"; kept: {step.reason}" + (f", until {step.until}" if step.until else "")
    return step.action, step.table, output.number(step.rows), columns or "-", output.printable(because)


def _facts(made: Plan) -> Iterator[tuple[str, str]]:
    for step in made.steps:
        for what, rows in step.shared.items():
            yield "shared", f"{output.counted(rows, 'row')} of {step.table}: {SHARED[what]}"
    if made.unindexed:
        yield "no index on", ", ".join(made.unindexed)
    for table, names in made.triggers.items():
        yield "triggers", f"{table}: {', '.join(names)}"
    if made.erasers:
        yield "erasers", f"{', '.join(made.erasers)}: code of the application, called at the end"
    yield "digest", made.digest
