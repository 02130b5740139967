"""Tables, goals and plots of the benchmarks: what is read is what was written, and everything can be seen."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import plots
from benchmarks.drawing import Axis, Bar, bars, lines
from benchmarks.goals import GOALS, Goal
from benchmarks.noisemakers import MAKERS
from benchmarks.recording import WAYS
from benchmarks.scenarios import SCENARIOS
from benchmarks.sections import Lines, Section, find
from tests import chromium
from tests.chromium import DARK_DESKTOP, DESKTOP, Chromium

_CELL = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=9)
_LINES = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.tuples(*[_CELL.filter(lambda it: "&#124;" not in it)] * width), min_size=1)
)
_GOAL = Goal(what="It is fast", part="retention", title="SQLite", line="Aegis", column="ratio", least=0.85)


@given(_LINES, _LINES)
def test_tables_are_read_as_they_were_written(one: list[tuple[str, ...]], two: list[tuple[str, ...]]) -> None:
    """A table in a file has every cell that it had before, whatever a cell holds."""
    sections = [Section(title="one", lines=one, command="a b"), Section(title="two: 3 rows", lines=two)]
    text = "\n\n".join(["About them.", *(it.markdown for it in sections)])
    assert list(Section.read(f"\n{text}")) == sections


@pytest.mark.parametrize(
    ("ratio", "said"),
    [("0.85", ("0.85", "met")), ("1.20", ("1.2", "met")), ("0.68", ("0.68", "missed by 20%"))],
)
def test_a_goal_says_by_how_much_it_is_missed(ratio: str, said: tuple[str, str]) -> None:
    """A goal is met at its bound, and missed by a share of it."""
    section = Section(title="SQLite: 5 rows", lines=[("", "ratio"), ("Aegis", ratio)])
    assert _GOAL.cells({"retention": [section]}) == ("It is fast", "≥ 0.85", *said, "")


def test_a_goal_without_a_figure_is_not_met() -> None:
    """Where the table, the line or the figure is missing, the goal was not measured."""
    lines: Lines = [("", "ratio"), ("Aegis", "skipped: no server")]
    tables = [[], [Section(title="SQLite", lines=[("", "ratio")])], [Section(title="SQLite", lines=lines)]]
    for sections in tables:
        assert _GOAL.cells({"retention": sections})[2:] == ("-", "not measured here", "")


def test_every_goal_finds_its_figure() -> None:
    """A goal whose table was renamed would be told as not measured for ever."""
    made = figures()
    assert [goal.what for goal in GOALS if goal.value(made) is None] == []


def test_plots_hold_every_figure() -> None:
    """Each plot is one small file of its own that says in a word what it shows; no figure is left out."""
    drawn = {plot.name: plot for plot in plots.of(figures())}
    assert drawn.keys() == {
        *("retention", "latency", "scaling-cost", "scaling-memory", "queueing"),
        *("residual-scan", "audit", "noise"),
    }
    for plot in drawn.values():
        assert len(plot.svg) < 40_000
        root = ET.fromstring(plot.svg)  # noqa: S314 - our own
        assert root.get("role") == "img"
        assert "http" not in plot.svg.replace("http://www.w3.org/2000/svg", "")
    retention = find(figures()["retention"], "PostgreSQL, appended")
    assert retention is not None
    assert all(line[0] in drawn["retention"].svg for line in retention.lines[1:] if "'" not in line[0])
    assert all(
        section.title.partition(": ")[0] in drawn["retention"].svg for section in figures()["retention"]
    )


def test_a_bar_is_as_long_as_its_figure() -> None:
    """Twice as much is twice as long, and on a scale of tens ten times as much is one step more."""
    group = [Bar(name="a", value=1.0, ours=True), Bar(name="b", value=2.0, ours=False)]
    one, two = _widths(bars("t", Axis(name="s"), {"": group}))
    assert two == pytest.approx(2 * one, rel=0.01)
    group = [Bar(name=str(value), value=value, ours=True) for value in (10.0, 100.0, 1000.0)]
    first, second, third = _widths(bars("t", Axis(name="s", logarithmic=True), {"": group}))
    assert third - second == pytest.approx(second - first, abs=0.2)


def test_lines_reach_their_ends() -> None:
    """Nothing, one point and equal points are drawn too."""
    axis = Axis(name="x", logarithmic=True)
    for points in ([(1.0, 1.0)], [(1.0, 0.0), (10.0, 0.0)], [(5.0, 2.0), (5.0, 2.0)]):
        ET.fromstring(lines("t", axis, Axis(name="y"), {"Aegis": points}))  # noqa: S314 - our own


@pytest.mark.skipif(chromium.found() is None, reason="no Chromium on this machine (Debian: chromium)")
def test_nothing_lies_on_anything_else(tmp_path: Path) -> None:
    """In a real browser no word lies on another, nothing reaches over an edge, and nothing is loaded."""
    drawn = plots.of(figures())
    body = "".join(plot.svg for plot in drawn)
    scheme = "<meta charset='utf-8'><meta name='color-scheme' content='light dark'>"
    page = tmp_path / "plots.html"
    page.write_text(f"<!doctype html>{scheme}<body>{body}", encoding="utf-8")
    with Chromium(tmp_path / "browser") as browser:
        seen = browser.look(page)
    assert not seen.over[DESKTOP.name]
    assert not seen.over[DARK_DESKTOP.name]
    assert not seen.asked


def _widths(svg: str) -> list[float]:
    root = ET.fromstring(svg)  # noqa: S314 - our own
    return [float(it.get("width") or 0) for it in root.iter() if it.tag.endswith("rect")]


def figures() -> dict[str, list[Section]]:
    """Return tables as the programs make them, with figures as they are on some machine."""
    late = [f"{row} row {share}, ms" for row in ("hot", "due") for share in ("p50", "p99", "worst")]
    sizes = ("1,000,000", "3,000,000", "10,000,000")
    queue = ("Aegis, called in process", "Aegis, through the queue", "a plain Celery task, one statement")
    verifiers = ("aegis audit verify --hashes-only", "aegis audit verify")
    clippers = ("numpy, float sums", "Aegis, whole steps")
    return {
        "retention": [
            _table(
                f"{scenario.name}: 1,000,000 rows, medians of 3",
                ("seconds", "ratio", "batches alone", "µs a row", "WAL", "due UPDATE p99, ms", "MiB"),
                [it.name for it in scenario.contenders],
            )
            for scenario in SCENARIOS
        ],
        "latency": [
            _table(
                f"UPDATEs beside a deletion, {database}: 9 rows, medians of 3",
                late,
                ["nobody deletes", "one raw DELETE", "Aegis", "Aegis, paced as it comes", loop],
            )
            for database, loop in (
                ("PostgreSQL", "id IN (SELECT id ... LIMIT 5000)"),
                ("MariaDB", "pt-archiver"),
            )
        ],
        "scaling": [
            _table("Larger and larger", ("raw DELETE, µs a row", "Aegis, µs a row", "Aegis, MiB"), sizes)
        ],
        "queueing": [
            _table("A retention run, PostgreSQL", ("fixed, ms", "µs a row"), queue),
            _table("An event, PostgreSQL", ("one event, ms", "requests a second"), queue),
        ],
        "erasure": [
            Section(
                title="Residual scan of 9 rows, PostgreSQL",
                lines=[
                    ("", "persons", "needles", "seconds", "µs a row", "ratio"),
                    *(
                        (f"{way}, {persons}", str(persons), "9", "1", f"{1 + persons * factor:.2f}", "1")
                        for way, factor in (("Aegis", 0.01), ("strpos, OR", 0.9), ("LIKE ANY", 1.7))
                        for persons in (1, 10, 100, 300)
                    ),
                ],
            ),
            _table("Masking 9 rows", ("µs a row", "ratio"), ["raw", "hmac", "hmac, row by row"]),
        ],
        "audit": [
            _table("Recording by 8", ("transactions a second", "ratio"), [way.name for way in WAYS]),
            _table("Verifying 9 leaves, PostgreSQL", ("rows a second", "ratio"), verifiers),
        ],
        "noise": [
            _table(
                f"{kind} noise on {count}, medians of up to 7",
                ("µs" if count == "one number" else "ms", "times numpy", "times as fast is Aegis"),
                [maker.name for maker in MAKERS],
            )
            for kind in ("Laplace", "Gaussian")
            for count in ("one number", "1,000,000 numbers")
        ]
        + [_table("Clipping contributions of 1,000,000 numbers", ("ms a contribution",), clippers)],
    }


def _table(
    title: str, headings: "tuple[str, ...] | list[str]", names: "tuple[str, ...] | list[str]"
) -> Section:
    made = [
        (name, *(f"{0.37 * (place + 1) ** 3 + across:,.2f}" for across in range(len(headings))))
        for place, name in enumerate(names)
    ]
    return Section(title=title, lines=[("", *headings), *made])
