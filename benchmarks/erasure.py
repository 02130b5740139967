"""An erasure's parts beside their alternatives: `make bench`, or `python -m benchmarks.erasure`.

Scan: seconds for one table, searched for the values of more and more persons; a ratio is to one person.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import scanning
from benchmarks.audit import Lines, markdown, show
from benchmarks.results import machine
from benchmarks.servers import place
from tests import mariadb

_PERSONS: Final = (1, 10, 100, 300)
_DATABASES: Final = {"postgresql": "PostgreSQL", "mariadb": "MariaDB", "sqlite": "SQLite"}


def main(words: Sequence[str] | None = None) -> list[tuple[str, Lines]]:
    """Measure, print, and write where that was asked for."""
    given = _arguments(words)
    sections: list[tuple[str, Lines]] = []
    for database in _DATABASES:
        if database != "mariadb" or mariadb.found():
            sections.append(_scan(database, given.rows, given.repeats))
            show(*sections[-1])
    if given.write:
        about = f"`python -m benchmarks.erasure --rows {given.rows} --repeats {given.repeats}`"
        parts = ["# Results of the erasure's benchmarks", about, machine()]
        parts += [f"## {title}\n\n{markdown(lines)}" for title, lines in sections]
        given.write.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return sections


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["scan"])
    parser.add_argument("--write", type=Path, help="a Markdown file for the results")
    return parser.parse_args(words)


def _scan(database: str, rows: int, repeats: int) -> tuple[str, Lines]:
    measured: dict[int, list[scanning.Searched]] = {persons: [] for persons in _PERSONS}
    with (
        tempfile.TemporaryDirectory() as folder,
        place(database, Path(folder)) as where,
        scanning.table(where, rows) as engine,
    ):
        for _ in range(repeats):
            # Each in turn: what else the machine does falls on all of them.
            for persons, found in measured.items():
                found.append(scanning.measure(engine, persons))
    lines: Lines = [("persons", "needles", "way", "seconds", "ratio")]
    for persons, found in measured.items():
        for way in found[0].seconds:
            ones = [it.seconds[way] for it in measured[1]]
            ratio = statistics.median(it.seconds[way] / one for it, one in zip(found, ones, strict=True))
            middle = statistics.median(it.seconds[way] for it in found)
            lines.append((str(persons), str(found[0].needles), way, f"{middle:.2f}", f"{ratio:.2f}"))
    return f"Residual scan of {rows:,} rows, {_DATABASES[database]}, medians of {repeats}", lines


if __name__ == "__main__":
    main()
