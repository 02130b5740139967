"""`aegis audit export`: the log on its way to a SIEM, to an auditor, or to a static server."""

from pathlib import Path
from typing import Any, Final

import click

from aegis.audit.exports.export import Exported
from aegis.audit.exports.formats.table import NAMES
from aegis.audit.exports.sinks import STDOUT
from aegis.errors import UsageError
from api import audit
from cli import output

_PATH = click.Path(dir_okay=False, path_type=Path)


#: Each line stays a line.
_TARGETS: Final = """\b
--format jsonl                   lines that prove themselves: aegis audit verify --export FILE
--format ocsf|ecs|cef|rfc5424    for a SIEM
--format tiles                   a folder for any static web server (C2SP tlog-tiles)
--to FILE                        appended to
--to syslog://HOST:PORT          TCP; syslog+tls://HOST:PORT with TLS
--to https://HOST/PATH           lines by POST
"""


@click.command(epilog=_TARGETS)
@click.argument("name", required=False)
@click.option("--format", "layout", type=click.Choice(NAMES), help="What an event looks like.")
@click.option("--to", metavar="TARGET", help="A file or folder, - for stdout, or a URL (see below).")
@click.option(
    "--cursor", type=_PATH, metavar="FILE", help="Keeps how far it has come (default: TARGET.cursor)."
)
@click.option(
    "--from", "start", type=click.IntRange(min=0), metavar="LEAF", help="Begin there, without a cursor."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many events.")
@click.option(
    "--authorization", type=_PATH, metavar="FILE", help="Has the value of the header Authorization, for HTTP."
)
@output.actor_option(required=False)
@output.json_option
def export(
    *,
    name: str | None,
    layout: str | None,
    to: str | None,
    limit: int | None,
    actor: str,
    as_json: bool,
    **more: Any,
) -> None:
    """Export what is new in the log: NAME as aegis.toml has it, or --format and --to.

    Each time it goes on where it stopped, up to the newest signed checkpoint. An event can arrive twice,
    after a crash, with the same id; none is left out. What is sealed stays sealed.
    """
    if as_json and to == STDOUT:
        message = "--json and --to - would both write to stdout"
        raise UsageError(message)
    done = _export(name, layout, to, limit=limit, actor=actor, **more)
    if as_json:
        output.print_json(vars(done))
    else:
        click.echo(_summary(done), err=to == STDOUT)


def _export(name: str | None, layout: str | None, to: str | None, **more: Any) -> Exported:
    if name is None:
        if layout is None or to is None:
            message = "give --format and --to, or the NAME of an export of aegis.toml"
            raise UsageError(message)
        return audit.export_audit_log(layout, to, **more)
    others = (layout, to, more.pop("cursor"), more.pop("start"), more.pop("authorization"))
    if any(value is not None for value in others):
        message = "an export of aegis.toml has its own target: give NAME, or the options, not both"
        raise UsageError(message)
    return audit.export_as_configured(name, **more)


def _summary(done: Exported) -> str:
    if not done.events:
        return f"Nothing new: the log has {output.counted(done.size, 'sealed leaf', 'sealed leaves')}."
    pruned = "".join(f"; leaves {first:,} to {last:,} were pruned" for first, last in done.pruned)
    left = "" if done.next == done.size else f" of {done.size:,}"
    events = output.counted(done.events, "event")
    return f"{events} exported as {done.format}, up to leaf {done.next - 1:,}{left}{pruned}."
