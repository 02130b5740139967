"""What keeps rows from going before it is tried: replication and storage engines, for the doctor."""

from typing import Final

import sqlalchemy as sa

from aegis.db import dialects

#: Published for DELETE or UPDATE, and nothing by which a subscriber could find the row.
_UNIDENTIFIED: Final = sa.text("""
SELECT DISTINCT n.nspname || '.' || c.relname
  FROM pg_publication_tables t
  JOIN pg_publication p ON p.pubname = t.pubname AND (p.pubdelete OR p.pubupdate)
  JOIN pg_namespace n ON n.nspname = t.schemaname
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
 WHERE c.relreplident = 'n'
    OR (c.relreplident = 'd' AND NOT EXISTS (SELECT 1 FROM pg_index i
                                              WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid))
    OR (c.relreplident = 'i' AND NOT EXISTS (SELECT 1 FROM pg_index i
                                              WHERE i.indrelid = c.oid AND i.indisreplident))
 ORDER BY 1
""")
_SLOTS: Final = sa.text("""
SELECT slot_name, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) / 1048576.0
  FROM pg_replication_slots
 WHERE NOT active AND restart_lsn IS NOT NULL AND NOT pg_is_in_recovery()
 ORDER BY 1
""")
_ENGINES: Final = sa.text("""
SELECT table_name AS table_name, engine AS engine FROM information_schema.tables
 WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND engine IS NOT NULL AND engine <> 'InnoDB'
 ORDER BY 1
""")


def without_identity(connection: sa.Connection) -> list[str]:
    """Return the published tables of which PostgreSQL would refuse to delete or update a row."""
    if connection.dialect.name != dialects.POSTGRESQL:
        return []
    return list(connection.scalars(_UNIDENTIFIED))


def idle_slots(connection: sa.Connection) -> dict[str, float]:
    """Return the replication slots that nobody reads from: name → megabytes of log that each keeps."""
    if connection.dialect.name != dialects.POSTGRESQL:
        return {}
    return {name: float(megabytes) for name, megabytes in connection.execute(_SLOTS)}


def without_transactions(connection: sa.Connection) -> dict[str, str]:
    """Return the tables of MariaDB whose storage engine has no transactions: table → engine."""
    if connection.dialect.name not in dialects.MARIADB:
        return {}
    return {row.table_name: row.engine for row in connection.execute(_ENGINES)}
