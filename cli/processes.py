"""`aegis up`, `aegis worker` and `aegis beat`."""

import os
import signal
from collections.abc import Mapping
from types import FrameType
from typing import Final, NoReturn

import click

from aegis.errors import OperationFailed
from aegis.operations import system
from aegis.settings import load_settings
from cli.deadletters import dead_letters
from cli.health import beat_health, worker_health
from cli.stack import Stack

#: Verbs of `worker` and `beat`, whose other words are Celery's.
VERBS: Final[Mapping[str, tuple[click.Command, ...]]] = {
    "worker": (dead_letters, worker_health),
    "beat": (beat_health,),
}


@click.command()
def up() -> None:
    """Run everything on this machine: Redis, a worker, beat and metrics, until Ctrl-C."""
    settings = load_settings()
    system.use(settings).close()
    interrupt_on_sigterm()
    try:
        with Stack(settings, environment=os.environ) as stack:
            click.echo(f"aegis is up: {stack.redis.server}, worker, beat. Ctrl-C ends it.", err=True)
            click.echo(f"  worker   {stack.address('worker')}", err=True)
            click.echo(f"  ledger   {stack.address('beat')}", err=True)
            ended = stack.wait()
            message = f"the {ended} ended by itself; everything else was stopped"
            raise OperationFailed(message)
    except KeyboardInterrupt:
        click.echo("aegis is down; what was running resumes at the next start", err=True)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def worker(context: click.Context, options: tuple[str, ...]) -> int:
    """Run one worker, for production; OPTIONS go to `celery worker`.

    `aegis worker dead-letters` shows what lay in a queue and was no message for a worker,
    `aegis worker health` whether the workers of this host are alive.
    """
    for verb in VERBS["worker"]:
        if options[:1] == (verb.name,):
            return _verb(verb, context, options[1:])
    system.use(load_settings()).close()
    return _celery("worker", options)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def beat(context: click.Context, options: tuple[str, ...]) -> int:
    """Run beat, which starts what is scheduled; OPTIONS go to `celery beat`.

    `aegis beat health` shows whether it is alive on this host.
    """
    for verb in VERBS["beat"]:
        if options[:1] == (verb.name,):
            return _verb(verb, context, options[1:])
    system.use(load_settings()).close()
    return _celery("beat", options)


def _verb(verb: click.Command, context: click.Context, options: tuple[str, ...]) -> int:
    with verb.make_context(verb.name, list(options), parent=context) as inner:
        return int(verb.invoke(inner))


def _celery(what: str, options: tuple[str, ...]) -> NoReturn:
    from celery.bin.celery import celery  # noqa: PLC0415 - the other commands need no Celery

    arguments = ["--quiet", "--app", "worker", what, "--loglevel", "INFO", *options]
    celery.main(args=arguments, prog_name="aegis")


def interrupt_on_sigterm() -> None:
    """Make SIGTERM do what Ctrl-C does, so that everything is stopped in order."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt
