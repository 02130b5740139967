"""One HTML page that needs nothing but itself: no script, nothing that is loaded, everything escaped.

A page is a tree of elements, and a text is never anything else: what a database or a file calls its things
cannot become markup.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from cli import output

Content = Element | str | None

#: Whatever a page holds, a browser loads nothing for it and runs nothing in it.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def tag(name: str, *content: Content, **attributes: str) -> Element:
    """Return an element; what is None is left out, and `class_` is the attribute `class`."""
    made = Element(name, {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()})
    last: Element | None = None
    for item in content:
        if isinstance(item, Element):
            made.append(item)
            last = item
        elif item is not None and last is None:
            made.text = (made.text or "") + output.printable(item)
        elif item is not None and last is not None:
            last.tail = (last.tail or "") + output.printable(item)
    return made


def code(text: str) -> Element:
    """Return a name or a command as it is written."""
    return tag("code", text)


def command(text: str) -> Element:
    """Return a command on lines of its own, to be copied."""
    return tag("pre", code(text))


def facts(pairs: Iterable[tuple[Content, Content]]) -> Element:
    """Return names with what they are; a pair whose second half is None is left out."""
    known = [(name, value) for name, value in pairs if value is not None]
    items = [item for name, value in known for item in (tag("dt", name), tag("dd", value))]
    return tag("dl", *items, class_="facts")


def section(title: str, intro: Content, *content: Content) -> Element:
    """Return a part of a page; without content it says that there is none."""
    filled = any(item is not None for item in content)
    return tag("section", tag("h2", title), tag("p", intro if filled else "None."), *content)


def verdict(kind: str, *lines: tuple[str, str]) -> Element:
    """Return what a reader has to see first: `stop`, `wait` or `go`, each line with its strong beginning."""
    texts = [tag("p", tag("strong", start), rest) for start, rest in lines]
    return tag("div", *texts, class_=f"verdict {kind}")


def tiles(counts: Mapping[str, tuple[str, str]]) -> Element:
    """Return large figures: what → the figure, and its noun."""
    items = [
        tag("li", tag("b", figure), tag("span", f"{noun} {what}".strip()))
        for what, (figure, noun) in counts.items()
    ]
    return tag("ul", *items, class_="totals")


def rows_tile(count: int) -> tuple[str, str]:
    """Return a number of rows as a tile has it."""
    return output.number(count), "row" if count == 1 else "rows"


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[Content]],
    *,
    right: Sequence[str] = (),
    narrow: bool = False,
) -> Element:
    """Return a table; a cell knows its heading, for narrow screens.

    Args:
        headings: of the columns.
        rows: their cells.
        right: the columns of numbers.
        narrow: its columns fit beside each other on a narrow screen too.

    """
    style = {heading: {"class_": "number"} if heading in right else {} for heading in headings}
    head = tag("tr", *[tag("th", heading, scope="col", **style[heading]) for heading in headings])
    body = [
        tag(
            "tr",
            *[
                tag("td", tag("div", cell), data_label=h, **style[h])
                for h, cell in zip(headings, row, strict=True)
            ],
        )
        for row in rows
    ]
    kind = {} if narrow else {"class_": "cards"}
    return tag("table", tag("thead", head), tag("tbody", *body), **kind)


def page(title: str, *content: Content) -> str:
    """Return a whole page."""
    head = tag("head")
    SubElement(head, "meta", {"charset": "utf-8"})
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY})
    SubElement(head, "meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"})
    SubElement(head, "meta", {"name": "color-scheme", "content": "light dark"})
    head.append(tag("title", title))
    SubElement(head, "style").text = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    html = tag("html", head, tag("body", tag("main", *content)), lang="en")
    return f"<!doctype html>\n{tostring(html, encoding='unicode', method='html')}\n"
