"""A run on its way: a live bar on a terminal, a line now and then elsewhere, and how it is stopped."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, Protocol, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from aegis.retention.slices import Slice
from cli import output

#: Without a terminal, a line whenever another such share is gone.
_LINE_PERCENT: Final = 10


class Display(Protocol):
    """What shows a run's progress."""

    def start(self, policy: str) -> None:
        """Begin another policy."""

    def advance(self, piece: Slice) -> None:
        """Show one more slice."""


class Stopper:
    """Ctrl-C and SIGTERM during a run: the first lets the slice end, the second stops at once."""

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Take the two signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise KeyboardInterrupt when somebody asked to stop; called between slices."""
        if self._asked:
            raise KeyboardInterrupt

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        # Not through a buffer: the signal may have come in the middle of a write to it.
        os.write(2, b"\naegis: stopping after the batch in flight (once more: at once)\n")


@contextmanager
def display(*, quiet: bool, events: bool = False) -> Iterator[Display]:
    """Return what fits stderr: a bar, lines, or nothing; events where a program asked for them."""
    if events:
        yield _Events()
    elif quiet:
        yield _Silent()
    elif sys.stderr.isatty():
        console = Console(stderr=True, highlight=False, markup=False)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), _Rows(), _Left())
        with Progress(*columns, console=console, transient=True) as bars:
            yield _Bar(bars)
    else:
        yield _Lines()


class _Silent:
    def start(self, policy: str) -> None:
        """Show nothing."""

    def advance(self, piece: Slice) -> None:
        """Show nothing."""


class _Bar:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task = TaskID(0)

    def start(self, policy: str) -> None:
        """Add a bar; the total is known after the first count."""
        self._policy = output.printable(policy)
        self._task = self._bars.add_task(self._policy, total=None)

    def advance(self, piece: Slice) -> None:
        """Move the bar."""
        held = f" (held back: {_spoken(piece.throttle)})" if piece.throttle else ""
        self._bars.update(
            self._task, description=self._policy + held, total=piece.expected, advance=piece.rows
        )


class _Events:
    """One JSON object a line, for programs: `start` of a policy, `batch`, and `retry`."""

    def start(self, policy: str) -> None:
        """Tell that a policy begins."""
        self._rows, self._began = 0, time.monotonic()
        _tell(event="start", policy=policy)

    def advance(self, piece: Slice) -> None:
        """Tell what a batch did, and what is left at this pace."""
        self._rows += piece.rows
        rate = self._rows / max(time.monotonic() - self._began, 1e-6)
        left = None if piece.expected is None else max(0, piece.expected - self._rows)
        _tell(
            event="retry" if piece.outcome == "retry" else "batch",
            policy=piece.policy,
            run=piece.run,
            table=piece.table,
            rows=piece.rows,
            total=self._rows,
            expected=piece.expected,
            rows_per_second=round(rate),
            remaining_seconds=None if left is None or not rate else round(left / rate),
            throttle=piece.throttle,
            reason=piece.reason,
        )


def _tell(**event: Any) -> None:
    click.echo(json.dumps(event, ensure_ascii=False), err=True)


class _Lines:
    def start(self, policy: str) -> None:
        """Begin to count."""
        self._policy, self._rows, self._percent = policy, 0, 0
        self._throttle: str | None = None

    def advance(self, piece: Slice) -> None:
        """Print a line when another tenth is gone, or when the run has to wait."""
        self._rows += piece.rows
        if piece.throttle != self._throttle:
            self._throttle = piece.throttle
            if piece.throttle:
                click.echo(f"{self._policy}: held back: {_spoken(piece.throttle)}", err=True)
        if piece.outcome == "retry":
            click.echo(f"{self._policy}: tries again soon: {piece.reason}", err=True)
        percent = 100 * self._rows // piece.expected if piece.expected else 0
        if percent >= self._percent + _LINE_PERCENT:
            self._percent = percent - percent % _LINE_PERCENT
            click.echo(f"{self._policy}: {self._rows:,} of {piece.expected:,} rows", err=True)


def _spoken(reason: str) -> str:
    return reason.replace("_", " ")


class _Rows(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return rows gone, rows expected and the speed."""
        if task.total is None:
            return Text("counting")
        speed = f", {task.speed:,.0f}/s" if task.speed else ""
        return Text(f"{task.completed:,.0f} of {task.total:,.0f} rows{speed}")


class _Left(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return the time that is left at the present speed."""
        left = task.time_remaining
        return Text("" if left is None else f"{output.span(left)} left")
