"""`aegis hold`: legal holds. What is held stays, whatever a policy says."""

import datetime as dt
from typing import Any

import click

from aegis.errors import Interrupted, Unreachable, UsageError
from api import privacy
from cli import options, output

#: Kept, but something is not as it was asked for: a person has to look.
NOT_YET = 4


@click.group()
def hold() -> None:
    """Place, list and release legal holds.

    Rows under a hold stay, are counted and are reported. A hold never lapses: when its review date has
    passed, `aegis doctor` and the log say so, and the rows stay until somebody releases it.
    """


@hold.command()
@click.option("--matter", required=True, metavar="M", help="What it is about; sealed in the audit log.")
@click.option("--owner", required=True, metavar="X", help="Who answers for it.")
@click.option("--review", required=True, metavar="DATE", help="When somebody looks at it again: YYYY-MM-DD.")
@click.option("--datasource", default="default", metavar="D", help="The database, as aegis.toml names it.")
@click.option("--policy", metavar="P", help="Only rows of this policy.")
@click.option("--table", metavar="T", help="Only rows of this table.")
@click.option("--tenant", metavar="T", help="Only this tenant's rows.")
@click.option(
    "--since", metavar="TIME", help="Only rows whose clock is at or after it: ISO 8601, with a zone."
)
@click.option("--until", metavar="TIME", help="Only rows whose clock is before it: ISO 8601, with a zone.")
@click.option(
    "--key",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Only the row of --table with this primary key, once for each column of it; "
    "COLUMN=- reads the value from a line of stdin. The value is kept sealed.",
)
@output.json_option
def add(
    *,
    key: tuple[str, ...],
    matter: str,
    owner: str,
    review: str,
    since: str | None,
    until: str | None,
    as_json: bool,
    **where: Any,
) -> int:
    """Place a hold; without anything that narrows it, it covers the whole data source.

    When this returns with 0 the hold is in force: the batch in flight is over, and the next one obeys. Where
    the data source cannot be reached the hold is kept, it says NOT yet in force, and the exit code is 4.
    """
    where["key"] = options.row_key(key)
    where |= {"since": _moment(since, "--since"), "until": _moment(until, "--until")}
    try:
        made = privacy.place_hold(matter=matter, owner=owner, review_by=_date(review), **where)
    except Unreachable as error:
        if as_json:
            output.print_json({"in_force": False, "reason": str(error)})
        click.echo(f"aegis: the hold is kept, and put in force when the source answers: {error}", err=True)
        return NOT_YET
    if as_json:
        output.print_json({"id": made, "in_force": True, "reason": None})
    else:
        output.say(f"Hold {made} is in force.")
        output.say(f"When it is over:  aegis hold release {made} --actor YOU")
    return 0


@hold.command("list")
@click.option("--all", "everything", is_flag=True, help="Released ones too.")
@output.json_option
def list_holds(*, everything: bool, as_json: bool) -> None:
    """List the holds and stops that are not over."""
    found = privacy.list_holds(everything=everything)
    if as_json:
        output.print_json(found)
    elif not found:
        output.say("Nothing is held.")
    else:
        headings = ["id", "kind", "state", "data source", "covers", "matter", "review by"]
        output.columns(headings, ([*_row(item)] for item in found))


@hold.command()
@click.argument("hold_id", metavar="ID")
@output.actor_option(required=True)
@output.json_option
def release(*, hold_id: str, actor: str, as_json: bool) -> int:
    """Release a hold; runs that waited for it go on."""
    try:
        privacy.release_hold(hold_id, actor)
    except Interrupted as error:
        if as_json:
            output.print_json({"id": hold_id, "released": False, "reason": str(error)})
        click.echo(f"aegis: the release is kept, and completed when the source answers: {error}", err=True)
        return NOT_YET
    if as_json:
        output.print_json({"id": hold_id, "released": True, "reason": None})
    else:
        output.say(f"Hold {hold_id} is released.")
    return 0


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    parts: list[tuple[str, str | None]] = [
        ("policy", item["policy"]),
        ("table", item["table_name"]),
        ("tenant", item["tenant"]),
    ]
    parts += [("since", _shown(item["from_time"])), ("until", _shown(item["until_time"]))]
    covers = ", ".join([f"{name} {value}" for name, value in parts if value] + ["one row"] * item["by_key"])
    return (
        item["id"],
        item["kind"],
        item["state"].replace("_", " "),
        item["datasource"],
        covers or "everything",
        item["matter"],
        str(item["review_by"]),
    )


def _shown(moment: dt.datetime | None) -> str | None:
    return None if moment is None else output.moment(moment)


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        message = f"--review: expected a date like 2027-01-31, got {text!r}"
        raise UsageError(message) from None


def _moment(text: str | None, option: str) -> dt.datetime | None:
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        message = f"{option}: expected an instant with a zone like 2026-01-31T00:00:00+00:00, got {text!r}"
        raise UsageError(message)
    return moment.astimezone(dt.UTC)
