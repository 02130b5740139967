"""Whether the bytes of deleted rows can still be in a table's files, as far as the database tells.

PostgreSQL: a vacuum that began after the rows went, and left none behind for an old transaction;
or other files. MariaDB: a rebuilt table. SQLite: pages are overwritten at once (`secure_delete`
is on in every session of ours), so only the write-ahead log is left to be emptied.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.engines import translated

#: How long a VACUUM waits for its lock.
_LOCK_MS: Final = 5_000
#: How long a checkpoint waits for readers; it is tried again.
_CHECKPOINT_MS: Final = 1_000


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """The state of one table's files, or of one partition's."""

    name: str
    #: Another text means other files: the table was rewritten.
    files: str
    #: Finished vacuums, ever.
    vacuums: int = 0
    #: Deleted rows that the last vacuum left, and those that were deleted since.
    dead: int = 0
    vacuumed_at: dt.datetime | None = None
    #: Whether a vacuum is at work.
    running: bool = False


def read_upkeep(connection: sa.Connection, label: str) -> list[Upkeep]:
    """Return what is known of a table's files, for each partition; nothing on SQLite."""
    name = connection.dialect.name
    if name == dialects.SQLITE:
        return []
    schema, _, table = label.rpartition(".")
    if name == dialects.POSTGRESQL:
        quoted = sa.table(table, schema=schema or None)
        given = {"name": connection.dialect.identifier_preparer.format_table(quoted)}
        rows = connection.execute(sa.text(_LEAVES), given)
        return [Upkeep(**row) for row in rows.mappings()]
    made = connection.scalar(sa.text(_REBUILT), {"schema": schema or None, "name": table})
    return [Upkeep(name=label, files=str(made))]


_LEAVES: Final = """
SELECT s.schemaname || '.' || s.relname AS name,
       pg_relation_filenode(s.relid)::text AS files,
       s.vacuum_count + s.autovacuum_count AS vacuums,
       s.n_dead_tup AS dead,
       GREATEST(s.last_vacuum, s.last_autovacuum) AS vacuumed_at,
       EXISTS (SELECT FROM pg_locks AS l WHERE l.relation = s.relid AND l.granted
               AND l.mode = 'ShareUpdateExclusiveLock') AS running
FROM pg_stat_all_tables AS s JOIN pg_class AS c ON c.oid = s.relid
WHERE c.relkind = 'r' AND s.relid IN (
  SELECT relid FROM pg_partition_tree(to_regclass(:name)) UNION SELECT to_regclass(:name)
)
ORDER BY 1
"""
_REBUILT: Final = """
SELECT create_time FROM information_schema.tables
WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :name
"""


def horizon(connection: sa.Connection) -> int | None:
    """Return the number that the next transaction gets (PostgreSQL): rows went before it.

    The session's own statistics are sent with it: the rows that it deleted must not be counted as
    dead only after the vacuum that removes them.
    """
    if connection.dialect.name != dialects.POSTGRESQL:
        return None
    connection.execute(sa.text("SELECT pg_stat_force_next_flush()"))
    query = sa.text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    return int(connection.scalar(query) or 0)


def unseen(connection: sa.Connection, since: int) -> bool | None:
    """Whether no transaction can see rows any more that went before `since`; None: the role may not know."""
    row = connection.execute(sa.text(_OLDEST), {"since": since}).one()
    return None if not row.allowed else not row.older


_OLDEST: Final = """
SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS allowed, EXISTS (
  SELECT FROM (
    SELECT backend_xmin AS x FROM pg_stat_activity WHERE pid <> pg_backend_pid()
    UNION ALL SELECT backend_xid FROM pg_stat_activity WHERE pid <> pg_backend_pid()
    UNION ALL SELECT xmin FROM pg_replication_slots
    UNION ALL SELECT transaction FROM pg_prepared_xacts
  ) AS old
  WHERE x IS NOT NULL
  AND age(x) > pg_snapshot_xmax(pg_current_snapshot())::text::bigint - :since
) AS older
"""


def vacuum(engine: sa.Engine, label: str, source: str) -> list[str]:
    """Vacuum a table with its indexes; return what the server warned about, such as that it did not.

    Raises:
        AegisError: the lock was not granted in time, or the server refused.

    """
    schema, _, table = label.rpartition(".")
    warned: list[str] = []
    outside = engine.execution_options(isolation_level="AUTOCOMMIT")
    with translated(source), outside.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.add_notice_handler(lambda notice: _warn(warned, notice))
        quoted = connection.dialect.identifier_preparer.format_table(sa.table(table, schema=schema or None))
        connection.exec_driver_sql(f"SET lock_timeout = {_LOCK_MS}")
        connection.exec_driver_sql(f"VACUUM (INDEX_CLEANUP ON) {quoted}")
        # Not back into the pool with its handler and its limit.
        connection.invalidate()
    return warned


def checkpoint(engine: sa.Engine, source: str) -> tuple[bool, str]:
    """Empty SQLite's write-ahead log into the file; return whether it is empty, and the journal mode."""
    with translated(source):
        raw = engine.raw_connection()
        try:
            cursor = raw.cursor()
            cursor.execute("PRAGMA journal_mode")
            mode = str(_first(cursor.fetchone()))
            cursor.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_MS}")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return not _first(cursor.fetchone()), mode
        finally:
            # Not back into the pool with its shorter patience.
            raw.invalidate()


def _first(row: Sequence[Any] | None) -> Any:
    return row[0] if row else None


def _warn(warned: list[str], notice: Any) -> None:
    if notice.severity_nonlocalized == "WARNING":
        warned.append(str(notice.message_primary))
