"""When policies are due: Debian's cron in every zone, each instant once, none before the approval."""

import datetime as dt
import time
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis.errors import InvalidPolicy
from aegis.retention import cron as crons
from aegis.retention.cron import check_cron
from schedules.entries import entries
from schedules.planning import MOST_COUNTED, Due, Schedule, next_instant, plan
from tests.repeats import examples

UTC = dt.UTC
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)
ZONES = st.sampled_from(sorted(zoneinfo.available_timezones() - {"localtime", "Factory"}))
INSTANTS = st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
CRONS = st.sampled_from(
    [
        "* * * * *",
        "*/15 * * * *",
        "30 * * * *",
        "30 2 * * *",
        "0 0 * * *",
        "30 1,2,3 * * *",
        "*/20 1-3 * * *",
        "10 */3 * * *",
        "15 0 1 * *",
        "0 1 * * SUN",
        "45 23 L * *",
        "0 0 13 * FRI",
    ]
)


def schedule(
    cron: str, zone: str = "UTC", since: dt.datetime = dt.datetime(2024, 1, 1, tzinfo=UTC)
) -> Schedule:
    """A schedule of the policy `p`."""
    return Schedule(policy="p", cron=cron, zone=zone, since=since)


def wall(instant: dt.datetime, zone: str) -> dt.datetime:
    """What a clock on the wall shows."""
    return instant.astimezone(zoneinfo.ZoneInfo(zone)).replace(tzinfo=None)


def readings(shown: dt.datetime, zone: str) -> list[dt.datetime]:
    """Every instant at which a wall clock shows this."""
    local = shown.replace(tzinfo=zoneinfo.ZoneInfo(zone))
    found = {local.replace(fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(instant for instant in found if wall(instant, zone) == shown)


def near_a_change(start: dt.datetime, zone: str) -> dt.datetime:
    """A moment within a day before the zone's next change of clocks, or the start when there is none."""
    clock = zoneinfo.ZoneInfo(zone)
    for days in range(400):
        moment = start + days * DAY
        if moment.astimezone(clock).utcoffset() != (moment + DAY).astimezone(clock).utcoffset():
            return moment
    return start


@given(zone=ZONES, start=INSTANTS, hour=st.integers(0, 23), minute=st.integers(0, 59))
@settings(max_examples=examples(300), deadline=None)
def test_a_daily_job_runs_once_for_each_local_day(
    zone: str, start: dt.datetime, hour: int, minute: int
) -> None:
    """Each local date has one run: at its time, the first of two, or as soon as a skipped time is over."""
    start = near_a_change(start, zone) - 2 * DAY
    daily = schedule(f"{minute} {hour} * * *", zone, start)
    first = (wall(start, zone) + DAY).date()
    instant = next_instant(daily, start)
    while wall(instant, zone).date() < first:
        instant = next_instant(daily, instant)
    for days in range(5):
        shown = dt.datetime.combine(first + days * DAY, dt.time(hour, minute))
        exact = readings(shown, zone)
        if exact:
            assert instant == exact[0]
        else:
            assert wall(instant, zone) > shown > wall(instant - MINUTE, zone)
        instant = next_instant(daily, instant)


@given(
    zone=ZONES,
    start=INSTANTS,
    cron=st.sampled_from(["*/15 * * * *", "30 * * * *", "10 */3 * * *", "* 1 * * *"]),
)
@settings(max_examples=examples(150), deadline=None)
def test_a_job_with_a_wildcard_runs_at_every_real_instant_that_matches(
    zone: str, start: dt.datetime, cron: str
) -> None:
    """Over a change of clocks nothing runs in the skipped hour and a repeated hour has its runs twice."""
    # The last offset that was no whole number of minutes ended in 1972.
    start = near_a_change(max(start, dt.datetime(1973, 1, 1, tzinfo=UTC)), zone)
    start = start.replace(second=0, microsecond=0)
    minutes, hours = (
        range(60) if field == "*" else range(0, top, int(field[2:])) if "/" in field else [int(field)]
        for field, top in zip(cron.split()[:2], (60, 24), strict=True)
    )
    end, found, instant = start + 30 * HOUR, [], start
    while (instant := next_instant(schedule(cron, zone), instant)) <= end:
        found.append(instant)
    assert found == [
        at
        for at in (start + count * MINUTE for count in range(1, 30 * 60 + 1))
        if (shown := wall(at, zone)).minute in minutes and shown.hour in hours
    ]


@given(
    zone=ZONES,
    start=INSTANTS,
    cron=CRONS,
    steps=st.lists(st.integers(1, 3 * 86_400), min_size=1, max_size=12),
    catch_up=st.sampled_from([dt.timedelta(0), MINUTE, HOUR, 2 * DAY]),
)
@settings(max_examples=examples(200), deadline=None)
def test_each_instant_is_told_once_whatever_the_ticks(
    zone: str, start: dt.datetime, cron: str, steps: list[int], catch_up: dt.timedelta
) -> None:
    """With `last` fed back, instants grow, none precedes the approval, none is told twice or forgotten."""
    job = schedule(cron, zone, near_a_change(start, zone))
    now = job.since
    last: dict[str, dt.datetime] = {}
    told: list[dt.datetime] = []
    for step in steps:
        now += dt.timedelta(seconds=step)
        found = plan(now, [job], last, catch_up)
        for missed in found.missed:
            assert job.since < missed.first <= missed.last < now
            assert next_instant(job, max([job.since, *told])) == missed.first
            assert missed.count == MOST_COUNTED or missed.count == _counted(job, missed.first, missed.last)
            told.append(missed.last)
        for due in found.due:
            assert due.scheduled_for <= now <= due.scheduled_for + catch_up
            assert next_instant(job, max([job.since, *told])) == due.scheduled_for
            told.append(due.scheduled_for)
        last = {"p": told[-1]} if told else {}
        assert next_instant(job, max([job.since, *told])) > now
        assert plan(now, [job], last, catch_up).due == ()
    assert told == sorted(set(told))


def _counted(job: Schedule, first: dt.datetime, last: dt.datetime) -> int:
    count = 1
    while first < last:
        first = next_instant(job, first)
        count += 1
    return count


def test_the_newest_missed_instant_is_made_up_and_the_older_ones_are_told() -> None:
    """After three hours away an hourly job runs once, and the two older instants are named."""
    now = dt.datetime(2024, 5, 1, 12, 10, tzinfo=UTC)
    found = plan(now, [schedule("0 * * * *")], {"p": now.replace(hour=9, minute=0)}, HOUR)
    assert found.due == (Due(policy="p", scheduled_for=now.replace(minute=0)),)
    (missed,) = found.missed
    assert (missed.first.hour, missed.last.hour, missed.count) == (10, 11, 2)


def test_an_instant_older_than_the_grace_time_is_missed() -> None:
    """A daily job that was away for two hours with one hour of grace does not run late."""
    now = dt.datetime(2024, 5, 1, 4, tzinfo=UTC)
    found = plan(now, [schedule("0 2 * * *")], {"p": now - DAY}, HOUR)
    assert found.due == ()
    assert [(missed.first, missed.last, missed.count) for missed in found.missed] == [
        (now.replace(hour=2), now.replace(hour=2), 1)
    ]


def test_the_approval_instant_itself_is_not_run() -> None:
    """A policy approved exactly at its instant waits for the next one."""
    since = dt.datetime(2024, 5, 1, 2, tzinfo=UTC)
    job = schedule("0 2 * * *", since=since)
    assert plan(since, [job], {}, HOUR).due == ()
    assert plan(since + DAY, [job], {}, HOUR).due == (Due(policy="p", scheduled_for=since + DAY),)


def test_a_year_of_minutes_is_counted_up_to_the_limit() -> None:
    """What is told of a long absence is bounded, and still names the last instant exactly."""
    now = dt.datetime(2025, 1, 1, tzinfo=UTC)
    (missed,) = plan(now, [schedule("* * * * *")], {}, HOUR).missed
    assert missed.count == MOST_COUNTED
    assert missed.last == now - MINUTE


def test_a_repeated_time_is_not_run_again() -> None:
    """While 2 o'clock runs for the second time, the job that ran in the first waits for the next day."""
    second_pass = dt.datetime(2024, 10, 27, 1, 15, tzinfo=UTC)
    assert next_instant(schedule("30 2 * * *", "Europe/Berlin"), second_pass) == dt.datetime(
        2024, 10, 28, 1, 30, tzinfo=UTC
    )


def test_a_yearly_job_with_a_wildcard_sees_both_passes_of_a_repeated_hour() -> None:
    """A long way ahead, over both changes of clocks, the first pass is found and then the second."""
    job = schedule("*/30 2 27 10 *", "Europe/Berlin")
    instants = [dt.datetime(2024, 1, 1, tzinfo=UTC)]
    for _ in range(5):
        instants.append(next_instant(job, instants[-1]))
    first = dt.datetime(2024, 10, 27, tzinfo=UTC)
    assert instants[1:5] == [first + count * 30 * MINUTE for count in range(4)]
    assert instants[5].year == 2025


def test_a_zone_that_changes_at_a_minute_past_the_hour_is_no_trap() -> None:
    """In Moncton the clocks once went back at 00:01; the schedule goes on."""
    start = dt.datetime(2006, 10, 29, 1, tzinfo=UTC)
    job = schedule("10 */3 * * *", "America/Moncton", start)
    assert next_instant(job, start) == dt.datetime(2006, 10, 29, 4, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "named"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("@daily", "five fields"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day-of-month"),
        ("* * * 13 *", "month"),
        ("* * * * 9", "day-of-week"),
        ("*/0 * * * *", "minute"),
        ("0 0 31 2 *", "day-of-month"),
        ("0 0 ² * *", "day-of-month"),
        ("0 0 * * MON#1/x", "day-of-week"),
        ("0 " * 200, "five fields"),
    ],
)
def test_a_wrong_expression_is_refused_by_its_field(cron: str, named: str) -> None:
    """The message names the field that cannot be read."""
    with pytest.raises(InvalidPolicy, match=named):
        check_cron(cron, "UTC")


@pytest.mark.parametrize("cron", [None, 5, ["0", "2"]])
def test_an_expression_that_is_no_text_is_refused(cron: object) -> None:
    """Another type is refused like a wrong expression."""
    with pytest.raises(InvalidPolicy):
        check_cron(cron, "UTC")  # type: ignore[arg-type]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe", "localtime", None])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    """A zone must have an IANA name."""
    with pytest.raises(InvalidPolicy, match="time zone"):
        check_cron("0 2 * * *", zone)


def test_naive_datetimes_are_refused() -> None:
    """A moment without its zone is no instant."""
    with pytest.raises(InvalidPolicy, match="aware"):
        plan(dt.datetime(2024, 1, 1), [], {}, HOUR)  # noqa: DTZ001


@given(cron=st.text(alphabet="0123456789*/,-#L ASUNMOFRI", max_size=30) | st.text(max_size=20))
@settings(max_examples=examples(300), deadline=None)
def test_any_text_is_accepted_or_refused(cron: str) -> None:
    """No expression raises anything but the refusal, and an accepted one has a next instant."""
    try:
        check_cron(cron, "Europe/Berlin")
    except InvalidPolicy:
        return
    start = dt.datetime(2024, 1, 1, tzinfo=UTC)
    assert next_instant(schedule(cron, "Europe/Berlin"), start) > start


def test_a_routine_message_outlives_the_difference_of_two_clocks() -> None:
    """The worker drops them by its own clock: only when that is half a minute ahead of beat's."""
    found = entries(resend_seconds=30.0)
    assert all(entry["options"]["expires"] >= 30 for entry in found.values())
    # What waits while there is no worker, of one beat.
    every = {name: entry["schedule"].run_every.total_seconds() for name, entry in found.items()}
    assert sum(entry["options"]["expires"] / every[name] for name, entry in found.items()) <= 70


def test_an_instant_is_in_utc_wherever_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own zone has no part in it."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        after = dt.datetime(2026, 3, 4, 5, 6, tzinfo=zoneinfo.ZoneInfo("America/New_York"))
        found = [crons.next_instant(text, "UTC", after) for text in ("* * * * *", "30 2 * * *")]
    time.tzset()
    assert [at.isoformat() for at in found] == ["2026-03-04T10:07:00+00:00", "2026-03-05T02:30:00+00:00"]
