"""The live schema of a data source in one picture: tables, keys, unique keys, foreign keys.

Read by sets: the number of statements does not grow with the number of tables, except on MariaDB, which
describes tables one by one, and on SQLite, where it costs nothing.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine.reflection import Inspector

from aegis.db import dialects, documents, domains, held
from aegis.db.contents import is_free
from aegis.db.foreignkeys import ForeignKey, read_foreign_keys
from aegis.db.indexes import Unique, is_partial, unique_of
from aegis.db.reflection import OWN_SCHEMA, OWN_TABLES, SYSTEM_SCHEMAS

#: Their rows are the parent's.
_PARTITIONS: Final = sa.text(
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relispartition AND c.relkind IN ('r', 'p', 'f')"
)
#: Types that SQLite takes for numbers although it keeps any text in them.
_DECLARED: Final = sa.text(
    "SELECT m.name, t.name, upper(t.type) FROM sqlite_master m JOIN pragma_table_xinfo(m.name) t "
    "WHERE m.type = 'table' AND t.type <> ''"
)
#: Tables that are remembered as they were described.
_REMEMBERED: Final = 2_000
_AFFINITIES: Final = ("INT", "CHAR", "CLOB", "TEXT", "BLOB", "REAL", "FLOA", "DOUB")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A foreign key, its tables by label."""

    name: str | None
    child: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    #: NO ACTION, RESTRICT, CASCADE, SET NULL or SET DEFAULT; so is `on_update`.
    on_delete: str
    on_update: str
    #: Whether a transaction can have it checked at its end only.
    deferrable: bool


@dataclass(frozen=True, kw_only=True)
class CatalogTable:
    """One table as it stands."""

    #: `table`, and `schema.table` outside of the session's own schema.
    label: str
    #: Columns with type, nullability, default and what the database computes; the primary key.
    table: sa.Table
    #: Unique keys and indexes, the primary key left out.
    uniques: tuple[Unique, ...] = ()
    #: The columns of each index of the whole table, the primary key's among them.
    indexes: tuple[tuple[str, ...], ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key."""
        return tuple(self.table.primary_key.columns.keys())

    @property
    def free_columns(self) -> tuple[str, ...]:
        """The columns that may hold what somebody wrote; what the database computes from others is not."""
        return tuple(c.name for c in self.table.columns if c.computed is None and is_free(c.type))

    def tells_apart(self, columns: Iterable[str]) -> bool:
        """Whether no two rows can have the same values in these columns (NULL left aside)."""
        given = set(columns)
        keys = [set(self.key), *(set(u.columns) for u in self.uniques if u.whole and not u.expressions)]
        return any(key and key <= given for key in keys)

    def indexed(self, columns: Iterable[str]) -> bool:
        """Whether an index of the whole table begins with these columns, in any order."""
        wanted = set(columns)
        return any(set(index[: len(wanted)]) == wanted for index in self.indexes)


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """The tables of a data source by label; no views, system tables or tables of Aegis."""

    tables: Mapping[str, CatalogTable]
    references: tuple[Reference, ...]
    #: The schema of tables whose label names none.
    schema: str | None = None
    #: Whether names differ in upper and lower case.
    exact: bool = True

    def find(self, name: str) -> CatalogTable | None:
        """Return a table by what somebody calls it; a name that has a dot itself stands in double quotes."""
        if name in self.tables:
            return self.tables[name]
        schema, _, plain = name.rpartition(".")
        label = plain if schema and schema == self.schema else name
        if label in self.tables or self.exact:
            return self.tables.get(label)
        return next((t for other, t in self.tables.items() if other.lower() == label.lower()), None)


def read_catalog(connection: sa.Connection) -> Catalog:
    """Read the live schema.

    PostgreSQL: every schema but the system's and Aegis's, whether the role may use it or not, so that no
    reference stays out of sight. MariaDB: the session's database, and those whose tables refer to it.
    A partition counts as its parent.
    """
    schema = dialects.default_schema(connection)
    held.refuse_blind(connection, schema)
    keys = read_foreign_keys(connection)
    with warnings.catch_warnings():
        # A type that SQLAlchemy does not know may hold anything: `is_free`.
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        tables = {table.label: table for table in _tables(connection, schema, keys)}
    exact = connection.dialect.name == dialects.POSTGRESQL
    bare = Catalog(tables=tables, references=(), schema=schema, exact=exact)
    references = [reference for key in keys if (reference := _reference(bare, key)) is not None]
    return Catalog(tables=tables, references=tuple(references), schema=schema, exact=exact)


def _tables(
    connection: sa.Connection, default: str | None, keys: Iterable[ForeignKey]
) -> Iterator[CatalogTable]:
    inspector = sa.inspect(connection)
    left_out = _left_out(connection)
    texts = _untyped(connection)
    for schema in _schemas(connection, inspector, default, keys):
        picture = _Picture(inspector, schema)
        for name in picture.names:
            if name not in OWN_TABLES and (schema, name) not in left_out:
                own = None if schema == default else schema
                found = picture.table(name, _label(default, schema, name), own, texts)
                domains.unwrap(found.table)
                documents.mark_documents(connection, found.table)
                yield _remembered(_described(inspector.dialect.name, found))


@dataclass(frozen=True, kw_only=True)
class _Described:
    """A table, which is the same as another one when everything that is known of it is."""

    known: tuple[Any, ...]
    table: CatalogTable = field(compare=False)


@lru_cache(maxsize=_REMEMBERED)
def _remembered(described: _Described) -> CatalogTable:
    """Return the table that was described so before: statements on it are compiled already."""
    return described.table


def _described(dialect: str, found: CatalogTable) -> _Described:
    columns = tuple((*map(repr, (c.name, c.info)), *_ruled(c)) for c in found.table.columns)
    own = (dialect, found.label, found.table.name, found.table.schema, found.key)
    return _Described(known=(*own, columns, found.uniques, found.indexes), table=found)


def _ruled(column: sa.Column[Any]) -> tuple[Any, ...]:
    default = getattr(column.server_default, "arg", None)
    computed = column.computed and (str(column.computed.sqltext), column.computed.persisted)
    return (
        type(column.type),
        repr(column.type),
        column.nullable,
        str(default),
        computed,
        bool(column.identity),
    )


class _Picture:
    """One schema, read by sets."""

    def __init__(self, inspector: Inspector, schema: str | None) -> None:
        self._columns = _by_name(inspector.get_multi_columns(schema))
        self._keys = _by_name(inspector.get_multi_pk_constraint(schema))
        self._uniques = _by_name(inspector.get_multi_unique_constraints(schema))
        self._indexes = _by_name(inspector.get_multi_indexes(schema, **_automatic(inspector)))

    @property
    def names(self) -> list[str]:
        """The tables in it."""
        return sorted(self._columns)

    def table(
        self, name: str, label: str, schema: str | None, texts: frozenset[tuple[str, str]]
    ) -> CatalogTable:
        """Build one table."""
        key = self._keys.get(name, {}).get("constrained_columns", [])
        columns = [_column(c, text=(name, c["name"]) in texts) for c in self._columns[name]]
        # In the key's own order, which a foreign key that names no columns means.
        primary = [sa.PrimaryKeyConstraint(*key)] if key else []
        table = sa.Table(name, sa.MetaData(), *columns, *primary, schema=schema)
        constraints, indexes = self._uniques.get(name, []), self._indexes.get(name, [])
        uniques = [unique_of(found) for found in [*constraints, *(i for i in indexes if i["unique"])]]
        whole = [i["column_names"] for i in indexes if not is_partial(i)]
        led = [key, *(c["column_names"] for c in constraints), *whole]
        return CatalogTable(
            label=label,
            table=table,
            uniques=tuple(dict.fromkeys(uniques)),
            indexes=tuple(dict.fromkeys(tuple(names) for names in led if names)),
        )


def _automatic(inspector: Inspector) -> dict[str, Any]:
    """SQLite tells the keys that are written behind a column by their indexes only."""
    return {"include_auto_indexes": True} if inspector.dialect.name == dialects.SQLITE else {}


def _by_name(found: Mapping[Any, Any]) -> dict[str, Any]:
    return {name: part for (_, name), part in found.items()}


def _column(found: Any, *, text: bool) -> sa.Column[Any]:
    made: list[Any] = []
    if found.get("computed"):
        made.append(sa.Computed(found["computed"]["sqltext"], found["computed"].get("persisted")))
    elif found.get("identity"):
        made.append(sa.Identity())
    elif found.get("default") is not None:
        made.append(sa.DefaultClause(sa.text(str(found["default"]).replace(":", r"\:"))))
    kind = sa.Text() if text else found["type"]
    return sa.Column(found["name"], kind, *made, nullable=found["nullable"])


def _schemas(
    connection: sa.Connection, inspector: Inspector, default: str | None, keys: Iterable[ForeignKey]
) -> list[str | None]:
    if connection.dialect.name == dialects.SQLITE:
        return [None]
    if connection.dialect.name in dialects.MARIADB:
        return sorted({default, *(key.schema for key in keys)}, key=str)
    return [name for name in inspector.get_schema_names() if name not in SYSTEM_SCHEMAS | {OWN_SCHEMA}]


def _left_out(connection: sa.Connection) -> frozenset[tuple[str, str]]:
    if connection.dialect.name != dialects.POSTGRESQL:
        return frozenset()
    return frozenset((schema, name) for schema, name in connection.execute(_PARTITIONS))


def _untyped(connection: sa.Connection) -> frozenset[tuple[str, str]]:
    """Return the columns whose declared type says nothing, so that SQLite keeps any text in them."""
    if connection.dialect.name != dialects.SQLITE:
        return frozenset()
    known = connection.dialect.ischema_names  # type: ignore[attr-defined]
    return frozenset(
        (table, column)
        for table, column, kind in connection.execute(_DECLARED)
        if kind.partition("(")[0].strip() not in known and not any(word in kind for word in _AFFINITIES)
    )


def _reference(catalog: Catalog, key: ForeignKey) -> Reference | None:
    """Return a foreign key by labels; None where the table referred to is not there (SQLite)."""
    parent = catalog.find(_label(catalog.schema, key.parent_schema, key.parent))
    if parent is None:
        return None
    child = catalog.find(label := _label(catalog.schema, key.schema, key.table))
    return Reference(
        name=key.name,
        # A table that cannot be described is named all the same: nobody may overlook it.
        child=child.label if child else label,
        columns=_spelled(child, key.columns),
        parent=parent.label,
        parent_columns=_spelled(parent, key.parent_columns) or parent.key,
        on_delete=key.on_delete,
        on_update=key.on_update,
        deferrable=key.deferrable,
    )


def _spelled(table: CatalogTable | None, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return columns as the table spells them: SQLite lets a key write them otherwise."""
    spelling = {c.name.lower(): c.name for c in table.table.columns} if table else {}
    return tuple(
        name if table is None or name in table.table.c else spelling.get(name.lower(), name) for name in names
    )


def _label(default: str | None, schema: str | None, name: str) -> str:
    # A dot in a name must not be taken for the one behind a schema.
    plain = f'"{name}"' if "." in name else name
    return plain if schema in {None, default} else f"{schema}.{plain}"
