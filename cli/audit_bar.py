"""The bar of what goes through the whole audit log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from aegis.audit.verification.findings import Progress as Step
from aegis.audit.verification.findings import Tell

_WORDS: Final = {"tree": "tree", "entries": "entries", "prune": "pruned"}


@contextmanager
def bar(*, quiet: bool) -> Iterator[Tell | None]:
    """Show a bar on a terminal; programs and pipes get none."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks = {phase: bars.add_task(word, total=None, visible=False) for phase, word in _WORDS.items()}

        def tell(step: Step) -> None:
            bars.update(tasks[step.phase], completed=step.done, total=step.total, visible=True)

        yield tell
