"""The picture of the dashboard in the README: drawn from the shipped queries, and of use to everybody."""

import math
import re
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from docs.dashboard_drawing import Answer, Panel, Query, drawn
from docs.dashboard_picture import PICTURE, SHOWN, panels

ROOT: Final = Path(__file__).parents[2]
_SVG: Final = "{http://www.w3.org/2000/svg}"


def words(picture: str) -> list[str]:
    """Return the texts of a picture."""
    return [text.text or "" for text in ET.fromstring(picture).iter(f"{_SVG}text")]  # noqa: S314


def answers(panel: Panel) -> list[Answer]:
    """Return two series for each query, as Prometheus answers."""
    return [
        Answer.of(
            query,
            {
                "metric": {"policy": policy, "action": "delete", "account": policy, "period": "window"},
                "values": [[1000.0, "0"], [1001.0, "400"], [1002.0, "400"], [1003.0, "400"], [1020.0, "2"]],
            },
        )
        for query in panel.queries
        for policy in ("visits_30", "jobs_90")
    ]


def test_the_committed_picture_is_light_and_needs_nothing_else() -> None:
    """It is under 60 kB, loads and runs nothing, has a dark side, and shows the panels that it promises."""
    picture = PICTURE.read_text("utf-8")
    assert len(picture.encode()) < 60_000
    assert not re.findall(r"<script|<image|<foreignObject|href|url\(|@import|\bon\w+=", picture)
    assert "prefers-color-scheme: dark" in picture
    assert set(SHOWN) <= set(words(picture))


def test_the_readme_shows_it_and_says_what_it_is() -> None:
    """The picture's path is right, and under it stands that no Grafana drew it."""
    readme = (ROOT / "README.md").read_text("utf-8")
    assert f"({PICTURE.relative_to(ROOT)})" in readme
    assert "docs/dashboard_picture.py" in readme
    assert "python -m docs.dashboard_picture" in (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_every_panel_that_is_named_is_one_of_the_dashboard() -> None:
    """Their titles, queries, thresholds and words come from the shipped file."""
    found = {panel.title: panel for panel in panels()}
    assert list(found) == list(SHOWN)
    assert found["Audit log"].text(0) == "sound"
    assert found["Audit log"].text(1) == "HALTED"
    assert [found["Audit log"].colour(value) for value in (0, 1)] == ["green", "red"]
    assert found["Policies"].columns["B"] == "overdue"
    assert all(panel.queries and panel.queries[0].expr for panel in found.values())


def test_what_prometheus_answers_is_what_is_drawn() -> None:
    """Numbers, legends and lines are those of the answers; a stretch without an answer has no line."""
    asked = [(panel, answers(panel)) for panel in panels()]
    picture = drawn(asked)
    told = words(picture)
    assert told.count("2") >= 3
    assert {"visits_30", "jobs_90", "visits_30 · delete", "200 %"} <= set(told)
    lines = ET.fromstring(picture).iter(f"{_SVG}polyline")  # noqa: S314
    # Two pieces each: the gap of 17 seconds is none of both, and a level stretch has two corners.
    (first, second, *_) = [line.get("points", "").split() for line in lines]
    assert (len(first), len(second)) == (3, 1)
    assert first[1].split(",")[1] == first[2].split(",")[1]


@pytest.mark.parametrize(("value", "colour"), [(-1.0, "green"), (0.8, "orange"), (1.0, "red")])
def test_a_threshold_begins_at_its_value(value: float, colour: str) -> None:
    """A value is in the colour of the last step that it has reached."""
    steps = ((-math.inf, "green"), (0.8, "orange"), (1.0, "red"))
    query = Query(ref="A", expr="up", legend="")
    panel = Panel(title="t", kind="stat", queries=(query,), unit="short", steps=steps, words={}, columns={})
    assert panel.colour(value) == colour
