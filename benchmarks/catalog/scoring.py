"""How well predictions agree with labels: the arithmetic, without files and tools."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.catalog.categories import DIRECT, REFERENCE, UNKNOWN, group
from benchmarks.catalog.labels import Labels, Place

#: place → category, None for not personal, `unknown` for "a person must look"
Predictions = Mapping[Place, str | None]
_SEED: Final = 20261128
_PERCENTILES: Final = (2.5, 97.5)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One labelled column and what was said about it."""

    application: str
    table: str
    column: str
    label: str | None
    prediction: str | None


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Counts of agreement, and what follows from them."""

    #: Personal, and found.
    hits: int
    #: Not personal, and said to be.
    false_alarms: int
    #: Personal, and missed.
    misses: int

    @property
    def precision(self) -> float:
        """Share of what was found that is right; 0 where nothing was found."""
        return self.hits / max(1, self.hits + self.false_alarms)

    @property
    def recall(self) -> float:
        """Share of what is there that was found; 0 where nothing is there."""
        return self.hits / max(1, self.hits + self.misses)

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.hits / max(1, 2 * self.hits + self.false_alarms + self.misses)


def judge(labels: Labels, predictions: Predictions) -> list[Judged]:
    """Lay predictions beside the labels of an application.

    Raises:
        ValueError: a labelled column has no prediction.

    """
    missing = [".".join(place) for place in labels.categories if place not in predictions]
    if missing:
        message = f"{labels.application}: no prediction for {', '.join(missing[:5])} ({len(missing)} in all)"
        raise ValueError(message)
    return [
        Judged(
            application=labels.application,
            table=table,
            column=column,
            label=label,
            prediction=predictions[table, column],
        )
        for (table, column), label in labels.categories.items()
    ]


def content(columns: Iterable[Judged]) -> list[Judged]:
    """Leave out keys of persons and references to them."""
    return [it for it in columns if it.label != REFERENCE]


def direct(columns: Iterable[Judged]) -> list[Judged]:
    """Leave out what is personal without naming, reaching or describing anybody: texts, behaviour, health."""
    return [it for it in columns if it.label is None or group(it.label) in DIRECT]


def abstentions(columns: Iterable[Judged]) -> int:
    """Count the columns that were left to a person."""
    return sum(it.prediction == UNKNOWN for it in columns)


def binary(columns: Iterable[Judged], *, unknown_is_personal: bool = False) -> Figures:
    """Count agreement on personal or not."""
    outcomes = Counter(_outcome(it, unknown_is_personal=unknown_is_personal) for it in columns)
    return Figures(
        hits=outcomes[True, True], false_alarms=outcomes[False, True], misses=outcomes[True, False]
    )


def by_group(columns: Sequence[Judged]) -> dict[str, Figures]:
    """Count agreement in each group that somebody named: hit when both named it for the column."""
    pairs = [(group(it.label), group(it.prediction)) for it in columns]
    names = sorted({name for pair in pairs for name in pair} - {"-"})
    hits = Counter(label for label, said in pairs if label == said)
    labelled, predicted = Counter(label for label, _ in pairs), Counter(said for _, said in pairs)
    return {
        name: Figures(
            hits=hits[name], false_alarms=predicted[name] - hits[name], misses=labelled[name] - hits[name]
        )
        for name in names
    }


def confusions(columns: Iterable[Judged]) -> list[tuple[str, str, int]]:
    """Return (group of the label, group predicted, columns) where they differ, most first."""
    pairs = Counter(
        (group(it.label), UNKNOWN if it.prediction == UNKNOWN else group(it.prediction)) for it in columns
    )
    wrong = [(label, said, count) for (label, said), count in pairs.items() if label != said]
    return sorted(wrong, key=lambda it: (-it[2], it))


def intervals(columns: Sequence[Judged], *, repeats: int = 2000) -> dict[str, tuple[float, float]]:
    """Return 95 % percentile intervals of precision, recall and F1.

    Whole tables are drawn with replacement, as many from each application as it has: columns of one table
    are alike, and drawing single columns would promise too much.
    """
    tables: dict[str, dict[str, list[Judged]]] = {}
    for it in columns:
        tables.setdefault(it.application, {}).setdefault(it.table, []).append(it)
    random = np.random.default_rng(_SEED)
    drawn = np.zeros((repeats, 3))
    for of_application in tables.values():
        each = [binary(of_table) for of_table in of_application.values()]
        counts = np.array([(it.hits, it.false_alarms, it.misses) for it in each], dtype=float)
        drawn += random.multinomial(len(each), np.full(len(each), 1 / len(each)), size=repeats) @ counts
    hits, false_alarms, misses = drawn.T
    shares = {
        "precision": hits / np.maximum(1, hits + false_alarms),
        "recall": hits / np.maximum(1, hits + misses),
        "f1": 2 * hits / np.maximum(1, 2 * hits + false_alarms + misses),
    }
    return {name: _interval(values) for name, values in shares.items()}


def _interval(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, float]:
    low, high = np.percentile(values, _PERCENTILES)
    return float(low), float(high)


def _outcome(it: Judged, *, unknown_is_personal: bool) -> tuple[bool, bool]:
    said = unknown_is_personal if it.prediction == UNKNOWN else group(it.prediction) != "-"
    return it.label is not None, said
