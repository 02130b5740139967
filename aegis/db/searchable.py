"""What a database keeps rows in, and which columns of it may hold a text: for who looks for one everywhere.

Each row stands in one place: a partitioned table is its partitions, and a view is nothing of its own. Left
out are columns of types that hold no text and no whole number: dates, times, floating numbers, truth values,
words of an enumeration, ranges, bits and shapes. SQLite keeps anything in any column.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects, held


@dataclass(frozen=True, kw_only=True)
class Searchable:
    """A place for rows."""

    #: The table whose rows they are, as a catalog calls it: of a partition, the partitioned one.
    label: str
    schema: str | None
    name: str
    #: The columns to be read: those that may hold a text, and the key's.
    columns: tuple[str, ...]
    #: Of the primary key, in its order.
    key: tuple[str, ...] = ()
    #: Columns of the key whose values are nobody's own: whole numbers and UUIDs.
    plain_key: frozenset[str] = frozenset()
    #: Whether rows of the past are kept, too (MariaDB).
    versioned: bool = False
    #: What tells rows apart that have no key (SQLite).
    rowid: str | None = None

    @property
    def table(self) -> sa.TableClause:
        """The table, with columns of no type: their values are as the driver has them.

        It is told by its names alone, so that a statement on it is compiled once in a process.
        """
        return sa.table(self.name, *map(sa.column, self.columns), schema=self.schema)


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Everything in a database that can be searched, and what is there besides."""

    places: tuple[Searchable, ...]
    #: What holds rows or bytes and is not searched, in words.
    left_out: tuple[str, ...]


def read_ground(connection: sa.Connection) -> Ground:
    """Read the live schema, Aegis's own tables included.

    PostgreSQL: every schema but the system's. MariaDB: the session's database. SQLite: the main file.
    """
    held.refuse_blind(connection, dialects.default_schema(connection))
    name = connection.dialect.name
    kind = "mariadb" if name in dialects.MARIADB else name
    rows = connection.execute(sa.text(_COLUMNS[kind])).all()
    places = [_place(list(some)) for _, some in groupby(rows, key=lambda row: row[:3])]
    left_out = connection.execute(sa.text(_LEFT_OUT[kind])).scalars()
    return Ground(places=tuple(p for p in places if p.columns), left_out=tuple(map(str, left_out)))


def _place(rows: list[sa.Row[Any]]) -> Searchable:
    first = rows[0]
    names = [str(row.column_name) for row in rows]
    key = sorted((row for row in rows if row.key_place), key=lambda row: int(row.key_place))
    return Searchable(
        label=str(first.label),
        schema=first.place_schema,
        name=str(first.place),
        columns=tuple(str(row.column_name) for row in rows if row.searched or row.key_place),
        key=tuple(str(row.column_name) for row in key),
        plain_key=frozenset(str(row.column_name) for row in key if row.numbered),
        versioned=bool(first.versioned),
        rowid=_free_rowid(names) if first.numbers_rows else None,
    )


def _free_rowid(names: Iterable[str]) -> str | None:
    taken = {name.lower() for name in names}
    return next((name for name in ("rowid", "_rowid_", "oid") if name not in taken), None)


#: The columns of each place together. A label has the schema where the session would not find it without,
#: and quotes a name that has a dot itself, as a catalog's does.
_POSTGRESQL: Final = """
WITH RECURSIVE plain(type, base, category) AS (
  SELECT oid, oid, typcategory FROM pg_type WHERE typtype <> 'd'
  UNION ALL
  SELECT d.oid, p.base, p.category FROM pg_type AS d JOIN plain AS p ON d.typbasetype = p.type
), places AS (
  SELECT c.oid, n.nspname, c.relname, COALESCE(pg_partition_root(c.oid), c.oid) AS root
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
)
SELECT l.nspname AS place_schema, l.relname AS place,
       CASE WHEN rn.nspname = current_schema() THEN '' ELSE rn.nspname || '.' END
         || CASE WHEN strpos(r.relname, '.') > 0 THEN '"' || r.relname || '"' ELSE r.relname END AS label,
       a.attname AS column_name,
       p.category NOT IN ('B', 'D', 'E', 'G', 'R', 'T', 'V') AND p.base NOT IN (700, 701) AS searched,
       array_position(k.conkey, a.attnum) AS key_place,
       p.base IN (20, 21, 23, 2950) AS numbered, FALSE AS versioned, FALSE AS numbers_rows
FROM places AS l JOIN pg_class AS r ON r.oid = l.root JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
JOIN pg_attribute AS a ON a.attrelid = l.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN plain AS p ON p.type = a.atttypid
LEFT JOIN pg_constraint AS k ON k.conrelid = l.oid AND k.contype = 'p'
ORDER BY 1, 2, 3, a.attnum
"""
_MARIADB: Final = """
SELECT NULL AS place_schema, t.table_name AS place,
       CASE WHEN INSTR(t.table_name, '.') > 0 THEN CONCAT('"', t.table_name, '"') ELSE t.table_name END
         AS label,
       c.column_name AS column_name,
       c.data_type NOT IN ('date', 'datetime', 'time', 'timestamp', 'year', 'float', 'double', 'bit', 'enum',
         'set', 'geometry', 'point', 'linestring', 'polygon', 'multipoint', 'multilinestring',
         'multipolygon', 'geometrycollection') AS searched,
       k.ordinal_position AS key_place,
       c.data_type IN ('tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'uuid') AS numbered,
       t.table_type = 'SYSTEM VERSIONED' AS versioned, FALSE AS numbers_rows
FROM information_schema.tables AS t
JOIN information_schema.columns AS c ON c.table_schema = t.table_schema AND c.table_name = t.table_name
LEFT JOIN information_schema.key_column_usage AS k ON k.table_schema = t.table_schema
  AND k.table_name = t.table_name AND k.constraint_name = 'PRIMARY' AND k.column_name = c.column_name
WHERE t.table_schema = DATABASE() AND t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
ORDER BY t.table_name, c.ordinal_position
"""
_SQLITE: Final = """
SELECT NULL AS place_schema, t.name AS place,
       CASE WHEN instr(t.name, '.') > 0 THEN '"' || t.name || '"' ELSE t.name END AS label,
       c.name AS column_name, TRUE AS searched, c.pk AS key_place,
       upper(c.type) LIKE '%INT%' OR upper(c.type) = 'UUID' AS numbered, FALSE AS versioned,
       NOT t.wr AS numbers_rows
FROM pragma_table_list AS t JOIN pragma_table_xinfo(t.name) AS c
WHERE t.schema = 'main' AND t.type IN ('table', 'shadow') AND t.name <> 'sqlite_schema' AND c.hidden <> 1
ORDER BY t.name, c.cid
"""
_COLUMNS: Final = {dialects.POSTGRESQL: _POSTGRESQL, "mariadb": _MARIADB, dialects.SQLITE: _SQLITE}
_LEFT_OUT: Final = {
    dialects.POSTGRESQL: """
SELECT count(*) || ' large objects' FROM pg_largeobject_metadata HAVING count(*) > 0
UNION ALL SELECT 'foreign table ' || CAST(CAST(oid AS regclass) AS text) FROM pg_class WHERE relkind = 'f'
""",
    "mariadb": """
SELECT CONCAT('tables of database ', table_schema) FROM information_schema.tables
WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND table_schema NOT IN
  (DATABASE(), 'information_schema', 'mysql', 'performance_schema', 'sys')
GROUP BY table_schema ORDER BY 1
""",
    dialects.SQLITE: """
SELECT 'attached database ' || name FROM pragma_database_list WHERE name NOT IN ('main', 'temp')
""",
}
