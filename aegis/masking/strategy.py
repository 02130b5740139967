"""What a strategy is: one way to write over a value."""

import abc
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, Self

import sqlalchemy as sa

from aegis.errors import InvalidPolicy
from aegis.masking.keys import MaskKey
from aegis.masking.kinds import Kind, kind_of, longest

#: `pseudonymous`: with a key, or with other knowledge, somebody could still tell whose it was.
#: `unchanged`: nothing is written.
Outcome = Literal["anonymous", "pseudonymous", "unchanged"]


class Strategy(abc.ABC):
    """One way to mask a value."""

    name: ClassVar[str]
    outcome: Outcome
    #: The kinds of columns that it can write to.
    takes: ClassVar[frozenset[Kind]]
    #: The same value gives the same output, with the same key.
    deterministic: bool
    #: Masking twice is masking once.
    idempotent: bool
    #: Different values, or rows, give different outputs.
    injective: bool
    #: What it writes has the same form whatever the value was.
    blind: ClassVar[bool] = False
    needs_key: bool = False
    #: Why values may stay linkable by a lasting key; None: the key must not outlive the operation.
    linkable: str | None = None
    #: Columns of the row that it reads besides its own.
    reads: tuple[str, ...] = ()

    @property
    def spec(self) -> Any:
        """How a policy writes it, in its one canonical form."""
        return self.name

    @property
    def label(self) -> str:
        """How people read it."""
        return self.name

    @property
    def longest(self) -> int | None:
        """The most characters that it writes; None: no text, or none that is longer than the value."""
        return None

    def unfit(self, column: sa.Column[Any]) -> str | None:
        """Say why it cannot mask this column, and what would; None when it can."""
        if kind_of(column) not in self.takes:
            wanted = " or ".join(sorted(kind.value for kind in self.takes))
            return f"the column is {column.type.__visit_name__}, and {self.name} masks {wanted}; use null"
        room = longest(column)
        if room is not None and self.longest is not None and self.longest > room:
            return f"it writes {self.longest} characters and the column takes {room}; use null or widen it"
        return None

    def for_subject(self, identifiers: Iterable[str]) -> Self:
        """Return the strategy that knows a subject's own identifiers, where it can use them."""
        del identifiers
        return self

    @abc.abstractmethod
    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Return what is written, for a value that is there and is not masked.

        Raises:
            InvalidPolicy: the strategy needs a key, and none was given.

        """

    @abc.abstractmethod
    def recognises(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool] | None:
        """Return the condition that a value is masked already; None: nobody can tell by looking.

        For a value that is there it is true or false, never NULL.
        """


def needed(key: MaskKey | None, strategy: str) -> MaskKey:
    """Return the key that a strategy was given.

    Raises:
        InvalidPolicy: it was given none.

    """
    if key is None:
        message = f"{strategy} needs a key, and this operation has none for it; use surrogate or null"
        raise InvalidPolicy(message)
    return key


def reason_of(argument: Any, strategy: str) -> str | None:
    """Return the reason that `linkable` gives.

    Raises:
        InvalidPolicy: it is no text.

    """
    if argument is not None and (not isinstance(argument, str) or not argument.strip()):
        message = f'{strategy}: linkable says in words why, such as {{linkable: "join with billing"}}'
        raise InvalidPolicy(message)
    return argument


def fields(argument: Any, strategy: str, *, names: tuple[str, ...]) -> dict[str, Any]:
    """Return an argument that is written as fields.

    Raises:
        InvalidPolicy: it is no mapping, or has other fields.

    """
    if not isinstance(argument, dict) or not argument or not set(argument) <= set(names):
        message = f"{strategy} is written with {', '.join(names)}: {{{strategy}: {{{names[0]}: …}}}}"
        raise InvalidPolicy(message)
    return argument
