"""What a database, a role and a file system are, beyond what their answers show: for the doctor."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from aegis.db import dialects
from aegis.db.reflection import Layout

#: The oldest versions that are tested.
_OLDEST: Final = {dialects.POSTGRESQL: (15,), "mariadb": (10, 11), dialects.SQLITE: (3, 40)}
_NAMES: Final = {
    dialects.POSTGRESQL: "PostgreSQL",
    "mariadb": "MariaDB",
    dialects.SQLITE: "SQLite",
    "mysql": "MySQL",
}
#: File systems on which SQLite's locks cannot be relied on.
_REMOTE: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "fuse.sshfs", "lustre"}
)
#: The process of the server that answers.
_PROCESS: Final = sa.text("SELECT pg_backend_pid()")


@dataclass(frozen=True, kw_only=True)
class Server:
    """The server at the other end of a connection."""

    #: Name and version.
    label: str
    #: Whether the version is one that is tested.
    tested: bool
    #: A replica, or a server that was set to read only.
    read_only: bool
    #: Whether a pooler stands in between.
    pooled: bool


def read_server(connection: sa.Connection) -> Server:
    """Ask a server what it is."""
    dialect = connection.dialect
    kind = "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name
    version = tuple(part for part in dialect.server_version_info or () if isinstance(part, int))
    oldest = _OLDEST.get(kind)
    return Server(
        label=f"{_NAMES.get(kind, kind)} {'.'.join(map(str, version))}",
        tested=oldest is not None and version >= oldest,
        read_only=_read_only(connection),
        pooled=_pooled(connection),
    )


def pooler_mode(engine: sa.Engine) -> Literal["session", "transaction"] | None:
    """Return in which mode a pooler stands before PostgreSQL; None where there is none.

    A pooler greets with a process id of its own. In transaction mode two connections that are open at the
    same time, and idle, come to the same process of the server.
    """
    with engine.connect() as one:
        if not _pooled(one):
            return None
        first = one.scalar(_PROCESS)
        one.rollback()
        with engine.connect() as other:
            return "transaction" if other.scalar(_PROCESS) == first else "session"


def may_delete(connection: sa.Connection, layout: Layout) -> bool | None:
    """Whether the role may delete rows of the table; None where the database does not tell cheaply."""
    if connection.dialect.name != dialects.POSTGRESQL:
        return None
    quote = connection.dialect.identifier_preparer.format_table
    query = sa.text("SELECT has_table_privilege(:name, 'DELETE')")
    return bool(connection.scalar(query, {"name": quote(layout.table)}))


def sqlite_file(url: str) -> Path | None:
    """Return the file of an SQLite database; None for another kind."""
    parsed = dialects.engine_url(url)
    return Path(str(parsed.database)) if parsed.get_backend_name() == dialects.SQLITE else None


def remote_file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """Return the kind of network file system that a path is on; None for a local one, or unknown."""
    where = os.path.realpath(path)
    found, longest = None, -1
    for point, kind in _mounted(mounts):
        inside = where == point or where.startswith(f"{point.rstrip('/')}/")
        if inside and len(point) >= longest:
            found, longest = kind, len(point)
    return found if found in _REMOTE else None


def _mounted(mounts: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        yield point.replace(r"\040", " "), kind


def _read_only(connection: sa.Connection) -> bool:
    name = connection.dialect.name
    if name == dialects.POSTGRESQL:
        query = "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool"
        return bool(connection.scalar(sa.text(query)))
    if name in dialects.MARIADB:
        return bool(connection.scalar(sa.text("SELECT @@global.read_only")))
    path = make_url(connection.engine.url).database
    return not os.access(str(path), os.W_OK)


def _pooled(connection: sa.Connection) -> bool:
    """Whether the server's process is another than the one that greeted us: a pooler makes that up."""
    if connection.dialect.name != dialects.POSTGRESQL:
        return False
    driver: Any = connection.connection.driver_connection
    return bool(driver.info.backend_pid != connection.scalar(_PROCESS))
