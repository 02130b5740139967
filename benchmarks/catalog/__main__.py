"""`python -m benchmarks.catalog score`: one contender; `... peers`: the other tools, for RESULTS.md."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.catalog import peers, report, scoring
from benchmarks.catalog.applications import of_split
from benchmarks.catalog.contenders import CONTENDERS, Contender, NotThere
from benchmarks.catalog.labels import read_labels
from benchmarks.catalog.samples import sample
from benchmarks.catalog.schemas import read_schema

_SPLITS = ("dev", "heldout")


def main(words: Sequence[str] | None = None) -> int:
    """Score; return 0, or 5 where a contender is not there."""
    given = _arguments(words)
    names = [given.contender] if given.verb == "score" else [peer.name for peer in peers.PEERS]
    try:
        figures = {name: _figures(CONTENDERS[name], given) for name in names}
    except NotThere as error:
        print(error, file=sys.stderr)
        return 5
    if given.json:
        print(json.dumps({"split": given.split or "all", "contenders": figures}, indent=1))
    elif given.verb == "score":
        report.show(given.contender, figures[given.contender])
    else:
        _compare(figures)
    return 0


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.catalog", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    score = verbs.add_parser("score", help="one contender in full")
    score.add_argument("--contender", choices=sorted(CONTENDERS), default="aegis")
    for verb in (score, verbs.add_parser("peers", help="the other tools, side by side")):
        verb.add_argument("--split", choices=_SPLITS)
        verb.add_argument("--json", action="store_true")
        verb.add_argument("--repeats", type=int, default=2000, help="draws for the intervals")
    return parser.parse_args(words)


def _figures(contender: Contender, given: argparse.Namespace) -> dict[str, Any]:
    columns: list[scoring.Judged] = []
    drawn: set[tuple[str, str]] = set()
    for application in of_split(given.split):
        schema = read_schema(application.name)
        columns += scoring.judge(read_labels(application.name), contender(schema))
        drawn |= {(application.name, table) for table in sample(schema).drawn}
    return report.report(columns, drawn, repeats=given.repeats)


def _compare(figures: dict[str, dict[str, Any]]) -> None:
    console = Console(width=120)
    for part in ("content", "content of random tables", "direct identifiers", "all columns"):
        headings = (
            "",
            "columns",
            "personal",
            "precision",
            "recall",
            "F1",
            "95 % of F1",
            "mean F1 of applications",
        )
        table = Table(*headings, box=None, title=part, title_justify="left")
        for name, figure in figures.items():
            table.add_row(name, *report.cells(figure, part))
        console.print(table)
    groups = sorted({group for figure in figures.values() for group in figure["groups"]})
    table = Table("F1 by group", *figures, box=None)
    for group in groups:
        shares = [figure["groups"].get(group, {}).get("f1", 0.0) for figure in figures.values()]
        table.add_row(group, *(f"{it:.3f}" for it in shares))
    console.print(table)


if __name__ == "__main__":
    raise SystemExit(main())
