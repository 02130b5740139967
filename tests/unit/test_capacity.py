"""How many rows a policy can let go in a day."""

import datetime as dt

import pytest

from aegis.retention.capacity import open_seconds, rows_a_day
from aegis.retention.definition import Definition
from aegis.retention.tempo import Tempo

NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
HOUR = 3600.0


@pytest.mark.parametrize(
    ("windows", "hours"),
    [
        ([], 24),
        (["22:00-06:00"], 8),
        (["12:30-13:00"], 0.5),
        (["00:00-06:00", "20:00-24:00"], 10),
        (["Mon-Fri 20:00-06:00"], 50 / 7),
        (["Sat,Sun 00:00-24:00", "22:00-23:00"], 55 / 7),
        (["00:00-20:00", "10:00-24:00"], 24),
    ],
)
def test_windows_are_open_so_long(windows: list[str], hours: float) -> None:
    """Windows across midnight count in full; no window is all day; never more than a day."""
    assert open_seconds(windows) == pytest.approx(hours * HOUR)


def test_a_budget_limits_the_day_by_the_runs_in_it() -> None:
    """Four runs a day of at most 1,000 rows are 4,000 rows, however fast they go."""
    pace = Tempo(rows_per_second=10.0, runs=1)
    plain = Definition(name="p", table="t", cron="0 */6 * * *")
    assert rows_a_day(plain, pace, NOW) == 24 * HOUR * 10
    small = Definition(name="p", table="t", cron="0 */6 * * *", budget={"rows": 1000})
    assert rows_a_day(small, pace, NOW) == 4000
    short = Definition(name="p", table="t", cron="0 */6 * * *", budget={"seconds": 60, "rows": 10_000})
    assert rows_a_day(short, pace, NOW) == 4 * 60 * 10
    quiet = Definition(name="p", table="t", windows=["22:00-23:00"], budget={"rows": 10**9})
    assert rows_a_day(quiet, pace, NOW) == HOUR * 10
