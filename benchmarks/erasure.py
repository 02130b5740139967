"""An erasure's parts beside their alternatives: `make bench`, or `python -m benchmarks.erasure`.

Scan: seconds for one table, searched for the values of more and more persons; a ratio is to one person.
Person: one person among 100 tables; plan, changes and search apart. People: one request for many, beside
the statements of each person one after the other. Requests: one for each of 20 people, with a search for each
of them and with one for all. Mask: one UPDATE by strategy, beside a raw one.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import erasing, scanning
from benchmarks.audit import Lines, markdown, show
from benchmarks.results import machine
from benchmarks.servers import place
from tests import mariadb

_PERSONS: Final = (1, 10, 100, 300)
_TABLES: Final = 100
_REQUESTS: Final = 20
_DATABASES: Final = {"postgresql": "PostgreSQL", "mariadb": "MariaDB", "sqlite": "SQLite"}


def main(words: Sequence[str] | None = None) -> list[tuple[str, Lines]]:
    """Measure, print, and write where that was asked for."""
    given = _arguments(words)
    sections: list[tuple[str, Lines]] = []
    for database in _DATABASES:
        if given.only in {None, "scan"} and (database != "mariadb" or mariadb.found()):
            sections.append(_scan(database, given.rows, given.repeats))
            show(*sections[-1])
    measures = {"person": _person, "people": _people, "requests": _requests, "mask": _mask}
    for name in [given.only] if given.only else measures:
        if name in measures:
            sections.append(measures[name](given.rows, given.repeats))
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
    parser.add_argument("--only", choices=["scan", "person", "people", "requests", "mask"])
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


def _person(rows: int, repeats: int) -> tuple[str, Lines]:
    people = max(rows // (_TABLES * erasing.EACH), repeats)
    lines: Lines = [("part", "seconds")]
    with (
        tempfile.TemporaryDirectory() as folder,
        place("postgresql", Path(folder)) as where,
        erasing.application(where, tables=_TABLES, people=people),
    ):
        found = [erasing.one_person(number + 1) for number in range(repeats)]
    for part in found[0]:
        lines.append((part, f"{statistics.median(one[part] for one in found):.2f}"))
    return f"One person among {_TABLES} tables and {rows:,} rows, PostgreSQL, medians of {repeats}", lines


def _people(rows: int, repeats: int) -> tuple[str, Lines]:
    people = max(rows // 100, 10)
    ratios, seconds = [], []
    for _ in range(repeats):
        with (
            tempfile.TemporaryDirectory() as folder,
            place("postgresql", Path(folder)) as where,
            erasing.application(where, tables=4, people=2 * people + 10) as made,
        ):
            loop = erasing.in_a_loop(made, range(1, people + 1))
            once = erasing.many_people(range(people + 1, 2 * people + 1))
            ratios.append(loop / once)
            seconds.append((loop, once))
    lines: Lines = [("way", "seconds", "ratio")]
    lines.append(("one after the other", f"{statistics.median(s[0] for s in seconds):.2f}", "1.00"))
    middle = statistics.median(s[1] for s in seconds)
    lines.append(("Aegis, searched and accounted for", f"{middle:.2f}", f"{statistics.median(ratios):.2f}"))
    return f"{people:,} people, 4 tables, PostgreSQL, medians of {repeats}", lines


def _requests(rows: int, repeats: int) -> tuple[str, Lines]:
    found: list[tuple[float, float]] = []
    for _ in range(repeats):
        with (
            tempfile.TemporaryDirectory() as folder,
            place("postgresql", Path(folder)) as where,
            erasing.application(where, tables=4, people=max(rows // (4 * erasing.EACH), 2 * _REQUESTS)),
        ):
            alone = erasing.requests_alone(range(1, _REQUESTS + 1))
            found.append((alone, erasing.requests_together(range(_REQUESTS + 1, 2 * _REQUESTS + 1))))
    lines: Lines = [("way", "seconds", "ratio")]
    lines.append(("a search for each", f"{statistics.median(one for one, _ in found):.2f}", "1.00"))
    ratio = statistics.median(one / all_ for one, all_ in found)
    lines.append(("one search for all", f"{statistics.median(it for _, it in found):.2f}", f"{ratio:.2f}"))
    return f"{_REQUESTS} requests, 4 tables of {rows // 4:,} rows, PostgreSQL, medians of {repeats}", lines


def _mask(rows: int, repeats: int) -> tuple[str, Lines]:
    with tempfile.TemporaryDirectory() as folder, place("postgresql", Path(folder)) as where:
        found = [erasing.masked(where, rows) for _ in range(repeats)]
    lines: Lines = [("strategy", "seconds", "ratio")]
    for strategy in found[0]:
        middle = statistics.median(one[strategy] for one in found)
        ratio = statistics.median(one["raw"] / one[strategy] for one in found)
        lines.append((strategy, f"{middle:.2f}", f"{ratio:.2f}"))
    return f"Masking {rows:,} rows with one UPDATE, PostgreSQL, medians of {repeats}", lines


if __name__ == "__main__":
    main()
