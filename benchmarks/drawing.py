"""Plots as SVG files that need nothing else: bars that lie, and lines; legible on light and on dark.

matplotlib would draw letters as paths, some hundred kilobytes a plot, and in one set of colours.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, tostring

from cli.markup import tag

_WIDTH: Final = 760
#: Where the plot's own area ends on the right, and how much is kept free there for a bar's figure.
_RIGHT: Final = 740
_FIGURE: Final = 60
_ROW: Final = 19
#: Where bars begin at least: headings are not crossed by the lines of the scale.
_LEAST: Final = 240
_STYLE: Final = """
svg { --ink: #1f2328; --soft: #59636e; --grid: #d1d9e0; --ours: #0969da; --others: #8c959f; --third: #bf5700;
  font: 12px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; }
@media (prefers-color-scheme: dark) {
  svg { --ink: #e6edf3; --soft: #9da7b3; --grid: #3d444d;
    --ours: #4493f8; --others: #768390; --third: #f0883e; } }
text { fill: var(--ink); } .soft { fill: var(--soft); } .title { font-size: 14px; font-weight: 600; }
.group { font-weight: 600; } .grid { stroke: var(--grid); }
.one { stroke: var(--soft); stroke-dasharray: 4 3; }
rect.ours { fill: var(--ours); } rect.others { fill: var(--others); }
polyline { fill: none; stroke-width: 2; }
polyline.s0 { stroke: var(--ours); } circle.s0 { fill: var(--ours); }
polyline.s1 { stroke: var(--others); } circle.s1 { fill: var(--others); }
polyline.s2 { stroke: var(--third); } circle.s2 { fill: var(--third); }
polyline.s3 { stroke: var(--soft); stroke-dasharray: 5 3; } circle.s3 { fill: var(--soft); }
"""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar."""

    name: str
    value: float
    #: Whether it is Aegis's.
    ours: bool


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What a length means."""

    #: What is shown, with its unit.
    name: str
    #: Each step is ten times the one before.
    logarithmic: bool = False


def bars(title: str, axis: Axis, groups: Mapping[str, Sequence[Bar]], *, mark: float | None = None) -> str:
    """Return a plot of bars in groups, from top to bottom.

    Args:
        title: what it shows.
        axis: of the bars' length.
        groups: heading → its bars; a heading may be empty.
        mark: a value with a line through all bars.

    """
    every = [bar for group in groups.values() for bar in group]
    left = max(_LEAST, 24 + max(_wide(bar.name) for bar in every))
    scale = _Scale.over([bar.value for bar in every], axis, left, _RIGHT - _FIGURE)
    parts: list[Element] = []
    at = 44
    for heading, group in groups.items():
        if heading:
            parts.append(tag("text", heading, x="12", y=f"{at + 14}", class_="group"))
            at += _ROW + 2
        for bar in group:
            end = scale.place(bar.value)
            kind = "ours" if bar.ours else "others"
            size = {"width": f"{max(1.0, end - left):.1f}", "height": f"{_ROW - 5}"}
            parts.append(tag("text", bar.name, x=f"{left - 8}", y=f"{at + 12}", text_anchor="end"))
            parts.append(tag("rect", x=f"{left}", y=f"{at + 1}", **size, class_=kind))
            parts.append(tag("text", short(bar.value), x=f"{end + 5:.1f}", y=f"{at + 12}", class_="soft"))
            at += _ROW
        at += 8
    under = list(_under(scale, axis, at, 40))
    through = []
    if mark is not None:
        place = f"{scale.place(mark):.1f}"
        through.append(tag("line", x1=place, x2=place, y1="40", y2=f"{at}", class_="one"))
    return _file(title, at + 48, [*under, *parts, *through])


def lines(title: str, across: Axis, up: Axis, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Return a plot of lines; the first is Aegis's.

    Args:
        title: what it shows.
        across: the axis to the right.
        up: the axis upwards; it begins at 0 unless its steps are of ten.
        series: name → its points, from left to right.

    """
    points = [point for each in series.values() for point in each]
    keys = list(_keys(list(series)))
    x_scale = _Scale.over([x for x, _ in points], across, 70, _RIGHT - 20, tight=True)
    y_scale = _Scale.over([y for _, y in points], up, 300, 84)
    parts = [*_under(x_scale, across, 300, 84, ticks=sorted({x for x, _ in points}))]
    for value in y_scale.ticks():
        y = f"{y_scale.place(value):.1f}"
        parts.append(tag("line", x1="70", x2=f"{_RIGHT}", y1=y, y2=y, class_="grid"))
        parts.append(tag("text", short(value), x="62", y=y, dy="0.32em", text_anchor="end", class_="soft"))
    parts.append(tag("text", up.name, x="12", y="72", class_="soft"))
    for place, each in enumerate(series.values()):
        spots = [(f"{x_scale.place(x):.1f}", f"{y_scale.place(y):.1f}") for x, y in each]
        parts.append(tag("polyline", points=" ".join(map(",".join, spots)), class_=f"s{place}"))
        parts += [tag("circle", cx=x, cy=y, r="3.5", class_=f"s{place}") for x, y in spots]
    return _file(title, 348, [*keys, *parts])


def short(value: float) -> str:
    """Return a number with three figures at most: 0.05, 12.3, 1.5k, 20M."""
    for unit, sign in ((1_000_000, "M"), (1_000, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{sign}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three figures


@dataclass(frozen=True, kw_only=True)
class _Scale:
    """Values and their places, from one end to the other."""

    first: float
    last: float
    begin: float
    end: float
    logarithmic: bool

    @classmethod
    def over(
        cls, values: Sequence[float], axis: Axis, begin: float, end: float, *, tight: bool = False
    ) -> "_Scale":
        """Return a scale on which all of them have a place; a tight one ends with them."""
        seen = [value for value in values if value > 0] if axis.logarithmic else list(values)
        most, least = max(seen, default=1.0), min(seen, default=1.0)
        if axis.logarithmic:
            first = least if tight else 10 ** math.floor(math.log10(least) - 0.3)
            last = most if tight else 10 ** math.ceil(math.log10(most))
        else:
            first, last = 0.0, _nice(most)
        last = last if last > first else first + 1
        return cls(first=first, last=last, begin=begin, end=end, logarithmic=axis.logarithmic)

    def place(self, value: float) -> float:
        """Return where a value is."""
        if self.logarithmic:
            whole = math.log10(self.last / self.first)
            share = math.log10(max(value, self.first) / self.first) / whole
        else:
            share = (value - self.first) / (self.last - self.first)
        return self.begin + share * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """Return the values that are named."""
        if not self.logarithmic:
            return [self.last * part / 4 for part in range(5)]
        steps = range(math.ceil(math.log10(self.first) - 1e-9), math.floor(math.log10(self.last) + 1e-9) + 1)
        return [10.0**step for step in steps]


def _nice(most: float) -> float:
    """Return the end of a scale of four steps: the next round number."""
    power = 10.0 ** math.floor(math.log10(most)) if most > 0 else 1.0
    return next(step * power for step in (1, 1.2, 1.6, 2, 3, 4, 6, 8, 10) if step * power >= most * 0.999)


def _under(
    scale: _Scale, axis: Axis, bottom: float, top: float, ticks: Sequence[float] | None = None
) -> Iterator[Element]:
    """Yield what stands under a plot, and the lines that go up from it."""
    for value in scale.ticks() if ticks is None else ticks:
        x = f"{scale.place(value):.1f}"
        yield tag("line", x1=x, x2=x, y1=f"{top}", y2=f"{bottom}", class_="grid")
        yield tag("text", short(value), x=x, y=f"{bottom + 20}", text_anchor="middle", class_="soft")
    middle = f"{(scale.begin + scale.end) / 2:.0f}"
    yield tag("text", axis.name, x=middle, y=f"{bottom + 38}", text_anchor="middle", class_="soft")


def _keys(names: Sequence[str]) -> Iterator[Element]:
    """Yield what the lines are, beside each other."""
    left = 16.0
    for place, name in enumerate(names):
        yield tag("circle", cx=f"{left:.0f}", cy="48", r="5", class_=f"s{place}")
        yield tag("text", name, x=f"{left + 10:.0f}", y="52")
        left += 34 + _wide(name)


def _wide(text: str) -> float:
    """Return about how wide a text is; letters are not measured."""
    return len(text) * 6.4


def _file(title: str, height: float, parts: Sequence[Element]) -> str:
    style = tag("style")
    style.text = _STYLE
    drawn = tag(
        "svg",
        tag("title", title),
        style,
        tag("text", title, x="12", y="22", class_="title"),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH} {height:.0f}",
        width=f"{_WIDTH}",
        height=f"{height:.0f}",
        role="img",
    )
    return tostring(drawn, encoding="unicode") + "\n"
