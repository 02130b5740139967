"""Strategies that write the same into every row: null, constant, default, empty, redact."""

from typing import Any, Final

import sqlalchemy as sa

from aegis.db import documents, edits
from aegis.db.readings import exactly, same
from aegis.errors import InvalidPolicy
from aegis.masking.keys import MaskKey
from aegis.masking.kinds import Kind, kind_of
from aegis.masking.literals import default_literal, read_literal
from aegis.masking.strategy import Strategy

#: What `redact` writes unless the policy says otherwise.
REDACTED: Final = "[redacted]"


class Null(Strategy):
    """Nothing is left."""

    name = "null"
    outcome = "anonymous"
    takes = frozenset(Kind)
    deterministic = True
    idempotent = True
    injective = False
    blind = True

    def unfit(self, column: sa.Column[Any]) -> str | None:
        """Refuse a column that must have a value."""
        if not column.nullable:
            return "the column is NOT NULL; use a constant or a surrogate, or allow NULL"
        return super().unfit(column)

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write NULL."""
        del column, key
        return sa.null()

    def recognises(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Recognise NULL."""
        return column.is_(None)


class Constant(Strategy):
    """Every row has the same value."""

    name = "constant"
    outcome = "anonymous"
    takes = frozenset({Kind.TEXT, Kind.ENUM, Kind.INTEGER, Kind.DECIMAL, Kind.BOOLEAN, Kind.DATE})
    deterministic = True
    idempotent = True
    injective = False
    blind = True

    def __init__(self, value: Any) -> None:
        if not isinstance(value, str | int):
            message = f"a {self.name} is written as text, a whole number, or true or false"
            raise InvalidPolicy(message)
        self._value = value

    @property
    def spec(self) -> Any:
        """The name with its value."""
        return {self.name: self._value}

    @property
    def label(self) -> str:
        """The name with its value."""
        return f"{self.name}:{self._value}"

    @property
    def longest(self) -> int | None:
        """As long as its value."""
        return len(str(self._value))

    def unfit(self, column: sa.Column[Any]) -> str | None:
        """Refuse a value that the column would not give back as it was written."""
        if complaint := super().unfit(column):
            return complaint
        kind = kind_of(column)
        if kind is Kind.TEXT and str(self._value).endswith(" "):
            return f"the {self.name} ends with a blank, which databases do not compare alike; leave it out"
        if kind is Kind.ENUM and self._value not in column.type.enums:  # type: ignore[attr-defined]
            return f"the {self.name} is none of the column's words; use one of them"
        if read_literal(self._value, column) is None:
            return f"the column holds {kind.value}, and the {self.name} is no such value that fits into it"
        return None

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write the value."""
        del key
        value = read_literal(self._value, column)
        if value is None:
            message = f"a column does not take the {self.name} any more; register the policy again"
            raise InvalidPolicy(message)
        # The column's own type would cut a longer text to its length.
        written = sa.String() if kind_of(column) is Kind.TEXT else column.type
        return sa.bindparam(None, value, written, unique=True)

    def recognises(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Recognise the value, letter by letter."""
        if kind_of(column) is Kind.TEXT:
            return exactly(column, str(self._value))
        same_value: sa.ColumnElement[bool] = column == self.expression(column)
        return same_value


class Redact(Constant):
    """A text that says that something was there."""

    name = "redact"
    takes = frozenset({Kind.TEXT})

    def __init__(self, value: Any = REDACTED) -> None:
        if not isinstance(value, str) or not value:
            message = "redact is written alone, or with the text that it writes"
            raise InvalidPolicy(message)
        super().__init__(value)

    @property
    def spec(self) -> Any:
        """The name, and the text unless it is the usual one."""
        return self.name if self._value == REDACTED else super().spec

    @property
    def label(self) -> str:
        """The name, and the text unless it is the usual one."""
        return self.name if self._value == REDACTED else super().label


class Default(Strategy):
    """What the database writes where an INSERT names no value: the column's own default."""

    name = "default"
    outcome = "anonymous"
    takes = Constant.takes
    deterministic = True
    idempotent = True
    injective = False
    blind = True

    def unfit(self, column: sa.Column[Any]) -> str | None:
        """Refuse a column without a default, or with one that the database computes for each row."""
        if complaint := super().unfit(column):
            return complaint
        if default_literal(column) is None:
            return "the column has no default that is a constant; use constant, or null"
        return self._constant(column).unfit(column)

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write the default as it stands in the live table."""
        return self._constant(column).expression(column, key)

    def recognises(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Recognise the default as it stands in the live table."""
        return self._constant(column).recognises(column)

    def _constant(self, column: sa.ColumnElement[Any]) -> Constant:
        written = default_literal(column) if isinstance(column, sa.Column) else None
        if written is None:
            message = "a column has no constant default any more; register the policy again"
            raise InvalidPolicy(message)
        if kind_of(column) is Kind.BOOLEAN:
            # SQLite and MariaDB write the truth as a number.
            written = {"0": "false", "1": "true"}.get(written, written)
        return Constant(written)


class Empty(Strategy):
    """An empty text; of a JSON document its brackets: `{}`, or `[]` for an array."""

    name = "empty"
    outcome = "anonymous"
    takes = frozenset({Kind.TEXT, Kind.DOCUMENT})
    deterministic = True
    idempotent = True
    injective = False
    blind = True

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write what is empty."""
        del key
        if kind_of(column) is Kind.DOCUMENT:
            bare = documents.bare(column)
            return edits.stored(bare, column, original=bare)
        return sa.bindparam(None, "", sa.String(), unique=True)

    def recognises(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Recognise what is empty."""
        if kind_of(column) is Kind.DOCUMENT:
            return same(column, self.expression(column))
        return exactly(column, "")
