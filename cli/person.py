"""What says which person a command is about."""

import sys
from collections.abc import Callable
from typing import Any

import click

from aegis.erasure.people import USER
from aegis.errors import UsageError
from aegis.settings import DEFAULT_SOURCE
from cli import output


def of_person(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says which person is meant."""
    return _options(command, click.argument("user", nargs=-1, required=True))


def of_people(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says which person is meant, or which group of the data map."""
    group = click.option("--group", metavar="G", help="People of this group of the data map, no USER.")
    limit = click.option("--limit", type=click.IntRange(1), metavar="N", help="At most so many of the group.")
    return group(limit(_options(command, click.argument("user", nargs=-1))))


def _options(command: Callable[..., Any], user: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--tenant", metavar="T", help="Refuse a person of any other tenant."),
        click.option(
            "--datasource", default=DEFAULT_SOURCE, metavar="D", help="The database, as aegis.toml names it."
        ),
        click.option(
            "--subject",
            default=USER,
            show_default=True,
            metavar="S",
            help="The kind of person, as the data map names it.",
        ),
        user,
    ):
        command = option(command)
    return command


def key_of(words: tuple[str, ...]) -> list[str]:
    """Return the key that was typed, or read from stdin."""
    if words != ("-",):
        return list(words)
    lines = [line for line in output.text_of(sys.stdin).splitlines() if line]
    if not lines:
        message = "nothing was read from stdin; write the key of the person's row, a line for each column"
        raise UsageError(message)
    return lines
