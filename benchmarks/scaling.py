"""Larger and larger tables: what a row costs, and the memory: `python -m benchmarks.scaling`.

Half of each table goes. The memory is the most that the process took which advances the run.
"""

import statistics
from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks import retention
from benchmarks.contenders import RAW, Aegis
from benchmarks.measuring import Figure
from benchmarks.program import arguments, finish
from benchmarks.scenarios import Scenario
from benchmarks.sections import Lines, Section

_AEGIS: Final = Aegis()
_HEADINGS: Final = (
    "rows",
    "raw DELETE, s",
    "Aegis, s",
    "ratio",
    "batches alone",
    "raw DELETE, µs a row",
    "Aegis, µs a row",
    "Aegis, MiB",
)


def main(words: Sequence[str] | None = None) -> list[Section]:
    """Measure, print, and write where that was asked for."""
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 2_000_000, 5_000_000, 10_000_000])
    given = parser.parse_args(words)
    return finish("scaling", words, _sections(given.rows, given.repeats), given.write)


def _sections(sizes: Sequence[int], repeats: int) -> Iterator[Section]:
    lines: Lines = [_HEADINGS]
    version = ""
    for rows in sizes:
        scenario = Scenario(name="Scaling", contenders=(RAW, _AEGIS))
        results = retention.run(scenario, rows, repeats)
        lines.append(_line(rows, results.figures[RAW.name], results.figures[_AEGIS.name]))
        version = results.version
    title = f"Larger and larger tables, PostgreSQL, appended, medians of {repeats}. {version}"
    yield Section(title=title, lines=lines)


def _line(rows: int, raw: Sequence[Figure], mine: Sequence[Figure]) -> tuple[str, ...]:
    gone = rows - mine[0].left[0]
    seconds = [statistics.median(it.seconds for it in figures) for figures in (raw, mine)]
    pairs = list(zip(raw, mine, strict=True))
    return (
        f"{rows:,}",
        *(f"{it:.2f}" for it in seconds),
        f"{statistics.median(one.seconds / it.seconds for one, it in pairs):.2f}",
        f"{statistics.median(one.seconds / (it.batches or it.seconds) for one, it in pairs):.2f}",
        *(f"{it / gone * 1e6:.2f}" for it in seconds),
        f"{statistics.median(it.memory or 0 for it in mine) / 2**20:.0f}",
    )


if __name__ == "__main__":
    main()
