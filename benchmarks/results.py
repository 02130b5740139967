"""What was measured, as a table for the terminal and for a file."""

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Figure
from benchmarks.scenarios import Scenario

_HEADINGS: Final = ("", "seconds", "ratio", "batches alone", "µs a row", "WAL", "stall p99, ms", "MiB")


@dataclass(kw_only=True)
class Results:
    """The figures of one scenario: for each contender one for each repeat."""

    scenario: Scenario
    rows: int
    #: The database server's.
    version: str = ""
    figures: dict[str, list[Figure]] = field(default_factory=dict)
    #: contender → why it did not take part
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, figure: Figure) -> None:
        """Note a figure."""
        self.figures.setdefault(name, []).append(figure)

    def check(self) -> None:
        """Stop when somebody left other rows than the others: then it was not the same work."""
        left = {name: {figure.left for figure in figures} for name, figures in self.figures.items()}
        if len(set().union(*left.values())) > 1:
            message = f"{self.scenario.name}: not everybody left the same rows: {left}"
            raise SystemExit(message)

    def lines(self) -> list[tuple[str, ...]]:
        """Return the table: medians, and ratios to the first contender of the same repeat."""
        first = next(iter(self.scenario.contenders)).name
        lines = [self._line(it.name, first) for it in self.scenario.contenders if it.name in self.figures]
        empty = [""] * (len(_HEADINGS) - 2)
        return lines + [(name, f"skipped: {why}", *empty) for name, why in self.skipped.items()]

    def _line(self, name: str, first: str) -> tuple[str, ...]:
        mine = self.figures[name]
        pairs = list(zip(mine, self.figures[first], strict=True))
        seconds = statistics.median(figure.seconds for figure in mine)
        gone = max(1, self.rows - mine[0].left[0]) if "anonymize" not in self.scenario.name else self.rows / 2
        return (
            name,
            f"{seconds:.3f}",
            f"{statistics.median(raw.seconds / it.seconds for it, raw in pairs):.2f}",
            _median([raw.seconds / it.batches for it, raw in pairs if it.batches], "{:.2f}"),
            f"{seconds / gone * 1e6:.2f}",
            _median([it.wal / max(1, raw.wal) for it, raw in pairs if it.wal and raw.wal], "{:.2f}"),
            _median([it.stall * 1000 for it in mine if it.stall is not None], "{:.1f}"),
            _median([it.memory / 2**20 for it in mine if it.memory is not None], "{:.0f}"),
        )


def machine() -> str:
    """Return what the figures were taken on."""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, "
        f"Python {platform.python_version()}, SQLAlchemy {sa.__version__}"
    )


def show(results: Results) -> None:
    """Print a scenario."""
    table = Table(box=None, title=_title(results), title_justify="left")
    for heading in _HEADINGS:
        table.add_column(heading, no_wrap=True)
    for line in results.lines():
        table.add_row(*line)
    Console(width=140).print(table)


def write(path: Path, every: Sequence[Results], about: Sequence[str]) -> None:
    """Write all scenarios into a Markdown file."""
    parts = ["# Results of the benchmarks", *about, *(_section(results) for results in every)]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _section(results: Results) -> str:
    rows = [_HEADINGS, ["---"] * len(_HEADINGS), *results.lines()]
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    return f"## {_title(results)}\n\n" + "\n".join(lines)


def _title(results: Results) -> str:
    repeats = max(map(len, results.figures.values()), default=0)
    return f"{results.scenario.name}: {results.rows:,} rows, medians of {repeats}. {results.version}".strip()


def _median(values: Sequence[float], spec: str) -> str:
    return spec.format(statistics.median(values)) if values else "-"
