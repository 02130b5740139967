"""What kind of thing a table holds, from its name, its columns and what it refers to."""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from aegis.catalog.facts import TableFacts


class Nature(enum.StrEnum):
    """What a row of a table stands for."""

    PERSON = "persons"
    #: An address, a device, a session, an order: one person's.
    OWNED = "what belongs to a person"
    ORGANISATION = "organisations"
    #: Roles, countries, settings, products: the same if there were nobody.
    THING = "things"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Context:
    """The tables of a schema, and what each of them is."""

    #: label → what a row stands for
    natures: Mapping[str, Nature]

    @classmethod
    def of(cls, tables: Iterable[TableFacts]) -> Self:
        """Look at all the tables of a schema together."""
        return cls(natures={table.label: Nature.UNKNOWN for table in tables})
