"""`aegis demo`: the main job on one machine, on real servers and real rows, in about two minutes."""

import contextlib
import datetime as dt
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
import sqlalchemy as sa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from aegis.embedded.postgres import EmbeddedPostgres
from aegis.embedded.server import free_port
from aegis.errors import OperationFailed
from aegis.operations import system
from aegis.operations.system import System
from aegis.settings import load_settings
from api import audit, privacy
from cli import demo_database
from cli.processes import interrupt_on_sigterm
from cli.stack import Stack

#: Rows by table and tenant.
_Counts = Mapping[str, Mapping[str, int]]
#: How long the runs may take before the demo gives up.
_PATIENCE: Final = 180.0
#: Seconds that preview and approval need before the policies' instant.
_LEAD: Final = 12

POLICIES: Final[tuple[Mapping[str, Any], ...]] = (
    {
        "name": "safety_90",
        "table": "safety_events",
        "retention_days": 90,
        "purpose": "abuse prevention",
    },
    {
        "name": "jobs_180",
        "table": "jobs",
        "timestamp_column": "finished_at",
        "retention_days": 180,
        "filter_sql": "status IN ('done', 'failed')",
        "purpose": "support",
    },
    {
        "name": "tokens_30",
        "table": "refresh_tokens",
        "timestamp_column": "expires_at",
        "retention_days": 30,
        "purpose": "sign-in",
    },
)


@click.command()
@click.option("--postgres", is_flag=True, help="Put the application's tables into an embedded PostgreSQL.")
@click.option("--keep", is_flag=True, help="Keep the demo's folder to look around in it.")
def demo(*, postgres: bool, keep: bool) -> None:
    """Show the main job on this machine: real servers, real rows, about two minutes."""
    console = Console(highlight=False)
    folder = Path.cwd() / ".aegis-demo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    interrupt_on_sigterm()
    try:
        with contextlib.ExitStack() as cleanup:
            if not keep:
                cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
            balanced = _Demo(console, folder, cleanup, postgres=postgres).run()
    except KeyboardInterrupt:
        console.print("\nInterrupted: every server was stopped.")
        raise SystemExit(3) from None
    if keep:
        console.print(f"Kept: {folder} (AEGIS_CONFIG={folder / 'aegis.toml'})")
    if not balanced:
        raise SystemExit(1)


class _Demo:
    """One demonstration."""

    def __init__(
        self, console: Console, folder: Path, cleanup: contextlib.ExitStack, *, postgres: bool
    ) -> None:
        self._console = console
        self._folder = folder
        self._cleanup = cleanup
        self._postgres = postgres
        self._step = 0

    def run(self) -> bool:
        """Go through the steps; return whether the account balances."""
        url = self._database()
        aegis, environment = self._configure(url)
        app = _application(url)
        self._cleanup.callback(app.dispose)
        self._fill(app)
        before = demo_database.by_tenant(app)
        # First of all: on a busy machine it takes longer than the instant is away.
        stack = self._start(aegis, environment)
        instant = _next_minute()
        self._register(instant)
        self._preview()
        self._approve()
        self._wait(self._in_time(instant))
        self._watch()
        after = demo_database.by_tenant(app)
        self._show_tenants(before, after)
        self._show_metrics(stack)
        self._show_events()
        return self._prove(stack, before, after)

    def _database(self) -> str:
        if not self._postgres:
            return f"sqlite:///{self._folder / 'app.db'}"
        self._say("Starting an embedded PostgreSQL")
        server = self._cleanup.enter_context(EmbeddedPostgres(self._folder / "postgres"))
        server.create_database("app")
        return str(server.url("app"))

    def _configure(self, url: str) -> tuple[System, dict[str, str]]:
        """Write the demo's aegis.toml and use it in this process and in the ones it starts."""
        worker, beat = free_port(), free_port()
        config = self._folder / "aegis.toml"
        config.write_text(
            f'home = "{self._folder / "home"}"\n\n'
            f'[datasources.app]\nurl = "{url}"\n\n'
            # Nobody wants to wait a day for a demonstration.
            "[retention]\nsoft_landing_hours = 0\n\n"
            f"[worker]\nmetrics_port = {worker}\nbeat_metrics_port = {beat}\n",
            encoding="utf-8",
        )
        config.chmod(0o600)
        plain = {name: value for name, value in os.environ.items() if not name.startswith("AEGIS_")}
        environment = {**plain, "AEGIS_CONFIG": str(config)}
        if not self._postgres:
            (self._folder / "app.db").touch()
        aegis = system.use(load_settings(environment))
        self._cleanup.callback(aegis.close)
        aegis.migrate_source("app")
        return aegis, environment

    def _fill(self, app: sa.Engine) -> None:
        what = "PostgreSQL" if self._postgres else "SQLite"
        self._say(f"Filling an application database ({what}): three tenants, two years of rows")
        began = time.monotonic()
        rows = demo_database.build(app, now=dt.datetime.now(dt.UTC))
        self._console.print(f"  {rows:,} rows in {time.monotonic() - began:.0f} s")

    def _register(self, instant: dt.datetime) -> None:
        self._say(f"Registering three retention policies, each due every day at {instant:%H:%M} UTC")
        _register_all(_daily(instant))

    def _in_time(self, instant: dt.datetime) -> dt.datetime:
        """Return the instant, or a later one when it was over before the last approval."""
        if dt.datetime.now(dt.UTC) < instant:
            return instant
        later = _next_minute()
        self._say(
            f"Too late for {instant:%H:%M} UTC: moving them to {later:%H:%M}; when is no part of the digest"
        )
        _register_all(_daily(later))
        return later

    def _preview(self) -> None:
        self._say("Preview: what would go, counted in the live database, nothing changed")
        table = _table("policy", "table", "rows", "would go", *demo_database.TENANTS, numbers_from=2)
        for policy in POLICIES:
            seen = privacy.preview_retention_policy(policy["name"])
            tenants = [f"{seen.tenants.get(tenant, 0):,}" for tenant in demo_database.TENANTS]
            table.add_row(policy["name"], policy["table"], f"{seen.total:,}", f"{seen.rows:,}", *tenants)
        self._console.print(table)

    def _start(self, aegis: System, environment: Mapping[str, str]) -> Stack:
        self._say("Starting Redis, a worker with two processes, and beat")
        stack = Stack(aegis.settings, log=self._folder / "processes.log", environment=environment)
        self._cleanup.enter_context(stack)
        self._console.print(
            f"  {stack.redis.server} on a free port, with a password; log: {self._folder.name}/processes.log",
            soft_wrap=True,
        )
        return stack

    def _approve(self) -> None:
        refused = privacy.enforce_retention_policies(dry_run=False, policies=["safety_90"])[0]
        self._say("Unapproved policies do nothing")
        self._console.print(
            f"  enforce_retention_policies(dry_run=False) → {refused['status']}, 0 rows changed"
        )
        self._say("Approving all three, each bound to its digest")
        self._console.print(
            "  The demo switches soft landing off (soft_landing_hours = 0): otherwise beat waits\n"
            "  a day with a new policy, takes a first portion, and waits to have it confirmed."
        )
        for policy in POLICIES:
            approved = privacy.approve_retention_policy(policy["name"], actor="privacy-officer@example.com")
            self._console.print(f"  {approved.name:<10} sha256:{approved.digest[:16]}…")

    def _wait(self, instant: dt.datetime) -> None:
        self._say(f"Waiting for {instant:%H:%M:%S} UTC: beat fires by itself")
        with self._console.status("") as status:
            while (left := (instant - dt.datetime.now(dt.UTC)).total_seconds()) > 0:
                status.update(f"{left:.0f} s")
                time.sleep(min(left, 0.5))

    def _watch(self) -> None:
        self._say("Beat sends, Redis carries, the worker deletes in batches")
        columns = (
            TextColumn("  {task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[state]}"),
        )
        with Progress(*columns, console=self._console) as progress:
            bars = {
                policy["name"]: progress.add_task(policy["name"], total=None, state="") for policy in POLICIES
            }
            for name, run in _until_done():
                progress.update(bars[name], total=run["expected"], completed=run["rows"], state=run["state"])
        audit.relay_journals()

    def _show_tenants(self, before: _Counts, after: _Counts) -> None:
        self._say("What went, by tenant")
        table = _table("table", *demo_database.TENANTS, "all", numbers_from=1)
        for name, counts in before.items():
            gone = [counts.get(tenant, 0) - after[name].get(tenant, 0) for tenant in demo_database.TENANTS]
            table.add_row(name, *[f"{rows:,}" for rows in gone], f"{sum(gone):,}")
        self._console.print(table)

    def _show_metrics(self, stack: Stack) -> None:
        self._say("Metrics, as Prometheus reads them")
        for process, name in (("worker", "aegis_rows_deleted_total"), ("beat", "aegis_ledger_rows_total")):
            for line in stack.metrics(process).splitlines():
                if line.startswith(name):
                    self._console.print(f"  {process:<7} {line}", markup=False, soft_wrap=True)

    def _show_events(self) -> None:
        self._say("The newest events of the audit log")
        for event in audit.get_audit_events(limit=6):
            details = event["details"]
            shown = ", ".join(
                f"{key}={details[key]}" for key in ("table", "rows", "number", "state") if key in details
            )
            self._console.print(
                f"  {event['time'][11:23]}  {event['action']:<16} {event['target_id']:<10} {shown}",
                soft_wrap=True,
            )

    def _prove(self, stack: Stack, before: _Counts, after: _Counts) -> bool:
        self._say("The account: six independent figures for every policy")
        headings = ("policy", "gone", "journal", "log", "reports", "ledger", "worker")
        table = _table(*headings, "", numbers_from=1)
        counters = stack.metrics("worker")
        good = True
        for policy in POLICIES:
            name = policy["table"]
            gone = sum(before[name].values()) - sum(after[name].values())
            sums = audit.account_of(policy["name"])
            counted = _counter(counters, policy["name"])
            fits = sums.balances and gone == sums.journal == counted
            good = good and fits
            figures = (gone, sums.journal, sums.log, sums.reports, sums.ledger, counted)
            table.add_row(
                policy["name"], *[f"{figure:,}" for figure in figures], "✓" if fits else "✗ DIFFERS"
            )
        self._console.print(table)
        verdict = (
            "Every account balances." if good else "An account does not balance: this is a fault of Aegis."
        )
        self._console.print(f"\n[bold]{verdict}[/bold]")
        return good

    def _say(self, sentence: str) -> None:
        self._step += 1
        self._console.print(f"\n[bold]{self._step}. {sentence}[/bold]")


def _application(url: str) -> sa.Engine:
    """Return an engine as the application has it; its tables lie in the public schema."""
    if url.startswith("sqlite"):
        return sa.create_engine(url)
    options = {"options": "-csearch_path=public"}
    return sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), connect_args=options)


def _until_done() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each policy's run again and again until all are done."""
    deadline, done = time.monotonic() + _PATIENCE, set[str]()
    while len(done) < len(POLICIES):
        if time.monotonic() > deadline:
            message = "the runs did not finish in time; run `aegis demo --keep` and read processes.log"
            raise OperationFailed(message)
        time.sleep(0.1)
        for policy in POLICIES:
            for run in privacy.retention_progress(policy["name"])[:1]:
                yield policy["name"], run
                if run["state"] in {"blocked", "failed", "quarantined"}:
                    message = f"policy {policy['name']} is {run['state']}: {run['reason']}"
                    raise OperationFailed(message)
                if run["state"] == "done":
                    done.add(policy["name"])


def _register_all(cron: str) -> None:
    for policy in POLICIES:
        privacy.register_retention_policy(
            **policy, tenant_column="tenant", datasource="app", cron=cron, actor="demo"
        )


def _daily(instant: dt.datetime) -> str:
    return f"{instant.minute} {instant.hour} * * *"


def _next_minute() -> dt.datetime:
    earliest = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=_LEAD)
    return earliest.replace(second=0, microsecond=0) + dt.timedelta(minutes=1)


def _counter(text: str, policy: str) -> int:
    lines = [line for line in text.splitlines() if line.startswith("aegis_rows_deleted_total")]
    return int(sum(float(line.rpartition(" ")[2]) for line in lines if f'policy="{policy}"' in line))


def _table(*headings: str, numbers_from: int) -> Table:
    table = Table(box=None, padding=(0, 0, 0, 2))
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place >= numbers_from else "left", no_wrap=True)
    return table
