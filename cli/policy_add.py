"""`aegis policy add`: register a policy."""

from typing import Any

import click

from aegis.operations.states import PolicyState
from aegis.retention.definition import ACTIONS
from api import privacy
from cli import masks, options, output, policy_rows


@click.command()
@click.argument("name")
@click.option("--table", required=True, metavar="T", help="TABLE or SCHEMA.TABLE in the data source.")
@click.option("--days", type=int, metavar="N", help="Rows older than N days of 24 hours go.")
@click.option("--period", metavar="P", help="In place of --days, by the calendar: P2Y, P6M, P1Y6M, P2W.")
@click.option(
    "--tenant-days", multiple=True, metavar="T=N", help="Days of one tenant in place; may be repeated."
)
@click.option(
    "--action", required=True, metavar="A", help=f"What happens to them: {', '.join(sorted(ACTIONS))}."
)
@click.option(
    "--mask", "mask", multiple=True, metavar="C=S", help="Mask column C: null, surrogate, constant:VALUE, …"
)
@click.option("--marker-column", metavar="C", help="Set in the rows that were masked.")
@click.option("--delete-after-days", type=int, metavar="N", help="Delete masked rows N days later.")
@click.option(
    "--timestamp-column", default="created_at", show_default=True, metavar="C", help="Tells a row's age."
)
@click.option("--timestamp-unit", metavar="U", help="s, ms or us, for a column of numbers since 1970.")
@click.option(
    "--timestamp-zone", default="UTC", show_default=True, metavar="Z", help="Reads times without a zone."
)
@click.option("--tenant-column", metavar="C", help="Tells tenants apart; needed for --tenant.")
@click.option(
    "--tenant-session", metavar="S", help="See what a tenant's session sees: the setting app.tenant."
)
@click.option(
    "--filter", "filter_sql", metavar="SQL", help="Only rows with this condition; no function calls."
)
@click.option(
    "--cron", default="0 2 * * *", show_default=True, metavar="C", help="When it runs: five fields."
)
@click.option(
    "--zone", default="UTC", show_default=True, metavar="Z", help="The zone that --cron is read in."
)
@click.option(
    "--window",
    "windows",
    multiple=True,
    metavar="W",
    help="Only then, as --zone has it: 22:00-06:00, Sat,Sun 00:00-24:00.",
)
@click.option("--max-run-rows", type=int, metavar="N", help="Most rows of one run.")
@click.option("--max-run-seconds", type=int, metavar="S", help="Most seconds of work of one run.")
@click.option("--datasource", default="default", metavar="D", help="The database, as aegis.toml names it.")
@click.option(
    "--cascade",
    "cascades",
    multiple=True,
    metavar="T",
    help="A table whose rows may go along; again for more.",
)
@click.option(
    "--archive-days",
    type=int,
    is_flag=False,
    flag_value=14,
    metavar="[N]",
    help="Write rows to files first, kept N days; without N 14.",
)
@click.option(
    "--backup-hours", type=int, metavar="N", help="Require an attested backup younger than N hours."
)
@click.option(
    "--parallel", type=int, default=1, metavar="N", help="Ranges that as many workers may take at once."
)
@click.option("--after", multiple=True, metavar="P", help="A policy that comes first; again for more.")
@click.option("--purpose", metavar="TEXT", help="What the data is for; part of what is approved.")
@click.option("--legal-basis", metavar="TEXT", help="Why it may be kept so long; part of what is approved.")
@options.guards
@output.actor_option(required=False)
@output.json_option
def add(
    *,
    name: str,
    table: str,
    days: int | None,
    period: str | None,
    tenant_days: tuple[str, ...],
    action: str,
    mask: tuple[str, ...],
    marker_column: str | None,
    delete_after_days: int | None,
    timestamp_column: str,
    timestamp_unit: str | None,
    timestamp_zone: str,
    tenant_column: str | None,
    tenant_session: str | None,
    filter_sql: str | None,
    cron: str,
    zone: str,
    windows: tuple[str, ...],
    max_run_rows: int | None,
    max_run_seconds: int | None,
    datasource: str,
    cascades: tuple[str, ...],
    archive_days: int | None,
    backup_hours: int | None,
    parallel: int,
    after: tuple[str, ...],
    purpose: str | None,
    legal_basis: str | None,
    guards: dict[str, Any] | None,
    actor: str,
    as_json: bool,
) -> None:
    """Register a policy; it changes nothing until it is approved.

    The same name again with anything else than before makes a new version, and the old one stops.
    """
    if (days is None) == (period is None):
        message = "give --days N or --period P, one of them"
        raise click.UsageError(message)
    archive = {"keep_days": archive_days, "backup_hours": backup_hours}
    made = privacy.register_retention_policy(
        name,
        table=table,
        timestamp_column=timestamp_column,
        **({"period": period} if days is None else {"retention_days": days}),
        tenant_days=options.tenant_days(tenant_days),
        action=action,
        masks=masks.given(mask),
        marker_column=marker_column,
        delete_after_days=delete_after_days,
        tenant_column=tenant_column,
        tenant_session=tenant_session,
        filter_sql=filter_sql,
        datasource=datasource,
        timestamp_unit=timestamp_unit,
        zone=timestamp_zone,
        cron=cron,
        cron_zone=zone,
        cascades=cascades,
        windows=windows,
        budget=options.budget(max_run_rows, max_run_seconds),
        archive={key: number for key, number in archive.items() if number is not None} or None,
        parallel=parallel,
        after=after,
        purpose=purpose,
        legal_basis=legal_basis,
        guards=guards,
        actor=actor,
    )
    if as_json:
        output.print_json(policy_rows.listed(made))
    elif made.state == PolicyState.APPROVED:
        output.say(f"Policy {name}, version {made.version}: it says what was approved, and stays approved.")
    else:
        output.say(
            f"Policy {name}, version {made.version}: pending. It changes nothing until it is approved."
        )
        output.say(f"Next:  aegis policy preview {name}")
