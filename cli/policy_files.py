"""`aegis policy apply`, `export` and `schema`: policies as a file, kept in git."""

import json
from pathlib import Path
from typing import Any, Final, TextIO

import click

from aegis.errors import InvalidFile
from api import privacy
from cli import output

#: Before a policy's name, as in a diff.
_SIGNS: Final = {"new": "+", "changed": "~", "unchanged": "=", "only in the database": "?"}
#: Policies of the file that nobody accepted.
_WAITING: Final = {"proposed": "·", "rejected": "x"}
_DIFFERS: Final = 1


@click.command()
@click.option(
    "-f",
    "--file",
    "opened",
    type=click.File(encoding="utf-8"),
    required=True,
    metavar="FILE",
    help="The file; - reads from stdin.",
)
@click.option("--check", is_flag=True, help="Change nothing; exit 1 when the register is not as the file.")
@output.actor_option(required=False)
@output.json_option
def apply(*, opened: TextIO, check: bool, actor: str, as_json: bool) -> int:
    """Register the policies of a file, and say what that changes.

    What is new or changed waits for its approval; a schedule changes at once. Everything is checked first:
    when anything in the file is wrong, nothing is changed. A policy that is not in the file stays as it is.
    One that says `status: proposed` or `rejected` is left out; with --check a proposed one is a finding.
    """
    file = output.name_of(opened)
    text = output.text_of(opened)
    try:
        steps = privacy.apply_retention_policies(text, file=file, check=check, actor=actor)
    except InvalidFile as error:
        return _refused(error)
    differing = [step for step in steps if step["status"] in {"new", "changed"}]
    proposed = sum(step["status"] == "proposed" for step in steps)
    if as_json:
        output.print_json({"file": file, "check": check, "policies": steps})
    else:
        for step in steps:
            _show(step)
        _sum_up(steps, differing, check=check)
    return _DIFFERS if check and (differing or proposed) else 0


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("-o", "--output", "path", metavar="FILE", help="Write this file instead of printing.")
def export(*, names: tuple[str, ...], path: str | None) -> None:
    """Print the policies, or those named, as a file for `apply`; disabled ones are left out."""
    text = privacy.export_retention_policies(names or None)
    if path is None:
        click.echo(text, nl=False)
    else:
        output.write(Path(path), text)


@click.command()
def schema() -> None:
    """Print the JSON Schema of a policy file, for an editor that completes and checks it."""
    output.print_json(privacy.retention_policy_schema())


def _refused(error: InvalidFile) -> int:
    for problem in error.problems:
        click.echo(f"aegis: {' '.join(problem.split())}", err=True)
    click.echo("aegis: nothing was changed", err=True)
    return error.exit_code


def _show(step: dict[str, Any]) -> None:
    if step["status"] in _WAITING:
        cure = ": nobody has accepted it, so it is not registered" if step["status"] == "proposed" else ""
        output.say(f"{_WAITING[step['status']]} {step['policy']}  {step['status']}{cure}")
        return
    output.say(f"{_SIGNS[step['status']]} {step['policy']}  {step['status']}{_meaning(step)}")
    for change in step["changes"]:
        output.say(f"    {change['key']}: {_said(change['old'])} → {_said(change['new'])}")


def _meaning(step: dict[str, Any]) -> str:
    if step["status"] == "only in the database":
        return f"; aegis policy disable {step['policy']} --actor YOU stops it"
    if step["new_version"]:
        stops = "; the approved version stops" if step["state"] == "approved" else ""
        return f": waits for approval{stops}"
    if step["status"] == "changed":
        return ": in place, the approval stays" if step["state"] == "approved" else ": in place"
    return f" ({step['state']})"


def _said(value: Any) -> str:
    if value is None:
        return "(none)"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return output.printable(text)


def _sum_up(steps: list[dict[str, Any]], differing: list[dict[str, Any]], *, check: bool) -> None:
    counts = {status: sum(step["status"] == status for step in steps) for status in (*_SIGNS, *_WAITING)}
    output.say("\n" + ", ".join(f"{count} {status}" for status, count in counts.items() if count) + ".")
    if counts["proposed"]:
        output.say("What is proposed waits for a person: say `status: accepted` or `rejected` in the file.")
    pending = [step["policy"] for step in differing if step["new_version"]]
    if check or not differing:
        if differing or not counts["proposed"]:
            output.say("Nothing was changed." if differing else "Nothing to do.")
    elif pending:
        output.say(f"Next:  aegis policy preview {pending[0]}")
