"""Every foreign key of a data source, by one statement on the catalog.

SQLAlchemy reads them from the text of the definition: on SQLite an ON DELETE can be lost in it, on
PostgreSQL the schema of the table referred to. Here they are the catalog's own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.references import RULES

#: One row for each column of each key: key, name, schema, table, schema and table referred to, column,
#: column referred to, ON DELETE, ON UPDATE, whether it can wait for the end of the transaction. Keys of
#: partitions are their parent's; of those that a partition inherited the first one comes first.
_CATALOG: Final[Mapping[str, str]] = {
    dialects.POSTGRESQL: """
SELECT f.oid, CAST(f.conname AS text), cn.nspname, c.relname, pn.nspname, p.relname, a.attname, b.attname,
       CAST(f.confdeltype AS text), CAST(f.confupdtype AS text), f.condeferrable
  FROM pg_constraint f
  JOIN pg_class c ON c.oid = COALESCE(pg_partition_root(f.conrelid), f.conrelid)
  JOIN pg_namespace cn ON cn.oid = c.relnamespace
  JOIN pg_class p ON p.oid = COALESCE(pg_partition_root(f.confrelid), f.confrelid)
  JOIN pg_namespace pn ON pn.oid = p.relnamespace
 CROSS JOIN LATERAL unnest(f.conkey, f.confkey) WITH ORDINALITY AS k(own, referred, place)
  JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.own
  JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.referred
 WHERE f.contype = 'f'
 ORDER BY f.conparentid <> 0, cn.nspname, c.relname, f.conname, f.oid, k.place
""",
    "mariadb": """
SELECT CONCAT_WS('.', k.table_schema, k.table_name, k.constraint_name), k.constraint_name,
       k.table_schema, k.table_name, k.referenced_table_schema, k.referenced_table_name,
       k.column_name, k.referenced_column_name, r.delete_rule, r.update_rule, 0
  FROM information_schema.key_column_usage k
  JOIN information_schema.referential_constraints r
    ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name
   AND r.table_name = k.table_name
 WHERE k.referenced_table_name IS NOT NULL
   AND (k.table_schema = DATABASE() OR k.referenced_table_schema = DATABASE())
 ORDER BY 3, 4, 2, k.ordinal_position
""",
    dialects.SQLITE: """
SELECT m.name || '.' || f.id, NULL, NULL, m.name, NULL, f."table", f."from", f."to",
       f.on_delete, f.on_update, 1
  FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f
 WHERE m.type = 'table'
 ORDER BY m.name, f.id DESC, f.seq
""",
}


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """One foreign key as the database's catalog has it."""

    name: str | None
    schema: str | None
    table: str
    columns: tuple[str, ...]
    parent_schema: str | None
    parent: str
    #: Empty: the parent's primary key (SQLite).
    parent_columns: tuple[str, ...]
    #: NO ACTION, RESTRICT, CASCADE, SET NULL or SET DEFAULT; so is `on_update`.
    on_delete: str
    on_update: str
    #: Whether a transaction can have it checked at its end only.
    deferrable: bool


def read_foreign_keys(connection: sa.Connection) -> list[ForeignKey]:
    """Return the foreign keys of every table, whatever its schema.

    On MariaDB: those from and to the session's database. A key that partitions repeat is there once.
    """
    name = connection.dialect.name
    query = _CATALOG["mariadb" if name in dialects.MARIADB else name]
    keys: dict[Any, list[Any]] = {}
    for row in connection.execute(sa.text(query)):
        keys.setdefault(row[0], []).append(row)
    return list(_once(_foreign_key(rows) for rows in keys.values()))


def _once(keys: Iterable[ForeignKey]) -> Iterable[ForeignKey]:
    found: dict[Any, ForeignKey] = {}
    for key in keys:
        what = (key.schema, key.table, key.columns, key.parent_schema, key.parent, key.parent_columns)
        found.setdefault((*what, key.on_delete, key.on_update), key)
    return found.values()


def _foreign_key(rows: list[Any]) -> ForeignKey:
    _, name, schema, table, parent_schema, parent, _, _, on_delete, on_update, deferrable = rows[0]
    return ForeignKey(
        name=name,
        schema=schema,
        table=table,
        columns=tuple(row[6] for row in rows),
        parent_schema=parent_schema,
        parent=parent,
        parent_columns=tuple(row[7] for row in rows) if rows[0][7] is not None else (),
        on_delete=RULES.get(on_delete, on_delete),
        on_update=RULES.get(on_update, on_update),
        deferrable=bool(deferrable),
    )
