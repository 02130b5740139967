"""An erasure's parts beside their alternatives: `python -m benchmarks.erasure`.

Scan: seconds for one table, searched for the values of more and more persons; a ratio is to one person.
Person: one person among 100 tables; plan, changes and search apart, beside the statements alone. People: one
request for many, beside the statements of each person one after the other. Requests: one for each of 20
people, with a search for each of them and with one for all. Mask: one UPDATE by strategy, beside a raw one
and beside a row after the other.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks import erasing, scanning
from benchmarks.program import arguments, finish, progress
from benchmarks.sections import Lines, Section, missing
from benchmarks.servers import place
from tests import mariadb

_PERSONS: Final = (1, 10, 100, 300)
_TABLES: Final = 100
_REQUESTS: Final = 20
_DATABASES: Final = {"postgresql": "PostgreSQL", "mariadb": "MariaDB", "sqlite": "SQLite"}


def main(words: Sequence[str] | None = None) -> list[Section]:
    """Measure, print, and write where that was asked for."""
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["scan", "person", "people", "requests", "mask"])
    given = parser.parse_args(words)
    return finish("erasure", words, _sections(given), given.write)


def _sections(given: argparse.Namespace) -> Iterator[Section]:
    for database, name in _DATABASES.items():
        if given.only in {None, "scan"}:
            if database == "mariadb" and not mariadb.found():
                yield missing(f"Residual scan, {name}", "no MariaDB on this machine")
            else:
                yield _scan(database, given.rows, given.repeats)
    measures = {"person": _person, "people": _people, "requests": _requests, "mask": _mask}
    for name, measure in measures.items():
        if given.only in {None, name}:
            yield measure(given.rows, given.repeats)


def _scan(database: str, rows: int, repeats: int) -> Section:
    measured: dict[int, list[scanning.Searched]] = {persons: [] for persons in _PERSONS}
    with (
        tempfile.TemporaryDirectory() as folder,
        place(database, Path(folder)) as where,
        scanning.table(where, rows) as engine,
    ):
        for repeat in range(repeats):
            progress(f"residual scan, {_DATABASES[database]}, {repeat + 1} of {repeats}")
            # Each in turn: what else the machine does falls on all of them.
            for persons, found in measured.items():
                found.append(scanning.measure(engine, persons))
    lines: Lines = [("", "persons", "needles", "seconds", "µs a row", "ratio")]
    for persons, found in measured.items():
        for way in found[0].seconds:
            ones = [it.seconds[way] for it in measured[1]]
            ratio = statistics.median(it.seconds[way] / one for it, one in zip(found, ones, strict=True))
            middle = statistics.median(it.seconds[way] for it in found)
            counts = (str(persons), str(found[0].needles))
            spent = (f"{middle:.2f}", f"{middle / rows * 1e6:.2f}", f"{ratio:.2f}")
            lines.append((f"{way}, {persons}", *counts, *spent))
    title = f"Residual scan of {rows:,} rows, {_DATABASES[database]}, medians of {repeats}"
    return Section(title=title, lines=lines)


def _person(rows: int, repeats: int) -> Section:
    people = max(rows // (_TABLES * erasing.EACH), 2 * repeats)
    lines: Lines = [("part", "seconds")]
    with (
        tempfile.TemporaryDirectory() as folder,
        place("postgresql", Path(folder)) as where,
        erasing.application(where, tables=_TABLES, people=people) as made,
    ):
        found = []
        for number in range(repeats):
            progress(f"one person, {number + 1} of {repeats}")
            alone = erasing.in_a_loop(made, [2 * number + 1])
            found.append({"the statements alone": alone, **erasing.one_person(2 * number + 2)})
    for part in found[0]:
        lines.append((part, f"{statistics.median(one[part] for one in found):.3f}"))
    title = f"One person among {_TABLES} tables and {rows:,} rows, PostgreSQL, medians of {repeats}"
    return Section(title=title, lines=lines)


def _people(rows: int, repeats: int) -> Section:
    people = max(rows // 100, 10)
    ratios, seconds = [], []
    for repeat in range(repeats):
        progress(f"{people:,} people, {repeat + 1} of {repeats}")
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
    return Section(title=f"{people:,} people, 4 tables, PostgreSQL, medians of {repeats}", lines=lines)


def _requests(rows: int, repeats: int) -> Section:
    found: list[tuple[float, float]] = []
    for repeat in range(repeats):
        progress(f"{_REQUESTS} requests, {repeat + 1} of {repeats}")
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
    title = f"{_REQUESTS} requests, 4 tables of {rows // 4:,} rows, PostgreSQL, medians of {repeats}"
    return Section(title=title, lines=lines)


def _mask(rows: int, repeats: int) -> Section:
    with tempfile.TemporaryDirectory() as folder, place("postgresql", Path(folder)) as where:
        found = []
        for repeat in range(repeats):
            progress(f"masking, {repeat + 1} of {repeats}")
            found.append(erasing.masked(where, rows))
    lines: Lines = [("strategy", "µs a row", "ratio")]
    for strategy in found[0]:
        middle = statistics.median(one[strategy] for one in found)
        ratio = statistics.median(one["raw"] / one[strategy] for one in found)
        lines.append((strategy, f"{middle * 1e6:.2f}", f"{ratio:.2f}"))
    return Section(title=f"Masking {rows:,} rows, PostgreSQL, medians of {repeats}", lines=lines)


if __name__ == "__main__":
    main()
