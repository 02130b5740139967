"""Where the demo plays: its terminal, its servers, and Aegis in this process."""

import contextlib
import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from aegis.embedded.postgres import EmbeddedPostgres
from aegis.embedded.redis import EmbeddedRedis
from aegis.embedded.server import free_port
from aegis.operations import system
from aegis.settings import load_settings
from cli.demo.datamap import DATAMAP
from cli.demo.folder import Folder
from cli.demo.interrupts import Interrupts
from cli.stack import Stack

#: Columns of the output, at most.
WIDTH: Final = 100
SOURCE: Final = "app"
_CONFIG: Final = """\
home = "{home}"

[datasources.app]
url = "{url}"
datamap = "{datamap}"

[retention]
soft_landing_hours = 0   # nobody wants to wait a day for a demonstration

[worker]
metrics_port = {worker}
beat_metrics_port = {beat}
"""


class Stage:
    """What every step of the demo uses."""

    def __init__(self, console: Console, folder: Folder, interrupts: Interrupts, *, postgres: bool) -> None:
        """Take the terminal and the folder; nothing is started yet."""
        self.console = console
        self.folder = folder.path
        self.postgres = postgres
        self.interrupts = interrupts
        self._lock = folder.lock
        self._cleanup = contextlib.ExitStack()
        self._step = 0
        self.environment: dict[str, str] = {}
        #: The application's own connection to its database.
        self.application: sa.Engine
        self.aegis: system.System
        self.stack: Stack

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop every server and close every connection."""
        self._cleanup.close()

    @property
    def config(self) -> Path:
        """The demo's aegis.toml."""
        return self.folder / "aegis.toml"

    def need_servers(self) -> None:
        """Look for the servers' programs before anything takes time.

        Raises:
            aegis.errors.NotPrepared: one is missing.

        """
        EmbeddedRedis(self.folder / "home" / "redis").program  # noqa: B018 - a missing program is told now
        if self.postgres:
            self._server().program  # noqa: B018 - the same

    def open_database(self) -> None:
        """Make the application's database, start its server if it has one, and lay Aegis beside it."""
        if self.postgres:
            self.say("Starting an embedded PostgreSQL")
            server = self._cleanup.enter_context(self._server())
            url = server.create_database("app")
            # The application's tables lie in the public schema.
            options = {"options": "-csearch_path=public"}
            driven = url.replace("postgresql://", "postgresql+psycopg://")
            self.application = sa.create_engine(driven, connect_args=options)
        else:
            url = f"sqlite:///{self.folder / 'app.db'}"
            (self.folder / "app.db").touch()
            self.application = sa.create_engine(url)
        self._cleanup.callback(self.application.dispose)
        self._configure(url)
        self.aegis = system.use(load_settings(self.environment))
        self._cleanup.callback(self._close)
        self.aegis.migrate_source(SOURCE)

    def start_processes(self) -> None:
        """Start Redis, worker and beat, and wait until they answer."""
        self.say("Starting Redis, a worker with two processes, and beat")
        log = self.folder / "processes.log"
        stack = Stack(self.aegis.settings, log=log, environment=self.environment, keep=[self._lock])
        self.stack = self._cleanup.enter_context(stack)
        # From here on this process knows the broker, too: an erasure searches it.
        self.environment["AEGIS_BROKER_URL"] = stack.redis.url
        self.aegis = system.use(load_settings(self.environment))
        self.tell(f"{stack.redis.server} on a free port, with a password; log: {self.folder.name}/{log.name}")

    def say(self, sentence: str) -> None:
        """Begin a step."""
        self.interrupts.obey()
        self._step += 1
        self.console.print(f"\n[bold]{self._step}. {sentence}[/bold]", soft_wrap=True)

    def tell(self, line: str, *, hang: int = 2) -> None:
        """Print a line of a step; what does not fit goes on in the next one, further to the right."""
        self.interrupts.obey()
        text = textwrap.fill(
            line,
            width=self.console.width,
            initial_indent="  ",
            subsequent_indent=" " * (2 + hang),
            break_long_words=False,
            break_on_hyphens=False,
        )
        self.console.print(text, markup=False, soft_wrap=True)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]], *, numbers_from: int) -> None:
        """Print a table; from that column on it holds numbers."""
        table = Table(box=None, padding=(0, 0, 0, 2))
        for place, heading in enumerate(headings):
            table.add_column(heading, justify="right" if place >= numbers_from else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    def _close(self) -> None:
        self.aegis.close()

    def _server(self) -> EmbeddedPostgres:
        return EmbeddedPostgres(self.folder / "postgres")

    def _configure(self, url: str) -> None:
        """Write the files of this installation, and the environment that names them and nothing else."""
        datamap = self.folder / "app.datamap.yaml"
        datamap.write_text(DATAMAP, encoding="utf-8")
        text = _CONFIG.format(
            home=self.folder / "home", url=url, datamap=datamap, worker=free_port(), beat=free_port()
        )
        self.config.touch(mode=0o600)
        self.config.write_text(text, encoding="utf-8")
        plain = {name: value for name, value in os.environ.items() if not name.startswith("AEGIS_")}
        self.environment = {**plain, "AEGIS_CONFIG": str(self.config)}
