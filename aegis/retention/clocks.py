"""The meaning of a cutoff: which rows of a column are in the past, strictly, beyond doubt.

A row goes if its clock lies before the cutoff; a NULL clock never goes. What a stored value
means depends on the column:

    aware    an instant: compared as such. MariaDB's TIMESTAMP is one too, because our sessions
             run at +00:00; its driver gives and takes it without a zone
    naive    a wall clock: read in the policy's zone. Where that zone turns its clocks back or
             forward, a value has two readings, and the row goes only if both are past
    date     a whole day in the policy's zone: it goes when all of it is past
    epoch    a whole number of seconds, milliseconds or microseconds since 1970
    text     SQLite keeps times as text and compares them as text: `aegis.retention.forms`
"""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Self, TypeAlias

import sqlalchemy as sa

from aegis.datamap.periods import LONGEST_DAYS
from aegis.datamap.zones import zone_named
from aegis.errors import InvalidPolicy
from aegis.retention.forms import DATE_FORM, DATETIME_FORM, Form, chosen_form

__all__ = ["Clock", "Kind", "clock_for", "cutoff_before", "safe_wall", "zone_named"]

Kind: TypeAlias = Literal["aware", "naive", "date", "epoch", "text"]

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_UNITS = {
    "s": dt.timedelta(seconds=1),
    "ms": dt.timedelta(milliseconds=1),
    "us": dt.timedelta(microseconds=1),
}
_UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}
#: Too small for an epoch in any unit: a policy on one took a counter for a clock.
_TOO_SMALL = frozenset({"TINYINT", "MEDIUMINT"})
_BIND_TYPES: dict[Kind, sa.types.TypeEngine[Any]] = {
    "aware": sa.DateTime(timezone=True),
    "naive": sa.DateTime(),
    "date": sa.Date(),
    "epoch": sa.BigInteger(),
    "text": sa.String(),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clock:
    """How the values of one column are read as times."""

    #: The column's name, for messages.
    name: str
    kind: Kind
    #: The IANA zone that a wall clock or a date is read in.
    zone: str
    #: The unit of an epoch.
    unit: str | None = None
    #: The one form of a text clock.
    form: Form | None = None
    #: An instant that the driver gives and takes in UTC without its zone.
    bare: bool = False
    #: The column can hold MariaDB's zero date, which sorts first but is no date: it never goes.
    zeros: bool = False

    def bound(self, cutoff: dt.datetime) -> dt.datetime | dt.date | int | str:
        """Return the exclusive upper bound, as the value to bind.

        Args:
            cutoff: an aware instant, fixed for the run.

        """
        cutoff = _instant(cutoff)
        if self.kind == "aware":
            return cutoff.replace(tzinfo=None) if self.bare else cutoff
        if self.kind == "epoch":
            return -((EPOCH - cutoff) // _UNITS[self.unit or "s"])
        wall = safe_wall(cutoff, zone_named(self.zone))
        if self.form is not None:
            return self.form.bound(cutoff, wall)
        return wall.date() if self.kind == "date" else wall

    def expired(self, column: sa.ColumnElement[Any], cutoff: dt.datetime) -> sa.ColumnElement[bool]:
        """Return the condition that a row's clock lies before the cutoff; UNKNOWN for NULL."""
        bound = self._bind(self.bound(cutoff))
        if self.form is not None:
            return sa.and_(column < bound, self.form.matches(column))
        if self.zeros:
            first = dt.date(1, 1, 1) if self.kind == "date" else dt.datetime(1, 1, 1)  # noqa: DTZ001
            return sa.and_(column < bound, column >= self._bind(first))
        return column < bound

    @property
    def calendar(self) -> str:
        """The zone whose months and days the clock's values belong to."""
        instant = self.kind in {"aware", "epoch"} or (self.form is not None and self.form.suffix)
        return "UTC" if instant else self.zone

    def earlier(self, column: sa.ColumnElement[Any], instant: dt.datetime) -> sa.ColumnElement[bool]:
        """Return the bare comparison, to sort rows that are known to be expired."""
        return column < self._bind(self.bound(instant))

    def _bind(self, value: dt.datetime | dt.date | int | str) -> sa.BindParameter[Any]:
        return sa.bindparam(None, value, _BIND_TYPES[self.kind], unique=True)

    def with_form(self, census: Iterable[Sequence[Any]]) -> Self:
        """Return the clock with the one form that the rows of `form_census` show.

        An empty table keeps the usual form of the declared type; rows that arrive in another
        form stay.

        Raises:
            InvalidPolicy: the column holds several forms, or one that is not known.

        """
        if self.kind != "text":
            return self
        found = chosen_form(self.name, census)
        return self if found is None else dataclasses.replace(self, form=found)

    def meaning(self) -> str:
        """Return one sentence for the preview: how the column is read."""
        if self.kind == "epoch":
            return f"{self.name} is a whole number: read as {_UNIT_NAMES[self.unit or 's']} since 1970, UTC"
        if self.kind == "aware":
            return f"{self.name} is an instant: compared as it is, whatever the zone"
        day = f"a whole day in {self.zone}, which must be past"
        if self.kind == "date":
            return f"{self.name} is a date: read as {day}"
        if self.kind == "naive":
            return f"{self.name} has no time zone: read as {self.zone}"
        form = self.form or DATETIME_FORM
        reading = day if form.is_date else "UTC" if form.suffix else self.zone
        return f"{self.name} is text of the form {form.name}: read as {reading}; a row of another form stays"


def clock_for(column: sa.Column[Any], dialect_name: str, *, zone: str, unit: str | None) -> Clock:
    """Return how a reflected column is read as a clock.

    Args:
        column: the policy's timestamp column.
        dialect_name: `postgresql`, `mariadb`, `mysql` or `sqlite`.
        zone: the policy's zone; matters for wall clocks and dates only.
        unit: the policy's `timestamp_unit`, for integers only.

    Raises:
        InvalidPolicy: the column cannot be a clock, or zone or unit do not fit it.

    """
    zone_named(zone)
    if unit is not None and unit not in _UNITS:
        message = f"timestamp_unit {unit!r} is not known; write one of {', '.join(_UNITS)}"
        raise InvalidPolicy(message)
    if isinstance(column.type, sa.Integer):
        return _epoch(column, dialect_name, zone, unit)
    if unit is not None:
        message = f"{_named(column)}: timestamp_unit is for integers; leave it out"
        raise InvalidPolicy(message)
    return _text(column, zone) if dialect_name == "sqlite" else _typed(column, dialect_name, zone)


def cutoff_before(now: dt.datetime, days: int) -> dt.datetime:
    """Return the instant `days` times 24 hours before `now`, in UTC.

    Raises:
        InvalidPolicy: `days` is not a whole number from 1 to 36,500.

    """
    if type(days) is not int or not 1 <= days <= LONGEST_DAYS:
        shown = str(days) if type(days) is int else type(days).__name__
        message = f"retention_days: expected a whole number from 1 to {LONGEST_DAYS}, got {shown}"
        raise InvalidPolicy(message)
    try:
        return _instant(now) - dt.timedelta(days=days)
    except OverflowError:
        message = f"retention_days: {days} days before now is before the year 1"
        raise InvalidPolicy(message) from None


def safe_wall(cutoff: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """Return the wall clock below which every reading of a value lies before the cutoff.

    Turned back, an hour is shown twice: while the first pass runs, its values could still mean
    the second, so the bound is lowered by the length of the fold. Turned forward, an hour is
    never shown: a value from it is read with the offset before as well as the one after.
    """
    local = cutoff.astimezone(zone)
    wall = local.replace(tzinfo=None)
    safe = wall
    if not local.fold:
        safe -= max(dt.timedelta(0), _offset(wall, zone, 0) - _offset(wall, zone, 1))
    for hours in range(1, 26):
        skipped = wall - (_offset_at(cutoff, zone) - _offset_at(cutoff - dt.timedelta(hours=hours), zone))
        if skipped < safe and skipped - _offset(skipped, zone, 0) >= cutoff.replace(tzinfo=None):
            safe = skipped
    return safe


def _instant(value: dt.datetime) -> dt.datetime:
    if value.utcoffset() is None:
        message = "a cutoff needs an aware datetime, got a naive one"
        raise InvalidPolicy(message)
    return value.astimezone(dt.UTC)


def _offset(wall: dt.datetime, zone: dt.tzinfo, fold: int) -> dt.timedelta:
    return zone.utcoffset(wall.replace(fold=fold)) or dt.timedelta(0)


def _offset_at(instant: dt.datetime, zone: dt.tzinfo) -> dt.timedelta:
    return instant.astimezone(zone).utcoffset() or dt.timedelta(0)


def _named(column: sa.Column[Any]) -> str:
    return f"{column.table.name}.{column.name} is {type(column.type).__name__}"


def _epoch(column: sa.Column[Any], dialect_name: str, zone: str, unit: str | None) -> Clock:
    if unit is None:
        message = f"{_named(column)}: say what it counts since 1970 with timestamp_unit ({', '.join(_UNITS)})"
        raise InvalidPolicy(message)
    small = isinstance(column.type, sa.SmallInteger) or column.type.__visit_name__ in _TOO_SMALL
    narrow = unit != "s" and not isinstance(column.type, sa.BigInteger)
    if dialect_name != "sqlite" and (small or narrow):
        message = f"{_named(column)}, too small for {_UNIT_NAMES[unit]} since 1970: check column and unit"
        raise InvalidPolicy(message)
    return Clock(name=column.name, kind="epoch", zone=zone, unit=unit)


def _typed(column: sa.Column[Any], dialect_name: str, zone: str) -> Clock:
    kind = column.type
    mariadb = dialect_name in {"mariadb", "mysql"}
    if isinstance(kind, sa.DateTime):
        bare = mariadb and kind.__visit_name__ == "TIMESTAMP"
        reading: Kind = "aware" if kind.timezone or bare else "naive"
        return Clock(name=column.name, kind=reading, zone=zone, bare=bare, zeros=mariadb)
    if isinstance(kind, sa.Date):
        return Clock(name=column.name, kind="date", zone=zone, zeros=mariadb)
    raise _not_a_clock(column, "a timestamp, a date, or an integer with timestamp_unit")


def _text(column: sa.Column[Any], zone: str) -> Clock:
    kind = column.type
    if isinstance(kind, sa.Date):
        return Clock(name=column.name, kind="text", zone=zone, form=DATE_FORM)
    if isinstance(kind, sa.DateTime | sa.String):
        return Clock(name=column.name, kind="text", zone=zone, form=DATETIME_FORM)
    raise _not_a_clock(column, "DATETIME, TIMESTAMP, DATE or TEXT, or INTEGER with timestamp_unit")


def _not_a_clock(column: sa.Column[Any], expected: str) -> InvalidPolicy:
    return InvalidPolicy(f"{_named(column)}, which cannot be a clock; a clock is {expected}")
