"""A schema as the tests see it: read apart from Aegis, which must see the same."""

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

_CHECKS: Final = {
    "postgresql": (
        "SELECT c.relname, pg_get_constraintdef(k.oid) FROM pg_constraint k "
        "JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE k.contype = 'c' AND n.nspname = 'public'"
    ),
    "mariadb": (
        "SELECT table_name, check_clause FROM information_schema.check_constraints "
        "WHERE constraint_schema = DATABASE()"
    ),
}
_WORD: Final = re.compile(r"'([^']*)'")


@dataclass(frozen=True, kw_only=True)
class Key:
    """A foreign key."""

    child: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    #: Whether the database empties the columns when the row that they refer to goes.
    empties: bool = False


@dataclass(kw_only=True)
class Picture:
    """The tables of a database, their foreign keys, and what must be unique in them."""

    tables: Mapping[str, sa.Table]
    keys: tuple[Key, ...]
    uniques: Mapping[str, list[tuple[str, ...]]]
    #: (table, column) → the words that a CHECK knows.
    words: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    documents: set[tuple[str, str]] = field(default_factory=set)

    def of(self, child: str) -> list[Key]:
        """Return the foreign keys of a table."""
        return [key for key in self.keys if key.child == child]

    def refers(self, table: str, column: str) -> bool:
        """Whether a column is part of a foreign key."""
        return any(column in key.columns for key in self.of(table))

    def is_unique(self, table: str, column: str) -> bool:
        """Whether a column is part of a key that lets a value stand once."""
        return any(column in columns for columns in self.uniques[table])

    def is_text(self, table: str, column: str) -> bool:
        """Whether a person's own words can stand in a column."""
        kind = self.tables[table].c[column].type
        if (table, column) in self.words or self.refers(table, column):
            return False
        return (table, column) in self.documents or _holds_words(kind)


def read(database: sa.Engine) -> Picture:
    """Read the schema of a database."""
    inspector = sa.inspect(database)
    metadata = sa.MetaData()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        metadata.reflect(database)
        tables = {name: table for name, table in metadata.tables.items() if "aegis" not in name}
        found = Picture(
            tables=tables,
            keys=tuple(sorted({key for name in tables for key in _keys(inspector, name)}, key=str)),
            uniques={name: _uniques(inspector, name, tables[name]) for name in tables},
        )
    _read_checks(database, found)
    return found


def _keys(inspector: sa.Inspector, table: str) -> Iterable[Key]:
    for key in inspector.get_foreign_keys(table):
        yield Key(
            child=table,
            columns=tuple(key["constrained_columns"]),
            parent=key["referred_table"],
            parent_columns=tuple(key["referred_columns"]),
            empties=key["options"].get("ondelete") == "SET NULL",
        )


def _uniques(inspector: sa.Inspector, name: str, table: sa.Table) -> list[tuple[str, ...]]:
    found: list[Any] = [key["column_names"] for key in inspector.get_unique_constraints(name)]
    found += [index["column_names"] for index in inspector.get_indexes(name) if index["unique"]]
    key = tuple(table.primary_key.columns.keys())
    return list(dict.fromkeys([*([key] if key else []), *(tuple(filter(None, names)) for names in found)]))


def _read_checks(database: sa.Engine, found: Picture) -> None:
    with database.connect() as connection:
        rows = connection.execute(sa.text(_CHECKS[database.dialect.name])).all()
    for name, text in rows:
        for column in found.tables[name].c if name in found.tables else ():
            if not re.search(rf"\b{re.escape(column.name)}\b", text):
                continue
            if "json_valid" in text:
                found.documents.add((name, column.name))
            elif words := _WORD.findall(text):
                found.words[name, column.name] = words


def _holds_words(kind: Any) -> bool:
    if isinstance(kind, sa.ARRAY):
        return _holds_words(kind.item_type)
    if isinstance(kind, sa.Enum):
        return False
    return is_binary(kind) or isinstance(kind, sa.String | sa.JSON) or kind.__visit_name__ in {"INET", "CIDR"}


def is_binary(kind: Any) -> bool:
    """Whether a column holds bytes."""
    return isinstance(kind, sa.LargeBinary | sa.BINARY | sa.VARBINARY) or "BLOB" in kind.__visit_name__
