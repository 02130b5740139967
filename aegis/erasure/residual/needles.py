"""What is looked for after an erasure: one person's identifiers, each in every way it may be written.

An identifier whose name ends in `name` (`name`, `display_name`, `surname`) is a name that two people may
have; `username`, `user_name` and `login_name` are not among those. Every other identifier is the person's
alone, so that one place where it stands keeps the erasure from being done.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any, Final

from aegis.erasure.residual.spellings import BREAKS, folded, plain

#: Fewer letters and digits than this are looked for as whole values only.
SHORT: Final = 5
_UNIQUE_NAMES: Final = frozenset({"username", "user_name", "login_name"})
_PHONES: Final = ("phone", "mobile", "fax")
_PHONE: Final = re.compile(r"(?P<abroad>\+|00)?(?P<rest>[\d\s()./-]+)")
#: Country codes (ITU E.164) of one and of two digits; all others have three.
_CODE: Final = re.compile(r"[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|\d{1,3}")
#: What people put between two digits.
_GAP: Final = r"[\s()./-]{0,3}"
#: What may stand before a value and be taken for an escape together with its first letters.
_BEFORE: Final = ("", "\\", "%")
#: What in a value is taken for an escape together with what follows, unless it was itself escaped: some of
#: them by what it was written in, others not.
_ESCAPES: Final = tuple(gone for count in (1, 2, 3) for gone in combinations("\\%&", count))
_JOINERS: Final = frozenset("-+.")
_QUOTES: Final = " \t\r\n\0\"'"


@dataclass(frozen=True, kw_only=True)
class Needle:
    """One identifier of one person, in one way of looking for it."""

    #: Which of the persons who are looked for at the same time.
    person: int
    #: As the data map calls it.
    identifier: str
    #: Whether nobody else has the same.
    unique: bool
    #: Plain; never shown.
    value: str = field(repr=False)
    #: Whether a part of a value is no hit.
    whole: bool
    #: The number in every way that people write one.
    number: re.Pattern[str] | None = field(default=None, repr=False)

    @cached_property
    def anchors(self) -> frozenset[bytes]:
        """What is in the folded form of every row that the needle is in."""
        if self.number:
            return frozenset({self.value.encode()})
        before = _BEFORE[:1] if self.whole else _BEFORE
        texts = {begin + self.value for begin in before}
        texts |= {self.value.translate(str.maketrans("", "", "".join(gone))) for gone in _ESCAPES}
        forms = (folded(text.encode()).translate(None, BREAKS) for text in texts)
        if self.whole:
            return frozenset(b"\t" + form + b"\t" for form in forms if len(form) > 1)
        return frozenset(form for form in forms if len(form) >= SHORT - 1)

    def found(self, readings: Iterable[str]) -> bool | None:
        """Say whether a value holds the needle.

        Args:
            readings: what the value may mean, as `aegis.erasure.residual.spellings` reads it.

        Returns:
            True where it does, False where only something longer does (`joanna@...`, `old-anna@...`) that
            may be somebody else's; None where nothing of it is there.

        """
        places = [place for text in readings if (place := self._place(text)) is not None]
        return max(places, default=None)

    def _place(self, text: str) -> bool | None:
        if self.whole:
            return True if text.strip(_QUOTES) == self.value.strip(_QUOTES) else None
        if self.number:
            return True if self.number.search(text) else None
        start, within = text.find(self.value), None
        while start >= 0:
            if _stands_alone(text, start, start + len(self.value)):
                return True
            # A name within a longer one is another name.
            within = False if self.unique else None
            start = text.find(self.value, start + 1)
        return within


def needles_of(person: int, identifiers: Mapping[str, Any]) -> list[Needle]:
    """Return what to look for.

    Args:
        person: tells the persons apart who are looked for at the same time.
        identifiers: by the name that the data map has for each; nothing is looked for where there is none.

    """
    found = []
    for name, value in identifiers.items():
        text = plain("" if value is None else str(value)).strip()
        letters = len(folded(text.encode()).translate(None, BREAKS).decode())
        if letters > 1:
            short = min(letters, len(text)) < SHORT
            found.append(_needle(person, name, value=text, whole=short))
        if number := _number(name, text):
            digits, pattern = number
            found.append(_needle(person, name, value=digits, whole=False, number=pattern))
    return found


def is_unique(identifier: str) -> bool:
    """Whether nobody else has the same value of an identifier of this name."""
    # Of another data source it is `app:email`.
    lower = identifier.lower().rpartition(":")[2]
    return lower in _UNIQUE_NAMES or not lower.endswith("name")


def _needle(person: int, identifier: str, **how: Any) -> Needle:
    return Needle(person=person, identifier=identifier, unique=is_unique(identifier), **how)


def _number(name: str, text: str) -> tuple[str, re.Pattern[str]] | None:
    """Return the digits of a telephone number that are always written, and the pattern of all of it."""
    parts = _PHONE.fullmatch(text)
    if parts is None or not (parts["abroad"] or any(word in name.lower() for word in _PHONES)):
        return None
    code = r"\d{1,3}"
    # In +49 (0)30 the zero is for those who call from within.
    digits = re.sub(r"\D", "", parts["rest"].replace("(0)", "") if parts["abroad"] else parts["rest"])
    if parts["abroad"]:
        begin = _CODE.match(digits)
        code = begin[0] if begin else ""
        digits = digits[len(code) :]
    digits = digits.lstrip("0")
    if len(digits) < SHORT + 1:
        return None
    before = rf"(?:(?:\+|00)?{code}{_GAP}(?:0{_GAP})?|0)?"
    return digits, re.compile(rf"(?<![0-9]){before}{_GAP.join(digits)}(?![0-9])")


def _stands_alone(text: str, start: int, end: int) -> bool:
    before = text[start - 2 : start] if start > 1 else text[:start]
    return not (_joined(before[::-1], _JOINERS) or _joined(text[end : end + 2], _JOINERS | {"@"}))


def _joined(beside: str, joiners: frozenset[str]) -> bool:
    """Whether the characters beside a value, the nearest first, make it part of a longer word."""
    if beside[:1] in joiners:
        beside = beside[1:]
    # A script without upper and lower case may well write no spaces: there nothing is known to be joined.
    return beside[:1].isdigit() or beside[:1] == "_" or beside[:1].lower() != beside[:1].upper()
