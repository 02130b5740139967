"""The option `--html`: beside what is printed, the same as a page for people in a new file."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click

from api.files import new_file
from cli import output

Command = TypeVar("Command", bound=Callable[..., Any])


def html_option(command: Command) -> Command:
    """Give a command its `--html`."""
    text = "Also write it as a page for people; a new file that only you can read."
    return click.option("--html", metavar="FILE", help=text)(command)


def opened(html: str | None) -> AbstractContextManager[TextIO | None]:
    """Open the page's file before the work begins; of work that fails nothing is left."""
    return new_file(Path(html)) if html else nullcontext()


def say(html: str | None) -> None:
    """Tell where the page is."""
    if html:
        output.say(f"\nThe page is {html}, which only you can read.")
