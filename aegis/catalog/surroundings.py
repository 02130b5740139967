"""What a column stands in, as far as that says something about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from aegis.catalog.context import Context
from aegis.catalog.facts import TableFacts
from aegis.catalog.lexicon import words_of
from aegis.catalog.names import concepts
from aegis.catalog.natures import Nature
from aegis.catalog.telling import ADDRESS, told
from aegis.catalog.types import Family

#: Words for what happens to a row, and to whatever it stands for only where they stand alone.
CHANGES: Final = frozenset({"created", "updated", "modified", "deleted"})
#: What a row of them is called by what somebody does, who is seen doing it.
_OBSERVED: Final = words_of("login click read visit open view attempt")
_LOGGED: Final = frozenset({Nature.LOG, Nature.ACTIVITY, Nature.BEHAVIOUR, Nature.CONTENT, Nature.OWNED})


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a column stands in."""

    nature: Nature
    #: label → what the other tables are
    natures: Mapping[str, Nature]
    #: Whether every fact in a row is one about a patient.
    clinical: bool
    #: Whether the table has the parts of an address.
    placed: bool
    #: The column that says when what a row stands for happened, where no other does than the row's own time.
    observed: str | None

    @classmethod
    def of(cls, facts: TableFacts, context: Context) -> Self:
        """Look at a table."""
        nature = context.natures.get(facts.label, Nature.UNKNOWN)
        moments = [c for c in facts.columns if c.family in {Family.DATE, Family.MOMENT}]
        observed = _OBSERVED & set(concepts(facts.name)) and nature in _LOGGED
        only = observed and all(CHANGES & set(concepts(c.name)) for c in moments)
        return cls(
            nature=nature,
            natures=context.natures,
            clinical=nature is Nature.MEDICAL
            or (nature is Nature.PERSON and "patient" in concepts(facts.name)),
            placed=bool(told(facts, ADDRESS)),
            observed=next((c.name for c in moments if "created" in concepts(c.name)), None) if only else None,
        )
