"""`aegis client-key`: what a service needs to send sealed, and to be answered sealed."""

from pathlib import Path

import click

from aegis.envelopes import client_public_key, workers_public_key
from aegis.keys import new_client_key
from aegis.operations.system import current
from cli import output


@click.command("client-key")
@click.option(
    "--new",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Make the key pair of a service in FILE (0600), and print its public half.",
)
@output.json_option
def client_key(*, new: Path | None, as_json: bool) -> None:
    """Print the workers' public key, to which services seal; or make a service's own key.

    The workers' key is derived from worker.key: it is the same on every machine that has that file. A
    service keeps its own key where it likes; an existing file is never overwritten.
    """
    key = workers_public_key(current().worker_key) if new is None else client_public_key(new_client_key(new))
    if as_json:
        output.print_json({"public_key": key, **({"file": new} if new else {})})
        return
    output.say(key)
