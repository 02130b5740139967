"""Row-level security of PostgreSQL: which tables have it, and whom it does not bind."""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from aegis.db import dialects

#: Sessions of the owner are anybody's but ours.
_TABLES: Final = sa.text("""
SELECT n.nspname, c.relname, c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner),
       (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid),
       (SELECT count(*) FROM pg_stat_activity a
         WHERE a.usesysid = c.relowner AND a.datname = current_database() AND a.pid <> pg_backend_pid()
           AND COALESCE(a.application_name, '') <> 'aegis')
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
 ORDER BY 1, 2
""")


@dataclass(frozen=True, kw_only=True)
class RowSecurity:
    """The row-level security of one table."""

    enabled: bool
    #: Whether it binds the table's owner as well.
    forced: bool
    policies: int
    owner: str
    #: Sessions of others than Aegis that are connected as the owner now.
    sessions: int


def knows_row_security(connection: sa.Connection) -> bool:
    """Whether the database has row-level security at all."""
    return connection.dialect.name == dialects.POSTGRESQL


def read_row_security(connection: sa.Connection) -> dict[tuple[str, str], RowSecurity]:
    """Return what every table has: schema, name → its security; nothing where the database has none."""
    if not knows_row_security(connection):
        return {}
    return {
        (schema, name): RowSecurity(
            enabled=enabled, forced=forced, owner=owner, policies=policies, sessions=sessions
        )
        for schema, name, enabled, forced, owner, policies, sessions in connection.execute(_TABLES)
    }
