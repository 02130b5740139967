"""Options of `policy add` that hold more than one value."""

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

_GUARDS: Final = (
    ("max_rows", int, "N", "Guard: stop a run before its first row when more than N rows would go."),
    ("max_share", str, "S", "Guard: when more than this share of the table would go, such as 0.5."),
    ("usual_times", str, "N", "Guard: when more than N times the rows of the usual run would go."),
)


def tenant_days(given: Sequence[str]) -> dict[str, int] | None:
    """Return tenants with their days, from `TENANT=DAYS`; the last `=` divides the two."""
    found: dict[str, int] = {}
    for item in given:
        tenant, equals, days = item.rpartition("=")
        if not equals or not days.isascii() or not days.isdigit():
            message = "--tenant-days: expected TENANT=DAYS, for example acme=30"
            raise click.UsageError(message)
        if tenant in found:
            message = "--tenant-days names one tenant twice"
            raise click.UsageError(message)
        found[tenant] = int(days)
    return found or None


def row_key(given: Sequence[str]) -> dict[str, str] | None:
    """Return the key of a row, from `COLUMN=VALUE`; `-` takes the value from a line of stdin."""
    found: dict[str, str] = {}
    for item in given:
        column, equals, value = item.partition("=")
        if not equals or not column:
            message = "--key: expected COLUMN=VALUE, for example id=42"
            raise click.UsageError(message)
        if column in found:
            message = f"--key names column {column} twice"
            raise click.UsageError(message)
        found[column] = value if value != "-" else sys.stdin.readline().rstrip("\r\n")
    return found or None


def budget(rows: int | None, seconds: int | None) -> dict[str, int] | None:
    """Return the budget of a run; none when neither was given."""
    given = {"rows": rows, "seconds": seconds}
    return {name: most for name, most in given.items() if most is not None} or None


def guards(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of guards; it gets them as `guards`, none when none was given."""

    @functools.wraps(command)
    def collected(**words: Any) -> Any:
        given = {name: words.pop(name) for name, *_ in _GUARDS}
        chosen = {name: value for name, value in given.items() if value is not None}
        return command(**words, guards=chosen or None)

    made: Callable[..., Any] = collected
    for name, kind, metavar, text in reversed(_GUARDS):
        made = click.option(f"--{name.replace('_', '-')}", type=kind, metavar=metavar, help=text)(made)
    return made
