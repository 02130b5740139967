"""The reference of settings and commands, and the links between all pages."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from docs.generate import FOLDER, pages
from tests.workerkit import ROOT

_LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
_CODE: Final = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
PAGES: Final = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *FOLDER.rglob("*.md")])


@pytest.mark.parametrize("name", sorted(pages()))
def test_is_what_is_generated(name: str) -> None:
    """`python -m docs.generate` changes nothing."""
    assert (FOLDER / name).read_text("utf-8") == pages()[name]


def test_every_setting_is_explained() -> None:
    """No setting is without a comment, nor is a field of its table empty."""
    rows = [line for line in pages()["configuration.md"].splitlines() if line.startswith("| `")]
    assert len(rows) > 70
    assert not [row for row in rows if re.search(r"\|\s*\|", row)]


def test_every_verb_is_told() -> None:
    """A verb three floors down is there, with its option."""
    page = pages()["commands.md"]
    for verb in ("doctor", "policy show", "audit keys turn", "erasure replay", "worker dead-letters"):
        assert re.search(rf"^####? aegis {verb}$", page, re.MULTILINE), verb
    assert "| `--sql` | The read-only query" in page


def anchors(page: Path) -> set[str]:
    """Return the headings of a page as links name them."""
    lines = _CODE.sub(lambda code: "" if code[0].startswith("```") else code[0], page.read_text("utf-8"))
    titles = re.findall(r"^#+ (.+)$", lines, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(page: Path) -> Iterator[str]:
    """Return the relative links of a page that lead nowhere."""
    for link in _LINK.findall(_CODE.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        there = page.parent / name if name else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_resolves(page: Path) -> None:
    """Each relative link names a file that is there, and a heading in it."""
    assert not list(broken(page))


def test_the_readme_names_every_page() -> None:
    """The index is complete: each page of docs/ is linked from the README."""
    linked = set(_LINK.findall((ROOT / "README.md").read_text("utf-8")))
    assert {f"docs/{page.name}" for page in FOLDER.glob("*.md")} <= {
        link.partition("#")[0] for link in linked
    }
