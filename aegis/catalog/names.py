"""A name as its words, and the concepts that these stand for, in whatever way and language it is written."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Final

from aegis.catalog.lexicon import is_known, meaning

_CAMEL: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
#: Letters that are no accented ones.
_LETTERS: Final = str.maketrans(
    {"ß": "ss", "ł": "l", "ø": "o", "æ": "ae", "œ": "oe", "đ": "d"}
    | {"\N{LATIN SMALL LETTER DOTLESS I}": "i"}
)
#: Between two words, they say nothing.
_LINKS: Final = frozenset(
    [
        "of",
        "the",
        "de",
        "du",
        "des",
        "la",
        "le",
        "el",
        "del",
        "della",
        "di",
        "da",
        "do",
        "dos",
        "das",
        "der",
        "den",
        "van",
        "y",
        "et",
        "l",
        "d",
        "e",
        "o",
        "na",
    ]
)
#: Words that digits belong to.
_WITH_DIGITS: Final = frozenset({"oauth2", "sha1", "sha256", "sha512", "md5", "oauth1", "base64", "3166"})
_SHARED: Final = 0.7
_LEAST: Final = 3


@cache
def words(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case and without accents: `PhoneNo2` → phone, no, 2."""
    spelled = name.translate(_LETTERS)
    for umlaut, plain in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("Ä", "Ae"), ("Ö", "Oe"), ("Ü", "Ue")):
        # Either spelling is in use where the letter is not.
        spelled = spelled.replace(umlaut, plain)
    bare = "".join(c for c in unicodedata.normalize("NFKD", spelled) if not unicodedata.combining(c))
    found: list[str] = []
    for part in re.split(r"[^A-Za-z0-9]+", bare):
        lower = part.lower()
        if is_known(lower) or lower in _WITH_DIGITS:
            found.append(lower)
        elif part:
            found += _cut(part)
    return tuple(found)


def _cut(part: str) -> list[str]:
    """Cut a part at humps and digits; one that is written in capitals throughout has no humps."""
    if part.isupper() or part.islower():
        return re.findall(r"[a-z]+|\d+", part.lower())
    return [piece.lower() for piece in _CAMEL.findall(part)]


@cache
def concepts(name: str) -> tuple[str, ...]:
    """Return the concepts that a name stands for: `ipAddr` → ip, address; `Geburtsdatum` → birth, date."""
    return _joined([concept for word in words(name) if not word.isdigit() for concept in meaning(word)])


def _joined(found: list[str]) -> tuple[str, ...]:
    last = len(found) - 1
    kept = [c for place, c in enumerate(found) if not (0 < place < last and c in _LINKS)]
    return tuple(c for place, c in enumerate(kept) if place == 0 or c != kept[place - 1])


def shared_prefix(names: Iterable[str]) -> str:
    """Return what nearly all the names of a table begin with and what means nothing itself; else nothing."""
    split = [words(name) for name in names]
    firsts = Counter(found[0] for found in split if len(found) > 1)
    if len(split) < _LEAST or not firsts:
        return ""
    word, count = firsts.most_common(1)[0]
    return word if count >= _SHARED * len(split) and (len(word) <= _LEAST or not is_known(word)) else ""


def column_concepts(name: str, prefix: str) -> tuple[str, ...]:
    """Return the concepts of a column's name, without the prefix that the names of its table share."""
    if prefix and words(name)[:1] == (prefix,) and len(words(name)) > 1:
        return _joined([c for word in words(name)[1:] if not word.isdigit() for c in meaning(word)])
    return concepts(name)
