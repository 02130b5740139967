"""The best rule for a column's name in its table: whole words, what stands beside, and the type guard."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aegis.catalog.facts import ColumnFacts
from aegis.catalog.lexicon import words_of
from aegis.catalog.natures import NOBODYS, PERSONS, Nature
from aegis.catalog.roles import is_short
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
_NAMES: Final = ("user.name", "user.account.username")
_DONE: Final = "user.behavior"
#: Who sends what an organization sends is the organization.
_SENDERS: Final = frozenset({"sender"})
#: In these tables whatever is said of a company is said for a person in it.
_BUSINESS: Final = PERSONS | {Nature.CONTACT, Nature.ORDER, Nature.PAYMENT}


#: What is left of a rule's strength for each word beside it that is not known.
_BESIDE: Final = 0.9
_ALONE: Final = 0.7
#: What is left of it in a table of organizations or things.
_THEIRS: Final = 0.85
#: A rule so strong holds elsewhere too where a person stands beside it, by so much weaker.
_CLEAR: Final = 0.8
_ELSEWHERE: Final = 0.05


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
    numbered = column.family in _NUMBERS or is_short(column)
    if numbered and name[-1] in {"id", "uuid"} and not _may_be_listed(rule):
        return Refused(words=words, reason="it is the number of another row")
    if before and before[0] in _PREFIXES and rule.kind not in {"choice", "flag"}:
        return Refused(words=words, reason=f"'{before[0]}' before it asks or counts")
    spoiled = _spoiled(rule, after)
    if spoiled:
        return Refused(words=words, reason=f"'{spoiled}' behind it makes it something else")
    return _placed(rule, _Beside(words=words, before=tuple(before), after=tuple(after)), nature)


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


@dataclass(frozen=True, kw_only=True)
class _Beside:
    """A phrase, and what stands beside it."""

    words: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def people(self) -> list[str]:
        return [word for word in (*self.before, *self.after) if word in _PERSONS]

    @property
    def things(self) -> list[str]:
        return [word for word in self.before if word in _THINGS and word not in _NEUTRAL]

    @property
    def unknown(self) -> list[str]:
        said = _NEUTRAL | _PERSONS | _MOMENTS | set(self.things)
        return [word for word in (*self.before, *self.after) if word not in said]


def _placed(rule: Rule, beside: _Beside, nature: Nature) -> Match | Refused:
    """Weigh a rule by what stands beside its phrase and by the table."""
    strength, doubts = rule.strength, []
    if rule.where is not None and nature not in rule.where:
        if not (beside.people and {"person", "contact"} & rule.where and rule.strength >= _CLEAR):
            reason = f"in a table of this kind ({nature}) it is nobody's"
            return Refused(words=beside.words, reason=reason)
        strength -= _ELSEWHERE
    if why := _nobodys(rule, beside, nature):
        return Refused(words=beside.words, reason=why)
    if beside.unknown:
        # A word of many meanings stands alone where it means this one.
        alone = rule.where is not None and len(beside.words) == 1 and beside.words[0] in _AMBIGUOUS
        strength *= (_ALONE if alone else _BESIDE) ** len(beside.unknown)
        doubts.append(f"'{beside.unknown[0]}' beside it is not known")
    if nature in NOBODYS:
        strength *= _THEIRS
        doubts.append(f"the table holds {nature}s")
    return Match(rule=rule, strength=round(strength, 3), words=beside.words, doubts=tuple(doubts))


def _nobodys(rule: Rule, beside: _Beside, nature: Nature) -> str:
    """Return why what a phrase stands for is no person's; empty: it is one's."""
    if nature in NOBODYS and _SENDERS & {*beside.people, *beside.words}:
        return f"what {nature}s send is not sent by persons"
    if beside.people:
        return ""
    if beside.things and (nature not in _BUSINESS or rule.category.startswith(_NAMES)):
        return f"'{beside.things[-1]}' before it is no person"
    if nature in NOBODYS and rule.category == _DONE and rule.kind == "when":
        return f"{nature}s do nothing for which a person would be known"
    named = rule.where is None and rule.category in {"user.name.first", "user.name.last"}
    if (
        nature in NOBODYS
        and rule.category.startswith(_REACH)
        and not named
        and not _PERSONS & set(beside.words)
    ):
        return f"the table holds {nature}s, not persons"
    return ""
