"""The PostgreSQL server of the tests: databases are cloned and connections are made by the thousand."""

from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import sql

from aegis.embedded import EmbeddedPostgres
from aegis.embedded.postgres import USER


class Postgres(EmbeddedPostgres):
    """The embedded server, whose databases are made and dropped by one session that stays.

    Each connection hashes its role's random password again: once, instead of 4,096 times.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._session: psycopg.Connection[Any] | None = None

    def start(self) -> Self:
        """Start the server."""
        super().start()
        self._session = self._connect(self.port)
        role, password = sql.Identifier(USER), sql.Literal(self.password)
        self._execute(sql.SQL("SET scram_iterations = 1").format())
        self._execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, password))
        return self

    def stop(self) -> None:
        """Close the session and stop the server."""
        if self._session is not None:
            self._session.close()
        super().stop()

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database and return its URL; a copy is one of files, and does not go through the log."""
        names = sql.Identifier(name), sql.Identifier(template or "template1")
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(*names))
        return self.url(name)

    def _execute(self, statement: sql.Composed) -> None:
        assert self._session is not None
        self._session.execute(statement)
