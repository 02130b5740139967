"""The real tasks, through a real Redis, a real worker and a real beat."""

import dataclasses
import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery

from aegis.embedded.server import free_port
from aegis.operations import system
from aegis.operations.table import ROUTES, TABLE
from aegis.settings import load_settings
from api import audit, privacy
from cli.stack import Stack
from tests import account, worlds
from tests.workerkit import ROOT, parse, wait_until

CANARY = "canary-7f3a@example.com"
#: Things that there are at first, each a day older than the one before.
ROWS = 60


@dataclasses.dataclass(kw_only=True)
class Site:
    """A running stack on one SQLite database with an application table in it."""

    stack: Stack
    sender: Celery
    aegis: system.System
    log: Path

    def send(self, task: str, **kwargs: Any) -> None:
        """Send a task as a service does: by name, with JSON."""
        self.sender.send_task(task, kwargs=kwargs, queue=ROUTES[task])

    def ask(self, query: str, **values: Any) -> Any:
        """Ask the control database for one value."""
        with self.aegis.databases.control.connect() as connection:
            return connection.scalar(sa.text(query), values)

    def tell(self, statement: str, **values: Any) -> None:
        """Change something in the database."""
        with self.aegis.databases.control.begin() as connection:
            connection.execute(sa.text(statement), values)

    def events(self, action: str) -> int:
        """Count the events of an action."""
        return int(self.ask("SELECT count(*) FROM audit_logs WHERE action = :action", action=action))

    def policy(self, name: str = "old_things", **changes: Any) -> None:
        """Register and approve a policy of 30 days."""
        privacy.register_retention_policy(name, "things", retention_days=30, **changes)
        privacy.approve_retention_policy(name, actor="legal@example.com")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Start Redis, worker and beat on a fresh home."""
    config = tmp_path / "aegis.toml"
    config.write_text(
        f'home = "{tmp_path / "home"}"\n[operations]\nresend_seconds = 3.0\n'
        # A new policy would wait for a day.
        "[retention]\nsoft_landing_hours = 0\nfirst_batch_rows = 10\nlargest_batch_rows = 10\n"
        f"[worker]\nmetrics_port = {free_port()}\nbeat_metrics_port = {free_port()}\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("AEGIS_CONFIG", str(config))
    aegis = system.use(load_settings())
    log = tmp_path / "processes.log"
    try:
        with Stack(aegis.settings, log=log, environment=os.environ) as stack:
            sender = Celery("sender", broker=stack.redis.url, set_as_current=False)
            found = Site(stack=stack, sender=sender, aegis=aegis, log=log)
            found.tell("CREATE TABLE things (id INTEGER PRIMARY KEY, created_at TIMESTAMP, note TEXT)")
            _fill(found)
            yield found
            sender.close()
        balance(found)
    finally:
        aegis.close()


def _fill(site: Site) -> None:
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    rows = [{"at": f"{now - dt.timedelta(days=age + 0.5):%Y-%m-%d %H:%M:%S.%f}"} for age in range(ROWS)]
    with site.aegis.databases.control.begin() as connection:
        connection.execute(sa.text("INSERT INTO things (created_at, note) VALUES (:at, 'x')"), rows)


def balance(site: Site) -> None:
    """Assert that the account balances, once nothing is at work any more."""
    audit.relay_journals()
    database = worlds.engine(site.aegis.settings.control.url)
    account.check(
        control=database,
        sources={"default": database},
        home=site.aegis.settings.home,
        gone={"things": ROWS - _things(site)},
        canaries=[CANARY.encode()],
    )
    database.dispose()


def _things(site: Site) -> int:
    return int(site.ask("SELECT count(*) FROM things"))


def _balances(policy: str = "old_things") -> bool:
    told = audit.account_of(policy)
    return told.balances and told.journal > 0


def test_enforcing_by_task_deletes_once_however_often_it_is_delivered(site: Site) -> None:
    """The same request id makes one run; its rows are in the ledger and in the worker's counter."""
    site.policy()
    for _ in range(3):
        site.send("aegis.retention.enforce", dry_run=False, request_id="one")
    wait_until(_balances, "the account balances")
    assert (_things(site), site.ask("SELECT count(*) FROM aegis_runs")) == (30, 1)

    def counted() -> dict[str, float]:
        return parse(site.stack.metrics("worker"))

    wanted = "aegis_rows_deleted_total{policy=old_things,table=things}"
    wait_until(lambda: counted().get(wanted) == 30, "the worker's counter")
    ledger = "aegis_ledger_rows_total{action=delete,policy=old_things,table=things}"
    assert parse(site.stack.metrics("beat"))[ledger] == 30


#: In the second batch somebody forges a legal hold, which the third one will not take for genuine.
FORGERY = """CREATE TRIGGER forgery AFTER DELETE ON things WHEN (SELECT count(*) FROM things) = 45 BEGIN
    INSERT INTO aegis_journal (run, shard, number, rows, counts, entry, mac)
        VALUES ('00000000-0000-0000-0000-000000000000', 1, 1, 0, '{}', X'7B7D', X'00');
    UPDATE aegis_journal SET holds_version = holds_version + 1 WHERE holds_version IS NOT NULL;
END"""


def test_the_rows_of_a_run_that_fails_are_counted(site: Site) -> None:
    """What two batches committed is in the ledger and in the worker's counter, though the task failed."""
    site.tell(FORGERY)
    site.policy()
    site.send("aegis.retention.enforce", dry_run=False, request_id="one")
    wait_until(lambda: site.ask("SELECT state FROM aegis_runs") == "failed", "the run has failed")
    assert _things(site) == 40
    counted = {
        "aegis_rows_deleted_total{policy=old_things,table=things}": 20,
        "aegis_operations_total{operation=retention.run,outcome=failed}": 1,
    }
    wait_until(
        lambda: counted.items() <= parse(site.stack.metrics("worker")).items(), "the worker's counters"
    )


def test_a_request_id_with_other_arguments_is_refused(site: Site) -> None:
    """A second meaning under the same id changes nothing."""
    site.policy()
    site.send("aegis.retention.enforce", dry_run=False, request_id="one", policies=["old_things"])
    wait_until(_balances, "the account balances")
    site.send("aegis.retention.enforce", dry_run=False, request_id="one", policies=None)
    wait_until(lambda: "with other arguments" in site.log.read_text(), "the refusal in the log")
    assert site.ask("SELECT count(*) FROM aegis_runs") == 1


def test_enforce_is_a_dry_run_unless_told_otherwise(site: Site) -> None:
    """Without dry_run=False the task counts and makes no run."""
    site.policy()
    site.send("aegis.retention.enforce", request_id="one")
    wait_until(lambda: "'dry_run'" in site.log.read_text(), "the task has ended")
    assert (_things(site), site.ask("SELECT count(*) FROM aegis_runs")) == (60, 0)


def test_a_policy_registered_by_task_is_pending_and_does_nothing(site: Site) -> None:
    """Registering through the queue approves nothing; a day comes as JSON writes it."""
    wanted = {"name": "by_task", "table": "things", "retention_days": 30, "review_by": "2031-01-31"}
    site.send("aegis.retention.register", **wanted)
    pending = "SELECT state FROM data_retention_policies WHERE name = 'by_task'"
    wait_until(lambda: site.ask(pending), "the policy")
    assert site.ask("SELECT review_by FROM data_retention_policies") == "2031-01-31"
    site.send("aegis.retention.enforce", dry_run=False, request_id="one")
    wait_until(lambda: "'accepted'" in site.log.read_text(), "the task has ended")
    assert (site.ask(pending), _things(site)) == ("pending", 60)


def test_an_event_recorded_by_task_is_recorded_once_per_request(site: Site) -> None:
    """Three deliveries of one request leave one event; details are refused and leave none."""
    note = {"action": "note", "actor": CANARY, "target_type": "user", "target_id": "17"}
    for _ in range(3):
        site.send("aegis.audit.record", **note, request_id="one")
    wait_until(lambda: site.events("custom:note"), "the event")
    site.send("aegis.audit.record", **note, request_id="two", details={"email": CANARY})
    wait_until(lambda: "details would travel" in site.log.read_text(), "the refusal in the log")
    assert site.events("custom:note") == 1
    assert CANARY not in site.log.read_text()


def test_a_denied_tenant_check_is_recorded_and_no_failure(site: Site) -> None:
    """The task ends with the outcome `denied`; the denial is in the log."""
    site.send("aegis.tenancy.check", requesting_tenant="acme", resource_tenant="globex")
    wait_until(lambda: site.events("tenant:deny") == 1, "the denial")
    wanted = "aegis_operations_total{operation=tenancy.check,outcome=denied}"
    wait_until(lambda: parse(site.stack.metrics("worker")).get(wanted) == 1, "the counter")


def test_beat_makes_up_the_newest_missed_instant_and_records_the_others(site: Site) -> None:
    """After three hours without beat, an hourly policy runs once and its missed instants are told."""
    site.policy(cron="0 * * * *")
    long_ago = dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(hours=3)
    site.tell("UPDATE data_retention_policies SET planned_until = :then", then=f"{long_ago}")
    wait_until(_balances, "the account balances")
    wait_until(lambda: site.events("retention:missed") == 1, "the missed instants")
    assert (_things(site), site.ask("SELECT count(*) FROM aegis_runs")) == (30, 1)
    assert site.ask("SELECT origin FROM aegis_runs") == "schedule"


def test_a_run_whose_message_was_lost_is_sent_again(site: Site) -> None:
    """A run that stands in the database without a message is found by the reconciler."""
    site.policy()
    privacy.create_retention_runs("one")  # nobody sends it
    wait_until(_balances, "the account balances")
    assert _things(site) == 30


def test_the_table_names_every_task_and_the_readme_lists_them() -> None:
    """What is registered, what is routed and what is documented are the same."""
    import tasks  # noqa: PLC0415 - registering is the point
    from worker.app import app  # noqa: PLC0415

    assert tasks.__all__
    app.loader.import_default_modules()
    registered = {name for name in app.tasks if name.startswith("aegis.")}
    assert registered == {entry.name for entry in TABLE} == set(app.conf.task_routes)
    readme = (ROOT / "README.md").read_text("utf-8")
    for entry in TABLE:
        (line,) = [line for line in readme.splitlines() if f"| `{entry.name}` | `{entry.queue}` |" in line]
        assert ("sent by" not in line) is entry.for_services
