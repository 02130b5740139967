"""How much room a table takes, from what the database knows anyway: no row is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects

#: Above this size, adding up an SQLite file's pages takes too long for a look.
_SQLITE_MOST: Final = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Size:
    """A table's room; a partitioned table's is that of its partitions together."""

    #: Bytes of the rows.
    rows: int
    #: Bytes with indexes and everything else.
    total: int
    #: Pages of the rows; 0 where the database does not say.
    pages: int = 0


def size_of(connection: sa.Connection, table: sa.TableClause) -> Size | None:
    """Return a table's size; None where the database does not tell cheaply."""
    name = connection.dialect.name
    if name == dialects.SQLITE:
        return _sqlite(connection, table)
    query = _POSTGRESQL if name == dialects.POSTGRESQL else _MARIADB
    given = {"qualified": qualified(connection, table), "schema": table.schema, "name": table.name}
    row = connection.execute(sa.text(query), _wanted(query, given)).first()
    if row is None or row.heap is None:
        return None
    return Size(rows=int(row.heap), total=int(row.everything), pages=int(row.pages))


def rows_about(connection: sa.Connection, table: sa.TableClause) -> int | None:
    """Return about how many rows a table has; None where the database does not tell at once."""
    name = connection.dialect.name
    if name == dialects.SQLITE:
        return _span_of_rowids(connection, table)
    query = _ROWS[dialects.POSTGRESQL if name == dialects.POSTGRESQL else "mariadb"]
    given = {"qualified": qualified(connection, table), "schema": table.schema, "name": table.name}
    rows = connection.scalar(sa.text(query), _wanted(query, given))
    return None if rows is None or rows < 0 else int(rows)


def _span_of_rowids(connection: sa.Connection, table: sa.TableClause) -> int | None:
    """Return how many rows the numbers of the first and the last leave room for."""
    kind = "SELECT wr FROM pragma_table_list(:name) WHERE schema = 'main'"
    number: sa.ColumnElement[Any] = sa.literal_column("rowid")
    if connection.scalar(sa.text(kind), {"name": table.name}):
        return None
    ends = (sa.select(end(number)).select_from(table).scalar_subquery() for end in (sa.func.max, sa.func.min))
    last, first = connection.execute(sa.select(*ends)).one()
    # A column of one's own may be called so, and hold anything.
    return last - first + 1 if isinstance(last, int) and isinstance(first, int) else None


def qualified(connection: sa.Connection, table: sa.TableClause) -> str:
    """Return a table's name as SQL writes it."""
    return connection.dialect.identifier_preparer.format_table(table)


_POSTGRESQL: Final = """
SELECT sum(pg_table_size(relid)) AS heap, sum(pg_total_relation_size(relid)) AS everything,
       sum(pg_relation_size(relid) / current_setting('block_size')::int) AS pages
FROM (
  SELECT relid FROM pg_partition_tree(to_regclass(:qualified))
  UNION SELECT to_regclass(:qualified)
) AS parts
"""
_MARIADB: Final = """
SELECT data_length AS heap, data_length + index_length AS everything, 0 AS pages
FROM information_schema.tables
WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :name
"""
#: Never analyzed is -1; so is a partition that never was.
_ROWS: Final[Mapping[str, str]] = {
    dialects.POSTGRESQL: """
SELECT CASE WHEN min(c.reltuples) < 0 THEN -1 ELSE sum(c.reltuples) END
FROM pg_class AS c
WHERE c.relkind = 'r' AND c.oid IN (
  SELECT relid FROM pg_partition_tree(to_regclass(:qualified))
  UNION SELECT to_regclass(:qualified)
)
""",
    "mariadb": """
SELECT table_rows FROM information_schema.tables
WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :name
""",
}
_SQLITE: Final = """
SELECT s.name, s.pgsize FROM dbstat AS s JOIN sqlite_master AS m ON m.name = s.name
WHERE s.aggregate = TRUE AND m.tbl_name = :name
"""


def _wanted(query: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if f":{key}" in query}


def _sqlite(connection: sa.Connection, table: sa.TableClause) -> Size | None:
    pages, size = (connection.scalar(sa.text(f"PRAGMA {name}")) for name in ("page_count", "page_size"))
    if int(pages or 0) * int(size or 0) > _SQLITE_MOST or not _counts_pages(connection):
        return None
    found = {row.name: int(row.pgsize) for row in connection.execute(sa.text(_SQLITE), {"name": table.name})}
    return Size(rows=found.get(table.name, 0), total=sum(found.values()))


def _counts_pages(connection: sa.Connection) -> bool:
    """Whether this SQLite was built with the table that adds up pages."""
    options = connection.execute(sa.text("PRAGMA compile_options")).scalars()
    return "ENABLE_DBSTAT_VTAB" in set(options)
