"""Which tables of an application are labelled: some drawn, some chosen. RULES.md says why."""

import random
from dataclasses import dataclass
from typing import Final

from benchmarks.catalog.schemas import Schema

SEED: Final = 20261128

#: Application → how many of its tables are drawn; an application that is not here is labelled whole.
RANDOM: Final[dict[str, int]] = {}

#: Application → tables in which persons are the matter.
CHOSEN: Final[dict[str, str]] = {}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The labelled tables of an application."""

    #: A fair picture of the schema.
    drawn: frozenset[str]
    #: Not drawn; more of them are personal.
    chosen: frozenset[str]


def sample(schema: Schema) -> Sample:
    """Return the tables that are labelled, always the same ones."""
    names = sorted(schema.tables)
    size = RANDOM.get(schema.application, len(names))
    drawn = frozenset(random.Random(SEED).sample(names, size))  # noqa: S311 - a sample, no secret
    return Sample(drawn=drawn, chosen=frozenset(CHOSEN.get(schema.application, "").split()) - drawn)
