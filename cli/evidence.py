"""`aegis evidence`: one folder for a regulator."""

import datetime as dt
from pathlib import Path

import click

from aegis.erasure.people import USER
from aegis.errors import UsageError
from aegis.evidence.folder import Gathered
from api import evidence as door
from cli import output
from cli.person import key_of

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--from", "start", type=_DAY, metavar="DAY", help="The first day, UTC.")
@click.option("--to", "end", type=_DAY, metavar="DAY", help="The last day, UTC.")
@click.option("--policy", metavar="NAME", help="Of these days only this policy.")
@click.option("--request", metavar="ID", help="Instead of days: one request for an erasure.")
@click.option(
    "--person",
    metavar="KEY",
    help="Instead of days: every erasure of one person; - reads the key from stdin.",
)
@click.option(
    "--subject",
    metavar="S",
    default=USER,
    show_default=True,
    help="The kind of person, as the data map says.",
)
@click.option(
    "--out",
    metavar="FOLDER",
    required=True,
    type=click.Path(path_type=Path),
    help="Where to; a new folder that only you can read.",
)
@output.actor_option(required=False)
@output.json_option
def evidence(
    *,
    start: dt.datetime | None,
    end: dt.datetime | None,
    policy: str | None,
    request: str | None,
    person: str | None,
    subject: str,
    out: Path,
    actor: str,
    as_json: bool,
) -> None:
    """Gather what was decided and done into one folder, with how to check it without Aegis.

    Policies word for word with their approvals, runs, erasures with receipts, holds, the record of
    processing (GDPR, article 30), and the part of the audit log that proves them. It names nobody whose
    data was touched.
    """
    days = start is not None or end is not None or policy is not None
    if sum((days, request is not None, person is not None)) != 1:
        message = "give --from and --to (with --policy, if you like), or --request, or --person"
        raise UsageError(message)
    if request is not None:
        made = door.gather_evidence_of_request(out, request, actor=actor)
    elif person is not None:
        made = door.gather_evidence_of_person(out, key_of((person,)), subject=subject, actor=actor)
    else:
        if start is None or end is None:
            message = "give both --from and --to"
            raise UsageError(message)
        first, behind = start.replace(tzinfo=dt.UTC), end.replace(tzinfo=dt.UTC) + dt.timedelta(days=1)
        made = door.gather_evidence(out, start=first, end=behind, policy=policy, actor=actor)
    if as_json:
        output.print_json(vars(made))
    else:
        _tell(made)


def _tell(made: Gathered) -> None:
    counts = ("policies", "runs", "erasures", "receipts", "holds", "events")
    output.facts([(name, output.number(getattr(made, name))) for name in counts])
    if made.waiting:
        late = output.counted(made.waiting, "event")
        output.say(
            f"\n{late} of that time have no place in the log yet and are missing: `aegis audit seal` first."
        )
    output.say(f"\n{made.folder} is complete; its README.md says how to check it, with and without Aegis.")
