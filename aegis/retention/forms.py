"""The text forms in which SQLite keeps times, and how a column is shown to have one of them.

SQLite compares times as text, so they sort right only when every row has the same fixed-width
form: `T` sorts after a space, `Z` after nothing. A column whose rows do not all have the form of
its first one is refused, once a run; `form_census` counts what it holds. The predicate repeats the
form, so that a row that strays in later stays.
"""

import dataclasses
import datetime as dt
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from aegis.errors import InvalidPolicy

_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_TIME = "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Form:
    """One fixed-width way to write a date or a time."""

    #: Between day and time; empty: a date only.
    separator: str = ""
    #: Digits of the fraction: 0, 3 or 6.
    digits: int = 0
    #: `Z` or `+00:00`: an instant. Empty: a wall clock.
    suffix: str = ""

    @property
    def is_date(self) -> bool:
        """Whether it names a day only."""
        return not self.separator

    @property
    def name(self) -> str:
        """How it is written in a message, for example `YYYY-MM-DD HH:MM:SS.ffffff`."""
        return self._join("YYYY-MM-DD", "HH:MM:SS", "f")

    @property
    def glob(self) -> str:
        """The GLOB pattern that exactly this form matches."""
        return self._join(_DAY, _TIME, "[0-9]")

    def _join(self, day: str, time: str, digit: str) -> str:
        if self.is_date:
            return day
        return f"{day}{self.separator}{time}{'.' if self.digits else ''}{digit * self.digits}{self.suffix}"

    def matches(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Return the condition that a value is text of this form."""
        text = sa.type_coerce(column, sa.String())
        return text.bool_op("GLOB")(sa.bindparam(None, self.glob, sa.String(), unique=True))

    def bound(self, cutoff: dt.datetime, wall: dt.datetime) -> str:
        """Return the exclusive upper bound in this form.

        A fraction that the form cannot write is rounded up: a value with fewer digits lies
        before the cutoff exactly if it lies before the next one it could have.

        Args:
            cutoff: the instant, in UTC.
            wall: the wall clock that stands for it in the policy's zone.

        """
        moment = cutoff.replace(tzinfo=None) if self.suffix else wall
        if self.is_date:
            return moment.date().isoformat()
        step = dt.timedelta(microseconds=10 ** (6 - self.digits))
        moment += -(moment - dt.datetime.min) % step  # noqa: DTZ901 -- a grid, not a time
        spec = {0: "seconds", 3: "milliseconds", 6: "microseconds"}[self.digits]
        return moment.isoformat(sep=self.separator, timespec=spec) + self.suffix


DATE_FORM = Form()
#: What SQLAlchemy writes, and what an empty DATETIME column is taken to hold.
DATETIME_FORM = Form(separator=" ", digits=6)
FORMS: dict[str, Form] = {
    form.name: form
    for form in (
        DATE_FORM,
        *(
            Form(separator=separator, digits=digits, suffix=suffix)
            for separator, digits, suffix in itertools.product(" T", (0, 3, 6), ("", "Z", "+00:00"))
        ),
    )
}


def first_form(column: sa.Column[Any]) -> sa.Select[str, str | None]:
    """Return the query for one value's storage class and form; no row when there is no value (SQLite)."""
    one = sa.select(column).where(column.is_not(None)).limit(1).subquery()
    return sa.select(*_shape(one.c[column.name]))


def other_forms(column: sa.Column[Any], form: Form) -> sa.Select[bool]:
    """Return the query whether any value has another form; it reads the whole column."""
    fits = sa.and_(sa.func.typeof(column) == "text", form.matches(column))
    return sa.select(sa.exists().where(column.is_not(None), sa.not_(fits)))


def form_census(column: sa.Column[Any]) -> sa.Select[str, str | None, int]:
    """Return the query that counts a column's values by storage class and form (SQLite).

    Each row is (typeof, name of the form or NULL, count); NULL values are left out. It reads
    the whole column and returns no value of it.
    """
    counted = sa.select(*_shape(column), sa.func.count().label("rows"))
    return counted.where(column.is_not(None)).group_by(sa.text("1"), sa.text("2"))


def chosen_form(name: str, census: Iterable[Sequence[Any]]) -> Form | None:
    """Return the one form that a census found; none for an empty column.

    Raises:
        InvalidPolicy: several forms, or values that are no known form.

    """
    rows = sorted(census, key=lambda row: -row[2])
    if not rows:
        return None
    (kind, shape, _), *others = rows
    if others or kind != "text" or shape is None:
        found = ", ".join(f"{shape or f'{kind} of no known form'} ({count})" for kind, shape, count in rows)
        message = f"{name} must hold one form of time, and holds: {found}; rewrite the column in one form"
        raise InvalidPolicy(message)
    return FORMS[shape]


def _shape(column: sa.ColumnElement[Any]) -> tuple[sa.Label[str], sa.Label[str | None]]:
    known = sa.case(*((form.matches(column), name) for name, form in FORMS.items()), else_=None)
    return sa.func.typeof(column, type_=sa.String()).label("kind"), known.label("shape")
