"""`aegis approver`: the keys of those who may approve."""

import datetime as dt
from pathlib import Path
from typing import Any

import click

from aegis.operations import approvers
from aegis.operations.approvers import Key
from aegis.operations.signatures import read_public_key
from aegis.operations.system import current
from cli import output

_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.group()
def approver() -> None:
    """Add, list and remove the keys of approvers.

    From the first key on, an approval has to carry a signature. What was signed while a key was valid stays
    valid when it is removed.
    """


@approver.command()
@click.argument("name")
@click.argument("keyfile", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--owner", metavar="WHO", help="Who approves with it (default: NAME); approves as --actor WHO.")
@click.option("--from", "since", type=_MOMENT, metavar="T", help="Valid from, in UTC (default: now).")
@click.option("--until", type=_MOMENT, metavar="T", help="Valid until, in UTC (default: until removed).")
@output.actor_option(required=True)
@output.json_option
def add(
    *,
    name: str,
    keyfile: Path,
    owner: str | None,
    since: dt.datetime | None,
    until: dt.datetime | None,
    actor: str,
    as_json: bool,
) -> None:
    """Register a public key: PEM, `ssh-ed25519 …`, or base64 of its 32 bytes."""
    key = approvers.add(
        current(),
        name,
        read_public_key(keyfile.read_bytes()),
        owner=owner or name,
        actor=actor,
        since=since and since.replace(tzinfo=dt.UTC),
        until=until and until.replace(tzinfo=dt.UTC),
    )
    if as_json:
        output.print_json(_listed(key))
    else:
        output.say(f"Key {output.printable(name)} ({key.fingerprint}) may approve {_times(key)}.")
        output.say("From now on every approval has to be signed; `aegis policy show` prints how.")


@approver.command("list")
@output.json_option
def list_approvers(*, as_json: bool) -> None:
    """List every key that was ever registered."""
    found = approvers.everyone(current())
    if as_json:
        output.print_json([_listed(key) for key in found])
    elif not found:
        output.say("No approver key is registered: approvals are claimed, nothing proves who gave them.")
    else:
        rows = [(key.name, key.scheme, key.fingerprint, _times(key)) for key in found]
        output.columns(["key", "kind", "fingerprint", "approves"], rows)


@approver.command()
@click.argument("name")
@output.actor_option(required=True)
@output.json_option
def remove(*, name: str, actor: str, as_json: bool) -> None:
    """End a key's time; what it signed until now stays approved."""
    key = approvers.remove(current(), name, actor=actor)
    if as_json:
        output.print_json(_listed(key))
    else:
        output.say(f"Key {output.printable(name)} approves nothing any more. What it signed stays approved:")
        output.say("`aegis doctor` lists the policies that rest on it.")


def _listed(key: Key) -> dict[str, Any]:
    return {
        "name": key.name,
        "scheme": key.scheme,
        "fingerprint": key.fingerprint,
        "from": key.since,
        "until": key.until,
        "removed_at": key.removed_at,
        "genuine": key.genuine,
    }


def _times(key: Key) -> str:
    if not key.genuine:
        return "never: its row was not written by Aegis"
    ends = [end for end in (key.until, key.removed_at) if end is not None]
    until = f" until {output.moment(min(ends))}" if ends else ""
    return f"from {output.moment(key.since)}{until}"
