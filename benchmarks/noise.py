"""Noise beside that of others, in one run: `make bench`, or `python -m benchmarks.noise`.

Milliseconds for one release of many numbers, microseconds for one of a single number; a ratio is to
numpy's raw noise of the same repeat, which is fast and unsafe. Peers come with `pip install -e .[peers]`;
who is missing is told. Goals: at most 3 times numpy, at least 50 times as fast as the fastest safe peer.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.audit import Lines, markdown, show
from benchmarks.noisemakers import AEGIS, MAKERS, NUMPY, Kind, Maker
from benchmarks.results import machine

_KINDS: Final[tuple[Kind, ...]] = ("laplace", "gaussian")
#: A release of one number is measured as this many of them.
_SINGLES: Final = 500
#: Who has taken as many seconds is not measured again.
_PATIENCE: Final = 10.0
#: Of so many numbers only numpy and Aegis make noise.
_LONG: Final = 10_000_000


def main(words: Sequence[str] | None = None) -> list[tuple[str, Lines]]:
    """Measure, print, and write where that was asked for."""
    given = _arguments(words)
    sections: list[tuple[str, Lines]] = []
    for kind in _KINDS:
        for count in (1, given.numbers, given.many):
            makers = MAKERS if count < _LONG else (NUMPY, AEGIS)
            sections.append(_compared(kind, count, makers, given.repeats))
            show(*sections[-1])
    if given.write:
        about = f"`python -m benchmarks.noise --numbers {given.numbers} --repeats {given.repeats}`"
        parts = ["# Results of the noise's benchmarks", about, f"{machine()}, numpy {np.__version__}"]
        parts += [f"## {title}\n\n{markdown(lines)}" for title, lines in sections]
        given.write.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return sections


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--numbers", type=int, default=1_000_000)
    parser.add_argument("--many", type=int, default=_LONG, help="for numpy and Aegis alone")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--write", type=Path, help="a Markdown file for the results")
    return parser.parse_args(words)


def _compared(kind: Kind, count: int, makers: Sequence[Maker], repeats: int) -> tuple[str, Lines]:
    ready, skipped = _prepared(kind, count, makers)
    spent: dict[str, list[float]] = {name: [] for name in ready}
    values = np.random.default_rng(1).uniform(-100, 100, count)
    for repeat in range(repeats):
        names = list(ready)
        # Each in turn, and another one first each time.
        for name in (*names[repeat % len(names) :], *names[: repeat % len(names)]):
            if sum(spent[name]) < _PATIENCE:
                spent[name].append(_seconds(ready[name], values))
    unit, factor = ("µs", 1e6) if count == 1 else ("ms", 1e3)
    lines: Lines = [("", unit, "times numpy", "times as fast is Aegis", "repeats", "safe")]
    for maker in makers:
        if maker.name in ready:
            lines.append(_line(maker, kind, spent, factor))
        else:
            lines.append((maker.name, f"skipped: {skipped[maker.name]}", "-", "-", "-", _safe(maker, kind)))
    numbers = "one number" if count == 1 else f"{count:,} numbers"
    return f"{kind.title()} noise on {numbers}, medians of up to {repeats}", lines


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
