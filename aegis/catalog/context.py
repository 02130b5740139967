"""What kind of thing a table holds, from its name, its columns and what it refers to."""

import enum
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from aegis.catalog import roles
from aegis.catalog.facts import TableFacts
from aegis.catalog.lexicon import words_of
from aegis.catalog.names import column_concepts, concepts, shared_prefix
from aegis.catalog.rules import found_in
from aegis.catalog.vocabulary import modifiers, tables


class Nature(enum.StrEnum):
    """What a row of a table stands for."""

    #: A person: the row is the account, the customer, the patient.
    PERSON = "person"
    #: Something about a person in one row: a profile, a next of kin.
    PROFILE = "profile"
    CONTACT = "contact"
    SESSION = "session"
    DEVICE = "device"
    LOG = "log"
    #: What people write.
    CONTENT = "content"
    ORDER = "order"
    PAYMENT = "payment"
    WALLET = "wallet"
    MEDICAL = "medical"
    #: What people did: votes, visits, marks.
    BEHAVIOUR = "behaviour"
    #: What people did for its own sake: visits, attempts, training.
    ACTIVITY = "activity"
    SEARCH = "search"
    CONSENT = "consent"
    MAIL = "mail"
    CALLOG = "callog"
    SETTINGS = "settings"
    #: What people answered to questions.
    FORM = "form"
    EMPLOYMENT = "employment"
    VEHICLE = "vehicle"
    #: It refers to a person, and nothing more is known.
    OWNED = "owned"
    ORGANISATION = "organisation"
    #: Roles, countries, products: the same if there were nobody.
    THING = "thing"
    UNKNOWN = "unknown"


PERSONS: Final = frozenset({Nature.PERSON, Nature.PROFILE})
NOBODYS: Final = frozenset({Nature.ORGANISATION, Nature.THING})

_HEADS: Final = {
    tuple(c for part in word.split("_") for c in concepts(part)): nature
    for nature, words in reversed(tables.HEADS.items())
    for word in words.split()
}
_LONGEST: Final = max(map(len, _HEADS))
_STILL: Final = words_of(modifiers.STILL) | words_of(modifiers.NEUTRAL)
_SYSTEM: Final = words_of(tables.SYSTEM)
_COMPANY: Final = words_of(tables.COMPANY)
_THINGS: Final = words_of(modifiers.THINGS)
#: Words of tables that hold questions, of which those of a form are the application's own.
_ASKED: Final = frozenset(
    {"quiz", "exam", "survey", "poll", "form", "security", "faq", "questionnaire", "test"}
)
#: What tells a table of people by its columns, whatever it is called.
_TELLING: Final = (
    "user.name.first",
    "user.name.last",
    "user.demographic.date_of_birth",
    "user.demographic.gender",
    "user.authorization.password",
    "user.account.username",
    "user.contact.email",
    "user.contact.phone_number",
)
_ADDRESS: Final = tuple(
    f"user.contact.address.{part}" for part in ("street", "city", "postal_code", "country")
)
_REACH: Final = frozenset({"user.contact.email", "user.contact.phone_number"})
#: So many of them make a table one of people; of an ambiguous name, fewer do.
_ENOUGH: Final = 3
#: Words of which one says that a schema is a hospital's.
_CLINICAL: Final = frozenset({"patient", "encounter", "clinical", "diagnosis", "prescription", "medical"})
#: One of them is in every session of a program, and not in one of a gymnast.
_OPENS: Final = words_of(
    "session key token data ip agent hash secret code password payload browser email credential provider device "
    "public value otp url user_agent"
)
#: And one of them in every log of what happened in a program.
_TELLS: Final = words_of(
    "action event message ip description detail level url method operation status type log entry request old new "
    "change result code data text activity query object model agent login"
)
#: Things that are somebody's own where a person is referred to.
_UPLOADED: Final = frozenset(
    {"document", "file", "image", "video", "media", "audio", "recording", "photo", "blob"}
)
#: Logs of what people did say so, or refer to a person.
_ABOUT_PEOPLE: Final = frozenset({"audit", "activity", "login", "access", "user", "sign_in", "attempt"})


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
        by_name = {table.label: _by_name(table) for table in every}
        clinical = any(_CLINICAL & set(concepts(table.name)) for table in every)
        natures: dict[str, Nature] = {}
        reasons: dict[str, str] = {}
        for table in every:
            natures[table.label], reasons[table.label] = _by_columns(
                table, by_name[table.label], clinical=clinical
            )
        people = {label for label, nature in natures.items() if nature is Nature.PERSON}
        names = {
            concepts(table.name)[-1] for table in every if table.label in people and concepts(table.name)
        }
        for table in every:
            nature, reason = _by_references(table, natures, names)
            if nature is not natures[table.label]:
                natures[table.label], reasons[table.label] = nature, reason
        people = {label for label, nature in natures.items() if nature is Nature.PERSON}
        keys = {concepts(c.name) for table in every if table.label in people for c in table.columns if c.key}
        keys -= {("id",), ("uuid",), ("code",), ("key",), ("name",), ("number",)}
        return cls(natures=natures, persons=frozenset(names), keys=frozenset(keys), reasons=reasons)


def _by_name(table: TableFacts) -> tuple[str, str]:
    """Return the nature that a table's name says, and the words that say it."""
    name = concepts(table.name)
    for end in range(len(name), 0, -1):
        for begin in range(max(0, end - _LONGEST), end):
            found = _HEADS.get(name[begin:end])
            if found:
                nature = _qualified(found, name[:begin], name[begin:end])
                if nature == "person" and not set(name[end:]) <= _STILL:
                    nature = "ambiguous"
                return nature, " ".join(name[begin:end])
    return "", ""


def _qualified(nature: str, before: tuple[str, ...], head: tuple[str, ...]) -> str:
    """Return what a nature is with the words before it: an OAuth client is no person."""
    words = set(before)
    if words & _SYSTEM and nature in {"person", "ambiguous", "profile"}:
        return "thing"
    if words & _COMPANY and nature in {"contact", "settings"}:
        return "organisation"
    if nature == "content" and words & _ASKED and head[-1] in {"question", "topic"}:
        return "thing"
    if (
        nature == "content"
        and words & _THINGS
        and head[-1] in {"note", "photo", "status"}
        and not words & {"user"}
    ):
        return "thing"
    if nature == "log" and words & {"email", "sms"}:
        return "mail"
    if nature == "organisation" and words & _THINGS - _COMPANY:
        return ""
    if nature == "thing" and head[-1] == "page" and "wiki" in words:
        return "content"
    if (
        nature == "thing"
        and head[-1] in {"image", "media", "photo"}
        and words & {"user", "customer", "member", "person", "profile"}
    ):
        return "profile"
    return nature


def _by_columns(table: TableFacts, said: tuple[str, str], *, clinical: bool) -> tuple[Nature, str]:
    nature, word = said
    telling = _told(table)
    own = telling - _REACH
    if nature == "medical" and not clinical:
        nature = ""
    if nature == "content" and word.endswith("status"):
        texts = {"text", "body", "content", "message"}
        nature = "content" if any(texts & set(concepts(c.name)) for c in table.columns) else "thing"
    if nature == "ambiguous":
        if own or len(telling) >= _ENOUGH:
            return Nature.PERSON, f"its name says '{word}', and it has columns that only people have"
        return Nature.UNKNOWN, ""
    said_of = {c for column in table.columns for c in concepts(column.name)}
    if nature == "session" and not _OPENS & said_of:
        nature = "activity"
    if nature == "log" and not _TELLS & said_of:
        nature = "activity"
    if not nature and telling and not own and _has_name(table):
        return Nature.ORGANISATION, "it has a name and an address, and nothing that only people have"
    if nature in {"", "thing"} and len(telling) >= _ENOUGH and len(own) > 1:
        return Nature.PERSON, "it has columns that only people have"
    if nature == "person" and _is_link(table):
        return Nature.THING, "it has nothing but references"
    if nature:
        return Nature(nature), f"its name says '{word}'"
    return Nature.UNKNOWN, ""


def _has_name(table: TableFacts) -> bool:
    return any(concepts(column.name)[-1:] == ("name",) for column in table.columns)


def _is_link(table: TableFacts) -> bool:
    """Whether a table only says what belongs together."""
    references = [c for c in table.columns if c.refers_to or concepts(c.name)[-1:] == ("id",)]
    return len(table.parents) > 1 and all(c in references or c.key for c in table.columns)


def _told(table: TableFacts, categories: Collection[str] = _TELLING) -> set[str]:
    prefix = shared_prefix(c.name for c in table.columns)
    told = set()
    for column in table.columns:
        for place in found_in(column_concepts(column.name, prefix)):
            rule = place.rule
            if (
                (rule.where is None or "contact" in rule.where)
                and rule.category in categories
                and column.family in rule.families
            ):
                told.add(rule.category)
    return told


def _by_references(table: TableFacts, natures: Mapping[str, Nature], persons: set[str]) -> tuple[Nature, str]:
    """Return what a table is, when what it refers to is known too."""
    nature = natures[table.label]
    owners = [c for c in table.columns if roles.is_owner(c, natures, persons)]
    head = concepts(table.name)[-1:]
    if (
        nature is Nature.PERSON
        and any(c.refers_to not in {None, table.label} for c in owners)
        and not _told(table)
    ):
        return Nature.PROFILE, "it refers to a person, and has nothing that only people have"
    if nature is Nature.THING and owners and head and head[0] in _UPLOADED:
        return Nature.CONTENT, "what somebody uploaded"
    if nature is Nature.LOG and not owners and not _ABOUT_PEOPLE & set(concepts(table.name)):
        return Nature.THING, "it is a log that names nobody"
    if nature is Nature.UNKNOWN and owners:
        patients = any("patient" in (*concepts(c.name), *concepts(c.refers_to or "")) for c in owners)
        address = Nature.CONTACT if len(_told(table, _ADDRESS)) > 1 else Nature.OWNED
        kind = Nature.MEDICAL if patients else address
        return kind, f"its column {owners[0].name} refers to a person"
    return nature, ""
