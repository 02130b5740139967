"""`aegis audit prune`."""

from typing import Any

import click

from api import log
from cli import output
from cli.audit_bar import bar


@click.command()
@click.option(
    "--before",
    type=click.DateTime(["%Y-%m-%d"]),
    required=True,
    metavar="DATE",
    help="Events before that day, UTC.",
)
@click.option("--execute", is_flag=True, help="Remove them; without it this is a dry run.")
@output.actor_option(required=True)
@output.json_option
def prune(*, before: Any, execute: bool, actor: str, as_json: bool) -> None:
    """Remove the entries of old events. Their hashes stay, and so does every proof.

    Entries go in whole tiles of 256. The prune is an event itself, sealed before anything goes; of the events
    that told of rows, the sums stay. The log's own history stays for ever: keys, prunes, recoveries.
    """
    with bar(quiet=as_json or not execute) as tell:
        done = log.prune_log(before.date(), actor, execute=execute, on_progress=tell)
    if as_json:
        output.print_json(vars(done))
        return
    if done.last is None:
        output.say("Nothing goes: no whole tile of 256 sealed events is that old.")
    else:
        entries = output.counted(done.events, "entry", "entries")
        range_ = f"leaves {done.first:,} to {done.last:,}"
        output.say(f"{entries} of {range_} {'were pruned' if execute else 'would go'}.")
    if done.kept:
        events = output.counted(done.kept, "event")
        output.say(f"{events} among them {'stayed' if execute else 'would stay'}: the log's own history.")
    if done.held_by:
        output.say(f"What follows is kept: {done.held_by}.")
    if not execute:
        output.say("\nDry run: nothing was changed. With --execute they go for good.")
