"""The pages of the documentation as tests read them: fenced blocks, and commands in the text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.workerkit import ROOT

DOCS: Final = ROOT / "docs"
#: Pages with examples; those that are written from the code have none of their own.
PAGES: Final = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(page for page in DOCS.glob("*.md") if page.stem not in {"commands", "configuration"}),
)
_FENCE: Final = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SPAN: Final = re.compile(r"`((?:[^`\n]|\n(?!\n))+)`")
#: What differs each time: ids, public keys, numbers, times, and how long it took.
_VARIES: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=-1:)[\w+/]{43}=|[\d,.]*\d")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        """Return where it stands."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True, kw_only=True)
class Told:
    """A command of a page, and the lines that the page shows of its output."""

    block: Block
    command: str
    shown: tuple[str, ...]


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """Return the fenced blocks of a page, in its order."""
    text = page.read_text("utf-8")
    found = []
    for match in _FENCE.finditer(text):
        indent, language, inside = match.groups()
        lines = [line.removeprefix(indent) for line in inside.splitlines(keepends=True)]
        place = text.count("\n", 0, match.start()) + 1
        found.append(Block(page=page, line=place, language=language, text="".join(lines)))
    return tuple(found)


def every(*languages: str) -> list[Block]:
    """Return the blocks of these languages on all pages."""
    return [block for page in PAGES for block in blocks(page) if block.language in languages]


def told(block: Block) -> Iterator[Told]:
    """Return each command of a console block; a line that ends in a backslash goes on."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, *shown = re.sub(r"\s*\\\n\s*", " ", part).splitlines()
        lines = tuple(line for line in shown if line.strip())
        yield Told(block=block, command=command, shown=lines)


def spans(page: Path) -> Iterator[str]:
    """Return what stands in backticks in the text of a page, on one line each."""
    for span in _SPAN.findall(_FENCE.sub("", page.read_text("utf-8"))):
        yield " ".join(span.split())


def like(line: str) -> str:
    """Return a line without what differs each time."""
    return " ".join(_VARIES.sub("#", line).split())


def compare(one: Told, printed: str) -> None:
    """Assert that each line of the page was printed, in its order; … stands for anything."""
    lines = iter([like(line) for line in printed.splitlines()])
    for line in one.shown:
        if line.strip() != "…":
            wanted = re.escape(like(line)).replace("…", ".*")
            assert any(re.fullmatch(wanted, found) for found in lines), (
                f"{one.block}\n$ {one.command}\nnot printed, or not in this order: {line}\n{printed}"
            )
