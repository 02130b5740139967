"""The meaning of a cutoff: nothing that may still be in its time goes, and what is past does go."""

import datetime as dt
import sqlite3
import time
import zoneinfo
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aegis.errors import InvalidPolicy
from aegis.retention.clocks import Clock, clock_for, cutoff_before, safe_wall
from aegis.retention.forms import FORMS, Form, form_census
from tests.repeats import examples

UTC = dt.UTC
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
MICROSECOND = dt.timedelta(microseconds=1)
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
NOON = dt.datetime(2024, 6, 1, 12, tzinfo=UTC)
ZONES = st.sampled_from(sorted(zoneinfo.available_timezones() - {"localtime", "Factory"}))
INSTANTS = st.datetimes(dt.datetime(1970, 1, 3), dt.datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
UNITS = {"s": 10**6, "ms": 10**3, "us": 1}
NO_CLOCK = "which cannot be a clock; a clock is {} with timestamp_unit$"
NO_UNIT = "timestamp_unit is for integers"
#: What can be a clock, by dialect.
CLOCKS = {
    "": "a timestamp, a date, or an integer",
    "sqlite": "DATETIME, TIMESTAMP, DATE or TEXT, or INTEGER",
}


class TINYINT(sa.Integer):
    """MariaDB's one-byte integer, as reflection names it."""

    __visit_name__ = "TINYINT"


def column(kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    """A column `at` of a table `events`."""
    return sa.Table("events", sa.MetaData(), sa.Column("at", kind)).c.at


def clock(
    kind: sa.types.TypeEngine[Any], dialect: str = "postgresql", zone: str = "UTC", unit: str | None = None
) -> Clock:
    """The clock of such a column."""
    return clock_for(column(kind), dialect, zone=zone, unit=unit)


def readings(value: dt.datetime, zone: dt.tzinfo) -> list[dt.datetime]:
    """Both instants that a wall clock can mean; equal where the zone does not move its clocks."""
    return [value.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]


@st.composite
def cutoffs(draw: st.DrawFn) -> tuple[dt.datetime, zoneinfo.ZoneInfo]:
    """A zone and a cutoff: at random, or within hours of a change of its clocks."""
    zone = zoneinfo.ZoneInfo(draw(ZONES))
    start = draw(INSTANTS)
    if draw(st.booleans()):
        return start, zone
    for days in range(400):
        low, high = start + days * DAY, start + (days + 1) * DAY
        offset = low.astimezone(zone).utcoffset()
        if high.astimezone(zone).utcoffset() != offset:
            while high - low > dt.timedelta(seconds=1):
                middle = low + (high - low) / 2
                low, high = (middle, high) if middle.astimezone(zone).utcoffset() == offset else (low, middle)
            nearby = draw(st.timedeltas(-26 * HOUR, 26 * HOUR) | st.timedeltas(-2 * HOUR, 2 * HOUR))
            return high.replace(microsecond=0) + nearby, zone
    return start, zone


def largest_move(cutoff: dt.datetime, zone: dt.tzinfo) -> dt.timedelta:
    """How far the zone moved its clocks within a day or so of the cutoff."""
    offsets = [(cutoff + hours * HOUR).astimezone(zone).utcoffset() for hours in range(-27, 28)]
    known = [offset for offset in offsets if offset is not None]
    return max(known) - min(known)


@given(case=cutoffs(), before=st.timedeltas(MICROSECOND, 3 * DAY) | st.timedeltas(MICROSECOND, 2 * HOUR))
@settings(max_examples=examples(1500), deadline=None)
def test_a_wall_clock_goes_only_when_every_reading_is_past(
    case: tuple[dt.datetime, zoneinfo.ZoneInfo], before: dt.timedelta
) -> None:
    """Below the bound no value can mean an instant at or after the cutoff, not even a skipped one."""
    cutoff, zone = case
    assert max(readings(safe_wall(cutoff, zone) - before, zone)) < cutoff


@given(
    case=cutoffs(), after=st.timedeltas(dt.timedelta(0), 3 * DAY) | st.timedeltas(dt.timedelta(0), 2 * HOUR)
)
@settings(max_examples=examples(1500), deadline=None)
def test_what_is_written_from_the_cutoff_on_stays(
    case: tuple[dt.datetime, zoneinfo.ZoneInfo], after: dt.timedelta
) -> None:
    """A row stamped by a wall clock at or after the cutoff is never below the bound."""
    cutoff, zone = case
    shown = (cutoff + after).astimezone(zone).replace(tzinfo=None, fold=0)
    assert shown >= safe_wall(cutoff, zone)
    assert shown.date() >= safe_wall(cutoff, zone).date()


@given(case=cutoffs())
@settings(max_examples=examples(1500), deadline=None)
def test_the_bound_is_late_only_around_a_change_of_clocks(
    case: tuple[dt.datetime, zoneinfo.ZoneInfo],
) -> None:
    """The bound is the cutoff's wall clock, lowered by at most the move where clocks move."""
    cutoff, zone = case
    shown = cutoff.astimezone(zone).replace(tzinfo=None, fold=0)
    move = largest_move(cutoff, zone)
    assert shown - move <= safe_wall(cutoff, zone) <= shown
    if move <= 3 * HOUR:
        assert shown - 3 * HOUR <= safe_wall(cutoff, zone)
        assert (cutoff - 25 * HOUR - move).astimezone(zone).date() < safe_wall(cutoff, zone).date()


@pytest.mark.parametrize(
    ("cutoff", "bound"),
    [
        ("2024-10-26T12:00", "2024-10-26T14:00"),
        ("2024-10-26T23:59:59.999999", "2024-10-27T01:59:59.999999"),
        ("2024-10-27T00:00", "2024-10-27T01:00"),
        ("2024-10-27T00:30", "2024-10-27T01:30"),
        ("2024-10-27T01:00", "2024-10-27T02:00"),
        ("2024-10-27T01:30", "2024-10-27T02:30"),
        ("2024-03-31T00:59", "2024-03-31T01:59"),
        ("2024-03-31T01:00", "2024-03-31T02:00"),
        ("2024-03-31T01:30", "2024-03-31T02:30"),
        ("2024-03-31T02:00", "2024-03-31T04:00"),
    ],
)
def test_the_bound_in_berlin(cutoff: str, bound: str) -> None:
    """While 2 o'clock runs for the first time its rows stay; skipped times wait for their later reading."""
    instant = dt.datetime.fromisoformat(cutoff).replace(tzinfo=UTC)
    assert safe_wall(instant, BERLIN) == dt.datetime.fromisoformat(bound)


@pytest.mark.parametrize(
    ("zone", "cutoff", "bound"),
    [
        ("Pacific/Apia", "2011-12-30T09:30", "2011-12-29T23:30"),
        ("Pacific/Apia", "2011-12-30T20:00", "2011-12-30T10:00"),
        ("Pacific/Apia", "2011-12-31T10:00", "2012-01-01T00:00"),
        ("Antarctica/Casey", "2009-10-17T20:30", "2009-10-18T04:30"),
        ("Australia/Lord_Howe", "2024-04-06T14:45", "2024-04-07T01:15"),
    ],
)
def test_the_bound_where_clocks_move_by_another_step(zone: str, cutoff: str, bound: str) -> None:
    """A skipped day, three skipped hours and a repeated half hour wait for their later reading."""
    instant = dt.datetime.fromisoformat(cutoff).replace(tzinfo=UTC)
    assert safe_wall(instant, zoneinfo.ZoneInfo(zone)) == dt.datetime.fromisoformat(bound)


@given(cutoff=INSTANTS, zone=ZONES)
def test_an_instant_is_exact_in_every_zone(cutoff: dt.datetime, zone: str) -> None:
    """An aware column is bound by the cutoff itself; MariaDB's TIMESTAMP by the same, shown in UTC."""
    assert clock(sa.DateTime(timezone=True), zone=zone).bound(cutoff) == cutoff
    bare = clock(sa.TIMESTAMP(), "mariadb", zone)
    assert (bare.kind, bare.bound(cutoff)) == ("aware", cutoff.replace(tzinfo=None))


@given(cutoff=INSTANTS, unit=st.sampled_from(sorted(UNITS)), step=st.integers(-3, 3))
def test_an_epoch_is_exact(cutoff: dt.datetime, unit: str, step: int) -> None:
    """A count goes exactly if the instant that it counts lies before the cutoff."""
    micros = (cutoff - dt.datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND
    value = micros // UNITS[unit] + step
    bound = clock(sa.BigInteger(), unit=unit).bound(cutoff)
    assert isinstance(bound, int)
    assert (value < bound) == (value * UNITS[unit] < micros)


def test_a_date_goes_when_the_whole_day_is_past() -> None:
    """At local midnight the day before goes; a moment earlier it does not."""
    midnight = dt.datetime(2024, 6, 1, tzinfo=BERLIN).astimezone(UTC)
    day = clock(sa.Date(), zone="Europe/Berlin")
    assert day.bound(midnight) == dt.date(2024, 6, 1)
    assert day.bound(midnight - MICROSECOND) == dt.date(2024, 5, 31)


@pytest.mark.parametrize("dialect", ["postgresql", "mariadb", "mysql", "sqlite"])
@pytest.mark.parametrize(
    ("kind", "unit", "said"),
    [
        (sa.Boolean(), None, NO_CLOCK),
        (sa.Boolean(), "s", NO_UNIT),
        (sa.Float(), None, NO_CLOCK),
        (sa.Numeric(), "s", NO_UNIT),
        (sa.Time(), None, NO_CLOCK),
        (sa.Interval(), None, NO_CLOCK),
        (sa.JSON(), None, NO_CLOCK),
        (sa.LargeBinary(), None, NO_CLOCK),
        (sa.Uuid(), None, NO_CLOCK),
        (sa.Integer(), None, "say what it counts since 1970"),
        (sa.BigInteger(), None, "say what it counts since 1970"),
        (sa.DateTime(), "s", NO_UNIT),
        (sa.Date(), "ms", NO_UNIT),
        (sa.String(), "s", NO_UNIT),
        (sa.BigInteger(), "minutes", "'minutes' is not known"),
        (sa.BigInteger(), "", "'' is not known"),
        (sa.types.NullType(), None, NO_CLOCK),
    ],
)
def test_a_column_that_is_no_clock_is_refused(
    kind: sa.types.TypeEngine[Any], unit: str | None, said: str, dialect: str
) -> None:
    """Other types, an integer without its unit and a unit without an integer are refused, and why."""
    with pytest.raises(InvalidPolicy, match=said.format(CLOCKS.get(dialect, CLOCKS[""]))):
        clock(kind, dialect, unit=unit)


def test_an_integer_that_can_hold_a_time_is_a_clock() -> None:
    """Four bytes hold seconds; SQLite's integers have eight, whatever they are called."""
    assert clock(sa.Integer(), unit="s").unit == "s"
    assert clock(sa.SmallInteger(), "sqlite", unit="us").unit == "us"


@pytest.mark.parametrize("dialect", ["postgresql", "mariadb"])
@pytest.mark.parametrize(
    ("kind", "unit"),
    [
        (sa.String(), None),
        (sa.Text(), None),
        (sa.Enum("a"), None),
        (sa.SmallInteger(), "s"),
        (TINYINT(), "s"),
        (sa.Integer(), "ms"),
        (sa.Integer(), "us"),
    ],
)
def test_a_column_that_cannot_hold_a_time_there_is_refused(
    kind: sa.types.TypeEngine[Any], unit: str | None, dialect: str
) -> None:
    """Text is a clock on SQLite only, and a small integer would make every row seem to be past."""
    with pytest.raises(InvalidPolicy, match=rf"events\.at is {type(kind).__name__}"):
        clock(kind, dialect, unit=unit)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe", "localtime", None, 5])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    """The zone must have an IANA name, whatever the column."""
    with pytest.raises(InvalidPolicy, match="time zone"):
        clock(sa.DateTime(timezone=True), zone=zone)


def test_a_naive_cutoff_is_refused() -> None:
    """A cutoff without a zone is no instant."""
    with pytest.raises(InvalidPolicy, match="aware"):
        clock(sa.DateTime()).bound(dt.datetime(2024, 1, 1))  # noqa: DTZ001


def test_the_zone_of_the_machine_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cutoff in another zone is shown in UTC to MariaDB's TIMESTAMP, wherever the worker runs."""
    with monkeypatch.context() as tokyo:
        tokyo.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        bound = clock(sa.TIMESTAMP(), "mariadb").bound(NOON.astimezone(BERLIN))
    time.tzset()
    assert bound == NOON.replace(tzinfo=None)


def test_the_cutoff_lies_whole_days_of_24_hours_back() -> None:
    """Thirty days are 720 hours, also over a change of clocks."""
    now = dt.datetime(2024, 4, 10, 12, tzinfo=BERLIN)
    assert cutoff_before(now, 30) == now.astimezone(UTC) - 720 * HOUR
    assert cutoff_before(NOON, 1) == NOON - 24 * HOUR
    assert cutoff_before(NOON, 36_500) == NOON - 36_500 * 24 * HOUR


@pytest.mark.parametrize(
    ("days", "told"),
    [
        *((0, "0"), (-1, "-1"), (36_501, "36501"), (True, "bool"), (False, "bool")),
        *(("90", "str"), (90.0, "float"), (None, "NoneType")),
    ],
)
def test_a_period_that_is_no_number_of_days_is_refused(days: Any, told: str) -> None:
    """The period is a whole number from 1 to 36,500; of anything else only its type is told."""
    with pytest.raises(InvalidPolicy, match=f"retention_days: .* 1 to 36500, got {told}$"):
        cutoff_before(NOON, days)


def test_a_cutoff_before_the_first_year_is_refused() -> None:
    """The calendar's end is a refusal, not a crash."""
    with pytest.raises(InvalidPolicy, match="year 1"):
        cutoff_before(dt.datetime(50, 1, 1, tzinfo=UTC), 36_500)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (clock(sa.DateTime(), zone="Europe/Berlin"), "no time zone: read as Europe/Berlin"),
        (clock(sa.DateTime(timezone=True), zone="Europe/Berlin"), "is an instant"),
        (clock(sa.Date(), zone="Europe/Berlin"), "a whole day in Europe/Berlin"),
        (clock(sa.BigInteger(), unit="ms"), "milliseconds since 1970"),
        (clock(sa.Text(), "sqlite", "Europe/Berlin"), "YYYY-MM-DD HH:MM:SS.ffffff: read as Europe/Berlin"),
        (clock(sa.Date(), "sqlite", "Europe/Berlin"), "YYYY-MM-DD: read as a whole day in Europe/Berlin"),
    ],
)
def test_the_preview_says_how_a_column_is_read(made: Clock, words: str) -> None:
    """One sentence names the column and its reading."""
    assert made.meaning().startswith("at ")
    assert words in made.meaning()


@pytest.mark.parametrize("dialect", ["mariadb", "mysql"])
@pytest.mark.parametrize(
    ("kind", "first", "bound"),
    [
        (sa.DateTime(), "0001-01-01 00:00:00", "2024-06-01 14:00:00"),
        (sa.TIMESTAMP(), "0001-01-01 00:00:00", "2024-06-01 12:00:00"),
        (sa.Date(), "0001-01-01", "2024-06-01"),
    ],
)
def test_the_zero_date_of_mariadb_never_goes(
    dialect: str, kind: sa.types.TypeEngine[Any], first: str, bound: str
) -> None:
    """MariaDB's 0000-00-00 sorts first and is no date: what goes begins with the first day there is."""
    goes = clock(kind, dialect, "Europe/Berlin").expired(column(kind), NOON)
    said = str(goes.compile(compile_kwargs={"literal_binds": True}))
    assert said == f"events.at < '{bound}' AND events.at >= '{first}'"
    assert "at >=" not in str(clock(kind).expired(column(kind), NOON))


@pytest.mark.parametrize(
    ("kind", "cast"),
    [
        (sa.DateTime(timezone=True), "TIMESTAMP WITH TIME ZONE"),
        (sa.DateTime(), "TIMESTAMP WITHOUT TIME ZONE"),
        (sa.Date(), "DATE"),
    ],
)
def test_the_cutoff_is_of_the_type_of_its_clock(kind: sa.types.TypeEngine[Any], cast: str) -> None:
    """PostgreSQL would read an instant without its zone in that of the session."""
    dialect = sa.make_url("postgresql+psycopg://").get_dialect()()
    assert str(clock(kind).expired(column(kind), NOON).compile(dialect=dialect)).endswith(f"::{cast}")


@pytest.fixture
def events() -> Iterator[sa.Connection]:
    """An SQLite database with a table `events (id, at DATETIME, day DATE, note TEXT, n INTEGER)`."""
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE events (id INTEGER PRIMARY KEY, at DATETIME, day DATE, note TEXT, n INTEGER)"
        )
        yield connection
    engine.dispose()


def insert(connection: sa.Connection, name: str, values: list[Any]) -> sa.Column[Any]:
    """Store the values as they are; return the reflected column."""
    assert isinstance(connection.connection.driver_connection, sqlite3.Connection)
    for value in values:
        connection.exec_driver_sql(f"INSERT INTO events ({name}) VALUES (?)", (value,))  # noqa: S608
    return sa.Table("events", sa.MetaData(), autoload_with=connection).c[name]


def census(connection: sa.Connection, found: sa.Column[Any]) -> list[tuple[str, str | None, int]]:
    """What the census of a column finds."""
    return [(row[0], row[1], row[2]) for row in connection.execute(form_census(found))]


def gone(connection: sa.Connection, found: sa.Column[Any], made: Clock, cutoff: dt.datetime) -> list[Any]:
    """The stored values of the rows that would go."""
    raw = sa.type_coerce(found, sa.String())
    return list(
        connection.scalars(sa.select(raw).where(made.expired(found, cutoff)).order_by(found.table.c.id))
    )


def written(moment: dt.datetime, form: Form) -> str:
    """A wall clock in a form, what the form cannot write cut off."""
    text = moment.strftime("%Y-%m-%d")
    if form.is_date:
        return text
    fraction = f".{moment.microsecond:06d}"[: form.digits + 1] if form.digits else ""
    return f"{text}{form.separator}{moment:%H:%M:%S}{fraction}{form.suffix}"


@pytest.mark.parametrize("name", sorted(FORMS))
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata"])
@pytest.mark.parametrize("microsecond", [0, 1, 500_000, 999_999])
def test_rows_one_step_either_side_of_the_horizon(
    events: sa.Connection, name: str, zone: str, microsecond: int
) -> None:
    """In every form the newest value before the cutoff goes, and the next one stays."""
    form, cutoff = FORMS[name], NOON.replace(microsecond=microsecond)
    local = cutoff if form.suffix else cutoff.astimezone(zoneinfo.ZoneInfo(zone))
    step = DAY if form.is_date else dt.timedelta(microseconds=10 ** (6 - form.digits))
    exact = not form.is_date and microsecond * MICROSECOND % step == dt.timedelta(0)
    newest_gone = local - step if form.is_date or exact else local
    values = [written(newest_gone + steps * step, form) for steps in (-1, 0, 1, 2)]
    found = insert(events, "at", [*values, None])
    made = clock_for(found, "sqlite", zone=zone, unit=None).with_form(census(events, found))
    assert made.form == form
    assert gone(events, found, made, cutoff) == values[:2]


def test_text_in_a_text_column_is_a_clock_too(events: sa.Connection) -> None:
    """A TEXT column with one form is read by that form."""
    found = insert(events, "note", ["2024-06-01T11:59:59Z", "2024-06-01T12:00:00Z"])
    made = clock_for(found, "sqlite", zone="Asia/Tokyo", unit=None).with_form(census(events, found))
    assert gone(events, found, made, NOON) == ["2024-06-01T11:59:59Z"]
    assert "read as UTC" in made.meaning()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (["2024-01-01 00:00:00", "2024-01-01T00:00:00"], r"HH:MM:SS \(1\)"),
        (["2024-01-01 00:00:00", "2024-01-01 00:00:00.5"], r"text of no known form \(1\)"),
        (["2024-01-01 00:00:00", 1_704_067_200], r"integer of no known form \(1\)"),
        (["2024-01-01", "2024-01-01 00:00:00"], r"YYYY-MM-DD \(1\)"),
        (["2024-01-01T00:00:00+02:00"], r"text of no known form \(1\)"),
        ([1_704_067_200, 1_704_067_201], r"integer of no known form \(2\)"),
        ([b"2024-01-01"], r"blob of no known form \(1\)"),
        (["soon"], r"text of no known form \(1\)"),
    ],
)
def test_a_column_of_several_forms_is_refused(events: sa.Connection, values: list[Any], named: str) -> None:
    """The refusal names the forms and their counts, and no value."""
    found = insert(events, "at", values)
    made = clock_for(found, "sqlite", zone="UTC", unit=None)
    with pytest.raises(InvalidPolicy, match=named) as caught:
        made.with_form(census(events, found))
    assert not any(str(value) in str(caught.value) for value in values)


def test_a_row_of_another_form_stays(events: sa.Connection) -> None:
    """What arrives in another form after the census is not compared as text: it stays."""
    strays = ["2001-01-01", "2001-01-01 00:00:00", "2001-01-01T00:00:00.000000Z", "", "0", "soon", 5, b"2"]
    found = insert(events, "at", [*strays, "2001-01-01 00:00:00.000000"])
    empty = clock_for(found, "sqlite", zone="UTC", unit=None).with_form([])
    assert gone(events, found, empty, NOON) == ["2001-01-01 00:00:00.000000"]


def test_an_empty_column_takes_the_form_of_its_type(events: sa.Connection) -> None:
    """DATE is read as a date, everything else as SQLAlchemy writes it."""
    for name, form in (("day", "YYYY-MM-DD"), ("at", "YYYY-MM-DD HH:MM:SS.ffffff")):
        found = insert(events, name, [None])
        made = clock_for(found, "sqlite", zone="UTC", unit=None).with_form(census(events, found))
        assert made.form == FORMS[form]


def test_a_whole_number_with_its_unit_is_a_clock_on_sqlite(events: sa.Connection) -> None:
    """An INTEGER column counts; text that strayed into it stays."""
    second = int(NOON.timestamp())
    found = insert(events, "n", [second - 1, second, None, "2001-01-01", "soon"])
    made = clock_for(found, "sqlite", zone="UTC", unit="s").with_form(census(events, found))
    rows = events.scalars(sa.select(found).where(made.expired(found, NOON)))
    assert list(rows) == [second - 1]


@given(cutoff=INSTANTS, zone=ZONES)
@settings(max_examples=examples(50), deadline=None)
def test_a_form_without_a_zone_is_as_careful_as_a_naive_column(cutoff: dt.datetime, zone: str) -> None:
    """Text without a suffix is bound by the same wall clock as a naive column."""
    assume(cutoff.microsecond)
    text = clock(sa.DateTime(), "sqlite", zone).bound(cutoff)
    naive = clock(sa.DateTime(), zone=zone).bound(cutoff)
    assert text == str(naive)
