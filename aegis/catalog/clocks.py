"""Which column tells a row's age: the ladder of each kind of table.

A session ends; an order is completed; a person was last seen. When a row was made is the last resort, and for
a person none at all: who registered five years ago may have been here this morning.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import sqlalchemy as sa

from aegis.catalog.names import concepts, words
from aegis.db.catalog import CatalogTable


class Meaning(enum.StrEnum):
    """What happened at the time that a column has."""

    END = "when it ends"
    SEEN = "when it was last used"
    DONE = "when it was done with"
    DELETED = "when it was deleted"
    CREATED = "when it was made"
    CHANGED = "when it was last changed"


@dataclass(frozen=True, kw_only=True)
class Age:
    """The column that tells a row's age."""

    column: str
    meaning: Meaning
    #: s, ms or us, of a whole number; TODO where nobody can tell.
    unit: str | None = None
    #: The type, in words for a person.
    type: str


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LAST: Final = _words("last latest recent current recently")
_USED: Final = _words(
    "seen login active activity used use access accessed sign signin logged visit visited online request "
    "ping heartbeat connected connection contact action auth authenticated"
)
_END: Final = _words("expire expires expired expiry expiration until exp lifetime ends ended logout")
_DONE: Final = _words(
    "completed complete completion finished finish closed fulfilled delivered delivery shipped paid settled "
    "issued invoiced invoice submitted resolved processed sent checkout payment billed"
)
_DELETED: Final = _words("deleted delete deletion trashed removed discarded erased")
_CREATED: Final = _words(
    "created create creation inserted added registered registration joined occurred logged recorded received "
    "placed posted published started start begin made opened entered ctime crtime crdate visited viewed "
    "queued issue order purchase"
)
_CHANGED: Final = _words("updated update modified modification changed change edited mtime touched")
#: Says that it is a time and nothing more.
_PLAIN: Final = _words("timestamp date time datetime ts dttm when at on day moment")
#: Of what it can be the time, where the table has rows of that.
_EVENTS: Final = _words(
    "action event log access request message history entry record visit call search query row"
)
#: Of these words an integer's name must have one: `created_at`, but not `created_by`.
_TIMES: Final = _PLAIN | _words(
    "epoch unixtime mtime ctime expires expiry expiration created updated modified deleted exp until"
)
_NO_TIMES: Final = _words(
    "by id uuid user count number seconds minutes hours days interval duration period limit max min version"
)

#: kind of table → its ladder, the best first
LADDERS: Final[Mapping[str, Sequence[Meaning]]] = {
    "session": (Meaning.END, Meaning.SEEN, Meaning.CREATED),
    "order": (Meaning.DONE, Meaning.CREATED),
    "cart": (Meaning.CHANGED, Meaning.CREATED),
    "person": (Meaning.SEEN,),
    "mail": (Meaning.DONE, Meaning.CREATED),
    "content": (Meaning.DELETED,),
    "event": (Meaning.CREATED, Meaning.DONE),
}


@cache
def meaning_of(name: str) -> Meaning | None:
    """Return what the time in a column of this name is the time of; None: its name does not say."""
    said = frozenset(words(name)) | frozenset(concepts(name))
    if said & _DELETED:
        return Meaning.DELETED
    if (said & _LAST and said & _USED) or said & _words(
        "seen accessed lastlogin lastseen lastused lastactive atime"
    ):
        return Meaning.SEEN
    if said & _END or {"valid", "to"} <= said:
        return Meaning.END
    for meaning, listed in ((Meaning.CHANGED, _CHANGED), (Meaning.DONE, _DONE), (Meaning.CREATED, _CREATED)):
        if said & listed:
            return meaning
    return Meaning.CREATED if said & _PLAIN and said <= _PLAIN | _EVENTS else None


def ages(table: CatalogTable, dialect: str, units: Mapping[tuple[str, str], str]) -> list[Age]:
    """Return every column of a table that could tell its rows' age, in the table's order."""
    found = []
    for column in table.table.columns:
        meaning = meaning_of(column.name)
        if meaning and is_time(column, dialect):
            unit = _unit(column, units.get((table.label, column.name)), dialect)
            kind = column.type.__visit_name__.lower().replace("_", " ")
            found.append(Age(column=column.name, meaning=meaning, unit=unit, type=kind))
    return found


def is_time(column: sa.Column[Any], dialect: str) -> bool:
    """Say whether a policy can read a column as a clock."""
    if column.computed is not None:
        return False
    if isinstance(column.type, sa.DateTime | sa.Date):
        return True
    said = frozenset(words(column.name))
    named = bool(said & _TIMES) and not said & _NO_TIMES
    if isinstance(column.type, sa.Integer):
        return named and not isinstance(column.type, sa.SmallInteger) and not column.primary_key
    return named and dialect == "sqlite" and isinstance(column.type, sa.String)


def best(found: Sequence[Age], ladder: Sequence[Meaning], table: CatalogTable) -> Age | None:
    """Return the age that stands highest on a ladder; of a rung one that is never NULL first."""
    for meaning in ladder:
        rung = [age for age in found if age.meaning is meaning]
        if rung:
            return min(rung, key=lambda age: (bool(table.table.c[age.column].nullable), len(age.column)))
    return None


def _unit(column: sa.Column[Any], told: str | None, dialect: str) -> str | None:
    if not isinstance(column.type, sa.Integer):
        return None
    narrow = dialect != "sqlite" and not isinstance(column.type, sa.BigInteger)
    # Four bytes have room for seconds alone.
    return "s" if narrow else told or "TODO"
