"""The database is away while tasks are carried out: no request is lost, and nothing is done twice."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.embedded import EmbeddedPostgres, EmbeddedRedis
from aegis.operations.system import System, use
from aegis.operations.table import ROUTES, TABLE
from aegis.settings import load_settings
from api import privacy
from tests import worlds
from tests.workerkit import WorkerProcess, client, sender, wait_until, worker
from worker.app import AegisApp

#: Tasks that only a message asks for: their arguments, and how they end once the database is back.
ASKED: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "aegis.retention.register": ({"name": "by_task", "table": "visits", "datasource": "app"}, "pending"),
    "aegis.retention.enforce": ({"dry_run": False, "request_id": "run"}, "accepted"),
    "aegis.users.anonymize": ({"user_id": 1, "request_id": "one"}, "accepted"),
    "aegis.users.anonymize_many": ({"user_ids": [2, 3], "request_id": "many"}, "accepted"),
    "aegis.erasure.replay": ({"since": "2026-01-01T00:00:00+00:00"}, "dry_run"),
    # There is no such request: an answer about the message, and not about the database.
    "aegis.erasure.confirm": ({"request": "none", "copy": "lake", "actor": "me"}, "refused"),
    "aegis.tenancy.check": ({"requesting_tenant": "acme", "resource_tenant": "globex"}, "denied"),
    "aegis.audit.record": (
        {"action": "note", "actor": "me", "target_type": "user", "target_id": "1", "request_id": "note"},
        "done",
    ),
    "aegis.audit.export": ({"name": "siem"}, "done"),
}
CONFIG: Final = """
home = "{folder}/home"
database_url = "{url}"
[datasources.app]
datamap = "{folder}/app.datamap.yaml"
url = "{url}"
[retention]
soft_landing_hours = 0
[audit.exports.siem]
format = "ecs"
to = "{folder}/siem.ecs"
"""
MAP: Final = """
subjects: {user: {table: members, key: id, identifiers: {email: email}}}
tables: {members: {row: delete}, visits: {row: delete, via: {user_id: members.id}}}
"""
MEMBERS: Final = """
CREATE TABLE members (id BIGINT PRIMARY KEY, email VARCHAR(90));
CREATE TABLE visits (id BIGINT PRIMARY KEY, user_id BIGINT, created_at TIMESTAMPTZ);
INSERT INTO members SELECT i, i || '@example.com' FROM generate_series(1, 9) i
"""


@dataclasses.dataclass(kw_only=True)
class Site:
    """A database that can be killed, a broker and a producer."""

    server: EmbeddedPostgres
    broker: EmbeddedRedis
    sender: AegisApp
    folder: Path
    app: sa.Engine

    @contextlib.contextmanager
    def worker(self, *options: str) -> Iterator[WorkerProcess]:
        """Run the shipped worker."""
        words: Any = {"application": "worker.app", "AEGIS_HOME": str(self.folder / "home")}
        words |= {"AEGIS_CONFIG": str(self.folder / "aegis.toml")}
        with worker(self.folder / "worker", self.broker.url, *options, **words) as found:
            yield found

    def send(self, task: str, **arguments: Any) -> None:
        """Send a task as a service does."""
        self.sender.send_task(task, kwargs=arguments, queue=ROUTES[task])

    def ask(self, query: str) -> Any:
        """Ask the database for one value."""
        with self.app.connect() as connection:
            return connection.scalar(sa.text(query))

    def settled(self) -> bool:
        """Whether no message is left."""
        with client(self.broker.url) as redis:
            return not any(redis.llen(queue) for queue in set(ROUTES.values())) and not redis.hlen("unacked")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Start a database and a broker, and prepare both."""
    with contextlib.ExitStack() as undo:
        server = undo.enter_context(EmbeddedPostgres(tmp_path / "postgres"))
        broker = undo.enter_context(EmbeddedRedis(tmp_path / "redis"))
        url = server.create_database("app")
        (tmp_path / "app.datamap.yaml").write_text(MAP, "utf-8")
        (tmp_path / "aegis.toml").write_text(CONFIG.format(folder=tmp_path, url=url), "utf-8")
        monkeypatch.setenv("AEGIS_CONFIG", str(tmp_path / "aegis.toml"))
        app = worlds.engine(url)
        undo.callback(app.dispose)
        with app.begin() as connection:
            connection.exec_driver_sql(MEMBERS)
        with contextlib.closing(System(load_settings())) as fresh:
            fresh.init_keys()
            fresh.migrate()
            fresh.signing_keys.begin("logs.example.com/away", actor="tests")
            fresh.migrate_source("app")
        aegis = use(load_settings())
        undo.callback(aegis.close)
        privacy.register_retention_policy("old", "visits", retention_days=30, datasource="app")
        privacy.approve_retention_policy("old", actor="me")
        producer = undo.enter_context(sender(broker.url))
        yield Site(server=server, broker=broker, sender=producer, folder=tmp_path, app=app)


def test_what_only_a_message_asks_for_waits_for_the_database(site: Site) -> None:
    """Each such task goes back to its queue while the database is away, and is done once when it is back."""
    with site.worker("--concurrency", "9", "--queues", ",".join({ROUTES[task] for task in ASKED})) as running:
        site.server.kill()
        for task, (arguments, _) in ASKED.items():
            site.send(task, **arguments)
        for task in ASKED:
            running.wait_for(f"{task} cannot be carried out now")
        site.server.start()
        wait_until(site.settled, "all messages are done")
        for task, (_, outcome) in ASKED.items():
            name = f"{{operation={task.removeprefix('aegis.')},outcome={outcome}}}"
            assert running.scrape()[f"aegis_operations_total{name}"] == 1, task
    assert site.ask("SELECT count(*) FROM data_retention_policies WHERE name = 'by_task'") == 1
    assert site.ask("SELECT count(*) FROM aegis_requests WHERE request_id IN ('one', 'many', 'run')") == 3
    assert site.ask("SELECT count(*) FROM audit_logs WHERE action IN ('custom:note', 'tenant:deny')") == 2


def test_the_table_says_who_asks_again() -> None:
    """Of each task either the message goes back, or a row or beat has it sent again."""
    back = {entry.name for entry in TABLE if entry.back}
    assert back == {*ASKED, "aegis.federated.protect"}
    assert {entry.name for entry in TABLE if not entry.back} == {
        *("aegis.retention.run", "aegis.erasure.run"),
        *("aegis.audit.relay", "aegis.audit.seal", "aegis.operations.reconcile", "aegis.catalog.scan"),
    }
