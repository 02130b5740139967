"""A table with its title and the command that made it: for the terminal, and as Markdown and back."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Self

from rich.console import Console
from rich.table import Table

#: A table: its headings, then its lines. The first cell of a line is its name.
Lines = list[tuple[str, ...]]

_TITLE: Final = "### "
#: A program that is not here, or a table that nothing was measured for.
SKIPPED: Final = "skipped: "


@dataclass(frozen=True, kw_only=True)
class Section:
    """One table."""

    title: str
    lines: Lines
    #: The command that made it.
    command: str = field(default="", compare=False)

    @property
    def markdown(self) -> str:
        """The section as it stands in a file."""
        headings, *lines = self.lines
        rows = [_row(headings), _row(["---"] * len(headings)), *map(_row, lines)]
        said = [f"{_TITLE}{self.title}", f"`{self.command}`" if self.command else ""]
        return "\n\n".join([*filter(None, said), "\n".join(rows)])

    def cell(self, line: str | int, heading: str) -> float | None:
        """Return a figure, or None where there is none.

        Args:
            line: its name, or its place: 0 is the first and -1 the last.
            heading: of the column.

        """
        headings, *lines = self.lines
        found = lines[line] if isinstance(line, int) else next((it for it in lines if it[0] == line), ())
        place = headings.index(heading) if heading in headings else len(headings)
        return number(found[place]) if place < len(found) else None

    def show(self) -> None:
        """Print it."""
        table = Table(box=None)
        for heading in self.lines[0]:
            table.add_column(heading, no_wrap=True)
        for line in self.lines[1:]:
            table.add_row(*line)
        console = Console(width=170)
        console.print(self.title, markup=False, highlight=False, style="italic")
        console.print(table, "")

    @classmethod
    def read(cls, text: str) -> Iterator[Self]:
        """Return the sections of a file or of a part of one."""
        for part in text.split(f"\n{_TITLE}")[1:]:
            title, *rest = part.splitlines()
            rows = [_cells(line) for line in rest if line.startswith("| ")]
            if len(rows) > 1:
                yield cls(title=title, lines=[rows[0], *rows[2:]])


def missing(title: str, why: str) -> Section:
    """Return what stands in the place of a table that cannot be made here."""
    return Section(title=title, lines=[("",), (f"{SKIPPED}{why}",)])


def find(sections: Iterable[Section], title: str) -> Section | None:
    """Return the last section whose title begins so, where `*` stands for anything."""
    found = [it for it in sections if fnmatchcase(it.title, f"{title}*")]
    return found[-1] if found else None


def number(cell: str) -> float | None:
    """Return the figure of a cell, or None."""
    try:
        return float(cell.replace(",", ""))
    except ValueError:
        return None


def command(module: str, words: Sequence[str]) -> str:
    """Return the command that makes the same again."""
    return shlex.join(["python", "-m", f"benchmarks.{module}", *words])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip().replace("&#124;", "|") for cell in line.strip().strip("|").split("|"))
