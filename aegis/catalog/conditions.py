"""The condition that belongs to a policy: which of the old rows are meant."""

from collections.abc import Iterator, Sequence
from typing import Final

import sqlalchemy as sa

from aegis.catalog.clocks import Age, Meaning
from aegis.catalog.names import concepts, words
from aegis.datamap.conditions import parse_condition
from aegis.db.catalog import CatalogTable
from aegis.errors import AegisError

#: Whoever has such a right is no customer who stays away.
_STAFF: Final = frozenset(
    {"staff", "superuser", "admin", "administrator", "system", "bot", "service", "root"}
)
_DELETED: Final = frozenset({"deleted", "trashed", "removed", "archived"})
#: Words of an enumeration that say that an order was made of it.
_ORDERED: Final = frozenset(
    {"submitted", "ordered", "completed", "complete", "converted", "purchased", "paid"}
)
_REFUSED: Final = frozenset({"rejected", "refused", "declined", "withdrawn"})


def of_people(table: CatalogTable) -> str | None:
    """Leave out those who work here: `is_staff = FALSE`."""
    columns = [c.name for c in _flags(table) if _STAFF & {*words(c.name), *concepts(c.name)}]
    return _readable(table, " AND ".join(f"{_quoted(name)} = FALSE" for name in columns))


def of_deleted(table: CatalogTable) -> str | None:
    """Take what a flag says is deleted; None: there is no such flag."""
    flag = next((c.name for c in _flags(table) if _DELETED & set(words(c.name))), None)
    return _readable(table, f"{_quoted(flag)} = TRUE") if flag else None


def of_carts(table: CatalogTable, found: Sequence[Age]) -> str | None:
    """Take what was never ordered: no time of it, no word of it, or nobody behind it."""
    done = next((age.column for age in found if age.meaning is Meaning.DONE), None)
    if done and table.table.c[done].nullable:
        return _readable(table, f"{_quoted(done)} IS NULL")
    for column, listed in _enumerations(table):
        meant = sorted(word for word in listed if word.lower() in _ORDERED)
        if meant:
            return _readable(table, f"{_quoted(column)} NOT IN ({_literals(meant)})")
    return None


def of_refused(table: CatalogTable) -> str | None:
    """Take applications that were refused."""
    for column, listed in _enumerations(table):
        meant = sorted(word for word in listed if word.lower() in _REFUSED)
        if meant:
            return _readable(table, f"{_quoted(column)} IN ({_literals(meant)})")
    return None


def _flags(table: CatalogTable) -> Iterator[sa.Column[bool]]:
    for column in table.table.columns:
        kind = column.type
        if isinstance(kind, sa.Boolean) or getattr(kind, "display_width", None) == 1:
            yield column


def _enumerations(table: CatalogTable) -> Iterator[tuple[str, Sequence[str]]]:
    for column in table.table.columns:
        if isinstance(column.type, sa.Enum):
            yield column.name, column.type.enums


def _literals(found: Sequence[str]) -> str:
    return ", ".join("'" + word.replace("'", "''") + "'" for word in found)


def _quoted(name: str) -> str:
    plain = name.isidentifier() and name.islower()
    return name if plain else '"' + name.replace('"', '""') + '"'


def _readable(table: CatalogTable, text: str) -> str | None:
    """Return a condition that a policy on the table can have."""
    if not text:
        return None
    try:
        parse_condition(text, table.table)
    except AegisError:
        return None
    return text
