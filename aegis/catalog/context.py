"""What kind of thing each table of a schema holds: from its name, its columns and what it refers to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from aegis.catalog.belonging import by_references, of_others
from aegis.catalog.facts import TableFacts
from aegis.catalog.lexicon import words_of
from aegis.catalog.names import concepts
from aegis.catalog.natures import AMBIGUOUS, Nature, nature_of
from aegis.catalog.telling import PERSONAL, REACH, has_name, told, words_within

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
#: What pages of a site have, and what people write to each other has not: so many of them.
_PUBLISHED: Final = words_of("slug canonical meta featured published seo template layout")
_WRITTEN: Final = words_of("text body content message")
#: What a link has besides what it links.
_PLACES: Final = words_of("sort order position created updated")
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
        names = {concepts(table.name): table.label for table in every}
        referred = frozenset(label for table in every for label in table.parents)
        found |= {
            table.label: known
            for table in every
            if (known := by_references(table, natures, persons, referred)) is not None
        }
        natures = {label: nature for label, (nature, _) in found.items()}
        found |= {
            table.label: known for table in every if (known := of_others(table, natures, names)) is not None
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
    own, reach = told(table, PERSONAL), told(table, REACH)
    if nature == AMBIGUOUS:
        if own or len(own | reach) >= _ENOUGH or (reach and has_name(table)):
            return Nature.PERSON, f"its name says '{word}', and it has columns that only people have"
        return Nature.UNKNOWN, ""
    if nature in {"", "thing"} and len(own) > 1 and len(own | reach) >= _ENOUGH:
        return Nature.PERSON, "it has columns that only people have"
    if not nature and reach and not own and has_name(table):
        return Nature.ORGANISATION, "it has a name and an address, and nothing that only people have"
    return (Nature(nature), f"its name says '{word}'") if nature else (Nature.UNKNOWN, "")


def _borne_out(nature: str, word: str, table: TableFacts, *, clinical: bool) -> str:
    """Return what a name says when the columns are looked at too."""
    within = words_within(table)
    if nature == "medical" and not clinical:
        return ""
    if nature == "content" and word == "status" and not _WRITTEN & within:
        return "thing"
    if nature == "content" and len(_PUBLISHED & within) >= _ENOUGH:
        return "thing"
    if nature in _WITHIN and not _WITHIN[nature] & within:
        return "activity"
    if nature == "person" and _is_link(table):
        return "thing"
    return nature


def _is_link(table: TableFacts) -> bool:
    """Whether a table only says what belongs together."""
    references = [c for c in table.columns if c.refers_to or concepts(c.name)[-1:] == ("id",)]
    return len(table.parents) > 1 and all(
        c in references or c.key or _PLACES & set(concepts(c.name)) for c in table.columns
    )
