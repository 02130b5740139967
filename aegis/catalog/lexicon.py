"""The words of the vocabulary in one place: what each stands for, and which are told apart without a gap."""

from collections.abc import Iterator
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


def words_of(text: str) -> frozenset[str]:
    """Return the words of a list of the vocabulary."""
    return frozenset(text.split())


def lines() -> Iterator[list[str]]:
    """Yield the rules of the vocabulary: category, families, where, strength, phrases."""
    for theme in _THEMES:
        # A line that is indented goes on with the one before.
        for line in theme.RULES.replace("\n    ", " ").splitlines():
            if line:
                yield [part.strip() for part in line.split("|")]


_THEMES: Final = (people, reach, access, money, writing)
#: Parts of a word without gaps have four letters, or are one of these.
_SHORT: Final = words_of(modifiers.SHORT)
_SHORTEST: Final = 4
#: They end like plurals, or mean something else than their singulars.
_PLURAL: Final = words_of(modifiers.NO_PLURALS)


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
    phrases = [phrases for *_, phrases in lines()]
    listed = (modifiers.PERSONS, modifiers.THINGS, modifiers.HEADS, modifiers.PREFIXES, modifiers.NEUTRAL)
    lists = [*tables.HEADS.values(), tables.SYSTEM, *listed, *phrases]
    said = {word for text in lists for word in text.replace(",", " ").replace("_", " ").split()}
    return frozenset(said | {part for meaning in MEANINGS.values() for part in meaning})


#: Words that mean something by themselves.
KNOWN: Final = _known()
_PARTS: Final = (frozenset(w for w in {*KNOWN, *MEANINGS} if len(w) >= _SHORTEST or w in _SHORT)) - words_of(
    modifiers.NO_PARTS
)


def is_known(word: str) -> bool:
    """Say whether a word is in the vocabulary."""
    return word in KNOWN or word in MEANINGS


_TAILS: Final = words_of(modifiers.TAILS)


@cache
def meaning(word: str) -> tuple[str, ...]:
    """Return the concepts that a word stands for; a word that nobody knows stands for itself."""
    found = _simple(word)
    if found is not None:
        return found
    parts = _divided(word) or _tailed(word)
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


def _tailed(word: str) -> list[str]:
    """Return a word as a beginning that is not known, and one of the words that many end with."""
    for tail in _TAILS:
        for form in (tail, f"{tail}s"):
            if word.endswith(form) and len(word) - len(form) >= _SHORTEST:
                return [word[: -len(form)], tail]
    return []


def _is_part(word: str, *, last: bool) -> bool:
    return (
        word in _PARTS
        or (last and word in {"id", "no", "nr", "ip", "at", "by"})
        or (word[:-1] in _PARTS and word.endswith("s") and last)
    )
