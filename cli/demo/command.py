"""`aegis demo`: the command, and how it ends."""

from pathlib import Path
from typing import Final

import click
from rich.console import Console

from cli.demo import folder, show
from cli.demo.interrupts import Interrupts
from cli.demo.stage import WIDTH, Stage

#: Stopped by a person; nothing is left of it.
_STOPPED: Final = 3


@click.command()
@click.option("--postgres", is_flag=True, help="Put the application's tables into an embedded PostgreSQL.")
@click.option("--keep", is_flag=True, help="Keep the demo's folder to look around in it.")
def demo(*, postgres: bool, keep: bool) -> None:
    """Show the main jobs on this machine: real servers, real rows, in under two minutes.

    It works in the folder .aegis-demo of this one, which it removes at its end. Exit code 0: everything was
    as it has to be. 1: an account does not balance, or something was not found. 3: interrupted.
    """
    console = _console()
    interrupts = Interrupts()
    try:
        with (
            folder.held(Path.cwd(), keep=keep) as own,
            Stage(console, own, interrupts, postgres=postgres) as stage,
        ):
            sound = show.play(stage)
            interrupts.ignore()
            console.print(f"\n[bold]{show.VERDICTS[sound]}[/bold]", soft_wrap=True)
            show.what_next(stage, keep=keep)
    except BaseException:
        # In the middle of a statement the driver makes an error of its own out of it.
        if not interrupts.happened:
            raise
        console.print("\nInterrupted: every server was stopped.")
        raise SystemExit(_STOPPED) from None
    if not sound:
        raise SystemExit(1)


def _console() -> Console:
    console = Console(highlight=False)
    wide = console.width if console.is_terminal else WIDTH
    return Console(highlight=False, width=min(wide, WIDTH))
