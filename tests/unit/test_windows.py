"""Windows: open whenever the zone's clocks show a time in them, whatever the clocks do."""

import datetime as dt
import re
import time
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis.errors import InvalidPolicy
from aegis.retention.windows import check_windows, closes_at, is_open, opens_at
from tests.repeats import examples
from tests.unit.test_periods import near_a_change

UTC = dt.UTC
DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)
NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
BERLIN = "Europe/Berlin"
ZONES = st.sampled_from(sorted(zoneinfo.available_timezones() - {"localtime", "Factory"}))
INSTANTS = st.datetimes(dt.datetime(1985, 1, 3), dt.datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@st.composite
def windows(draw: st.DrawFn) -> list[str]:
    """One to three windows, over midnight or not, on all days or some; near two in the morning often."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        minutes = st.integers(0, 24 * 60 - 1) | st.integers(60, 240)
        start, end = draw(st.tuples(minutes, minutes).filter(lambda pair: pair[0] != pair[1]))
        days = draw(st.sets(st.sampled_from(NAMES), max_size=7))
        hours = f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
        found.append(f"{','.join(sorted(days))} {hours}" if days else hours)
    return found


def shown_in(window: str, shown: dt.datetime) -> bool:
    """Say, in another way, whether a wall clock lies in a window: look at the days it may have begun on."""
    days, _, hours = window.rpartition(" ")
    start, end = (dt.timedelta(hours=int(text[:2]), minutes=int(text[3:])) for text in hours.split("-"))
    midnight = dt.datetime(shown.year, shown.month, shown.day)  # noqa: DTZ001
    for began in (midnight - DAY, midnight):
        if not days or NAMES[began.weekday()] in days.split(","):
            last = began + end if end > start else began + DAY + end
            if began + start <= shown < last:
                return True
    return False


@given(some=windows(), zone=ZONES, at=INSTANTS, change=st.booleans(), minutes=st.integers(-300, 300))
@settings(max_examples=examples(200), deadline=None)
def test_open_next_opening_and_closing(
    some: list[str], zone: str, at: dt.datetime, minutes: int, *, change: bool
) -> None:
    """Minute by minute: closed until the opening, open until the closing, and open as the clocks show."""
    if change:
        at = near_a_change(at, zone)
    at = (at + minutes * MINUTE).replace(second=0, microsecond=0)
    place = zoneinfo.ZoneInfo(zone)
    try:
        opening = opens_at(some, zone, at)
    except InvalidPolicy:
        return
    closing = closes_at(some, zone, opening)
    for minute in range(12 * 60):
        instant = at + minute * MINUTE
        shown = instant.astimezone(place).replace(tzinfo=None, fold=0)
        wanted = any(shown_in(window, shown) for window in some)
        assert is_open(some, zone, instant) == wanted
        if instant < opening:
            assert not wanted
        elif closing is not None and instant < closing:
            assert wanted
    assert is_open(some, zone, opening)
    assert opening >= at
    assert closing is None or (closing > opening and not is_open(some, zone, closing))


def at_berlin(text: str) -> dt.datetime:
    """Return an instant that Berlin's clocks show; `fold` as `+`."""
    wall = dt.datetime.fromisoformat(text.rstrip("+"))
    return wall.replace(tzinfo=zoneinfo.ZoneInfo(BERLIN), fold=int(text.endswith("+"))).astimezone(UTC)


@pytest.mark.parametrize(
    ("window", "at", "opens", "closes"),
    [
        ("22:00-06:00", "2024-06-01T12:00", "2024-06-01T22:00", "2024-06-02T06:00"),
        ("22:00-06:00", "2024-06-01T03:00", "2024-06-01T03:00", "2024-06-01T06:00"),
        ("22:00-06:00", "2024-06-01T06:00", "2024-06-01T22:00", "2024-06-02T06:00"),
        # The night in which the clocks go forward is an hour shorter, the other one longer.
        ("22:00-06:00", "2024-03-30T23:00", "2024-03-30T23:00", "2024-03-31T06:00"),
        ("22:00-06:00", "2024-10-26T23:00", "2024-10-26T23:00", "2024-10-27T06:00"),
        # A window within the skipped hour does not open that day, an end within it is the change.
        ("02:15-02:45", "2024-03-31T00:00", "2024-04-01T02:15", "2024-04-01T02:45"),
        ("01:00-02:30", "2024-03-31T00:00", "2024-03-31T01:00", "2024-03-31T03:00"),
        ("02:30-04:00", "2024-03-31T00:00", "2024-03-31T03:00", "2024-03-31T04:00"),
        # A window within the hour that is shown twice opens twice.
        ("02:15-02:45", "2024-10-27T00:00", "2024-10-27T02:15", "2024-10-27T02:45"),
        ("02:15-02:45", "2024-10-27T02:50", "2024-10-27T02:15+", "2024-10-27T02:45+"),
        ("Sat,Sun 00:00-24:00", "2024-06-05T12:00", "2024-06-08T00:00", "2024-06-10T00:00"),
        ("Fri-Mon 20:00-02:00", "2024-06-04T12:00", "2024-06-07T20:00", "2024-06-08T02:00"),
        ("Mon 22:00-06:00", "2024-06-04T05:00", "2024-06-04T05:00", "2024-06-04T06:00"),
    ],
)
def test_nights_and_changes_of_clocks(window: str, at: str, opens: str, closes: str) -> None:
    """Over midnight, on some days, and in the two nights in which Berlin moves its clocks."""
    opening = opens_at([window], BERLIN, at_berlin(at))
    assert opening == at_berlin(opens)
    assert closes_at([window], BERLIN, opening) == at_berlin(closes)


def test_windows_that_touch_are_one() -> None:
    """One that begins where another ends does not stop a run in between."""
    some = ["22:00-24:00", "00:00-06:00"]
    assert closes_at(some, BERLIN, at_berlin("2024-06-01T23:00")) == at_berlin("2024-06-02T06:00")


def test_without_windows_it_is_always_open() -> None:
    """No window: at any time, without an end."""
    now = at_berlin("2024-06-01T12:00")
    assert is_open([], BERLIN, now)
    assert opens_at([], BERLIN, now) == now
    assert closes_at([], BERLIN, now) is None
    assert closes_at(["00:00-24:00"], BERLIN, now) is None


@pytest.mark.parametrize(
    "window",
    [
        *("", "22-06", "22:00", "22:00-22:00", "24:00-06:00", "22:00-25:00", "22:60-23:00", "22:00 - 06:00"),
        *("Mo 22:00-06:00", "mon 22:00-06:00", "Sat;Sun 00:00-24:00", "Sat, 00:00-24:00", "Mon- 00:00-24:00"),
        *("-Mon 00:00-24:00", "Mon  00:00-24:00", "22:00-06:00\n"),
    ],
)
def test_what_is_no_window(window: str) -> None:
    """Anything that cannot be read as days and hours is refused."""
    with pytest.raises(InvalidPolicy, match=f"window: .* got {re.escape(repr(window))}$"):
        check_windows("p", [window], "UTC")


@pytest.mark.parametrize("some", ["22:00-06:00", 7, None, ["22:00-06:00"] * 51, [7]])
def test_what_is_no_list(some: object) -> None:
    """Windows are a list of texts."""
    with pytest.raises(InvalidPolicy, match="window"):
        check_windows("p", some, "UTC")


def test_fifty_windows_are_the_most() -> None:
    """As many may be named."""
    check_windows("p", ["22:00-06:00"] * 50, "UTC")


def test_what_cannot_be_read_is_told_in_short() -> None:
    """The first sixty characters of it, as they were written."""
    with pytest.raises(InvalidPolicy, match="got '" + "x" * 59 + "$"):
        check_windows("p", ["x" * 100], "UTC")


def test_a_window_opens_on_the_minute() -> None:
    """Whatever the seconds of the instant that is asked about."""
    at = at_berlin("2024-06-01T12:00:37.500001")
    assert opens_at(["22:00-06:00"], BERLIN, at) == at_berlin("2024-06-01T22:00")


def test_a_window_of_the_day_before_opens_again() -> None:
    """In Newfoundland the clocks went back from a minute past midnight, into the day before."""
    at = dt.datetime(2010, 11, 7, 2, 30, 30, tzinfo=UTC)
    assert opens_at(["23:30-23:45"], "America/St_Johns", at) == dt.datetime(2010, 11, 7, 3, 0, tzinfo=UTC)


def test_an_opening_is_in_utc_wherever_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a time of the window's, and at a change of clocks."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        at = at_berlin("2024-03-31T00:00").astimezone(zoneinfo.ZoneInfo(BERLIN))
        found = [opens_at([window], BERLIN, at) for window in ("01:00-02:30", "02:30-04:00")]
        closes = closes_at(["00:00-02:30"], BERLIN, at)
    time.tzset()
    assert closes is not None
    shown = [instant.isoformat() for instant in (*found, closes)]
    assert shown == [f"2024-03-31T{hour}:00:00+00:00" for hour in ("00", "01", "01")]


def test_what_is_shut_has_closed_and_what_is_always_open_does_not() -> None:
    """A window that is shut closes at once; one of all day and night does not within two weeks."""
    noon = dt.datetime(2026, 5, 20, 12, tzinfo=UTC)
    assert closes_at(["20:00-22:00"], "UTC", noon) == noon
    assert closes_at(["00:00-24:00"], "UTC", noon) is None
