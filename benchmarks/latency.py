"""How long the application's UPDATEs take while rows go: `python -m benchmarks.latency`.

Two sessions of the application send an UPDATE every 10 ms each: one of rows that are due, another one each
time, and one of a single hot row that stays. Each counts from when it was to begin, as users who do not wait
for each other see it: who comes while a statement holds the row's lock waits for its end.
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from benchmarks import retention
from benchmarks.contenders import DELETE_LIMIT, IN_LIMIT, NOBODY, RAW, Aegis, PtArchiver
from benchmarks.measuring import Figure, Latency
from benchmarks.program import arguments, finish
from benchmarks.results import Results
from benchmarks.scenarios import Scenario
from benchmarks.sections import SKIPPED, Lines, Section

_AEGIS: Final = (Aegis(), Aegis(name="Aegis, paced as it comes", gentle=True))
_SCENARIOS: Final = (
    Scenario(name="PostgreSQL", contenders=(NOBODY, RAW, *_AEGIS, IN_LIMIT), hot=True),
    Scenario(
        name="MariaDB",
        database="mariadb",
        contenders=(NOBODY, RAW, *_AEGIS, DELETE_LIMIT, PtArchiver()),
        hot=True,
    ),
)
_SHARES: Final = {"p50": 0.5, "p99": 0.99, "worst": 1.0}
_SESSIONS: Final[dict[str, Callable[[Figure], Latency]]] = {
    "hot row": lambda figure: figure.hot,
    "due row": lambda figure: figure.due,
}
_HEADINGS: Final = (
    "",
    *(f"{session} {share}, ms" for session in _SESSIONS for share in _SHARES),
    "UPDATEs",
    "seconds",
)


def main(words: Sequence[str] | None = None) -> list[Section]:
    """Measure, print, and write where that was asked for."""
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the table; half of them go")
    parser.add_argument("--only", choices=[it.name for it in _SCENARIOS])
    given = parser.parse_args(words)
    chosen = [it for it in _SCENARIOS if given.only in {None, it.name}]
    return finish("latency", words, _sections(chosen, given.rows, given.repeats), given.write)


def _sections(chosen: Sequence[Scenario], rows: int, repeats: int) -> Iterator[Section]:
    for scenario in chosen:
        results = retention.run(scenario, rows, repeats)
        title = f"UPDATEs beside a deletion, {scenario.name}: {rows:,} rows, medians of {repeats}"
        yield Section(title=f"{title}. {results.version}", lines=_lines(results))


def _lines(results: Results) -> Lines:
    lines: Lines = [_HEADINGS]
    for name, figures in results.figures.items():
        cells = [
            _median([late for figure in figures if (late := of(figure).at(share)) is not None])
            for of in _SESSIONS.values()
            for share in _SHARES.values()
        ]
        count = statistics.median(len(it.hot.times) for it in figures)
        seconds = statistics.median(it.seconds for it in figures)
        lines.append((name, *cells, f"{count:,.0f}", f"{seconds:.2f}"))
    empty = ("",) * (len(_HEADINGS) - 2)
    return lines + [(name, f"{SKIPPED}{why}", *empty) for name, why in results.skipped.items()]


def _median(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1000:,.1f}" if seconds else "-"


if __name__ == "__main__":
    main()
