"""Periods by the calendar: where it leaves a choice, rows are kept longer."""

import datetime as dt
import zoneinfo
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aegis.datamap.periods import Period, parse_period
from aegis.errors import InvalidPolicy
from tests.repeats import examples

UTC = dt.UTC
DAY = dt.timedelta(days=1)
ZONES = st.sampled_from(sorted(zoneinfo.available_timezones() - {"localtime", "Factory"}))
INSTANTS = st.datetimes(dt.datetime(1920, 1, 3), dt.datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
STEPS = st.timedeltas(dt.timedelta(0), 3 * DAY) | st.timedeltas(dt.timedelta(0), dt.timedelta(hours=2))


@st.composite
def periods(draw: st.DrawFn) -> Period:
    """A period of up to 30 years, of any parts."""
    years, months, days = (draw(st.integers(0, most)) for most in (20, 30, 400))
    hours = draw(st.integers(0, 100))
    assume(28 * (years * 12 + months) + days + hours // 24 >= 1)
    return parse_period(f"P{years}Y{months}M{days}DT{hours}H")


def near_a_change(start: dt.datetime, zone: str) -> dt.datetime:
    """Return the instant of the next change of clocks within a year or so; the start where there is none."""
    place = zoneinfo.ZoneInfo(zone)
    for hours in range(0, 24 * 400, 12):
        low, high = start + dt.timedelta(hours=hours), start + dt.timedelta(hours=hours + 12)
        if low.astimezone(place).utcoffset() != high.astimezone(place).utcoffset():
            while high - low > dt.timedelta(seconds=1):
                middle = low + (high - low) / 2
                same = middle.astimezone(place).utcoffset() == low.astimezone(place).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            return high.replace(microsecond=0)
    return start


@given(period=periods(), zone=ZONES, now=INSTANTS, step=STEPS, change=st.booleans())
@settings(max_examples=examples(600), deadline=None)
def test_a_later_now_never_has_an_earlier_cutoff(
    period: Period, zone: str, now: dt.datetime, step: dt.timedelta, *, change: bool
) -> None:
    """The cutoff never goes back as time goes on, at the end of a month and where clocks move either."""
    if change:
        now = near_a_change(now, zone) - dt.timedelta(hours=1)
    assert period.before(now, zone) <= period.before(now + step, zone)


@given(period=periods(), zone=ZONES, now=INSTANTS)
@settings(max_examples=examples(600), deadline=None)
def test_nothing_goes_before_its_fewest_days(period: Period, zone: str, now: dt.datetime) -> None:
    """The cutoff lies at least the fewest days before now, and at most the most."""
    cutoff = period.before(now, zone)
    assert period.fewest_days * DAY <= now - cutoff <= period.most_days * DAY


@given(months=st.integers(1, 300), now=INSTANTS)
def test_a_row_of_the_cutoffs_day_had_its_time(months: int, now: dt.datetime) -> None:
    """Counted forward from the row, the period is over as well: neither reading keeps it any longer."""
    cutoff = parse_period(f"P{months}M").before(now, "UTC")
    year, month = divmod(cutoff.year * 12 + cutoff.month - 1 + months, 12)
    assert (year, month + 1) <= (now.year, now.month)
    if (year, month + 1) == (now.year, now.month):
        assert (cutoff.day, cutoff.time()) <= (now.day, now.time())


@pytest.mark.parametrize(
    ("text", "now", "cutoff"),
    [
        ("P1M", "2023-03-28T12:00", "2023-02-28T00:00"),
        ("P1M", "2023-03-30T12:00", "2023-02-28T00:00"),
        ("P1M", "2023-03-31T12:00", "2023-02-28T12:00"),
        ("P1M", "2024-03-31T12:00", "2024-02-29T12:00"),
        ("P1M", "2023-04-01T00:00", "2023-03-01T00:00"),
        ("P1M", "2023-02-28T12:00", "2023-01-28T12:00"),
        ("P1Y", "2024-02-29T12:00", "2023-02-28T12:00"),
        ("P1Y6M", "2024-08-31T12:00", "2023-02-28T12:00"),
        ("P1M1D", "2023-03-01T12:00", "2023-01-31T12:00"),
        ("P2W", "2024-03-31T12:00", "2024-03-17T12:00"),
        ("PT36H", "2024-03-31T12:00", "2024-03-30T00:00"),
    ],
)
def test_the_end_of_a_month(text: str, now: str, cutoff: str) -> None:
    """31 March back to February is its last day; the days that it has no number for wait with it."""
    found = parse_period(text).before(dt.datetime.fromisoformat(now).replace(tzinfo=UTC), "UTC")
    assert found == dt.datetime.fromisoformat(cutoff).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "now", "cutoff"),
    [
        # The cutoff's hour is shown twice: the first of both.
        ("P1M", "2024-11-27T01:30", "2024-10-27T00:30"),
        # The cutoff's hour is skipped: the moment at which the clocks move.
        ("P2M", "2024-05-31T00:30", "2024-03-31T01:00"),
        # The hour of now is shown for the first time, and for the second.
        ("P2M", "2024-10-27T00:30", "2024-08-27T00:00"),
        ("P2M", "2024-10-27T01:30", "2024-08-27T00:30"),
        # A day of 23 hours is no whole day; one of 25 hours is kept whole.
        ("P1D", "2024-03-31T12:00", "2024-03-30T12:00"),
        ("P1D", "2024-10-27T12:00", "2024-10-26T11:00"),
    ],
)
def test_where_the_clocks_move(text: str, now: str, cutoff: str) -> None:
    """The earlier reading of an hour that is shown twice, the change itself for one that is skipped."""
    found = parse_period(text).before(dt.datetime.fromisoformat(now).replace(tzinfo=UTC), "Europe/Berlin")
    assert found == dt.datetime.fromisoformat(cutoff).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "fewest"),
    [
        ("P90D", 90),
        ("P1M", 28),
        ("P2M", 59),
        ("P6M", 181),
        ("P1Y", 365),
        ("P2Y", 730),
        ("P4Y", 1460),
        ("P1Y6M", 546),
        ("P2W", 14),
        ("PT36H", 1),
        ("P1M1D", 29),
        ("P8Y", 2921),
    ],
)
def test_the_fewest_days(text: str, fewest: int) -> None:
    """What a period means at least, over the whole calendar."""
    assert parse_period(text).fewest_days == fewest


@pytest.mark.parametrize(
    "text",
    [
        *("", "P", "PT", "P1", "90", "90D", "p90d", "P-1D", "P1.5D", "P1,5D", "P1M1Y", "P1DT", "P1W1D"),
        *("P1Y2W", " P1D", "P1D ", "P1D\n", "PT1D", "P1H", "P٣D", "P0D", "PT23H", "PT0S", "P9999999D"),
        *("P36501D", "P100Y", "P99999Y"),
    ],
)
def test_what_is_no_period(text: str) -> None:
    """Anything but whole ISO 8601 parts in their order, of at least a day and at most a hundred years."""
    with pytest.raises(InvalidPolicy, match="period"):
        parse_period(text)


def test_no_text_at_all() -> None:
    """A number of days is no period."""
    days: Any = 90
    with pytest.raises(InvalidPolicy, match="ISO 8601"):
        parse_period(days)


def test_a_naive_now() -> None:
    """A period is taken from an instant only."""
    with pytest.raises(InvalidPolicy, match="aware"):
        parse_period("P1D").before(dt.datetime(2024, 1, 1), "UTC")  # noqa: DTZ001


def test_before_the_year_one() -> None:
    """A period that leads out of the calendar is refused with its text."""
    with pytest.raises(InvalidPolicy, match="P99Y"):
        parse_period("P99Y").before(dt.datetime(50, 1, 1, tzinfo=UTC), "UTC")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("P8Y", "8 years"),
        ("P18M", "1 year 6 months"),
        ("P2W", "14 days"),
        ("P1Y6M1DT1H", "1 year 6 months 1 day 1 hour"),
        ("PT36H90S", "36 hours 1 minute 30 seconds"),
    ],
)
def test_a_period_as_people_say_it(text: str, words: str) -> None:
    """Every part of it is there, and nothing that is zero."""
    assert parse_period(text).words == words
