"""A shop that sends requests to Aegis: its database, a Redis, and a worker of every queue."""

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from aegis.client import Client
from aegis.embedded.redis import EmbeddedRedis
from aegis.envelopes import workers_public_key
from aegis.keys import new_client_key
from aegis.operations import system
from aegis.settings import load_settings
from tests import worlds
from tests.workerkit import WorkerProcess, worker

#: In every row of a person; no status, log or error may have it.
CANARY: Final = "canary-7f3a"
#: People that there are at first, by their ids.
PEOPLE: Final = range(1, 31)
CONFIG: Final = """
home = "{home}"
[datasources.app]
url = "sqlite:///{app}"
datamap = "{datamap}"
[retention]
soft_landing_hours = 0
"""
MAP: Final = """
subjects:
  user:
    table: users
    key: id
    tenant: tenant
    identifiers: {email: email}
    groups: {gone: {period: P9000D, from: created_at}}
tables:
  users: {row: delete}
  visits: {row: delete, via: user_id}
"""
TABLES: Final = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY, tenant TEXT, email TEXT, created_at TIMESTAMP)",
    "CREATE TABLE visits (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users (id), at TIMESTAMP)",
)


@dataclasses.dataclass(kw_only=True)
class Shop:
    """The shop."""

    folder: Path
    redis: EmbeddedRedis
    app: sa.Engine
    aegis: system.System
    #: Asks Redis alone.
    client: Client

    def count(self, table: str, where: str = "1 = 1", **values: Any) -> int:
        """Count rows of the shop."""
        return _scalar(self.app, f"SELECT count(*) FROM {table} WHERE {where}", values)  # noqa: S608

    def events(self, action: str) -> int:
        """Count events of the log."""
        query = "SELECT count(*) FROM audit_logs WHERE action = :action"
        return _scalar(self.aegis.databases.control, query, {"action": action})

    @property
    def key_file(self) -> Path:
        """The shop's own key."""
        return self.folder / "service.key"

    def another(self, **words: Any) -> Client:
        """Return another client of the shop, with its key."""
        workers = workers_public_key(self.aegis.worker_key)
        return Client(self.redis.url, workers_key=workers, key_file=self.key_file, **words)

    @contextlib.contextmanager
    def at_work(self, name: str = "worker") -> Iterator[WorkerProcess]:
        """Run a worker while the block runs."""
        config = str(self.folder / "aegis.toml")
        words: dict[str, Any] = {"application": "worker.app", "AEGIS_CONFIG": config}
        words["AEGIS_HOME"] = str(self.aegis.settings.home)
        with worker(self.folder / name, self.redis.url, "--concurrency", "2", **words) as running:
            yield running


def _scalar(engine: sa.Engine, query: str, values: dict[str, Any]) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(sa.text(query), values) or 0)


@contextlib.contextmanager
def shop(folder: Path) -> Iterator[Shop]:
    """Make a shop, with a Redis and without a worker."""
    app = worlds.engine(f"sqlite:///{folder / 'app.db'}")
    (folder / "app.datamap.yaml").write_text(MAP, "utf-8")
    places = {"home": folder / "home", "app": folder / "app.db", "datamap": folder / "app.datamap.yaml"}
    (folder / "aegis.toml").write_text(CONFIG.format(**places), "utf-8")
    long_ago = (dt.datetime.now(dt.UTC) - dt.timedelta(days=90)).replace(tzinfo=None)
    with app.begin() as connection:
        for statement in TABLES:
            connection.exec_driver_sql(statement)
        for number in PEOPLE:
            words = (number, "acme", f"{CANARY}-{number}@example.com", f"{long_ago:%Y-%m-%d %H:%M:%S.%f}")
            connection.exec_driver_sql("INSERT INTO users VALUES (?, ?, ?, ?)", words)
            connection.exec_driver_sql("INSERT INTO visits VALUES (?, ?, ?)", (number, number, words[3]))
    with EmbeddedRedis(folder / "redis") as redis:
        aegis = system.System(load_settings({"AEGIS_CONFIG": str(folder / "aegis.toml")}))
        aegis.prepare()
        aegis.migrate_source("app")
        made = Shop(folder=folder, redis=redis, app=app, aegis=aegis, client=Client(redis.url))
        new_client_key(made.key_file)
        made.client = made.another()
        yield made
        made.client.close()
        aegis.close()
        app.dispose()
