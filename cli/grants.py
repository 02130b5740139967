"""`aegis grants`: the rights that Aegis's roles need in a data source, and whether they have them."""

import sys
from typing import Any, Final

import click

from aegis.grants import Checked, Grants, check, needed
from aegis.grants.needs import PURPOSES, Purpose
from aegis.grants.script import script
from aegis.operations.system import current
from cli import output

_FINDING: Final = 1


@click.command()
@click.argument("datasource")
@click.option(
    "--for",
    "purpose",
    type=click.Choice(PURPOSES),
    default="run",
    show_default=True,
    help="The role that changes rows, or the one that only looks for what is left of a person.",
)
@click.option(
    "--role", metavar="NAME", help="The role that is granted to (default: aegis_run, aegis_verify)."
)
@click.option(
    "--check", "checks", is_flag=True, help="Compare with what the role that Aegis logs in with may do."
)
@output.json_option
def grants(datasource: str, *, purpose: Purpose, role: str | None, checks: bool, as_json: bool) -> int:
    """Print the rights that Aegis needs in a data source, as SQL for its owner.

    They follow from the policies and the data map as they are now, each with what asks for it, and nothing
    more is granted. The owner reads them and runs them, such as `aegis grants app | psql app`; nothing is
    changed here. After a new policy, or a change of the data map or of the schema, print them again.

    With --check exit code 1 where the role lacks something, or may do more.
    """
    system = current()
    name = system.settings.source_name(datasource)
    if checks:
        if role is not None:
            message = "--check looks at the role that Aegis logs in with; leave out --role"
            raise click.UsageError(message)
        return _checked(check(system, name, purpose=purpose), as_json=as_json)
    found = needed(system, name, purpose=purpose, role=role)
    if as_json:
        output.print_json(_document(found))
        return 0
    for line in script(found):
        output.say(line)
    if sys.stdout.isatty() and found.grantable:
        click.echo(f"\nNothing was changed. Run it as the owner; then: aegis grants {name} --check", err=True)
    return 0


def _document(found: Grants) -> dict[str, Any]:
    document: dict[str, Any] = {
        "datasource": found.datasource,
        "database": found.database,
        "dialect": found.dialect,
        "for": found.purpose,
        "role": found.role,
    }
    pairs = zip(found.needs, found.statements, strict=True)
    document |= {"functions": found.functions}
    return document | {"grants": [vars(need.right) | {"why": need.why, "sql": sql} for need, sql in pairs]}


def _checked(found: Checked, *, as_json: bool) -> int:
    code = 0 if found.exact else _FINDING
    if as_json:
        output.print_json(vars(found) | {"exact": found.exact})
        return code
    for word, some in (("missing", found.missing), ("beyond what is needed", found.beyond)):
        for right in some:
            output.say(f"{word}: {right}")
    if found.exact:
        output.say(
            f"The role for `{found.purpose}` in data source {found.datasource} has what it needs, no more."
        )
    elif found.missing:
        output.say(f"\nAs the owner: aegis grants {found.datasource} --for {found.purpose}")
    return code
