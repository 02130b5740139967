"""Plots of a page, as SVG that needs no script and grows with the page; their numbers stand in a table too.

Widths are percent and heights are of a fixed box, so that the words in a plot are as large on a telephone as
on a wide screen.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from cli.markup import tag

#: The plot's own area, in percent of the box: to the right of the scale, above the names.
_LEFT: Final = 11.0
_TOP: Final = 10.0
_BOTTOM: Final = 88.0
#: Names under the columns, at most, and how long they are where there may be one more.
_MOST_NAMES: Final = 3
_SHORT_NAME: Final = 7
#: What is there is seen, however little it is, in percent of the box.
_LEAST: Final = 0.9
_UNITS: Final = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: its name, and its rows by series, from the bottom up."""

    name: str
    values: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line between columns."""

    #: How many columns, and parts of one, stand to its left.
    at: float
    name: str


def columns(
    what: str, series: Mapping[str, str], shown: Sequence[Column], line: Line | None = None
) -> Element:
    """Return a plot of columns.

    Args:
        what: one sentence for those who cannot see it.
        series: the key in the columns' values → its name; the key is its class in the style sheet too.
        shown: the columns, from left to right.
        line: a line with a name.

    """
    most = _nice(max([1, *[sum(column.values.values()) for column in shown]]))
    drawn = tag(
        "svg",
        *_scale(most),
        *[part for place, column in enumerate(shown) for part in _stack(place, len(shown), column, most)],
        *_names(shown),
        *(_line(line, len(shown)) if line else ()),
        role="img",
        aria_label=what,
        width="100%",
        height="260",
    )
    return tag("figure", legend(series), drawn, class_="plot")


def legend(series: Mapping[str, str]) -> Element:
    """Return what the colours of a plot mean."""
    names = [tag("li", _swatch(key), name) for key, name in series.items()]
    return tag("ul", *names, class_="keys")


def bar(values: Mapping[str, int], most: int) -> Element:
    """Return one bar that lies, for a cell of a table: the cell beside it has its numbers."""
    parts, left = [], 0.0
    for key, rows in values.items():
        if rows:
            width = max(_LEAST, 100 * rows / max(1, most))
            parts.append(_box(key, min(left, 100 - width), 0, width, 100))
            left += width
    return tag("svg", *parts, class_="bar", width="100%", height="14", aria_hidden="true")


def short(rows: float) -> str:
    """Return a number as a scale has it: 500, 1.5k, 20M."""
    for unit, sign in _UNITS:
        if rows >= unit:
            return f"{rows / unit:.3g}{sign}"
    return f"{rows:g}"


def _nice(most: int) -> int:
    """Return the end of the scale: the next 1, 2, 4, 6, 8 or 10 of the same power of ten."""
    power = 10 ** (len(str(most)) - 1)
    return int(next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= most))


def _scale(most: int) -> Iterator[Element]:
    for part in (0.0, 0.5, 1.0):
        height = f"{_height(part):.2f}%"
        yield tag("line", x1=f"{_LEFT}%", x2="100%", y1=height, y2=height, class_="grid")
        if part or most > 1:
            yield tag(
                "text", short(most * part), x=f"{_LEFT - 1.5}%", y=height, dy="0.32em", text_anchor="end"
            )


def _stack(place: int, count: int, column: Column, most: int) -> Iterator[Element]:
    wide = (100 - _LEFT) / count
    bottom = _BOTTOM
    for key, rows in column.values.items():
        if rows:
            tall = max(_LEAST, (_BOTTOM - _TOP) * rows / most)
            bottom -= tall
            yield _box(key, _LEFT + wide * (place + 0.1), max(0.0, bottom), wide * 0.8, tall)


def _names(shown: Sequence[Column]) -> Iterator[Element]:
    last = len(shown) - 1
    short_ones = max((len(column.name) for column in shown), default=0) <= _SHORT_NAME
    named = min(len(shown), _MOST_NAMES + short_ones)
    places = sorted({round(number * last / max(1, named - 1)) for number in range(named)})
    for place in places:
        middle = _LEFT + (100 - _LEFT) * (place + 0.5) / len(shown)
        anchor = "end" if place == last > 0 else "start" if place == 0 and last else "middle"
        at = {"start": _LEFT, "end": 100.0}.get(anchor, middle)
        yield tag("text", shown[place].name, x=f"{at:.2f}%", y="97%", text_anchor=anchor)


def _line(line: Line, count: int) -> Iterator[Element]:
    at = _LEFT + (100 - _LEFT) * line.at / count
    yield tag("line", x1=f"{at:.2f}%", x2=f"{at:.2f}%", y1="2%", y2=f"{_BOTTOM}%", class_="cut")
    right = line.at > count / 2
    shift = "-6" if right else "6"
    yield tag("text", line.name, x=f"{at:.2f}%", y="5%", dx=shift, text_anchor="end" if right else "start")


def _height(part: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * part


def _box(key: str, x: float, y: float, width: float, height: float) -> Element:
    return tag(
        "rect", x=f"{x:.2f}%", y=f"{y:.2f}%", width=f"{width:.2f}%", height=f"{height:.2f}%", class_=key
    )


def _swatch(key: str) -> Element:
    return tag("svg", _box(key, 0, 0, 100, 100), width="12", height="12", aria_hidden="true")
