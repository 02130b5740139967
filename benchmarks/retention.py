"""Retention beside other ways to delete: `make bench`, or `python -m benchmarks.retention`.

All work on the same rows in the same run, in turn: half of the table is expired, with indexes on
clock, tenant and user. A ratio is the time of one raw statement of the same repeat / the
contender's; 1 means that batches, journal, audit events and fencing cost nothing. Aegis also counts
before its first row, for the guards, and after its last, to tell what is left: `batches alone` is
the ratio without that. Each has to leave exactly the rows that the first one left.
"""

import argparse
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contenders import Contender
from benchmarks.measuring import measure
from benchmarks.results import Results, machine, show, write
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.servers import Place, place
from tests import mariadb


def main(words: Sequence[str] | None = None) -> list[Results]:
    """Measure, print, and write where that was asked for."""
    given = _arguments(words)
    chosen = [it for it in SCENARIOS if not given.only or any(only in it.name for only in given.only)]
    every = []
    for scenario in chosen:
        every.append(_scenario(scenario, given))
        show(every[-1])
    if given.write:
        command = f"python -m benchmarks.retention --rows {given.rows} --repeats {given.repeats}"
        write(given.write, every, [f"`{command}`", machine()])
    return every


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", action="append", help="a part of a scenario's name; may be repeated")
    parser.add_argument("--pause-share", type=float, default=0.0, help="0: full speed; 0.1: the default")
    parser.add_argument("--write", type=Path, help="a Markdown file for the results")
    return parser.parse_args(words)


def _scenario(scenario: Scenario, given: argparse.Namespace) -> Results:
    results = Results(scenario=scenario, rows=given.rows * scenario.factor)
    there = scenario.database != "mariadb" or mariadb.found()
    for contender in scenario.contenders:
        reason = contender.missing() if there else "no MariaDB on this machine"
        if reason:
            results.skipped[contender.name] = reason
    chosen = [item for item in scenario.contenders if item.name not in results.skipped]
    if len(chosen) > 1:
        with tempfile.TemporaryDirectory() as folder, place(scenario.database, Path(folder)) as where:
            results.version = where.version()
            for number in range(given.repeats):
                # Who begins changes from repeat to repeat.
                turn = number % len(chosen)
                _repeat(where, results, [*chosen[turn:], *chosen[:turn]], given)
    results.check()
    return results


def _repeat(
    where: Place, results: Results, contenders: Sequence[Contender], given: argparse.Namespace
) -> None:
    scenario = results.scenario
    for contender in contenders:
        name = f"bench_{secrets.token_hex(4)}"
        with where.copy(
            name,
            rows=results.rows,
            layout=scenario.layout,
            days=scenario.days,
            pause_share=given.pause_share,
        ) as copy:
            results.add(contender.name, measure(contender, copy, snapshot=scenario.snapshot))


if __name__ == "__main__":
    main()
