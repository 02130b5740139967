"""What a table's name says that its rows stand for."""

import enum
from collections.abc import Set as AbstractSet
from typing import Final

from aegis.catalog.lexicon import words_of
from aegis.catalog.names import concepts
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
    #: Numbers that the state or others know a person by.
    IDENTITY = "identity"
    VEHICLE = "vehicle"
    #: It refers to a person, and nothing more is known.
    OWNED = "owned"
    ORGANISATION = "organisation"
    #: Roles, countries, products: the same if there were nobody.
    THING = "thing"
    UNKNOWN = "unknown"


#: Their rows stand for a person.
PERSONS: Final = frozenset({Nature.PERSON, Nature.PROFILE})
#: They would be the same if there were nobody.
NOBODYS: Final = frozenset({Nature.ORGANISATION, Nature.THING})

#: A name that stands for persons in one application and for something else in the next: its columns tell.
AMBIGUOUS: Final = "ambiguous"

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
_OWN: Final = frozenset({"user", "customer", "member", "person", "profile"})
#: What these natures become behind one of the words, where they end with one of those (none: any).
_BEFORE: Final[tuple[tuple[frozenset[str], AbstractSet[str], AbstractSet[str], str], ...]] = (
    (frozenset({"person", "ambiguous", "profile"}), _SYSTEM, frozenset(), "thing"),
    # What programs exchange has no visitor.
    (
        frozenset({"session"}),
        words_of("sync transfer import export replication backup"),
        frozenset(),
        "thing",
    ),
    (frozenset({"behaviour"}), _SYSTEM, words_of("view"), "thing"),
    (frozenset({"contact", "settings"}), _COMPANY, frozenset(), "organisation"),
    # Questions of a form are the application's own.
    (
        frozenset({"content"}),
        words_of("quiz exam survey poll form security faq questionnaire test"),
        words_of("question topic"),
        "thing",
    ),
    (frozenset({"content"}), _THINGS - _OWN, words_of("note photo status"), "thing"),
    (frozenset({"log"}), words_of("email sms"), frozenset(), "mail"),
    (frozenset({"organisation"}), _THINGS - _COMPANY, frozenset(), ""),
    (frozenset({"thing"}), words_of("wiki"), words_of("page"), "content"),
    (frozenset({"thing"}), _OWN, words_of("image media photo"), "profile"),
)


def nature_of(name: str) -> tuple[str, str]:
    """Return the nature that a table's name says (or none, or `AMBIGUOUS`), and the words that say it."""
    said = concepts(name)
    for end in range(len(said), 0, -1):
        for begin in range(max(0, end - _LONGEST), end):
            found = _HEADS.get(said[begin:end])
            if found:
                nature = _qualified(found, set(said[:begin]), said[end - 1])
                # The head of the name is another word: `user_something`.
                beside = nature == "person" and not set(said[end:]) <= _STILL
                return AMBIGUOUS if beside else nature, " ".join(said[begin:end])
    return "", ""


def _qualified(nature: str, before: set[str], last: str) -> str:
    """Return what a nature is with the words before it: an OAuth client is no person."""
    for natures, words, lasts, instead in _BEFORE:
        if nature in natures and before & words and (not lasts or last in lasts):
            return instead
    return nature
