"""`aegis client-key`: what a service needs to send sealed and signed, and to be answered sealed."""

from pathlib import Path

import click

from aegis import keys
from aegis.envelopes import client_public_key, workers_public_key
from aegis.operations.system import current
from aegis.producers import producer_public_key
from cli import output


@click.command("client-key")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--new", is_flag=True, help="Make the key of a service in FILE (0600).")
@output.json_option
def client_key(*, file: Path | None, new: bool, as_json: bool) -> None:
    """Print the workers' public key, to which services seal; or the public halves of a service's own key.

    The workers' key is derived from worker.key: it is the same on every machine that has that file. A
    service keeps its own key in a FILE where it likes; --new makes one, and never overwrites one.
    """
    if file is None:
        if new:
            message = "give --new the FILE to make"
            raise click.UsageError(message)
        key = workers_public_key(current().worker_key)
        output.print_json({"public_key": key}) if as_json else output.say(key)
        return
    secret = keys.new_client_key(file) if new else keys.client_key(file)
    public, producer = client_public_key(secret), producer_public_key(secret)
    if as_json:
        output.print_json({"public_key": public, "producer_key": producer, "file": file})
        return
    output.say(public)
    output.say("\n# for aegis.toml of the workers, with the name of the service")
    output.say(f'[producers.NAME]\nkey = "{producer}"')
