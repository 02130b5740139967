"""RESULTS.md: one part for each program, the goals, and plots beside it; replaced whole or not at all."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks import goals, plots
from benchmarks.parts import PARTS
from benchmarks.sections import Section

_HEAD: Final = """# Results of the benchmarks

`make bench` writes this file, and `python -m benchmarks --only NAME` one part of it. In each table everybody
did the same work in the same run, in turn; figures are medians over the repeats. Over each stands the command
that makes it again: look at the ratios, since other machines have other times."""
_PART: Final = re.compile(r"<!-- begin: (\w+) -->\n(.*?)\n<!-- end: \1 -->", re.DOTALL)


def read(file: Path) -> dict[str, str]:
    """Return the text of each part that the file has, by its name."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return {found[1]: found[2] for found in _PART.finditer(text)}


def put(file: Path, name: str, about: str, sections: str) -> None:
    """Write the file with this part's tables new, and everything else as it was.

    Args:
        file: RESULTS.md; plots are written into `plots/` beside it.
        name: of the part.
        about: when and on which machine its tables were made.
        sections: the tables, as Markdown.

    """
    texts = read(file) | {name: f"{about}\n\n{sections.strip()}"}
    made = {it.name: list(Section.read(f"\n{texts[it.name]}")) for it in PARTS if it.name in texts}
    pictures = plots.of(made)
    folder = file.parent / "plots"
    folder.mkdir(exist_ok=True)
    for plot in pictures:
        _replace(folder / plot.file, plot.svg)
    _replace(file, _text(texts, made, pictures))


def _text(texts: Mapping[str, str], made: Mapping[str, list[Section]], pictures: list[plots.Plot]) -> str:
    parts = [_HEAD, goals.markdown(made)]
    for part in PARTS:
        if part.name in texts:
            shown = [f"![{it.what}](plots/{it.file})" for it in pictures if it.part == part.name]
            kept = f"<!-- begin: {part.name} -->\n{texts[part.name]}\n<!-- end: {part.name} -->"
            parts += [f"## {part.title}", part.about, *shown, kept]
    return "\n\n".join(parts) + "\n"


def _replace(file: Path, text: str) -> None:
    """Write a file so that it is at all times the old one or the new one."""
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)
