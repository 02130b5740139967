"""Foreign keys that point at a table, as they stand in the live database's catalog."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine.reflection import Inspector

from aegis.db import dialects
from aegis.db.indexes import is_partial

RULES: Final[Mapping[str, str]] = {
    "a": "NO ACTION",
    "r": "RESTRICT",
    "c": "CASCADE",
    "n": "SET NULL",
    "d": "SET DEFAULT",
}
#: With these the database changes the referring rows by itself.
CHANGING: Final = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})
#: One row for each column of each key: the key, schema, table, rule, column, referred column, whether
#: the rule changes the column. By the table's identity, never by how a name is looked up; its partitions
#: count as the table itself, and a key that a partition inherited counts once.
_CATALOG: Final[Mapping[str, str]] = {
    dialects.POSTGRESQL: """
WITH RECURSIVE tree(id) AS (
  SELECT CAST(to_regclass(:qualified) AS oid)
  UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.id)
SELECT f.oid, CASE WHEN pg_table_is_visible(c.oid) THEN NULL ELSE n.nspname END, c.relname,
       CAST(f.confdeltype AS text), a.attname, b.attname,
       f.confdelsetcols IS NULL OR a.attnum = ANY(f.confdelsetcols)
  FROM pg_constraint f
  JOIN tree ON tree.id = f.confrelid
  JOIN pg_class c ON c.oid = f.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL unnest(f.conkey, f.confkey) WITH ORDINALITY AS k(own, referred, place)
  JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.own
  JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.referred
 WHERE f.contype = 'f'
   AND NOT EXISTS (SELECT 1 FROM pg_constraint p
                    WHERE p.oid = f.conparentid AND p.confrelid IN (SELECT id FROM tree))
 ORDER BY f.oid, k.place
""",
    "mariadb": """
SELECT CONCAT_WS('.', k.table_schema, k.table_name, k.constraint_name),
       IF(k.table_schema = DATABASE(), NULL, k.table_schema), k.table_name,
       r.delete_rule, k.column_name, k.referenced_column_name, 1
  FROM information_schema.key_column_usage k
  JOIN information_schema.referential_constraints r
    ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name
   AND r.table_name = k.table_name
 WHERE k.referenced_table_schema = COALESCE(:schema, DATABASE()) AND k.referenced_table_name = :name
 ORDER BY 1, k.ordinal_position
""",
    dialects.SQLITE: """
SELECT m.name || '.' || f.id, NULL, m.name, f.on_delete, f."from", f."to", 1
  FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f
 WHERE m.type = 'table' AND lower(f."table") = lower(:name)
 ORDER BY m.name, f.id, f.seq
""",
}


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A foreign key of another table (or of the table itself) that points here."""

    table: str
    columns: tuple[str, ...]
    referred_columns: tuple[str, ...]
    #: NO ACTION, RESTRICT, CASCADE, SET NULL or SET DEFAULT
    on_delete: str
    schema: str | None = None
    #: The columns that SET NULL or SET DEFAULT changes, where they are not all.
    changed: tuple[str, ...] = ()

    @property
    def table_label(self) -> str:
        """The referring table as people write it."""
        return f"{self.schema}.{self.table}" if self.schema else self.table

    @property
    def label(self) -> str:
        """The edge as people write it."""
        return f"{self.table_label}({', '.join(self.columns)})"

    @property
    def changes_rows(self) -> bool:
        """Whether the database would change the referring rows by itself."""
        return self.on_delete in CHANGING


def read_references(
    connection: sa.Connection, given: Mapping[str, Any], key: Iterable[str]
) -> tuple[Reference, ...]:
    """Return every foreign key that points at a table, from whatever schema.

    Args:
        connection: the data source.
        given: `schema`, `name` and `qualified` of the table.
        key: its primary key, which a reference of SQLite means when it names no column.

    """
    name = connection.dialect.name
    query = _CATALOG["mariadb" if name in dialects.MARIADB else name]
    wanted = {part: value for part, value in given.items() if f":{part}" in query}
    keys: dict[Any, list[Any]] = {}
    for row in connection.execute(sa.text(query), wanted):
        keys.setdefault(row[0], []).append(row)
    found = {_reference(rows, tuple(key)) for rows in keys.values()}
    return tuple(sorted(found, key=lambda reference: (reference.label, reference.on_delete)))


def unindexed(connection: sa.Connection, references: Iterable[Reference]) -> list[str]:
    """Return the referring columns that no index of the whole table begins with.

    Each row that goes is looked for there, and without an index by reading the whole table.
    """
    inspector = sa.inspect(connection)
    return sorted({item.label for item in references if not _indexed(inspector, item)})


def _indexed(inspector: Inspector, reference: Reference) -> bool:
    name, schema = reference.table, reference.schema
    lists: list[Any] = [inspector.get_pk_constraint(name, schema)["constrained_columns"]]
    lists += [key["column_names"] for key in inspector.get_unique_constraints(name, schema)]
    for index in inspector.get_indexes(name, schema):
        if not is_partial(index):
            lists.append(index["column_names"])
    wanted = set(reference.columns)
    return any(set(columns[: len(wanted)]) == wanted for columns in lists)


def _reference(rows: list[Any], key: tuple[str, ...]) -> Reference:
    _, schema, table, rule, *_ = rows[0]
    columns = tuple(row[4] for row in rows)
    changed = tuple(row[4] for row in rows if row[6])
    return Reference(
        table=table,
        schema=schema,
        columns=columns,
        referred_columns=tuple(row[5] for row in rows) if rows[0][5] is not None else key,
        on_delete=RULES.get(rule, rule),
        changed=changed if len(changed) < len(columns) else (),
    )
