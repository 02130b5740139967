"""What kind of thing each table of a schema holds: from its name, its columns and what it refers to."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from aegis.catalog import roles
from aegis.catalog.facts import ColumnFacts, TableFacts
from aegis.catalog.lexicon import words_of
from aegis.catalog.names import column_concepts, concepts, shared_prefix
from aegis.catalog.natures import AMBIGUOUS, Nature, nature_of
from aegis.catalog.rules import found_in

#: Categories of columns that tell a table of people, whatever it is called; and what organizations have too.
_TELLING: Final = frozenset(
    {"user.name.first", "user.name.last", "user.demographic.date_of_birth", "user.demographic.gender"}
    | {"user.authorization.password", "user.account.username"}
)
_REACH: Final = frozenset({"user.contact.email", "user.contact.phone_number"})
_ADDRESS: Final = frozenset(
    f"user.contact.address.{part}" for part in ("street", "city", "postal_code", "country")
)
#: So many of them make a table one of people; of an ambiguous name, fewer do.
_ENOUGH: Final = 3
#: Words of which one says that a schema is a hospital's.
_CLINICAL: Final = words_of("patient encounter clinical diagnosis prescription medical")
#: One of them is in every session of a program, and not in one of a gymnast; the same of logs.
_WITHIN: Final[Mapping[str, frozenset[str]]] = {
    "session": words_of(
        "session key token data ip agent hash secret code password payload browser email credential provider "
        "device public value otp url"
    ),
    "log": words_of(
        "action event message ip description detail level url method operation status type log entry request "
        "old new change result code data text activity query object model agent login"
    ),
}
_WRITTEN: Final = words_of("text body content message")
#: Things that are somebody's own where a person is referred to.
_UPLOADED: Final = words_of("document file image video media audio recording photo blob")
#: Logs of what people did say so, or refer to a person.
_ABOUT_PEOPLE: Final = words_of("audit activity login access user attempt")
#: Keys that are called like those of other tables.
_COMMON: Final = frozenset((word,) for word in ("id", "uuid", "code", "key", "name", "number"))


@dataclass(frozen=True, kw_only=True)
class Context:
    """The tables of a schema, and what each of them is."""

    #: label → what a row stands for
    natures: Mapping[str, Nature]
    #: Concepts that this schema's tables of persons are called by.
    persons: frozenset[str]
    #: What their keys are called, unless all keys are called so.
    keys: frozenset[tuple[str, ...]]
    #: label → why it was taken for that, as a sentence
    reasons: Mapping[str, str]

    @classmethod
    def of(cls, tables: Iterable[TableFacts]) -> Self:
        """Look at all the tables of a schema together."""
        every = list(tables)
        clinical = any(_CLINICAL & set(concepts(table.name)) for table in every)
        found = {table.label: _by_columns(table, clinical=clinical) for table in every}
        natures = {label: nature for label, (nature, _) in found.items()}
        people = [table for table in every if natures[table.label] is Nature.PERSON]
        persons = frozenset(name[-1] for table in people if (name := concepts(table.name)))
        found |= {
            table.label: known
            for table in every
            if (known := _by_references(table, natures, persons)) is not None
        }
        natures = {label: nature for label, (nature, _) in found.items()}
        people = [table for table in every if natures[table.label] is Nature.PERSON]
        keys = frozenset(concepts(c.name) for table in people for c in table.columns if c.key)
        reasons = {label: reason for label, (_, reason) in found.items()}
        return cls(natures=natures, persons=persons, keys=keys - _COMMON, reasons=reasons)


def _by_columns(table: TableFacts, *, clinical: bool) -> tuple[Nature, str]:
    """Return what a table is by its name, when its columns bear it out; else by its columns."""
    nature, word = nature_of(table.name)
    nature = _borne_out(nature, word, table, clinical=clinical)
    own, reach = _told(table, _TELLING), _told(table, _REACH)
    if nature == AMBIGUOUS:
        if own or len(own | reach) >= _ENOUGH or (reach and _has_name(table)):
            return Nature.PERSON, f"its name says '{word}', and it has columns that only people have"
        return Nature.UNKNOWN, ""
    if nature in {"", "thing"} and len(own) > 1 and len(own | reach) >= _ENOUGH:
        return Nature.PERSON, "it has columns that only people have"
    if not nature and reach and not own and _has_name(table):
        return Nature.ORGANISATION, "it has a name and an address, and nothing that only people have"
    return (Nature(nature), f"its name says '{word}'") if nature else (Nature.UNKNOWN, "")


def _borne_out(nature: str, word: str, table: TableFacts, *, clinical: bool) -> str:
    """Return what a name says when the columns are looked at too."""
    within = {concept for column in table.columns for concept in concepts(column.name)}
    if nature == "medical" and not clinical:
        return ""
    if nature == "content" and word == "status" and not _WRITTEN & within:
        return "thing"
    if nature in _WITHIN and not _WITHIN[nature] & within:
        return "activity"
    if nature == "person" and _is_link(table):
        return "thing"
    return nature


def _has_name(table: TableFacts) -> bool:
    return any(concepts(column.name)[-1:] == ("name",) for column in table.columns)


def _is_link(table: TableFacts) -> bool:
    """Whether a table only says what belongs together."""
    references = [c for c in table.columns if c.refers_to or concepts(c.name)[-1:] == ("id",)]
    return len(table.parents) > 1 and all(c in references or c.key for c in table.columns)


def _told(table: TableFacts, categories: Collection[str]) -> set[str]:
    """Return those of the categories that the names of a table's columns say."""
    prefix = shared_prefix(c.name for c in table.columns)
    return {
        place.rule.category
        for column in table.columns
        for place in found_in(column_concepts(column.name, prefix))
        if place.rule.category in categories
        and column.family in place.rule.families
        and (place.rule.where is None or "contact" in place.rule.where)
    }


def _by_references(
    table: TableFacts, natures: Mapping[str, Nature], persons: Collection[str]
) -> tuple[Nature, str] | None:
    """Return what a table is, when what it refers to is known too; None: as before."""
    nature = natures[table.label]
    name = concepts(table.name)
    owners = [c for c in table.columns if roles.is_owner(c, natures, persons)]
    if nature is Nature.LOG and not owners and not _ABOUT_PEOPLE & set(name):
        return Nature.THING, "it is a log that names nobody"
    if not owners:
        return None
    found = nature
    if nature is Nature.PERSON and any(c.refers_to not in {None, table.label} for c in owners):
        found = nature if _told(table, _TELLING | _REACH) else Nature.PROFILE
    elif nature is Nature.THING and name and name[-1] in _UPLOADED:
        found = Nature.CONTENT
    elif nature is Nature.UNKNOWN:
        found = _owned(table, owners)
    return None if found is nature else (found, f"its column {owners[0].name} refers to a person")


def _owned(table: TableFacts, owners: Iterable[ColumnFacts]) -> Nature:
    """Return what a table is of which nothing is known but whose it is."""
    if any("patient" in (*concepts(c.name), *concepts(c.refers_to or "")) for c in owners):
        return Nature.MEDICAL
    return Nature.CONTACT if len(_told(table, _ADDRESS)) > 1 else Nature.OWNED
