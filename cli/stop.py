"""`aegis stop` and `aegis start`: the kill switch."""

from collections.abc import Sequence

import click

from aegis.operations.stops import Switched
from api import privacy
from cli import output

#: At least one source has not heard of it.
NOT_YET = 4


@click.command()
@click.option("--all", "everywhere", is_flag=True, help="Every data source.")
@click.option("--datasource", metavar="D", help="This data source; needed when there are several.")
@click.option("--reason", required=True, metavar="R", help="Why; sealed in the audit log.")
@output.actor_option(required=True)
@output.json_option
def stop(*, everywhere: bool, datasource: str | None, reason: str, actor: str, as_json: bool) -> int:
    """Stop everything that changes rows, from the next batch on.

    What is committed stands. Runs wait until `aegis start`. A source that cannot be reached is named, its
    stop is kept and tried again, and the exit code is 4.
    """
    done = privacy.stop_operations(reason, actor, datasource=datasource, everywhere=everywhere)
    _show(done, "stopped", "NOT yet stopped", as_json=as_json)
    return _code(done)


@click.command()
@click.option("--all", "everywhere", is_flag=True, help="Every data source.")
@click.option("--datasource", metavar="D", help="This data source; needed when there are several.")
@output.actor_option(required=True)
@output.json_option
def start(*, everywhere: bool, datasource: str | None, actor: str, as_json: bool) -> int:
    """Let what was stopped go on: runs that wait become due at once."""
    done = privacy.start_operations(actor, datasource=datasource, everywhere=everywhere)
    _show(done, "started", "still stopped", as_json=as_json)
    if not done and not as_json:
        output.say("Nothing was stopped.")
    return _code(done)


def _show(done: Sequence[Switched], word: str, not_yet: str, *, as_json: bool) -> None:
    if as_json:
        output.print_json({"sources": [vars(item) for item in done]})
        return
    for item in done:
        how = word if item.in_force else f"{not_yet}: {item.reason}"
        output.say(f"data source {item.datasource}: {how}")


def _code(done: Sequence[Switched]) -> int:
    return 0 if all(item.in_force for item in done) else NOT_YET
