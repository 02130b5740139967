"""Indexes, as far as writing to a column concerns them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects

_PARTIAL: Final = ("postgresql_where", "sqlite_where")
#: Every index that a new value of one of the columns has to be entered in; also through an
#: expression or a condition of it. A BRIN index keeps an update in place.
_OVER: Final = """
SELECT DISTINCT c.relname
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_am m ON m.oid = c.relam AND m.amname <> 'brin'
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = ANY(:columns)
 WHERE i.indrelid = to_regclass(:table)
   AND (a.attnum = ANY(i.indkey)
        OR EXISTS (SELECT 1 FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                      AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))
 ORDER BY 1
"""


@dataclass(frozen=True, kw_only=True)
class Unique:
    """A key or index that lets a value stand once."""

    name: str
    columns: tuple[str, ...]
    #: Expressions of it, as the database writes them.
    expressions: tuple[str, ...] = ()
    #: Whether two NULLs clash too.
    null_is_a_value: bool = False
    #: Whether it is on every row; an index can be on those with a condition only.
    whole: bool = True


def uniques(connection: sa.Connection, table: sa.Table) -> list[Unique]:
    """Return a table's unique keys and indexes, the primary key left out."""
    inspector = sa.inspect(connection)
    keys = inspector.get_unique_constraints(table.name, schema=table.schema)
    # SQLite does not tell the keys that are written behind a column, but for their indexes.
    automatic = {"include_auto_indexes": True} if connection.dialect.name == dialects.SQLITE else {}
    indexes = inspector.get_indexes(table.name, schema=table.schema, **automatic)
    return [unique_of(key) for key in [*keys, *(index for index in indexes if index["unique"])]]


def unique_of(key: Any) -> Unique:
    """Return a unique key, or a unique index, from what SQLAlchemy says of it."""
    columns = tuple(name for name in key["column_names"] if name is not None)
    options = key.get("dialect_options") or {}
    return Unique(
        name=str(key["name"] or "UNIQUE"),
        columns=columns,
        expressions=tuple(text for text in key.get("expressions", ()) if text not in columns),
        null_is_a_value=bool(options.get("postgresql_nulls_not_distinct")),
        whole=not is_partial(key),
    )


def is_partial(index: Any) -> bool:
    """Say whether an index is on rows with a condition only."""
    return any((index.get("dialect_options") or {}).get(option) is not None for option in _PARTIAL)


def indexes_over(connection: sa.Connection, table: sa.Table, columns: Iterable[str]) -> list[str]:
    """Return the indexes that keep an update of these columns from staying on its page (PostgreSQL)."""
    if connection.dialect.name != dialects.POSTGRESQL:
        return []
    label = connection.dialect.identifier_preparer.format_table(table)
    return list(connection.scalars(sa.text(_OVER), {"table": label, "columns": sorted(columns)}))
