"""What a column is for the structure: a key, a reference to a person or to something else, a tenant."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from aegis.catalog.facts import ColumnFacts, TableFacts
from aegis.catalog.lexicon import words_of
from aegis.catalog.names import concepts
from aegis.catalog.types import Family
from aegis.catalog.vocabulary import modifiers

_PERSONS: Final = words_of(modifiers.PERSONS)
#: Said of who handled a row: a reference to a person, which makes the row nobody's.
_HANDLED: Final = words_of(modifiers.HANDLED)
#: Words that say a person only where such a table is in the schema, or not at all.
_NOBODY: Final = words_of(modifiers.NO_KEYS)
#: Rows of these are persons or organizations.
_PARTIES: Final = frozenset((word,) for word in ("party", "partner", "entity", "contact", "account", "actor"))
_ORGANISATIONS: Final = words_of(
    "company organisation pharmacy hospital clinic institution bank agency school"
)
_TENANTS: Final = words_of(modifiers.TENANTS)
#: Of the tenants, those that are as often somebody's own: an account that is referred to is one of a ledger.
_GROUPED: Final = frozenset({"account", "workspace"})
_KEYS: Final = frozenset(
    {Family.INTEGER, Family.UUID, Family.NUMBER, Family.TEXT, Family.UNKNOWN, Family.BYTES}
)
_NUMBERS: Final = frozenset({Family.INTEGER, Family.UUID})
#: The end of a number of a row in any table, beside the name of that table: `actor_object_id`.
_POINTER: Final = ("object", "id")
#: A text longer than this is no key of a row.
_KEY_LENGTH: Final = 64


def is_person_reference(
    column: ColumnFacts,
    natures: Mapping[str, str],
    persons: Collection[str],
    keys: Collection[tuple[str, ...]] = (),
) -> bool:
    """Say whether a column points to a person's row, by a declared foreign key or by its name."""
    if column.refers_to is not None:
        return natures.get(column.refers_to) == "person" and not _is_company(column)
    if column.family not in _KEYS or column.many:
        return False
    name = concepts(column.name)
    return not column.key if name in keys else _is_called_a_person(column, name, persons)


def _is_called_a_person(column: ColumnFacts, name: Sequence[str], persons: Collection[str]) -> bool:
    if len(name) > 1 and name[-1] == "by":
        return column.family in _NUMBERS or is_short(column)
    if is_pointer(name):
        return len(name) > len(_POINTER) and _names_a_person(name[-3], persons)
    if len(name) > 1 and name[-1] in {"id", "uuid"}:
        named = name[-2] in _PERSONS - _NOBODY or name[-2] in persons
        return named and (column.family in _NUMBERS or is_short(column))
    return column.family in _NUMBERS and bool(name) and _names_a_person(name[-1], persons) and not column.key


def _is_company(column: ColumnFacts) -> bool:
    """Whether a column chooses an organization from a table of persons and organizations."""
    name = [word for word in concepts(column.name) if word != "id"]
    return bool(name) and name[-1] in _ORGANISATIONS and concepts(column.refers_to or "")[-1:] in _PARTIES


def is_pointer(name: Sequence[str]) -> bool:
    """Say whether a name is that of the number of a row in any table."""
    return tuple(name[-len(_POINTER) :]) == _POINTER


def is_short(column: ColumnFacts) -> bool:
    """Whether a text is a key rather than a name: its type has the room of one."""
    return (
        column.family in {Family.TEXT, Family.BYTES}
        and column.length is not None
        and column.length <= _KEY_LENGTH
    )


def _names_a_person(word: str, persons: Collection[str]) -> bool:
    return word in _PERSONS - _NOBODY or word in persons


def is_owner(column: ColumnFacts, natures: Mapping[str, str], persons: Collection[str]) -> bool:
    """Say whether a column points to the person whose row this is, rather than to who handled it."""
    return is_person_reference(column, natures, persons) and not _HANDLED & set(concepts(column.name))


def is_tenant(column: ColumnFacts) -> bool:
    """Say whether a column's name is that of a reference to a tenant."""
    name = concepts(column.name)
    if len(name) == 1 and column.refers_to is not None and column.family in _NUMBERS:
        return name[0] in _TENANTS - _GROUPED and concepts(column.refers_to)[-1:] == name
    return len(name) > 1 and name[-1] == "id" and name[-2] in _TENANTS


def is_own_key(column: ColumnFacts, table: TableFacts) -> bool:
    """Say whether a column is the whole primary key of its table."""
    return column.key and sum(other.key for other in table.columns) == 1


def is_reference(column: ColumnFacts) -> bool:
    """Say whether a column is a reference of whatever kind."""
    name = concepts(column.name)
    numbered = name[-1:] in {("id",), ("uuid",)} and column.family in _NUMBERS
    return column.refers_to is not None or numbered or is_pointer(name)
