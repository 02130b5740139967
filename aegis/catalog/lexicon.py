"""The words of the vocabulary in one place: what each stands for, and which can be told apart without a gap."""

from functools import cache
from typing import Final

from aegis.catalog.vocabulary import (
    access,
    english,
    german,
    modifiers,
    money,
    other,
    people,
    reach,
    romance,
    tables,
    writing,
)

#: Columns of rules, as `aegis.catalog.rules` reads them.
RULES: Final = "\n".join(theme.RULES for theme in (people, reach, access, money, writing))
#: Parts of a word without gaps have four letters, or are one of these.
_SHORT: Final = frozenset(
    ["new", "old", "tel", "fax", "zip", "url", "ssn", "dob", "usr", "job", "web", "ref", "uid", "key", "sms", "gps", "mac", "tax", "geo", "his", "nom", "rue", "sex", "vat", "eml"]
)
_SHORTEST: Final = 4
#: They end like plurals, or mean something else than their singulars.
_PLURAL: Final = frozenset(
    ["news", "series", "dues", "goods", "sales", "points", "address", "status", "gps", "sms", "ios", "terms", "creds", "days", "class"]
)


def _meanings() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    # English wins where two languages share a word.
    for language in (english, german, romance, other):
        words = language.WORDS.split()
        for word, meaning in zip(words[::2], words[1::2], strict=True):
            found.setdefault(word, tuple(meaning.split("_")))
    return found


#: word → the concepts that it stands for
MEANINGS: Final = _meanings()


def _known() -> frozenset[str]:
    phrases = [line.rpartition("|")[2] for line in RULES.splitlines()]
    lists = [*tables.HEADS.values(), *phrases]
    said = {word for text in lists for word in text.replace(",", " ").replace("_", " ").split()}
    listed = (tables.SYSTEM, modifiers.PERSONS, modifiers.THINGS, modifiers.HEADS, modifiers.PREFIXES)
    said |= {part for words in (*listed, modifiers.NEUTRAL) for word in words for part in word.split("_")}
    return frozenset(said | {part for meaning in MEANINGS.values() for part in meaning})


#: Words that mean something by themselves.
KNOWN: Final = _known()
_PARTS: Final = frozenset(
    word for word in {*KNOWN, *MEANINGS} if len(word) >= _SHORTEST or word in _SHORT
) - {"long", "text", "date", "time", "type", "form", "mate", "land", "port", "rate", "ions", "male"} | {
    "date",
    "time",
    "type",
}


def is_known(word: str) -> bool:
    """Say whether a word is in the vocabulary."""
    return word in KNOWN or word in MEANINGS


@cache
def meaning(word: str) -> tuple[str, ...]:
    """Return the concepts that a word stands for; a word that nobody knows stands for itself."""
    found = _simple(word)
    if found is not None:
        return found
    parts = _divided(word)
    return tuple(concept for part in parts for concept in _simple(part) or (part,)) if parts else (word,)


def _simple(word: str) -> tuple[str, ...] | None:
    for form in (word, *_singulars(word)) if word in _PLURAL else (*_singulars(word), word):
        if form in MEANINGS:
            return MEANINGS[form]
        if form in KNOWN:
            return (form,)
    return None


def _singulars(word: str) -> list[str]:
    """Return what a word may be the plural of."""
    forms = []
    if word.endswith("ies") and len(word) > _SHORTEST:
        forms.append(f"{word[:-3]}y")
    if word.endswith(("sses", "xes", "ches", "shes", "uses")):
        forms.append(word[:-2])
    if word.endswith("s") and not word.endswith("ss") and len(word) >= _SHORTEST:
        forms.append(word[:-1])
    return forms


def _divided(word: str) -> list[str]:
    """Return the known words that a word without gaps is made of, as few as can be; empty: none fit."""
    best: dict[int, list[str]] = {0: []}
    for end in range(1, len(word) + 1):
        for begin in range(end):
            if begin in best and _is_part(word[begin:end], last=end == len(word)):
                parts = [*best[begin], word[begin:end]]
                if end not in best or len(parts) < len(best[end]):
                    best[end] = parts
    return best.get(len(word), [])


def _is_part(word: str, *, last: bool) -> bool:
    return (
        word in _PARTS
        or (last and word in {"id", "no", "nr", "ip", "at", "by"})
        or (word[:-1] in _PARTS
        and word.endswith("s")
        and last)
    )
