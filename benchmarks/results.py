"""What the contenders of one scenario took, as a table."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.contenders import NOBODY
from benchmarks.measuring import Figure
from benchmarks.scenarios import Scenario
from benchmarks.sections import SKIPPED, Section

#: `due UPDATE p99`: 99 of 100 UPDATEs of rows that are due, by the application, took no longer meanwhile.
_HEADINGS: Final = ("", "seconds", "ratio", "batches alone", "µs a row", "WAL", "due UPDATE p99, ms", "MiB")


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
        left = {
            name: {figure.left for figure in figures}
            for name, figures in self.figures.items()
            if name != NOBODY.name
        }
        if len(set().union(*left.values())) > 1:
            message = f"{self.scenario.name}: not everybody left the same rows: {left}"
            raise SystemExit(message)

    def section(self) -> Section:
        """Return the table: medians, and ratios to the first contender of the same repeat."""
        first = next(iter(self.scenario.contenders)).name
        lines = [self._line(it.name, first) for it in self.scenario.contenders if it.name in self.figures]
        empty = [""] * (len(_HEADINGS) - 2)
        left_out = [(name, f"{SKIPPED}{why}", *empty) for name, why in self.skipped.items()]
        return Section(title=self._title(), lines=[_HEADINGS, *lines, *left_out])

    def _title(self) -> str:
        repeats = max(map(len, self.figures.values()), default=0)
        return f"{self.scenario.name}: {self.rows:,} rows, medians of {repeats}. {self.version}".strip()

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
            _median([late * 1000 for it in mine if (late := it.due.at(0.99)) is not None], "{:.1f}"),
            _median([it.memory / 2**20 for it in mine if it.memory is not None], "{:.0f}"),
        )


def _median(values: Sequence[float], spec: str) -> str:
    return spec.format(statistics.median(values)) if values else "-"
