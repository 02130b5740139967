"""`aegis audit …`: seal, verify, prove and export the log."""

import sys
from pathlib import Path
from typing import Any

import click

from aegis.audit.tlog.trust import Policy
from aegis.errors import UsageError
from api import audit as doors
from api import log
from cli import output
from cli.audit_export import export
from cli.audit_keys import keys
from cli.audit_prune import prune
from cli.audit_verify import verify
from cli.audit_witness import recover, witness

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def audit() -> None:
    """Seal, verify, prove and export the audit log."""


for command in (export, keys, prune, recover, verify, witness):
    audit.add_command(command)


@audit.command()
@output.json_option
def seal(*, as_json: bool) -> None:
    """Give every waiting event its place in the log, and sign the new head.

    Beat and a worker do this each second; by hand it works on the machine that has the signing key.
    """
    sealed = doors.seal_audit_log()
    if as_json:
        output.print_json(vars(sealed))
        return
    seen = f", cosigned by {', '.join(sealed.cosigned)}" if sealed.cosigned else ""
    leaves = output.counted(sealed.size, "leaf", "leaves")
    output.say(f"{output.counted(sealed.leaves, 'event')} sealed; the log has {leaves}{seen}.")


@audit.command()
@click.argument("event")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it there."
)
def prove(*, event: str, out: Path | None) -> None:
    """Print the proof that an EVENT stands in the log (C2SP tlog-proof).

    Whoever has the log's public key can check it offline, years later, with Aegis or without.
    """
    proof = str(log.prove_event(event))
    if out is None:
        sys.stdout.write(proof)
        return
    output.write(out, proof)
    output.say(f"Written to {out}.  To check it:  aegis audit check-proof {out}")


@audit.command("check-proof")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--policy", "trusted", type=_FILE, metavar="FILE", help="Whom to trust (C2SP tlog-policy).")
@click.option("--retired", type=_FILE, metavar="FILE", help="Keys that were retired, with their last size.")
@click.option("--key", metavar="VKEY", help="Trust this public key of the log, in place of a policy.")
@output.json_option
def check_proof(
    *, file: Any, trusted: Path | None, retired: Path | None, key: str | None, as_json: bool
) -> None:
    """Check a proof FILE, without a database and without a network; `-` reads it from stdin.

    Exit code 1: it does not hold.
    """
    entry = log.check_proof(output.text_of(file), policy_for(trusted, retired, key))
    if as_json:
        output.print_json(entry)
        return
    output.say("The proof holds: this stands in the log.\n")
    shown = [(name, entry[name]) for name in ("id", "time", "action", "outcome", "actor")]
    shown += [("target", f"{entry['target_type']} {entry['target']}"), ("tenant", entry["tenant"] or "-")]
    output.facts([*shown, *entry["details"].items()])


def policy_for(trusted: Path | None, retired: Path | None, key: str | None) -> Policy:
    """Return whom to trust: the key or the files that were named, or those of this machine."""
    if key and (trusted or retired):
        message = "give --policy or --key, not both"
        raise UsageError(message)
    return log.trusted(policy=trusted, retired=retired, vkey=key)
