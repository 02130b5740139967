"""One HTML page that needs nothing but itself: no script, nothing that is loaded, everything escaped.

A page is a tree of elements, and a text is never anything else: what a database or a file calls its things
cannot become markup.
"""

from collections.abc import Iterable, Sequence
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


def table(headings: Sequence[str], rows: Iterable[Sequence[Content]], *, right: str = "") -> Element:
    """Return a table; a cell knows its heading, for narrow screens. `right` names the column of numbers."""
    style = {heading: {"class_": "number"} if heading == right else {} for heading in headings}
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
    return tag("table", tag("thead", head), tag("tbody", *body))


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
