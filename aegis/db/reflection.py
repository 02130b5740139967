"""What a table really is, read from the live database: columns, key, references, triggers.

Every SQL identifier that Aegis uses comes from here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine.reflection import Inspector

from aegis.db import dialects, domains, held
from aegis.db.documents import mark_documents
from aegis.db.keystore import KeyBase
from aegis.db.references import Reference, read_references
from aegis.db.schema import VERSION_TABLES
from aegis.db.tables import Base
from aegis.errors import UnknownName, UnsafeTable

SYSTEM_SCHEMAS: Final = frozenset(
    {"pg_catalog", "information_schema", "pg_toast", "mysql", "performance_schema", "sys"}
)
OWN_SCHEMA: Final = "aegis"
OWN_TABLES: Final = frozenset(
    {table.name for base in (Base, KeyBase) for table in base.metadata.tables.values()}
    | {"aegis_journal", *VERSION_TABLES.values()}
)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One table as it stands in the live database."""

    table: sa.Table
    #: As the policy writes it: with the schema where one was given.
    label: str
    key: tuple[sa.Column[Any], ...]
    references: tuple[Reference, ...]
    #: Names of the triggers that a DELETE or UPDATE fires.
    triggers: tuple[str, ...]
    #: Names of the row-level security policies.
    row_security: tuple[str, ...]
    partitioned: bool = False

    def column(self, name: str, role: str) -> sa.Column[Any]:
        """Return a column.

        Raises:
            UnknownName: there is none of that name.

        """
        if name not in self.table.c:
            message = (
                f"table {self.label} has no column {name!r} (given as {role}); "
                f"it has: {', '.join(self.table.c.keys())}"
            )
            raise UnknownName(message)
        return self.table.c[name]


def read_layout(connection: sa.Connection, label: str, *, dependent: bool = False) -> Layout:
    """Reflect a table.

    Args:
        connection: the data source.
        label: `table` or `schema.table`.
        dependent: its rows go with those of another table, so that it needs no key of its own.

    Raises:
        UnknownName: there is no such table.
        UnsafeTable: a view, a table of the system or of Aegis, one without a primary key, or one
            that others inherit from.

    """
    inspector = sa.inspect(connection)
    schema, name = _split(label)
    _refuse_foreign_ground(label, schema, name)
    held.refuse_blind(connection, schema or dialects.default_schema(connection))
    if name not in inspector.get_table_names(schema=schema):
        _refuse_missing(inspector, label, schema, name)
    table = sa.Table(name, sa.MetaData(), schema=schema, autoload_with=connection, resolve_fks=False)
    if not table.primary_key.columns and not dependent:
        message = (
            f"table {label} has no primary key, so its rows cannot be taken in batches that are counted "
            "once; add a primary key"
        )
        raise UnsafeTable(message)
    domains.unwrap(table)
    mark_documents(connection, table)
    if not dependent:
        _refuse_empty_keys(connection, table, label)
    _refuse_heirs(connection, label, schema, name)
    _refuse_unsafe_storage(connection, label, schema, name)
    return Layout(
        table=table,
        label=label,
        key=tuple(table.primary_key.columns),
        references=read_references(
            connection, _given(connection, schema, name), table.primary_key.columns.keys()
        ),
        triggers=read_triggers(connection, schema, name),
        row_security=_names(connection, _ROW_SECURITY, schema, name),
        partitioned=bool(_names(connection, _PARTITIONED, schema, name)),
    )


def read_triggers(connection: sa.Connection, schema: str | None, name: str) -> tuple[str, ...]:
    """Return the triggers that fire when rows of a table are changed or deleted.

    Raises:
        UnsafeTable: the session would not be shown them.

    """
    held.refuse_blind_to_triggers(connection, schema, name)
    return _names(connection, _TRIGGERS, schema, name)


def _split(label: str) -> tuple[str | None, str]:
    if not isinstance(label, str) or not label.strip():
        message = "a table is named by text: 'table' or 'schema.table'"
        raise UnknownName(message)
    schema, _, name = label.rpartition(".")
    return schema or None, name


def _refuse_foreign_ground(label: str, schema: str | None, name: str) -> None:
    if schema == OWN_SCHEMA or name in OWN_TABLES:
        message = f"{label} is a table of Aegis itself; no policy may touch it"
        raise UnsafeTable(message)
    if schema in SYSTEM_SCHEMAS or name.startswith(("sqlite_", "pg_")):
        message = f"{label} belongs to the database system; no policy may touch it"
        raise UnsafeTable(message)


def _refuse_missing(inspector: Inspector, label: str, schema: str | None, name: str) -> None:
    views = set(inspector.get_view_names(schema=schema))
    if name in views:
        message = f"{label} is a view; name the table whose rows must go"
        raise UnsafeTable(message)
    near = ", ".join(sorted(set(inspector.get_table_names(schema=schema)) - OWN_TABLES)[:20])
    message = f"there is no table {label!r} in this data source; it has: {near or 'no tables'}"
    raise UnknownName(message)


def _refuse_empty_keys(connection: sa.Connection, table: sa.Table, label: str) -> None:
    if connection.dialect.name != dialects.SQLITE:
        return
    empty = sa.or_(*[column.is_(None) for column in table.primary_key.columns])
    if connection.scalar(sa.select(sa.exists().where(empty).select_from(table))):
        message = (
            f"table {label} has rows whose primary key is NULL, which only SQLite allows: such "
            "rows cannot be counted once; give them a key"
        )
        raise UnsafeTable(message)


def _refuse_unsafe_storage(connection: sa.Connection, label: str, schema: str | None, name: str) -> None:
    if connection.dialect.name not in dialects.MARIADB:
        return
    query = sa.text(
        "SELECT engine FROM information_schema.tables "
        "WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :name"
    )
    engine = connection.scalar(query, {"schema": schema, "name": name})
    if str(engine).lower() != "innodb":
        message = f"table {label} is stored by {engine}, which has no transactions; move it to InnoDB"
        raise UnsafeTable(message)


def _refuse_heirs(connection: sa.Connection, label: str, schema: str | None, name: str) -> None:
    """Refuse a parent by inheritance: each statement on it takes its children's rows too, key or not."""
    if heirs := _names(connection, _HEIRS, schema, name):
        message = (
            f"table {label} has tables that inherit from it ({', '.join(heirs)}): their rows would go with "
            "its own, and its key does not tell them apart; make them partitions, or end the inheritance "
            "(ALTER TABLE child NO INHERIT parent) and give each table a policy of its own"
        )
        raise UnsafeTable(message)


_TRIGGERS: Final[Mapping[str, str]] = {
    dialects.POSTGRESQL: (
        "SELECT t.tgname FROM pg_trigger t WHERE t.tgrelid = to_regclass(:qualified) AND NOT t.tgisinternal "
        "AND (t.tgtype & 24) <> 0 ORDER BY 1"
    ),
    "mariadb": (
        "SELECT trigger_name FROM information_schema.triggers"
        " WHERE event_object_schema = COALESCE(:schema, DATABASE())"
        " AND event_object_table = :name AND event_manipulation IN ('DELETE', 'UPDATE') ORDER BY 1"
    ),
    dialects.SQLITE: "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name ORDER BY 1",
}
_ROW_SECURITY: Final[Mapping[str, str]] = {
    dialects.POSTGRESQL: "SELECT polname FROM pg_policy WHERE polrelid = to_regclass(:qualified) ORDER BY 1",
}
_PARTITIONED: Final[Mapping[str, str]] = {
    dialects.POSTGRESQL: "SELECT relname FROM pg_class WHERE oid = to_regclass(:qualified) AND relkind = 'p'",
}


_HEIRS: Final[Mapping[str, str]] = {
    dialects.POSTGRESQL: (
        "SELECT CAST(CAST(i.inhrelid AS regclass) AS text) FROM pg_inherits i "
        "JOIN pg_class p ON p.oid = i.inhparent AND p.relkind <> 'p' "
        "WHERE i.inhparent = to_regclass(:qualified) ORDER BY 1"
    ),
}


def _names(
    connection: sa.Connection, queries: Mapping[str, str], schema: str | None, name: str
) -> tuple[str, ...]:
    dialect = connection.dialect
    query = queries.get("mariadb" if dialect.name in dialects.MARIADB else dialect.name)
    if query is None:
        return ()
    given = _given(connection, schema, name)
    wanted = {key: value for key, value in given.items() if f":{key}" in query}
    return tuple(str(row[0]) for row in connection.execute(sa.text(query), wanted))


def _given(connection: sa.Connection, schema: str | None, name: str) -> dict[str, str | None]:
    """Return what a query on a catalog may need of a table."""
    quote: Callable[[str], str] = connection.dialect.identifier_preparer.quote_identifier
    qualified = f"{quote(schema)}.{quote(name)}" if schema else quote(name)
    return {"schema": schema, "name": name, "qualified": qualified}


def renews_itself(column: sa.Column[Any]) -> bool:
    """Whether every UPDATE sets the column to the present time unless it names it (MariaDB)."""
    default = getattr(column.server_default, "arg", None)
    return " on update " in f" {default} ".lower()


def correlation(connection: sa.Connection, column: sa.Column[Any]) -> float | None:
    """Return how well a column's order fits the order of the heap, from -1 to 1; None when unknown."""
    if connection.dialect.name != dialects.POSTGRESQL:
        return None
    query = sa.text(
        "SELECT correlation FROM pg_stats JOIN pg_namespace n ON n.nspname = schemaname "
        "JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = tablename "
        "WHERE c.oid = to_regclass(:table) AND attname = :column AND NOT inherited"
    )
    table = connection.dialect.identifier_preparer.format_table(column.table)
    value = connection.scalar(query, {"table": table, "column": column.name})
    return None if value is None else float(value)


def leads_an_index(connection: sa.Connection, layout: Layout, column: sa.Column[Any]) -> bool:
    """Whether an index (or the key) of the whole table begins with this column."""
    inspector = sa.inspect(connection)
    indexes = inspector.get_indexes(layout.table.name, schema=layout.table.schema)
    partial = ("postgresql_where", "sqlite_where")
    whole = [
        index
        for index in indexes
        if not any((index.get("dialect_options") or {}).get(p) is not None for p in partial)
    ]
    first = [index["column_names"][0] for index in whole if index["column_names"]]
    return column.name in [*first, layout.key[0].name]
