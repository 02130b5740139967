"""Noise beside that of others, in one run: `python -m benchmarks.noise`.

Milliseconds for one release of many numbers, microseconds for one of a single number; a ratio is to
numpy's raw noise of the same repeat, which is fast and unsafe. Peers come with `pip install -e .[peers]`;
who is missing is told. Goals: at most 3 times numpy, at least 50 times as fast as the fastest safe peer.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from aegis.federated.clipping import clip_contributions
from benchmarks.noisemakers import AEGIS, MAKERS, NUMPY, Kind, Maker
from benchmarks.program import arguments, finish, in_turn, progress
from benchmarks.sections import SKIPPED, Lines, Section

_KINDS: Final[tuple[Kind, ...]] = ("laplace", "gaussian")
#: A release of one number is measured as this many of them.
_SINGLES: Final = 500
#: Who has taken as many seconds is not measured again.
_PATIENCE: Final = 10.0
#: Of so many numbers only numpy and Aegis make noise.
_LONG: Final = 10_000_000
_CONTRIBUTIONS: Final = 5


def main(words: Sequence[str] | None = None) -> list[Section]:
    """Measure, print, and write where that was asked for."""
    parser = arguments(__doc__, repeats=7)
    parser.add_argument("--numbers", type=int, default=1_000_000)
    parser.add_argument("--many", type=int, default=_LONG, help="for numpy and Aegis alone")
    given = parser.parse_args(words)
    return finish("noise", words, _sections(given), given.write)


def _sections(given: argparse.Namespace) -> Iterator[Section]:
    for kind in _KINDS:
        for count in (1, given.numbers, given.many):
            makers = MAKERS if count < _LONG else (NUMPY, AEGIS)
            yield _compared(kind, count, makers, given.repeats)
    yield _clipped(given.numbers, given.repeats)


def _compared(kind: Kind, count: int, makers: Sequence[Maker], repeats: int) -> Section:
    ready, skipped = _prepared(kind, count, makers)
    progress(f"{kind} noise on {count:,} numbers")
    spent: dict[str, list[float]] = {name: [] for name in ready}
    values = np.random.default_rng(1).uniform(-100, 100, count)
    for repeat in range(repeats):
        for name in in_turn(list(ready), repeat):
            if sum(spent[name]) < _PATIENCE:
                spent[name].append(_seconds(ready[name], values))
    unit, factor = ("µs", 1e6) if count == 1 else ("ms", 1e3)
    lines: Lines = [("", unit, "times numpy", "times as fast is Aegis", "repeats", "safe")]
    for maker in makers:
        if maker.name in ready:
            lines.append(_line(maker, kind, spent, factor))
        else:
            lines.append((maker.name, f"{SKIPPED}{skipped[maker.name]}", "-", "-", "-", _safe(maker, kind)))
    numbers = "one number" if count == 1 else f"{count:,} numbers"
    return Section(title=f"{kind.title()} noise on {numbers}, medians of up to {repeats}", lines=lines)


def _clipped(count: int, repeats: int) -> Section:
    """Clip one contribution of so many numbers after the other, beside numpy's float arithmetic."""
    values = np.random.default_rng(1).standard_normal((_CONTRIBUTIONS, count))

    def plainly(given: Any) -> Any:
        norms = np.linalg.norm(given, axis=1, keepdims=True)
        return (given * np.minimum(1.0, 1.0 / norms)).sum(axis=0)

    ways: dict[str, Callable[[Any], Any]] = {
        "numpy, float sums": plainly,
        "Aegis, whole steps": lambda given: clip_contributions(given, norm="l2", bound=1.0),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats):
        for name in in_turn(list(ways), repeat):
            progress(f"clipping, {name}, {repeat + 1} of {repeats}")
            began = time.perf_counter()
            ways[name](values)
            spent[name].append((time.perf_counter() - began) / _CONTRIBUTIONS)
    first = spent["numpy, float sums"]
    lines: Lines = [("", "ms a contribution", "times numpy")]
    for name, mine in spent.items():
        lines.append((name, f"{statistics.median(mine) * 1e3:,.3f}", f"{_ratio(mine, first):.2f}"))
    return Section(title=f"Clipping contributions of {count:,} numbers, medians of {repeats}", lines=lines)


def _prepared(
    kind: Kind, count: int, makers: Sequence[Maker]
) -> tuple[dict[str, Callable[[Any], Any]], dict[str, str]]:
    ready, skipped = {}, {}
    for maker in makers:
        try:
            ready[maker.name] = maker.make(kind, count)
        except ImportError as error:
            skipped[maker.name] = str(error)
    return ready, skipped


def _seconds(release: Callable[[Any], Any], values: Any) -> float:
    rounds = _SINGLES if len(values) == 1 else 1
    began = time.perf_counter()
    for _ in range(rounds):
        release(values)
    return (time.perf_counter() - began) / rounds


def _line(maker: Maker, kind: Kind, spent: dict[str, list[float]], factor: float) -> tuple[str, ...]:
    mine = spent[maker.name]
    return (
        maker.name,
        f"{statistics.median(mine) * factor:,.1f}",
        f"{_ratio(mine, spent[NUMPY.name]):.2f}",
        f"{_ratio(mine, spent[AEGIS.name]):.1f}",
        str(len(mine)),
        _safe(maker, kind),
    )


def _ratio(mine: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of what each repeat took beside another's of the same repeat."""
    return statistics.median(it / other for it, other in zip(mine, others, strict=False))


def _safe(maker: Maker, kind: Kind) -> str:
    return "yes" if kind in maker.safe else "no"


if __name__ == "__main__":
    main()
