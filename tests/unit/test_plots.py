"""Plots and calendars: every row is in one place, and everything can be seen."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.operations.courses import MOST_STRETCHES, length
from cli import plots
from cli.calendars import MOST_MONTHS, calendar

CUTOFF = dt.datetime(2026, 8, 16, 12, tzinfo=dt.UTC)
_NAMES = st.builds("{:04}-{:02}".format, st.integers(2010, 2040), st.integers(1, 12))
_ROWS = st.integers(1, 10**9)
_MONTHS = st.dictionaries(_NAMES, _ROWS, max_size=30)


@given(_MONTHS, _MONTHS, _ROWS, _ROWS)
def test_no_row_is_lost_in_a_calendar(
    goes: dict[str, int], stays: dict[str, int], before: int, undated: int
) -> None:
    """Every row is in one period, or undated; the periods have no gap and are not too many."""
    series = {
        "goes": goes | {"before 2010-01": before},
        "stays": stays | {"since 2040-12": 7, "none": undated},
    }
    shown = calendar(series, CUTOFF)
    assert sum(period.rows["goes"] for period in shown.periods) == sum(goes.values()) + before
    assert sum(period.rows["stays"] for period in shown.periods) == sum(stays.values()) + 7
    assert shown.undated == {"stays": undated}
    names = [period.name for period in shown.periods]
    assert names[0] == "before 2010-01"
    assert len(names) == len(set(names)) <= MOST_MONTHS + 1
    assert names[1:] == sorted(names[1:])
    assert names[int(shown.cutoff)] in {"2026", "2026-08"}


def test_months_and_the_place_of_the_cutoff() -> None:
    """In the middle of August the line stands in the middle of its column; a month without rows has one."""
    shown = calendar({"goes": {"2026-05": 3}, "stays": {"2026-08": 2, "since 2026-09": 1}}, CUTOFF)
    assert [period.name for period in shown.periods] == [
        "2026-05",
        "2026-06",
        "2026-07",
        "2026-08",
        "2026-09",
    ]
    assert [period.rows["stays"] for period in shown.periods] == [0, 0, 0, 2, 1]
    assert shown.cutoff == pytest.approx(3.5)


def _drawn(values: dict[str, int], count: int = 1) -> list[dict[str, float]]:
    shown = [plots.Column(name=str(number), values=values) for number in range(count)]
    figure = plots.columns("what", dict.fromkeys(values, "name"), shown)
    (svg,) = [each for each in figure.iter("svg") if each.get("role") == "img"]
    assert svg.get("aria-label") == "what"
    keys = ("x", "y", "width", "height")
    return [{key: float(str(box.get(key)).rstrip("%")) for key in keys} for box in svg.iter("rect")]


@given(st.integers(1, 10**12), st.integers(1, 10**12), st.integers(1, 60))
def test_columns_stay_in_their_box(goes: int, stays: int, count: int) -> None:
    """However unlike the numbers are, each is seen, and none is drawn outside."""
    boxes = _drawn({"goes": goes, "stays": stays}, count)
    assert len(boxes) == 2 * count
    for box in boxes:
        assert box["height"] >= 0.9
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 89
        assert box["x"] + box["width"] <= 100.01


def test_what_is_not_there_is_not_drawn() -> None:
    """A zero has no box, and nothing at all is a plot too."""
    assert len(_drawn({"goes": 0, "stays": 5})) == 1
    assert not _drawn({"goes": 0})
    bar = plots.bar({"goes": 1, "stays": 0}, 10**9)
    assert len(list(bar.iter("rect"))) == 1


@pytest.mark.parametrize(
    ("rows", "said"), [(0, "0"), (500, "500"), (1_500, "1.5k"), (20_000_000, "20M"), (4 * 10**9, "4G")]
)
def test_a_scale_is_short(rows: int, said: str) -> None:
    """A telephone has no room for seven digits."""
    assert plots.short(rows) == said


@given(st.floats(0, 10**9))
def test_a_run_has_few_stretches(span: float) -> None:
    """Be it a second long or a year, and each is long enough."""
    assert span / length(span) < MOST_STRETCHES


class TestColours:
    """What must be read has contrast, by day, by night and on paper (WCAG 2.2: 1.4.3 and 1.4.11)."""

    text = Path(plots.__file__).with_name("page.css").read_text(encoding="utf-8")
    schemes: tuple[dict[str, str], ...] = tuple(
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", block))
        for block in re.findall(r":root \{(.*?)\}", text, re.DOTALL)
    )

    @pytest.mark.parametrize("number", range(3))
    def test_text_and_plots(self, number: int) -> None:
        """Text has 4.5 to 1, and what is drawn 3 to 1."""
        colours = self.schemes[number]
        pairs: list[tuple[str, str, float]] = [
            *[(name, paper, 4.5) for name in ("ink", "soft") for paper in ("paper", "raised")],
            *[(name, f"{name}-back", 4.5) for name in ("stop", "go", "warn")],
            *[("ink", f"{name}-back", 4.5) for name in ("stop", "go", "warn")],
            *[(name, "paper", 3.0) for name in ("goes", "stays", "masked")],
        ]
        weak = {
            (one, other) for one, other, least in pairs if _contrast(colours[one], colours[other]) < least
        }
        assert not weak


def _contrast(one: str, other: str) -> float:
    light, dark = sorted([_luminance(one), _luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts: list[Any] = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)
