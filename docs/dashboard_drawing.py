"""Draw panels of the dashboard as one SVG, which needs nothing but itself and has a light and a dark side."""

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Self
from xml.etree.ElementTree import Element, indent, tostring

from cli.markup import tag
from cli.output import span
from cli.plots import short

WIDTH: Final = 660
_GAP: Final = 10
_PAD: Final = 12
_STAT_HEIGHT: Final = 66
_LINE: Final = 19
_PLOT: Final = 120
#: In a row there are so many numbers, or so many plots.
_STATS, _PLOTS = 3, 2
#: A second without a look is a gap; so many are not.
_HOLE: Final = 5.0
_COLOURS: Final = 6
_STYLE: Final = """
svg { --back: #f4f5f7; --card: #fff; --edge: #d8dade; --text: #24292f; --faint: #656d76;
  font: 12px sans-serif }
rect.page { fill: var(--back) } rect.card { fill: var(--card); stroke: var(--edge) }
text { fill: var(--text) } text.faint { fill: var(--faint); font-size: 11px }
text.title { font-weight: 600 } text.large { font-size: 22px; font-weight: 600 } text.on { fill: #fff }
line { stroke: var(--edge) } polyline { fill: none; stroke-width: 2 }
.c0 { stroke: #3b82f6; fill: #3b82f6 } .c1 { stroke: #e8830c; fill: #e8830c }
.c2 { stroke: #1f9d57; fill: #1f9d57 } .c3 { stroke: #a855c7; fill: #a855c7 }
.c4 { stroke: #d9435f; fill: #d9435f } .c5 { stroke: #0e9aa7; fill: #0e9aa7 }
.green { fill: #1a7f4b } .orange { fill: #b35900 } .red { fill: #c62f2f } .track { fill: var(--edge) }
@media (prefers-color-scheme: dark) {
  svg { --back: #0d1117; --card: #161b22; --edge: #30363d; --text: #e6edf3; --faint: #8d96a0 } }
"""


@dataclass(frozen=True, kw_only=True)
class Query:
    """One query of a panel."""

    ref: str
    expr: str
    legend: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A panel, as the dashboard has it."""

    title: str
    kind: str
    queries: tuple[Query, ...]
    unit: str
    #: From which value on which colour.
    steps: tuple[tuple[float, str], ...]
    #: Value → word.
    words: Mapping[str, str]
    #: A table's columns: a query's letter → name.
    columns: Mapping[str, str]

    @classmethod
    def of(cls, panel: Mapping[str, Any]) -> Self:
        """Read it from the dashboard's JSON."""
        shown = panel["fieldConfig"]["defaults"]
        steps = shown.get("thresholds", {}).get("steps", ())
        words = [mapping["options"] for mapping in shown.get("mappings", ())]
        renamed = [
            each.get("options", {}).get("renameByName", {}) for each in panel.get("transformations", ())
        ]
        return cls(
            title=panel["title"],
            kind=panel["type"],
            queries=tuple(
                Query(ref=target["refId"], expr=target["expr"], legend=target.get("legendFormat", ""))
                for target in panel["targets"]
            ),
            unit=shown.get("unit", "short"),
            steps=tuple(
                (-math.inf if step["value"] is None else step["value"], step["color"]) for step in steps
            ),
            words={value: option["text"] for options in words for value, option in options.items()},
            columns={
                name.removeprefix("Value #"): to
                for names in renamed
                for name, to in names.items()
                if name.startswith("Value #")
            },
        )

    def colour(self, value: float) -> str:
        """Return the colour of a value."""
        return [colour for start, colour in self.steps if value >= start][-1]

    def text(self, value: float) -> str:
        """Return a value as the panel shows it."""
        if self.unit == "s":
            return span(value) if value else "none"
        if self.unit == "percentunit":
            return f"{100 * value:.0f} %"
        return self.words.get(f"{value:g}", short(round(value)))


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One series that Prometheus answered."""

    ref: str
    name: str
    labels: Mapping[str, str]
    #: Seconds since 1970, and what it was.
    points: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, query: Query, series: Mapping[str, Any]) -> Self:
        """Read it from the answer."""
        labels = series["metric"]
        return cls(
            ref=query.ref,
            name=re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), query.legend),
            labels=labels,
            points=tuple((float(at), float(value)) for at, value in series["values"]),
        )

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[-1][1]


Asked = tuple[Panel, Sequence[Answer]]


def drawn(asked: Sequence[Asked]) -> str:
    """Return the picture."""
    # The numbers may say zero before anything was there.
    plots = [answers for panel, answers in asked if panel.kind == "timeseries"]
    times = [at for answers in plots for one in answers for at, _ in one.points]
    period = (min(times), max(times))
    parts: list[Element] = []
    top = _GAP
    for group in _rows(asked):
        height = max(_height(panel, answers) for panel, answers in group)
        wide = (WIDTH - _GAP) / len(group) - _GAP
        for place, (panel, answers) in enumerate(group):
            card = tag("g", transform=f"translate({_GAP + place * (wide + _GAP):.1f} {top})")
            card.extend(_card(panel, answers, (wide, height), period))
            parts.append(card)
        top += height + _GAP
    made = tag(
        "svg",
        tag("title", "The dashboard of Aegis during aegis demo"),
        tag("style", "%style%"),
        tag("rect", class_="page", width=str(WIDTH), height=str(top), rx="6"),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {top}",
        width=str(WIDTH),
        height=str(top),
        role="img",
    )
    indent(made, "")
    return tostring(made, "unicode").replace("%style%", _STYLE) + "\n"


def _rows(asked: Sequence[Asked]) -> Iterator[Sequence[Asked]]:
    """Put panels of one kind beside each other."""
    for kinds, most in ((("stat",), _STATS), (("table",), 1), (("timeseries", "bargauge"), _PLOTS)):
        alike = [(panel, answers) for panel, answers in asked if panel.kind in kinds]
        yield from (alike[place : place + most] for place in range(0, len(alike), most))


def _height(panel: Panel, answers: Sequence[Answer]) -> int:
    if panel.kind == "stat":
        return _STAT_HEIGHT
    if panel.kind == "table":
        return _PAD + _LINE * (2 + len(_policies(answers))) + _PAD
    return _PAD + _LINE + _PLOT + _LINE * (1 + len(answers)) + _PAD


def _card(
    panel: Panel, answers: Sequence[Answer], size: tuple[float, int], period: tuple[float, float]
) -> Iterator[Element]:
    wide, height = size
    if panel.kind == "stat":
        yield from _stat(panel, answers, wide)
        return
    yield tag("rect", class_="card", width=f"{wide:.1f}", height=str(height), rx="4")
    yield _text(panel.title, _PAD, _PAD + 10, "title")
    inside = tag("g", transform=f"translate({_PAD} {_PAD + _LINE})")
    if panel.kind == "timeseries":
        inside.extend(_lines(answers, wide - 2 * _PAD, period))
    else:
        inside.extend((_table if panel.kind == "table" else _bars)(panel, answers, wide - 2 * _PAD))
    yield inside


def _stat(panel: Panel, answers: Sequence[Answer], wide: float) -> Iterator[Element]:
    value = answers[0].last if answers else 0.0
    colour = panel.colour(value)
    yield tag("rect", class_=colour, width=f"{wide:.1f}", height=str(_STAT_HEIGHT), rx="4")
    yield _text(panel.title, _PAD, 20, "on")
    yield _text(panel.text(value), _PAD, 50, "large on")


def _table(panel: Panel, answers: Sequence[Answer], wide: float) -> Iterator[Element]:
    names = list(panel.columns.values())
    places = [wide * (0.25 + 0.75 * (number + 1) / len(names)) for number in range(len(names))]
    yield from (_text(name, place, 12, "faint", "end") for name, place in zip(names, places, strict=True))
    yield _text("policy", 0, 12, "faint")
    for number, policy in enumerate(_policies(answers)):
        height = 12 + _LINE * (number + 1)
        yield tag("line", x1="0", x2=f"{wide:.1f}", y1=str(height - 14), y2=str(height - 14))
        yield _text(policy, 0, height)
        for (ref, name), place in zip(panel.columns.items(), places, strict=True):
            values = [one.last for one in answers if (one.ref, one.labels.get("policy")) == (ref, policy)]
            words = [span(value) if name == "last through" else short(round(value)) for value in values]
            yield _text(words[0] if words else "-", place, height, "", "end")


def _policies(answers: Sequence[Answer]) -> list[str]:
    return sorted({one.labels["policy"] for one in answers if one.ref == "A"})


def _lines(answers: Sequence[Answer], wide: float, period: tuple[float, float]) -> Iterator[Element]:
    begun, ended = period
    left, bottom, top = 38.0, float(_PLOT), 12.0
    most = _nice(max([value for one in answers for _, value in one.points], default=1))
    for part in (0.0, 0.5, 1.0):
        height = bottom - (bottom - top) * part
        yield tag("line", x1=f"{left}", x2=f"{wide:.1f}", y1=f"{height:.1f}", y2=f"{height:.1f}")
        yield _text(short(most * part), left - 6, height + 4, "faint", "end")
    for at, anchor in ((begun, "start"), (ended, "end")):
        clock = f"{dt.datetime.fromtimestamp(at, dt.UTC):%H:%M:%S}"
        yield _text(clock, left if anchor == "start" else wide, bottom + 15, "faint", anchor)
    for number, one in enumerate(answers):
        for piece in _pieces(one.points):
            points = " ".join(
                f"{left + (wide - left) * (at - begun) / max(1.0, ended - begun):.1f},"
                f"{bottom - (bottom - top) * value / most:.1f}"
                for at, value in _corners(piece)
            )
            yield tag("polyline", class_=f"c{number % _COLOURS}", style="fill: none", points=points)
        height = bottom + 17 + _LINE * (number + 1)
        yield tag("rect", class_=f"c{number % _COLOURS}", x="0", y=f"{height - 8}", width="12", height="5")
        yield _text(one.name, 18, height)
        yield _text(f"{round(one.last):,}", wide, height, "", "end")


def _bars(panel: Panel, answers: Sequence[Answer], wide: float) -> Iterator[Element]:
    for number, one in enumerate(answers):
        height = 14 + number * 3 * _LINE
        yield _text(one.name, 0, height)
        yield _text(panel.text(one.last), wide, height, "title", "end")
        yield tag("rect", class_="track", y=f"{height + 8}", width=f"{wide:.1f}", height="16", rx="3")
        filled = wide * min(1.0, one.last)
        colour = panel.colour(one.last)
        yield tag("rect", class_=colour, y=f"{height + 8}", width=f"{filled:.1f}", height="16", rx="3")


def _pieces(points: Sequence[tuple[float, float]]) -> Iterator[Sequence[tuple[float, float]]]:
    """Cut a line where nothing was told."""
    cuts = [place for place, (one, two) in enumerate(pairwise(points), 1) if two[0] - one[0] > _HOLE]
    for start, end in pairwise([0, *cuts, len(points)]):
        yield points[start:end]


def _corners(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Leave out what lies on a level stretch."""
    last = len(points) - 1
    return [
        point
        for place, point in enumerate(points)
        if place in {0, last} or not points[place - 1][1] == point[1] == points[place + 1][1]
    ]


def _nice(most: float) -> float:
    power = 10.0 ** math.floor(math.log10(max(1.0, most)))
    return next(
        step * power for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= max(1.0, most)
    )


def _text(words: str, x: float, y: float, kind: str = "", anchor: str = "start") -> Element:
    more = {"class_": kind} if kind else {}
    if anchor != "start":
        more["text_anchor"] = anchor
    return tag("text", words, x=f"{x:.1f}", y=f"{y:.1f}", **more)
