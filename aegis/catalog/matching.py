"""The best rule for a column's name in its table: whole words, what stands beside, and the type guard."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aegis.catalog.context import NOBODYS, PERSONS, Nature
from aegis.catalog.facts import ColumnFacts
from aegis.catalog.lexicon import words_of
from aegis.catalog.rules import Place, Rule, found_in
from aegis.catalog.types import Family
from aegis.catalog.vocabulary import modifiers

_PERSONS: Final = words_of(modifiers.PERSONS)
_THINGS: Final = words_of(modifiers.THINGS) - _PERSONS
_HEADS: Final = words_of(modifiers.HEADS)
_PREFIXES: Final = words_of(modifiers.PREFIXES)
_NEUTRAL: Final = words_of(modifiers.NEUTRAL) | {"e", "s"}
_AMBIGUOUS: Final = words_of(modifiers.AMBIGUOUS)
#: Of a text they say whether it changed; of an address they are as good as it.
_DERIVED: Final = frozenset({"hash", "checksum", "digest"})
_MOMENTS: Final = frozenset({"at", "on", "date", "time", "utc", "gmt", "year", "day", "month"})
#: The categories that can be a list of values, to which a column refers by number.
_LISTED: Final = (
    "user.demographic",
    "user.contact.address.c",
    "user.contact.address.s",
    "user.job_title",
    "user.workplace",
    "user.health_and_medical",
)
_NUMBERS: Final = frozenset({Family.INTEGER, Family.UUID})
#: Reaching somebody: in a table of organizations or things these are the organization's own.
_REACH: Final = (
    "user.contact.",
    "user.name",
    "user.financial",
    "user.payment",
    "user.government_id",
    "user.job_title",
    "user.workplace",
)
#: In these tables whatever is said of a company is said for a person in it.
_BUSINESS: Final = PERSONS | {Nature.CONTACT, Nature.ORDER, Nature.PAYMENT}


#: What is left of a rule's strength for each word beside it that is not known.
_BESIDE: Final = 0.9
_ALONE: Final = 0.7


@dataclass(frozen=True, kw_only=True)
class Match:
    """A rule that fits a column."""

    rule: Rule
    #: How sure it is after everything that stands beside the phrase.
    strength: float
    words: tuple[str, ...]
    #: What weakened it, as sentences.
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Why no rule fits although a phrase stood in the name: for the evidence."""

    words: tuple[str, ...]
    reason: str


def best(column: ColumnFacts, name: Sequence[str], nature: Nature) -> tuple[Match | None, Refused | None]:
    """Return the best rule for a column, and why the next best did not fit."""
    matches: list[tuple[tuple[float, ...], Match]] = []
    refused: list[tuple[tuple[float, ...], Refused]] = []
    for place in found_in(name):
        rank = (place.end - place.begin, place.end)
        tried = _tried(column, name, place, nature)
        if isinstance(tried, Match):
            matches.append(((*rank, tried.strength), tried))
        else:
            refused.append((rank, tried))
    match = max(matches, key=lambda pair: pair[0])[1] if matches else None
    why = max(refused, key=lambda pair: pair[0])[1] if refused else None
    return match, why


def _tried(column: ColumnFacts, name: Sequence[str], place: Place, nature: Nature) -> Match | Refused:
    rule = place.rule
    words = tuple(name[place.begin : place.end])
    before, after = name[: place.begin], name[place.end :]
    if column.family not in rule.families:
        return Refused(words=words, reason=f"type {column.type} cannot hold it")
    if column.family in _NUMBERS and name[-1] in {"id", "uuid"} and not _may_be_listed(rule):
        return Refused(words=words, reason="it is the number of another row")
    if before and before[0] in _PREFIXES and rule.kind not in {"choice", "flag"}:
        return Refused(words=words, reason=f"'{before[0]}' before it asks or counts")
    spoiled = _spoiled(rule, after)
    if spoiled:
        return Refused(words=words, reason=f"'{spoiled}' behind it makes it something else")
    return _placed(rule, words, [*before, *after], nature, column, before)


def _may_be_listed(rule: Rule) -> bool:
    return (
        "id" in rule.phrase
        or "uuid" in rule.phrase
        or (rule.kind == "value" and rule.category.startswith(_LISTED))
    )


def _spoiled(rule: Rule, after: Sequence[str]) -> str:
    for word in after:
        if word in _PERSONS or (rule.kind in {"when", "choice", "flag"} and word in _MOMENTS):
            continue
        if rule.kind in {"choice", "flag", "value"} and word in {
            "status",
            "version",
            "code",
            "type",
            "level",
        }:
            continue
        if word in _HEADS or (word in _THINGS and word not in _NEUTRAL):
            return word
        if word in _DERIVED and rule.category.startswith("user.content"):
            return word
    return ""


def _placed(
    rule: Rule,
    words: tuple[str, ...],
    beside: Sequence[str],
    nature: Nature,
    column: ColumnFacts,
    before: Sequence[str],
) -> Match | Refused:
    people = [word for word in beside if word in _PERSONS]
    things = [word for word in before if word in _THINGS and word not in _NEUTRAL]
    strength, doubts = rule.strength, []
    in_place = rule.where is None or nature in rule.where
    if not in_place and people and rule.where and {"person", "contact"} & rule.where and rule.strength >= 0.8:  # noqa: PLR2004
        in_place, strength = True, strength - 0.05
    if not in_place:
        return Refused(words=words, reason=f"in a table of this kind ({nature}) it is nobody's")
    if things and not people and (nature not in _BUSINESS or len(words) == 1):
        business = nature in _BUSINESS and not rule.category.startswith("user.name")
        if not business:
            return Refused(words=words, reason=f"'{things[-1]}' before it is no person")
    if nature in NOBODYS and not people and not _PERSONS & set(words) and rule.category.startswith(_REACH):
        named = rule.where is None and rule.category in {"user.name.first", "user.name.last"}
        if not named:
            return Refused(words=words, reason=f"the table holds {nature}s, not persons")
    unknown = [
        w for w in beside if w not in _NEUTRAL and w not in people and w not in _MOMENTS and w not in things
    ]
    if unknown:
        # A word of many meanings stands alone where it means this one.
        alone = len(words) == 1 and words[0] in _AMBIGUOUS and rule.where is not None
        strength *= (_ALONE if alone else _BESIDE) ** len(unknown)
        doubts.append(f"'{unknown[0]}' beside it is not known")
    if nature in NOBODYS:
        strength *= 0.85
        doubts.append(f"the table holds {nature}s")
    del column
    return Match(rule=rule, strength=round(strength, 3), words=words, doubts=tuple(doubts))
