"""`aegis retention archives`, `restore`, `attest-backup`: what was written before rows went."""

import datetime as dt

import click

from aegis.errors import UsageError
from api import archives as doors
from cli import bars, output


@click.command("archives")
@output.json_option
def list_archives(*, as_json: bool) -> None:
    """List the archives of rows that went, the newest first.

    An archive has the id of the run that wrote it. When it expires, its key and its files are destroyed.
    """
    found = doors.list_archives()
    if as_json:
        output.print_json(found)
        return
    if not found:
        output.say("No archive was written yet. A policy with --archive-days N writes one in each run.")
        return
    headings = ["archive", "policy", "table", "rows", "parts", "state", "expires"]
    rows = [
        (
            row["id"],
            row["policy"],
            row["table_name"],
            output.number(row["rows"]),
            output.number(row["parts"]),
            row["state"],
            output.moment(row["expired_at"] or row["expires_at"]),
        )
        for row in found
    ]
    output.columns(headings, rows, right=["rows", "parts"])


@click.command()
@click.argument("archive")
@click.option("--execute", is_flag=True, help="Bring the rows back; without it this is a dry run.")
@output.actor_option(required=False)
@output.json_option
def restore(*, archive: str, execute: bool, actor: str, as_json: bool) -> None:
    """Bring the rows of an archive back into their table, all of them or none.

    The dry run reads and checks everything. Rows that are there already, a changed table, or a policy that
    would take the rows again at its next run stop the restore.
    """
    with bars.rows(quiet=as_json) as tell:
        done = doors.restore_archive(archive, actor=actor, dry_run=not execute, on_progress=tell)
    if as_json:
        output.print_json(done)
        return
    verb = "came back into" if execute else "would come back into"
    output.say(f"{output.counted(done['rows'], 'row')} {verb} {done['table']}, from archive {archive}.")
    if done["missing"]:
        output.say(f"{output.counted(done['missing'], 'row')} of the archive went meanwhile and stayed away.")
    if not execute:
        if done["takers"]:
            output.say(
                f"First disable {', '.join(done['takers'])}, or hold the table: it would take them again."
            )
        output.say("\nDry run: nothing was changed. With --execute the rows come back.")


@click.command("attest-backup")
@click.option("--datasource", default="default", metavar="D", help="The database, as aegis.toml names it.")
@click.option(
    "--at", "moment", required=True, metavar="TIME", help="When it was complete: ISO 8601 with zone."
)
@output.actor_option(required=True)
@output.json_option
def attest_backup(*, datasource: str, moment: str, actor: str, as_json: bool) -> None:
    """Record that a backup of a data source was made; policies may require a young one.

    Aegis does not look at the backup: it keeps your word in the audit log.
    """
    try:
        instant = dt.datetime.fromisoformat(moment)
    except ValueError:
        message = "--at is a time with its zone, such as 2030-01-31T02:00:00+00:00"
        raise UsageError(message) from None
    event = doors.attest_backup(datasource, instant, actor=actor)
    if as_json:
        output.print_json({"event": event, "at": instant})
    else:
        output.say(f"Recorded: a backup of data source {datasource} at {output.moment(instant)}.")
