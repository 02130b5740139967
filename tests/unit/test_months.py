"""Months before a cutoff, in the clock's own calendar."""

import datetime as dt
import zoneinfo

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from aegis.retention.clocks import clock_for
from aegis.retention.months import MOST, Months, starts

CUTOFF = dt.datetime(2026, 3, 31, 22, 30, tzinfo=dt.UTC)


def test_a_month_begins_in_the_zone_of_the_clock() -> None:
    """In Berlin it is April already when it is March in UTC."""
    assert starts(CUTOFF, "UTC")[-1] == dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    assert starts(CUTOFF, "Europe/Berlin")[-1] == dt.datetime(2026, 4, 1, tzinfo=berlin)
    assert len(starts(CUTOFF, "UTC")) == MOST


@given(st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2026, 3, 31)))  # noqa: DTZ001 - hypothesis adds UTC
def test_the_tree_finds_the_month_of_every_instant(moment: dt.datetime) -> None:
    """The number that the database computes names the month that the calendar says."""
    instant = moment.replace(tzinfo=dt.UTC)
    column: sa.Column[int] = sa.Column("at", sa.BigInteger())
    table = sa.Table("t", sa.MetaData(), column)
    months = Months(clock_for(column, "sqlite", zone="UTC", unit="s"), column, CUTOFF)
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        table.create(connection)
        since = instant - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        connection.execute(table.insert().values(at=since // dt.timedelta(seconds=1)))
        number = connection.scalar(sa.select(months.number()))
    oldest = starts(CUTOFF, "UTC")[0]
    name = f"{instant:%Y-%m}" if instant >= oldest else f"before {oldest:%Y-%m}"
    assert number is not None
    assert months.name(number) == name


@pytest.mark.parametrize("year", [1, 9])
def test_the_first_years_have_fewer_months(year: int) -> None:
    """A cutoff near the beginning of the calendar has no month before it that cannot be written."""
    assert len(starts(dt.datetime(year, 12, 31, tzinfo=dt.UTC), "UTC")) == year * 12


def test_the_months_after_a_cutoff() -> None:
    """Up to the month of `until`, which is open; no more than so many; a row without a time is told apart."""
    until = dt.datetime(2026, 6, 2, tzinfo=dt.UTC)
    column: sa.Column[int] = sa.Column("at", sa.BigInteger())
    clock = clock_for(column, "sqlite", zone="UTC", unit="s")
    months = Months(clock, column, CUTOFF, until=until)
    found = [months.name(number) for number in (-1, 0, MOST, MOST + 3)]
    assert found == ["none", "before 2016-04", "2026-03", "since 2026-06"]
    assert len(starts(CUTOFF, "UTC", dt.datetime(2100, 1, 1, tzinfo=dt.UTC))) == 2 * MOST
    assert starts(CUTOFF, "UTC", CUTOFF) == starts(CUTOFF, "UTC")


def test_the_database_numbers_the_months_after_a_cutoff() -> None:
    """Each row's month by the tree: none, before the oldest, the cutoff's, one after it, the open one."""
    until = dt.datetime(2026, 6, 2, tzinfo=dt.UTC)
    column: sa.Column[int] = sa.Column("at", sa.BigInteger())
    table = sa.Table("t", sa.MetaData(), column)
    months = Months(clock_for(column, "sqlite", zone="UTC", unit="s"), column, CUTOFF, until=until)
    days = [(1970, 1, 1), (2026, 3, 31), (2026, 4, 1), (2026, 5, 31), (2026, 6, 1), (2030, 1, 1)]
    instants = [int(dt.datetime(*day, tzinfo=dt.UTC).timestamp()) for day in days]
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(table.insert(), [{"at": at} for at in (None, *instants)])
        found = [months.name(number) for number in connection.scalars(sa.select(months.number()))]
    assert found == [
        *("none", "before 2016-04", "2026-03", "2026-04", "2026-05"),
        *("since 2026-06", "since 2026-06"),
    ]
