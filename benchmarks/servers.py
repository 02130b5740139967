"""The databases that rows go from: one fresh database for each contender's copy."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa

from aegis.db.dialects import engine_url
from aegis.embedded.postgres import EmbeddedPostgres
from aegis.settings import RetentionSettings, Settings, SourceSettings
from benchmarks.copies import DAYS, TABLE, Copy
from tests import mariadb
from tests.worlds import UNTHROTTLED


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where copies are made."""

    folder: Path
    server: EmbeddedPostgres | mariadb.MariaDb | None

    @contextlib.contextmanager
    def copy(
        self,
        name: str,
        *,
        rows: int,
        layout: str = "appended",
        days: int = DAYS,
        model: Copy | None = None,
    ) -> Iterator[Copy]:
        """Make a database with the rows; it is dropped in the end.

        Args:
            name: the database's.
            rows: how many.
            layout: how they lie.
            days: rows of this age and older go.
            model: a copy of the same rows, to take the files of (PostgreSQL).

        """
        url = self._create(name, model)
        public = {"options": "-csearch_path=public"} if url.startswith("postgresql") else {}
        app = sa.create_engine(engine_url(url), connect_args=public)
        settings = Settings(
            home=self.folder / f"home_{name}",
            approval="off",
            datasources={"app": SourceSettings(url=url)},
            retention=RetentionSettings(pause_share=0.0),
            # How gently it works is another question than how fast it can.
            throttle=UNTHROTTLED,
        )
        made = Copy(app=app, table=TABLE, rows=rows, settings=settings, layout=layout, days=days)
        if model:
            made = replace(made, now=model.now)
        try:
            if model is None:
                made.fill()
                # Nobody may be connected to what files are taken of.
                app.dispose()
            yield made
        finally:
            app.dispose()
            if self.server:
                self.server.drop_database(name)
            else:
                for file in self.folder.glob(f"{name}.db*"):
                    file.unlink()

    def version(self) -> str:
        """Return the database's kind and version."""
        if self.server is None:
            with contextlib.closing(sa.create_engine("sqlite://").connect()) as connection:
                return f"SQLite {connection.scalar(sa.text('SELECT sqlite_version()'))}"
        engine = sa.create_engine(engine_url(self.server.url()), poolclass=sa.NullPool)
        with engine.connect() as connection:
            return str(connection.scalar(sa.text("SELECT version()"))).partition(" on ")[0]

    def _create(self, name: str, model: Copy | None) -> str:
        if self.server is None:
            return f"sqlite:///{self.folder / name}.db"
        if model is None:
            return self.server.create_database(name)
        # As files: through the write-ahead log it takes four times as long.
        copied = f"CREATE DATABASE {name} TEMPLATE {model.app.url.database} STRATEGY FILE_COPY"
        engine = sa.create_engine(engine_url(self.server.url()), poolclass=sa.NullPool)
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql(copied)
        return self.server.url(name)


@contextlib.contextmanager
def place(database: str, folder: Path) -> Iterator[Place]:
    """Start the server that a scenario needs."""
    kinds = {"postgresql": EmbeddedPostgres, "mariadb": mariadb.MariaDb}
    if database not in kinds:
        yield Place(folder=folder, server=None)
        return
    with kinds[database](folder / "server") as server:
        yield Place(folder=folder, server=server)
