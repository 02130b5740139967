"""What every program of the benchmarks shares: its arguments, and what it does with its tables."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from benchmarks.sections import Section, command

Item = TypeVar("Item")


def arguments(doc: str | None, *, repeats: int) -> argparse.ArgumentParser:
    """Return a parser that knows the arguments of all programs."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--write", type=Path, help="a Markdown file for the tables")
    return parser


def finish(
    module: str, words: Sequence[str] | None, sections: Iterable[Section], file: Path | None
) -> list[Section]:
    """Print each table as soon as it is there, and write them all where that was asked for."""
    made = []
    for section in sections:
        made.append(replace(section, command=command(module, _without_file(words))))
        section.show()
    if file:
        file.write_text("\n\n".join(["", *(it.markdown for it in made)]) + "\n", encoding="utf-8")
    return made


def progress(text: str) -> None:
    """Tell on the terminal how far it is."""
    print(f"  {text}", file=sys.stderr, flush=True)


def in_turn(items: Sequence[Item], repeat: int) -> list[Item]:
    """Return all, another one first in each repeat: who begins has no advantage."""
    turn = repeat % len(items)
    return [*items[turn:], *items[:turn]]


def _without_file(words: Sequence[str] | None) -> list[str]:
    said = list(sys.argv[1:] if words is None else words)
    if "--write" in said:
        place = said.index("--write")
        del said[place : place + 2]
    return said
