"""The figures of one contender, for people and for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.catalog import scoring
from benchmarks.catalog.scoring import Figures, Judged

_SHARES = ("precision", "recall", "f1")


def report(columns: Sequence[Judged], random_tables: set[tuple[str, str]], *, repeats: int) -> dict[str, Any]:
    """Return all figures of a contender as plain JSON.

    Args:
        columns: every labelled column with its prediction.
        random_tables: (application, table) of the tables that were drawn and not chosen.
        repeats: how often tables are drawn for the intervals.

    """
    content = scoring.content(columns)
    drawn = [it for it in content if (it.application, it.table) in random_tables]
    applications = sorted({it.application for it in columns})
    return {
        "content": _binary(content, repeats),
        "content of random tables": _binary(drawn, repeats),
        "direct identifiers": _binary(scoring.direct(columns), repeats),
        "all columns": _binary(columns, repeats),
        "applications": {
            name: _binary([it for it in content if it.application == name], repeats) for name in applications
        },
        "groups": {name: _plain(figures) for name, figures in scoring.by_group(columns).items()},
        "groups by application": {
            name: {
                key: _plain(figures)
                for key, figures in scoring.by_group([it for it in columns if it.application == name]).items()
            }
            for name in applications
        },
        "confusions": [
            {"label": label, "predicted": said, "columns": count}
            for label, said, count in scoring.confusions(columns)
        ],
    }


def _binary(columns: Sequence[Judged], repeats: int) -> dict[str, Any]:
    figures = scoring.binary(columns)
    return {
        "columns": len(columns),
        "unknown": scoring.abstentions(columns),
        **_plain(figures),
        "f1 with unknown as personal": round(scoring.binary(columns, unknown_is_personal=True).f1, 4),
        "intervals": {
            name: [round(end, 4) for end in ends]
            for name, ends in scoring.intervals(columns, repeats=repeats).items()
        },
    }


def _plain(figures: Figures) -> dict[str, Any]:
    shares = {name: round(getattr(figures, name), 4) for name in _SHARES}
    return {"personal": figures.hits + figures.misses, "found": figures.hits + figures.false_alarms, **shares}


def show(name: str, figures: Mapping[str, Any]) -> None:
    """Print the figures of a contender."""
    console = Console(width=120)
    console.print(_binary_table(name, figures))
    console.print(_group_table(figures["groups"]))
    pairs = Table(
        "label", "predicted", "columns", box=None, title="Confusions of groups", title_justify="left"
    )
    for it in figures["confusions"][:15]:
        pairs.add_row(it["label"], it["predicted"], str(it["columns"]))
    console.print(pairs)


def cells(figures: Mapping[str, Any], part: str) -> list[str]:
    """Return a line of a comparison; the mean gives every application the same weight."""
    line = figures[part]
    low, high = line["intervals"]["f1"]
    each = [it["f1"] for it in figures["applications"].values()]
    mean = f"{sum(each) / len(each):.3f}" if part == "content" else ""
    counts = [str(line["columns"]), str(line["personal"])]
    return [*counts, *(f"{line[it]:.3f}" for it in _SHARES), f"{low:.3f} to {high:.3f}", mean]


def _binary_table(name: str, figures: Mapping[str, Any]) -> Table:
    headings = (
        "",
        "columns",
        "personal",
        "precision",
        "recall",
        "F1",
        "95 % of F1",
        "unknown",
        "F1, unknown = personal",
    )
    table = Table(*headings, box=None, title=f"{name}: personal or not", title_justify="left")
    wholes = ("content", "content of random tables", "direct identifiers", "all columns")
    for title, line in [*((it, figures[it]) for it in wholes), *figures["applications"].items()]:
        low, high = line["intervals"]["f1"]
        shares = [f"{line[it]:.3f}" for it in _SHARES]
        counts = [str(line["columns"]), str(line["personal"])]
        other = f"{line['f1 with unknown as personal']:.3f}"
        table.add_row(title, *counts, *shares, f"{low:.3f} to {high:.3f}", str(line["unknown"]), other)
    return table


def _group_table(groups: Mapping[str, Any]) -> Table:
    headings = ("group", "labelled", "predicted", "precision", "recall", "F1")
    table = Table(*headings, box=None, title="By group", title_justify="left")
    for name, line in groups.items():
        table.add_row(name, str(line["personal"]), str(line["found"]), *(f"{line[it]:.3f}" for it in _SHARES))
    return table
