"""Retention beside other ways to delete: `python -m benchmarks.retention`.

All work on the same rows in the same run, in turn: half of the table is expired, with indexes on
clock, tenant and user. A ratio is the time of one raw statement of the same repeat / the
contender's; 1 means that batches, journal, audit events and fencing cost nothing. Aegis also counts
before its first row, for the guards, and after its last, to tell what is left: `batches alone` is
the ratio without that. Each has to leave exactly the rows that the first one left.
"""

import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from benchmarks.contenders import Contender
from benchmarks.copies import Copy
from benchmarks.measuring import Figure, measure
from benchmarks.program import arguments, finish, in_turn, progress
from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.sections import Section
from benchmarks.servers import Place, place
from tests import mariadb


def main(words: Sequence[str] | None = None) -> list[Section]:
    """Measure, print, and write where that was asked for."""
    parser = arguments(__doc__, repeats=5)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--only", action="append", help="a part of a scenario's name; may be repeated")
    given = parser.parse_args(words)
    chosen = [it for it in SCENARIOS if not given.only or any(only in it.name for only in given.only)]
    sections = (run(it, given.rows, given.repeats).section() for it in chosen)
    return finish("retention", words, sections, given.write)


def run(scenario: Scenario, rows: int, repeats: int) -> Results:
    """Let everybody who can take part in a scenario do it, in turn, and compare what they left."""
    results = Results(scenario=scenario, rows=rows)
    there = scenario.database != "mariadb" or mariadb.found()
    for contender in scenario.contenders:
        reason = contender.missing() if there else "no MariaDB on this machine"
        if reason:
            results.skipped[contender.name] = reason
    chosen = [item for item in scenario.contenders if item.name not in results.skipped]
    if len(chosen) > 1:
        with tempfile.TemporaryDirectory() as folder, place(scenario.database, Path(folder)) as where:
            results.version = where.version()
            progress(f"{scenario.name}: {rows:,} rows are made")
            for repeat, contender, figure in _figures(where, scenario, rows, chosen, repeats):
                said = f"{repeat + 1} of {repeats}: {contender.name}, {figure.seconds:.2f} s"
                progress(f"{scenario.name}, {said}")
                results.add(contender.name, figure)
    results.check()
    return results


def _figures(
    where: Place, scenario: Scenario, rows: int, contenders: Sequence[Contender], repeats: int
) -> Iterator[tuple[int, Contender, Figure]]:
    with _model(where, scenario, rows) as model:
        for repeat in range(repeats):
            for contender in in_turn(contenders, repeat):
                with _copy(where, scenario, rows, model) as copy:
                    yield (
                        repeat,
                        contender,
                        measure(contender, copy, snapshot=scenario.snapshot, hot=scenario.hot),
                    )


def _model(where: Place, scenario: Scenario, rows: int) -> AbstractContextManager[Copy | None]:
    """Make the rows once, where each contender's copy can be taken from files."""
    return _copy(where, scenario, rows) if scenario.database == "postgresql" else nullcontext()


def _copy(
    where: Place, scenario: Scenario, rows: int, model: Copy | None = None
) -> AbstractContextManager[Copy]:
    name = f"bench_{secrets.token_hex(4)}"
    return where.copy(name, rows=rows, layout=scenario.layout, days=scenario.days, model=model)


if __name__ == "__main__":
    main()
