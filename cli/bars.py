"""A bar of what is read or written in one go."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

#: Told how many are done, of how many.
Advance = Callable[[int, int], None]


@contextmanager
def rows(*, quiet: bool) -> Iterator[Advance | None]:
    """Show a bar of rows on a terminal; programs and pipes get none."""
    with progress("rows", quiet=quiet) as bar:
        yield bar


@contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[Advance | None]:
    """Show a bar of something that is counted on a terminal; programs and pipes get none."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # What is printed meanwhile goes where it belongs, not into the bar's own stream.
    bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
    with bar as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
