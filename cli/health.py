"""`aegis worker health` and `aegis beat health`: for the probes of whoever runs the processes."""

import dataclasses
from typing import Final

import click

from aegis.operations import heartbeats
from aegis.operations.heartbeats import Kind, Sign
from aegis.settings import load_settings
from cli import output

_CURE: Final = "is it running on this host, with this AEGIS_HOME?"


@click.command("health")
@click.option(
    "-n", "--hostname", "name", metavar="NAME", help="This worker only; as `celery worker -n` has it."
)
@output.json_option
def worker_health(*, name: str | None, as_json: bool) -> int:
    """Say whether the workers of this host are alive: exit code 0, or 1 if one hangs or there is none.

    It asks neither the broker nor a database: that they are away is no reason to restart a worker.
    """
    from celery.utils.nodenames import default_nodename, host_format  # noqa: PLC0415 - others need no Celery

    return _tell("worker", None if name is None else host_format(default_nodename(name)), as_json=as_json)


@click.command("health")
@output.json_option
def beat_health(*, as_json: bool) -> int:
    """Say whether beat is alive on this host: exit code 0, or 1 if it hangs or there is none.

    It asks neither the broker nor a database: that they are away is no reason to restart beat.
    """
    return _tell("beat", None, as_json=as_json)


def _tell(kind: Kind, name: str | None, *, as_json: bool) -> int:
    signs = heartbeats.heard(load_settings().home, kind, name)
    if as_json:
        output.print_json([{**dataclasses.asdict(sign), "alive": sign.alive} for sign in signs])
    else:
        for line in [_line(kind, sign) for sign in signs] or [f"{kind}: none was heard of; {_CURE}"]:
            output.say(line)
    return 0 if signs and all(sign.alive for sign in signs) else 1


def _line(kind: Kind, sign: Sign) -> str:
    what = "is alive" if sign.alive else "hangs, or was killed; restart it"
    return f"{kind} {sign.name} {what}: last heard of {sign.seconds:.0f} s ago"
