"""`aegis audit witness …` and `aegis audit recover`."""

from pathlib import Path

import click

from aegis.audit.tlog import notes
from aegis.errors import UsageError
from api import log
from cli import output

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def witness() -> None:
    """Name somebody elsewhere who objects when the log is rewritten or cut off."""


@witness.command()
@click.argument("name")
@click.argument("vkey")
@click.argument("url")
@output.actor_option(required=False)
def add(*, name: str, vkey: str, url: str, actor: str) -> None:
    """Show every checkpoint to a witness: its NAME, its public key, its submission URL.

    The witness has to know this log's key, which `aegis audit keys list` prints.
    """
    log.add_witness(name, vkey, url, actor)
    output.say(f"{name} is shown every checkpoint from now on.  Try it:  aegis audit witness push")


@witness.command()
@click.argument("name")
@output.actor_option(required=False)
def remove(*, name: str, actor: str) -> None:
    """Show a witness nothing any more."""
    log.remove_witness(name, actor)
    output.say(f"{name} is shown nothing any more.")


@witness.command("list")
@output.json_option
def list_witnesses(*, as_json: bool) -> None:
    """List the witnesses, and what they have cosigned."""
    found = log.witnesses()
    if as_json:
        output.print_json([vars(one) for one in found])
        return
    if not found:
        output.say("The log has no witness: whoever holds its present key could rewrite it unseen.")
        return
    rows = [
        (one.name, output.number(one.size), output.moment(one.cosigned_at), one.reason or "", one.url)
        for one in found
    ]
    output.columns(["witness", "cosigned", "at", "fault", "url"], rows, right=["cosigned"])


@witness.command()
@output.json_option
def push(*, as_json: bool) -> int:
    """Show the newest checkpoint to every witness now. Exit code 5 when one of them does not cosign it."""
    done = log.push_checkpoint()
    left = [one for one in log.witnesses() if one.name not in done]
    if as_json:
        output.print_json({"cosigned": done, "failed": {one.name: one.reason for one in left}})
    else:
        for name in done:
            output.say(f"{name}: cosigned")
        for one in left:
            output.say(f"{one.name}: {one.reason or 'there is no checkpoint yet'}")
    return 5 if left else 0


@click.command()
@click.option("--new-incarnation", is_flag=True, help="Say that you mean it; nothing happens without.")
@click.option(
    "--seen",
    type=_FILE,
    metavar="FILE",
    help="The last checkpoint that anybody saw (default: the one published from here).",
)
@output.actor_option(required=True)
@output.json_option
def recover(*, new_incarnation: bool, seen: Path | None, actor: str, as_json: bool) -> None:
    """Go on after the control database was restored from a backup on purpose.

    The log continues under a new name and with a new key; its first event says which checkpoint was the last
    one seen of the old log. What was recorded after the backup is lost, and everybody can see that it is.
    """
    if not new_incarnation:
        message = (
            "recover ends the present log and begins a new one: say --new-incarnation. Look first with "
            "`aegis audit verify`"
        )
        raise UsageError(message)
    known = notes.checkpoint(notes.parse(seen.read_bytes())) if seen else None
    done = log.recover_log(actor, seen=known)
    if as_json:
        output.print_json(
            {
                "origin": done.origin,
                "vkey": done.key.vkey,
                "size": done.size,
                "seen_origin": done.seen.origin,
                "seen_size": done.seen.size,
            }
        )
        return
    output.say(f"The log is {done.origin} from now on, signed by\n\n  {done.key.vkey}\n")
    output.say(
        f"{done.seen.size:,} leaves of {done.seen.origin} were seen, {done.size:,} are there. "
        "Give the new key to whoever checks the log, and to its witnesses."
    )
