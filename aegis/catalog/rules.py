"""The vocabulary's rules, read once: which phrase stands for which category, in what types and what tables.

A line is `category | families | where | strength in percent | phrases`. A phrase fits wherever its concepts
stand side by side in a name, in any order, so that one line serves languages that put the noun first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aegis.catalog.lexicon import lines
from aegis.catalog.names import concepts
from aegis.catalog.types import Family

_F: Final = Family
_TEXT: Final = frozenset({_F.TEXT, _F.LONG_TEXT, _F.UNKNOWN, _F.JSON, _F.BYTES, _F.ENUM, _F.DERIVED})
FAMILIES: Final[Mapping[str, frozenset[Family]]] = {
    "text": _TEXT,
    "code": _TEXT | {_F.INTEGER, _F.NUMBER, _F.UUID, _F.MAC},
    "when": frozenset(
        {_F.DATE, _F.MOMENT, _F.TIME, _F.TEXT, _F.LONG_TEXT, _F.INTEGER, _F.UNKNOWN, _F.NUMBER}
    ),
    "flag": _TEXT | {_F.BOOLEAN, _F.INTEGER, _F.DATE, _F.MOMENT},
    "value": _TEXT | {_F.INTEGER, _F.NUMBER, _F.BOOLEAN, _F.DATE, _F.MOMENT, _F.UUID, _F.TIME},
    "place": _TEXT - {_F.ENUM, _F.DERIVED} | {_F.NUMBER, _F.SHAPE, _F.INTEGER},
    "address": _TEXT - {_F.ENUM, _F.DERIVED} | {_F.NETWORK, _F.INTEGER, _F.NUMBER, _F.MAC},
    "choice": _TEXT | {_F.BOOLEAN, _F.INTEGER, _F.DATE, _F.MOMENT},
    "box": frozenset({_F.JSON, _F.TEXT, _F.LONG_TEXT, _F.UNKNOWN, _F.BYTES}),
    "image": frozenset({_F.TEXT, _F.LONG_TEXT, _F.BYTES, _F.UNKNOWN, _F.JSON}),
    "any": frozenset(Family) - {_F.DERIVED},
}
#: A short word for several kinds of tables.
_WHERE: Final[Mapping[str, frozenset[str]]] = {
    "self": frozenset({"person"}),
    "person": frozenset({"person", "profile"}),
    "near": frozenset({"person", "profile", "contact", "order", "payment", "employment", "identity"}),
    "behaviour": frozenset({"behaviour", "activity"}),
    "own": frozenset(
        {
            "person",
            "profile",
            "contact",
            "order",
            "payment",
            "session",
            "device",
            "log",
            "content",
            "behaviour",
            "activity",
        }
        | {
            "consent",
            "mail",
            "settings",
            "form",
            "employment",
            "wallet",
            "medical",
            "owned",
            "vehicle",
            "callog",
        }
    ),
}
ANYWHERE: Final = "any"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a phrase stands for."""

    phrase: tuple[str, ...]
    category: str
    families: frozenset[Family]
    #: How the line calls the families.
    kind: str
    #: Kinds of tables in which it holds; None: in every one.
    where: frozenset[str] | None
    #: How sure it is when everything fits, from 0 to 1.
    strength: float


@dataclass(frozen=True, kw_only=True)
class Place:
    """A rule whose phrase was found in a name, and where."""

    rule: Rule
    begin: int
    end: int


def _read(line: Sequence[str]) -> Iterator[Rule]:
    category, kind, where, strength, phrases = line
    names = [name for part in where.split("+") for name in _WHERE.get(part, {part})]
    for phrase in phrases.split(","):
        yield Rule(
            phrase=concepts(phrase.strip()),
            category=category,
            families=FAMILIES[kind],
            kind=kind,
            where=None if where == ANYWHERE else frozenset(names),
            strength=int(strength) / 100,
        )


def _indexed() -> dict[tuple[str, ...], list[Rule]]:
    index: dict[tuple[str, ...], list[Rule]] = {}
    for line in lines():
        for rule in _read(line):
            index.setdefault(tuple(sorted(rule.phrase)), []).append(rule)
    return index


#: Phrases with one of these mean something else the other way round.
_ORDERED: Final = frozenset({"id", "type", "to", "from", "at", "by", "on", "in"})
_INDEX: Final = _indexed()
_LONGEST: Final = max(map(len, _INDEX))


def found_in(name: Sequence[str]) -> Iterator[Place]:
    """Yield every rule whose phrase stands in a name."""
    for begin in range(len(name)):
        for end in range(begin + 1, min(len(name), begin + _LONGEST) + 1):
            phrase = tuple(name[begin:end])
            for rule in _INDEX.get(tuple(sorted(phrase)), ()):
                if rule.phrase == phrase or not _ORDERED & set(phrase):
                    yield Place(rule=rule, begin=begin, end=end)
