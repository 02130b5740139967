"""Strategies that make dates and times less exact: truncate_date, shift_date."""

from typing import Any, Final

import sqlalchemy as sa

from aegis.db.calendars import beginning, shifted
from aegis.db.keyed import hmac_hex, leading_number
from aegis.errors import InvalidPolicy
from aegis.masking.keys import MaskKey
from aegis.masking.kinds import Kind, kind_of
from aegis.masking.strategy import Strategy, fields, needed, reason_of

_DATES: Final = frozenset({Kind.DATE, Kind.MOMENT})
_UNITS: Final = ("year", "month", "day")
_MOST_DAYS: Final = 3650
_SUBJECTS: Final = frozenset({Kind.TEXT, Kind.INTEGER})


class TruncateDate(Strategy):
    """A date or time becomes the first instant of its day, month or year, by the calendar of UTC.

    For SQLite a text that is no time becomes NULL.
    """

    name = "truncate_date"
    outcome = "anonymous"
    takes = _DATES
    deterministic = True
    idempotent = True
    injective = False

    def __init__(self, unit: Any) -> None:
        if unit not in _UNITS:
            message = f"truncate_date takes one of {', '.join(_UNITS)}: {{truncate_date: month}}"
            raise InvalidPolicy(message)
        self._unit = str(unit)

    @property
    def spec(self) -> Any:
        """The name with the unit."""
        return {self.name: self._unit}

    @property
    def label(self) -> str:
        """The name with the unit."""
        return f"{self.name}:{self._unit}"

    def unfit(self, column: sa.Column[Any]) -> str | None:
        """Refuse to take the time off a date."""
        if kind_of(column) is Kind.DATE and self._unit == "day":
            return "the column holds dates, of which a day takes nothing away; use month or year"
        return super().unfit(column)

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write the first instant."""
        del key
        return beginning(column, self._unit)

    def recognises(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Recognise a first instant."""
        return column.is_not_distinct_from(self.expression(column))


class ShiftDate(Strategy):
    """All dates of one subject move by the same number of days, which only the key tells.

    The number lies between `days` before and `days` after, so that the time between two dates of a subject
    stays what it was. `by` names the column of the row that says whose it is. Moved dates look like any
    others: it needs a marker column.
    """

    name = "shift_date"
    outcome = "pseudonymous"
    takes = _DATES
    deterministic = True
    idempotent = False
    injective = False
    needs_key = True

    def __init__(self, argument: Any) -> None:
        given = fields(argument, self.name, names=("days", "by", "linkable"))
        days, by = given.get("days"), given.get("by")
        whole = isinstance(days, int) and not isinstance(days, bool) and 1 <= days <= _MOST_DAYS
        if not isinstance(days, int) or not whole or not isinstance(by, str) or not by:
            message = (
                f"shift_date takes 1 to {_MOST_DAYS} days, and the column that says whose the row is: "
                "{shift_date: {days: 30, by: user_id}}"
            )
            raise InvalidPolicy(message)
        self._days, self._by = days, by
        self.linkable = reason_of(given.get("linkable"), self.name)

    @property
    def reads(self) -> tuple[str, ...]:  # type: ignore[override]
        """The column that says whose the row is."""
        return (self._by,)

    @property
    def spec(self) -> Any:
        """The name with days, column and reason."""
        reason = {"linkable": self.linkable} if self.linkable else {}
        return {self.name: {"days": self._days, "by": self._by, **reason}}

    @property
    def label(self) -> str:
        """The name with days and column."""
        return f"{self.name} (±{self._days} days by {self._by})"

    def unfit(self, column: sa.Column[Any]) -> str | None:
        """Refuse a column that does not say whose a row is."""
        subject = column.table.columns.get(self._by)
        if subject is None:
            return f"there is no column {self._by!r} that could say whose the row is"
        if kind_of(subject) not in _SUBJECTS:
            kind = subject.type.__visit_name__
            return f"{self._by} is {kind}; a column of text or whole numbers says whose a row is"
        return super().unfit(column)

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write the date that is so many days away."""
        key = needed(key, self.name)
        subject = sa.func.coalesce(sa.cast(_beside(column, self._by), sa.String()), "")
        drawn = leading_number(hmac_hex(subject, *key.pads("shift")))
        days = drawn % sa.literal(2 * self._days + 1, sa.Integer()) - sa.literal(self._days, sa.Integer())
        return shifted(column, days)

    def recognises(self, column: sa.ColumnElement[Any]) -> None:
        """Tell nothing."""
        del column


def _beside(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[Any]:
    """Return another column of the same row."""
    found = column.table.columns.get(name) if isinstance(column, sa.Column) else None
    if found is None:
        message = f"there is no column {name!r} beside the masked one; register the policy again"
        raise InvalidPolicy(message)
    return found
