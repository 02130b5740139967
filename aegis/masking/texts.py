"""Strategies that keep a part of a text: partial, scrub_text."""

import unicodedata
from collections.abc import Iterable
from typing import Any, Final, Self

import sqlalchemy as sa

from aegis.db.patterns import escaped, replaced
from aegis.db.readings import same
from aegis.errors import InvalidPolicy
from aegis.masking.keys import MaskKey
from aegis.masking.kinds import Kind
from aegis.masking.strategy import Strategy, fields

#: Stands for whatever `partial` hides, so that its length is hidden too.
HIDDEN: Final = "***"
_MOST_SHOWN: Final = 64

#: What ends an e-mail address, on either side.
_APART: Final = ' \t\r\n\v\f<>()\\[\\]{},;:"|'
#: What stands before the @ is more than the end of a sentence.
_NAME: Final = f"(?=[.!?]*[^{_APART}@.!?])[^{_APART}@]+"
_EMAIL: Final = f"(?<![^{_APART}@]){_NAME}(?:@|%40)[^{_APART}@]*[^{_APART}@.!?]"
#: Also mapped into IPv6.
_IPV4: Final = "(?<![0-9.])(?:(?<![0-9A-Za-z:])[0-9A-Fa-f:]*:)?(?:[0-9]{1,3}[.]){3}[0-9]{1,3}(?![0-9])"
#: It has `::` or all its colons; a time of day has neither.
_IPV6: Final = "(?<![0-9A-Za-z:.])(?=[0-9A-Fa-f:]*::|(?:[0-9A-Fa-f]{1,4}:){7})[0-9A-Fa-f:]+"
#: Seven digits at least, at most three signs between two of them; a date of ISO 8601 is left alone.
_PHONE: Final = (
    "(?<![0-9])(?<![0-9]-)[+]?[(]?(?![0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9-]))[0-9]"
    "(?=(?:[ ()./-]{0,3}[0-9]){6})[0-9 ()./-]*[0-9]"
)
#: In this order: a number within an address is the address's. What stood behind a number, as if it went on,
#: is looked at once more.
FOUND: Final = (
    (_EMAIL, "[email]"),
    (_IPV4, "[ip]"),
    (_IPV6, "[ip]"),
    (_PHONE, "[phone]"),
    (_IPV6, "[ip]"),
)
#: Stands for an identifier that was given.
SUBJECT: Final = "[redacted]"
#: Shorter identifiers are found as words of their own only.
_SHORT: Final = 5
_LETTER: Final = "[0-9A-Za-z\u0080-\U0010ffff]"


class Partial(Strategy):
    """The first and last characters stay, and three asterisks stand for the rest.

    Characters are code points. Where fewer than three would be hidden, nothing is kept: `***`.
    """

    name = "partial"
    outcome = "pseudonymous"
    takes = frozenset({Kind.TEXT})
    deterministic = True
    idempotent = True
    injective = False

    def __init__(self, argument: Any) -> None:
        given = fields(argument, self.name, names=("first", "last"))
        self._first, self._last = (_shown(given.get(name, 0)) for name in ("first", "last"))
        if not self._first + self._last:
            message = "partial keeps at least one character; to keep none, use redact"
            raise InvalidPolicy(message)

    @property
    def spec(self) -> Any:
        """The name with how much stays."""
        return {self.name: {"first": self._first, "last": self._last}}

    @property
    def label(self) -> str:
        """The name with how much stays."""
        return f"{self.name} (first {self._first}, last {self._last})"

    @property
    def longest(self) -> int:
        """What is kept, and the asterisks."""
        return self._first + len(HIDDEN) + self._last

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write the two ends."""
        del key
        hidden = sa.literal(HIDDEN, sa.String())
        kept: sa.ColumnElement[Any] = hidden
        if self._first:
            kept = sa.func.substr(column, 1, self._first, type_=sa.String()) + kept
        if self._last:
            kept += sa.func.substr(column, _length(column) - self._last + 1, self._last, type_=sa.String())
        return sa.case((_length(column) < self.longest, hidden), else_=kept)

    def recognises(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Recognise a text of which no more can be hidden."""
        return same(column, self.expression(column))


class ScrubText(Strategy):
    """Addresses and numbers in free text give way to words: `[email]`, `[ip]`, `[phone]`.

    Identifiers that are given are replaced too, by `[redacted]`, in capitals and small letters, and in both
    normal forms of Unicode; one of fewer than five characters only where it is a word of its own. It rather
    takes too much than too little: every seven digits with signs between them count as a telephone number.
    """

    name = "scrub_text"
    outcome = "pseudonymous"
    takes = frozenset({Kind.TEXT})
    deterministic = True
    idempotent = True
    injective = False

    def __init__(self, identifiers: Iterable[str] = ()) -> None:
        #: Never part of the specification: they are somebody's data.
        self._identifiers = tuple(sorted({text for text in identifiers if text}, key=lambda t: (-len(t), t)))

    def for_subject(self, identifiers: Iterable[str]) -> Self:
        """Return the strategy that replaces a subject's own identifiers as well."""
        return type(self)(identifiers)

    def patterns(self) -> list[tuple[str, str]]:
        """Return what is looked for, and the word for it, in this order."""
        own = [(_needle(text), SUBJECT) for text in self._identifiers]
        return [*own, *FOUND]

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write the text with words in place of what was found."""
        del key
        text = column
        for pattern, word in self.patterns():
            text = replaced(text, pattern, word)
        return text

    def recognises(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Recognise a text in which nothing is found."""
        return same(column, self.expression(column))


def _length(column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    return sa.func.char_length(column, type_=sa.Integer())


def _shown(number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _MOST_SHOWN:
        message = (
            f"partial keeps 0 to {_MOST_SHOWN} characters on either side: {{partial: {{first: 1, last: 2}}}}"
        )
        raise InvalidPolicy(message)
    return number


def _needle(text: str) -> str:
    forms = dict.fromkeys(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    pattern = "|".join("".join(_either(letter) for letter in form) for form in forms)
    if len(text) < _SHORT:
        return f"(?<!{_LETTER})(?:{pattern})(?!{_LETTER})"
    return f"(?:{pattern})"


def _either(letter: str) -> str:
    """Return the pattern of a letter and its capital, which may be two letters."""
    forms = {letter, letter.lower(), letter.upper(), letter.title()}
    if len(forms) == 1:
        return escaped(letter)
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    return f"(?:{'|'.join(escaped(form) for form in longest_first)})"
