"""A service of the application, its broker, its database, Aegis's control database, and workers."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from aegis.client import Client
from aegis.embedded.postgres import EmbeddedPostgres
from aegis.embedded.redis import EmbeddedRedis
from aegis.envelopes import workers_public_key
from aegis.keys import new_client_key
from aegis.operations.system import System, use
from aegis.settings import Settings, SourceSettings
from tests.workerkit import worker


@dataclass(frozen=True, kw_only=True)
class Service:
    """All of them; the doors of this process are the workers' own."""

    folder: Path
    system: System
    client: Client
    broker: str

    @contextlib.contextmanager
    def worker(self, *queues: str) -> Iterator[psutil.Process]:
        """Run a worker with one child while the block runs; yield the child."""
        settings = self.system.settings
        words: dict[str, Any] = {
            "application": "worker.app",
            "AEGIS_HOME": str(settings.home),
            "AEGIS_DATABASE_URL": str(settings.database_url),
            "AEGIS_APPROVAL": settings.approval,
        }
        for name, source in settings.datasources.items():
            words[f"AEGIS_DATASOURCES__{name.upper()}__URL"] = source.url
        options = ("--concurrency", "1", "--queues", ",".join(queues))
        with worker(self.folder / "worker", self.broker, *options, **words) as running:
            (child,) = psutil.Process(running.process.pid).children()
            yield child

    def worked(self, request: str) -> float:
        """Return the seconds between the acceptance of a request and its end."""
        query = "SELECT received_at, finished_at FROM aegis_requests WHERE request_id = :id"
        with self.system.databases.control.connect() as connection:
            begun, ended = connection.execute(sa.text(query), {"id": request}).one()
        return float((ended - begun).total_seconds())


@contextlib.contextmanager
def start(folder: Path) -> Iterator[Service]:
    """Start them with fresh keys and an empty application's database; approval is off in here."""
    with EmbeddedPostgres(folder / "server") as server, EmbeddedRedis(folder / "redis") as redis:
        settings = Settings(
            home=folder / "home",
            database_url=server.create_database("control"),
            approval="off",
            datasources={"app": SourceSettings(url=server.create_database("app"))},
        )
        settings.home.mkdir()
        with contextlib.closing(System(settings)) as system:
            system.init_keys()
            system.migrate()
            system.signing_keys.begin("aegis.invalid/benchmark", actor="benchmark")
        system = use(settings)
        system.migrate_source("app")
        new_client_key(folder / "service.key")
        with contextlib.closing(system):
            client = Client(
                redis.url,
                workers_key=workers_public_key(system.worker_key),
                key_file=folder / "service.key",
                database_url=settings.database_url,
                inputs=settings.inputs_url,
                outputs=settings.outputs_url,
            )
            with contextlib.closing(client):
                yield Service(folder=folder, system=system, client=client, broker=redis.url)
