"""A MariaDB server for the tests, from the programs of the operating system."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import pymysql

from aegis.embedded.server import HOST, EmbeddedServer, write_private

USER = "aegis"
#: The statements that make a server's own tables, as every MariaDB package has them.
SCRIPTS = Path("/usr/share/mysql")
SCRIPT_NAMES = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")


def program() -> Path | None:
    """Return the server's program, or None."""
    found_program = shutil.which("mariadbd", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    return Path(found_program) if found_program else None


def found() -> bool:
    """Say whether this machine has what a server needs."""
    return program() is not None and all((SCRIPTS / name).exists() for name in SCRIPT_NAMES)


class MariaDb(EmbeddedServer):
    """A MariaDB server that keeps its data in a folder, with little memory and durable commits.

    Its tables are made by the server's own bootstrap mode: `mariadb-install-db` needs a helper
    program that the core package does not have.
    """

    name: ClassVar[str] = "the test's MariaDB"
    ready_words: ClassVar[str] = "ready for connections"

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    def url(self, database: str = "mysql") -> str:
        """Return the URL of one of its databases, with the password."""
        # The server has no TLS; a driver that asked for it would read the machine's certificates each time.
        return f"mariadb://{USER}:{self.password}@{HOST}:{self.port}/{database}?ssl_disabled=true"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database, empty or with the tables and rows of another one, and return its URL."""
        self._execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        if template:
            with self._connect(self.port) as connection, connection.cursor() as cursor:
                cursor.execute(f"SHOW TABLES FROM `{template}`")
                for (table,) in cursor.fetchall():
                    cursor.execute(f"CREATE TABLE `{name}`.`{table}` LIKE `{template}`.`{table}`")
                    if cursor.execute(f"SELECT 1 FROM `{template}`.`{table}` LIMIT 1"):  # noqa: S608
                        cursor.execute(f"INSERT INTO `{name}`.`{table}` SELECT * FROM `{template}`.`{table}`")  # noqa: S608
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it is there."""
        self._execute(f"DROP DATABASE IF EXISTS `{name}`")

    def _execute(self, statement: str) -> None:
        with self._connect(self.port) as connection, connection.cursor() as cursor:
            cursor.execute(statement)

    def _connect(self, port: int) -> "pymysql.Connection[Any]":
        return pymysql.connect(
            host=HOST,
            port=port,
            user=USER,
            password=self.password,
            connect_timeout=5,
            autocommit=True,
            ssl_disabled=True,
        )

    def _prepare(self, lock: int) -> None:
        self._write_accounts()
        if not self.data.exists():
            self._create_data(lock)

    def _write_accounts(self) -> None:
        # Run by the server at every start. Nobody else can log in: mariadb.sys, which owns views, is locked.
        account = f"'{USER}'@'{HOST}'"
        statements = [
            f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{self.password}'",
            f"GRANT ALL ON *.* TO {account} WITH GRANT OPTION",
            "DELETE FROM mysql.global_priv WHERE user IN ('', 'root')",
            "FLUSH PRIVILEGES",
        ]
        write_private(self.folder / "accounts.sql", ";\n".join(statements) + ";\n")

    def _create_data(self, lock: int) -> None:
        new = self.folder / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        begin = self._log_size()
        with tempfile.TemporaryFile() as statements:
            # A line each: bootstrap mode ends a statement at the end of its line.
            statements.write(b"SET @auth_root_socket=NULL;\nCREATE DATABASE mysql;\nUSE mysql;\n")
            for name in SCRIPT_NAMES:
                statements.write((SCRIPTS / name).read_bytes())
            statements.seek(0)
            code = self._spawn([*self._options(new), "--bootstrap"], lock, statements).wait()
        if code != 0:
            raise self._failed(self._log_since(begin), code, "could not make its data directory")
        new.rename(self.data)

    def _command(self, port: int) -> list[str | Path]:
        return [*self._options(self.data), f"--port={port}", f"--init-file={self.folder / 'accounts.sql'}"]

    def _options(self, data: Path) -> list[str | Path]:
        server = program()
        assert server is not None, "there is no mariadbd on this machine: ask found() first"
        # Only root may name a user; the server then stays root instead of refusing to start.
        user = ["--user=root"] if os.geteuid() == 0 else []
        return [
            server,
            "--no-defaults",
            f"--datadir={data}",
            # Its own: a server that starts removes the temporary tables of every other one in there.
            f"--tmpdir={data}",
            *user,
            f"--bind-address={HOST}",
            # Relative to the data directory: the path of a socket must be short.
            "--socket=server.sock",
            "--pid-file=server.pid",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=1",
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=16M",
            "--key-buffer-size=1M",
            "--performance-schema=OFF",
            "--default-time-zone=+00:00",
            "--character-set-server=utf8mb4",
        ]

    def _answers(self, port: int) -> bool:
        try:
            self._connect(port).close()
        except pymysql.err.OperationalError:
            return False
        return True
