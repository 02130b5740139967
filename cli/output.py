"""What the commands print: tables and sentences for people, one JSON document for programs."""

import datetime as dt
import getpass
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aegis.audit.events import stamp
from aegis.errors import UsageError

#: Without a terminal nothing is wrapped, so that a line can be searched for.
_UNWRAPPED: Final = 100_000

Command = TypeVar("Command", bound=Callable[..., Any])


def json_option(command: Command) -> Command:
    """Give a command its `--json`."""
    option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")
    return option(command)


def actor_option(*, required: bool) -> Callable[[Command], Command]:
    """Give a command its `--actor`."""
    text = "Who does this; recorded in the audit log"
    # Not `default=None`: click would take that for the answer, and ask nobody.
    how: dict[str, Any] = {"required": True} if required else {"default": login}
    words = f"{text}." if required else f"{text} (default: your login name)."
    return click.option("--actor", metavar="WHO", help=words, **how)


def name_of(file: TextIO) -> str:
    """Return what a file that a person named is called in a message; stdin may be nameless, or a number."""
    return file.name if isinstance(file.name, str) and file.name != "<stdin>" else "stdin"


def text_of(file: TextIO) -> str:
    """Return what stands in a file that a person named, or in stdin.

    Raises:
        UsageError: it is no text.

    """
    try:
        return file.read()
    except UnicodeDecodeError:
        message = f"{name_of(file)} is no text in UTF-8"
        raise UsageError(message) from None


def write(path: Path, text: str) -> None:
    """Write a file that a person named.

    Raises:
        UsageError: it cannot be written.

    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise UsageError(message) from None


def login() -> str:
    """Return the name of whoever is logged in; `system` where the machine knows none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "system"


def print_json(document: Any) -> None:
    """Print plain data as the one document that a program reads."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=_plain))


def say(text: str = "") -> None:
    """Print a sentence as it is; lines are not wrapped, so that a command can be copied."""
    click.echo(text)


def columns(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """Print a table; the columns named in `right` hold numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*[_cell(value) for value in row])
    _render(table)


def facts(pairs: Iterable[tuple[str, Any]]) -> None:
    """Print names and values, one pair a line, indented."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(f"  {name}", _cell(value))
    _render(table)


def marked(lines: Iterable[tuple[str, str, str, str]]) -> None:
    """Print lines of a mark with its style, a name and a text."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for mark, style, name, text in lines:
        table.add_row(Text(mark, style=style), _cell(name), _cell(text))
    _render(table)


def number(value: int | None) -> str:
    """Return a count as people read it."""
    return "-" if value is None else f"{value:,}"


def counted(value: int, one: str, many: str = "") -> str:
    """Return a count with its noun."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def moment(value: dt.datetime | str | None) -> str:
    """Return an instant as people read it, in UTC."""
    if value is None:
        return "-"
    instant = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{instant.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def size(value: float) -> str:
    """Return a number of bytes as people read it."""
    for unit in ("bytes", "KiB", "MiB"):
        if value < 1024:  # noqa: PLR2004 - the step between two of these units
            return f"{value:,.0f} {unit}"
        value /= 1024
    return f"{value:,.1f} GiB"


def span(seconds: float) -> str:
    """Return a length of time as people say it."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return "a second" if seconds <= 1 else f"{seconds:.0f} seconds"


def printable(text: str) -> str:
    """Return a text with its control characters spelled out: a stored name must not steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _cell(value: Any) -> Text:
    return Text(printable(str(value)))


def _render(table: Table) -> None:
    # None: rich asks the terminal.
    width = None if sys.stdout.isatty() else _UNWRAPPED
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        print(line.rstrip())


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return stamp(value)
    if isinstance(value, dt.date | Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    message = f"a {type(value).__name__} is no plain data"
    raise TypeError(message)
