"""Strategies that write a token: random ones that nobody can link, and keyed ones that a key can."""

from typing import Any, ClassVar, Final

import sqlalchemy as sa

from aegis.db.keyed import half_hmac_hex
from aegis.db.patterns import whole
from aegis.db.randomness import random_hex
from aegis.db.surrogates import LENGTH, is_surrogate, surrogate
from aegis.masking.keys import ID, LONGEST_ID, MaskKey
from aegis.masking.kinds import Kind
from aegis.masking.strategy import Strategy, fields, needed, reason_of

#: No mail is ever delivered there (RFC 2606).
DOMAIN: Final = "@masked.invalid"
_DOMAIN_PATTERN: Final = "@masked[.]invalid"
_RANDOM_PREFIX: Final = "r1_"
#: 192 bits, so that the token fits into a column made for bcrypt.
_RANDOM_DIGITS: Final = 48
#: 128 bits: half of SHA-256, the least to which RFC 2104 (5) lets an HMAC be cut.
HMAC_DIGITS: Final = 32
_LONGEST_HMAC: Final = 1 + LONGEST_ID + 1 + HMAC_DIGITS


class _Token(Strategy):
    """A text with a form of its own."""

    takes = frozenset({Kind.TEXT})
    injective = True
    blind = True


class _Random(_Token):
    """Another one for each row."""

    outcome = "anonymous"
    deterministic = False
    idempotent = False


class Surrogate(_Random):
    """A random token for each row, which nobody can link to anything."""

    name = "surrogate"

    @property
    def longest(self) -> int | None:
        """Always the same length."""
        return LENGTH

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write a new token."""
        del column, key
        return surrogate()

    def recognises(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Recognise the token's form."""
        return is_surrogate(column)


class SurrogateEmail(_Random):
    """A surrogate that is an e-mail address, at which nobody can be reached."""

    name = "surrogate_email"

    @property
    def longest(self) -> int | None:
        """Always the same length."""
        return LENGTH + len(DOMAIN)

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write a new address."""
        del column, key
        return surrogate() + sa.literal(DOMAIN, sa.String())

    def recognises(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Recognise the address's form."""
        return whole(column, f"s1_[0-9a-f]{{32}}{_DOMAIN_PATTERN}", begins="s1_")


class RandomToken(_Random):
    """A random token in place of a secret: no password hashes to it, and no key is like it."""

    name = "random_token"

    @property
    def longest(self) -> int | None:
        """Always the same length."""
        return len(_RANDOM_PREFIX) + _RANDOM_DIGITS

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write a new token."""
        del column, key
        return sa.literal(_RANDOM_PREFIX, sa.String()) + random_hex(_RANDOM_DIGITS)

    def recognises(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Recognise the token's form."""
        return whole(column, f"{_RANDOM_PREFIX}[0-9a-f]{{{_RANDOM_DIGITS}}}", begins=_RANDOM_PREFIX)


class Hmac(_Token):
    """A token computed from the value with a key: the same value gives the same token.

    It is `k`, the key's id, `_`, and the first 32 hexadecimal digits of HMAC-SHA256 over the value's UTF-8.
    """

    name = "hmac"
    outcome = "pseudonymous"
    deterministic = True
    idempotent = False
    needs_key = True
    #: What the form ends with, and its pattern.
    suffix: ClassVar[tuple[str, str]] = ("", "")

    def __init__(self, argument: Any = None) -> None:
        given = {} if argument is None else fields(argument, self.name, names=("linkable",))
        self.linkable = reason_of(given.get("linkable"), self.name)

    @property
    def spec(self) -> Any:
        """The name, and why tokens may stay linkable."""
        return {self.name: {"linkable": self.linkable}} if self.linkable else self.name

    @property
    def label(self) -> str:
        """The name, and why tokens may stay linkable."""
        return f"{self.name} (linkable: {self.linkable})" if self.linkable else self.name

    @property
    def longest(self) -> int | None:
        """With the longest id that a key can have."""
        return _LONGEST_HMAC + len(self.suffix[0])

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write the value's token."""
        key = needed(key, self.name)
        digits = half_hmac_hex(column, *key.pads("token"))
        token: sa.ColumnElement[Any] = sa.literal(f"k{key.id}_", sa.String()) + digits
        return token + sa.literal(self.suffix[0], sa.String()) if self.suffix[0] else token

    def recognises(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Recognise the form of a token, made with whatever key."""
        return whole(column, f"k{ID}_[0-9a-f]{{{HMAC_DIGITS}}}{self.suffix[1]}", begins="k")


class HmacEmail(Hmac):
    """The token of `hmac` as an e-mail address, at which nobody can be reached."""

    name = "hmac_email"
    suffix = (DOMAIN, _DOMAIN_PATTERN)
