"""`aegis audit keys …`: the keys that sign the log."""

import click

from aegis.audit.signing import Key
from aegis.errors import UsageError
from api import log
from cli import output


@click.group()
def keys() -> None:
    """Make, list, rotate and retire the keys that sign the log's checkpoints."""


@keys.command()
@click.option("--origin", metavar="NAME", help="The log's name for ever, like logs.example.com/aegis.")
@output.actor_option(required=False)
@output.json_option
def init(*, origin: str | None, actor: str, as_json: bool) -> None:
    """Make the first key, on the machine that is to seal the log.

    Nothing is sealed without it; events are recorded all the same, and sealed as soon as it is there.
    """
    made = log.begin_log(origin, actor=actor)
    if as_json:
        output.print_json(_plain(made))
        return
    output.say(f"The log {made.verifier.name} is signed by audit-{made.number}.key from now on.\n")
    output.say(f"Its public key, for whoever is to check the log:\n\n  {made.verifier.vkey}")


@keys.command("list")
@output.json_option
def list_keys(*, as_json: bool) -> None:
    """List every key that ever signed, with its public half: verifying keys are kept for ever."""
    found = log.signing_keys()
    if as_json:
        output.print_json([_plain(key) for key in found])
        return
    if not found:
        output.say("The log has no key yet:  aegis audit keys init")
        return
    rows = [(key.verifier.key_id.hex(), _standing(key), key.verifier.vkey) for key in found]
    output.columns(["id", "signs", "public key"], rows)


@keys.command()
@output.actor_option(required=False)
@output.json_option
def rotate(*, actor: str, as_json: bool) -> None:
    """Add a key. Until the old one is retired, every checkpoint carries both signatures.

    Give verifiers and witnesses the new public key in that time; whoever trusts the old key finds the new one
    in the log itself, as an event key:add.
    """
    made = log.rotate_signing_key(actor)
    if as_json:
        output.print_json(_plain(made))
        return
    old = [
        key.verifier.key_id.hex()
        for key in log.signing_keys()
        if key.retired_size is None and key.verifier != made.verifier
    ]
    output.say(f"audit-{made.number}.key signs too from now on:\n\n  {made.verifier.vkey}\n")
    output.say("Give it to whoever checks the log and to its witnesses. Then retire the old one:\n")
    for key_id in old:
        output.say(f"  aegis audit keys retire {key_id}")


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--lost", is_flag=True, help="Its file is gone, or in other hands; recorded in the log.")
@output.actor_option(required=False)
@output.json_option
def retire(*, key_id: str, lost: bool, actor: str, as_json: bool) -> None:
    """End a key at the log's present size, and remove its private half from this machine.

    What it signed stays good; its signature under a larger tree is a finding from now on.
    """
    ended = log.retire_signing_key(key_id, actor, lost=lost)
    if as_json:
        output.print_json(_plain(ended))
        return
    output.say(f"{key_id} signs nothing beyond {ended.retired_size:,} leaves.")


@keys.command()
@click.option("--prepare", is_flag=True, help="Only make the next key file, to be copied to other machines.")
@click.option("--give-up", type=int, metavar="EPOCH", help="Its key is lost: remove what only it could open.")
@output.actor_option(required=False)
@output.json_option
def turn(*, prepare: bool, give_up: int | None, actor: str, as_json: bool) -> None:
    """Turn the key store: wrap every key in it under a new one, and destroy old ones in their time.

    With the default databases beat does it every `audit.epoch_days`. With several machines do it yourself:
    --prepare, copy the new key file to each of them, then turn.
    """
    if prepare and give_up is not None:
        message = "give --prepare or --give-up, not both"
        raise UsageError(message)
    done = _turn(prepare=prepare, give_up=give_up, actor=actor)
    if as_json:
        output.print_json(done)
        return
    for name, value in done.items():
        output.say(f"{name}: {value}")


def _turn(*, prepare: bool, give_up: int | None, actor: str) -> dict[str, object]:
    if prepare:
        return {"file": str(log.prepare_epoch())}
    if give_up is not None:
        return {"keys": log.give_up_epoch(give_up, actor)}
    return dict(vars(log.turn_key_store(actor)))


def _standing(key: Key) -> str:
    return "now" if key.retired_size is None else f"until {key.retired_size:,} leaves"


def _plain(key: Key) -> dict[str, object]:
    return {
        "key_id": key.verifier.key_id.hex(),
        "vkey": key.verifier.vkey,
        "file": f"audit-{key.number}.key" if key.retired_size is None else None,
        "retired_size": key.retired_size,
    }
