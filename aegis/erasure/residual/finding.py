"""Needles found in rows: first which rows may have one, many rows at once; then what is really in those."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from aegis.db.blocks import Block
from aegis.db.searchable import Searchable
from aegis.erasure.residual.anchors import Anchors
from aegis.erasure.residual.hits import Hit, Spot, Standing, Verdict
from aegis.erasure.residual.needles import Needle
from aegis.erasure.residual.spellings import folded, readings

#: Says whose a row is: of the person with this number, in the table with this label, the row with these
#: values by column, as text: its key, and every other column that was searched.
Judge = Callable[[int, str, Mapping[str, str]], Standing]
_NEWLINE: Final = 10
_NUMBER_OR_UUID: Final = re.compile(r"-?\d{1,19}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def anybodys(_person: int, _table: str, _row: Mapping[str, str]) -> Standing:
    """Say that no row is known to be of a person who is looked for."""
    return Standing.OTHER


class Sought:
    """The needles of everybody who is looked for, prepared once for all that is searched."""

    def __init__(self, needles: Iterable[Needle]) -> None:
        self.needles: dict[bytes, list[Needle]] = defaultdict(list)
        for needle in needles:
            for anchor in needle.anchors:
                self.needles[anchor].append(needle)
        self.anchors = Anchors(self.needles)


class Finder:
    """Finds the needles of many persons in one pass.

    Args:
        sought: everybody who is looked for.
        judge: says whose a row is.
        digest: makes of a key that may be somebody's own value what can be shown.

    """

    def __init__(self, sought: Sought, judge: Judge, digest: Callable[[str], str]) -> None:
        self._sought = sought
        self._judge = judge
        self._digest = digest

    def hits(self, place: Searchable, block: Block) -> Iterator[Hit]:
        """Yield what is found in some rows, a hit for each row."""
        for number, needles in self._candidates(block.lines):
            row = dict(zip(place.columns, block.cells(number), strict=True))
            yield from self._of_row(place, row, needles)

    def _candidates(self, lines: Sequence[bytes]) -> Iterator[tuple[int, list[Needle]]]:
        """Yield the rows whose folded form has the anchor of a needle."""
        text = folded(b"".join(lines))
        found: dict[int, dict[Needle, None]] = defaultdict(dict)
        ends = None
        for start, anchor in self._sought.anchors.find(text):
            if ends is None:
                ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == _NEWLINE)
            found[int(np.searchsorted(ends, start))].update(dict.fromkeys(self._sought.needles[anchor]))
        return ((number, list(needles)) for number, needles in found.items())

    def _of_row(self, place: Searchable, row: Mapping[str, str], needles: Sequence[Needle]) -> Iterator[Hit]:
        # An identifier may be looked for in two ways: what the surer one says counts.
        found: dict[tuple[int, str, str], tuple[bool, Needle]] = {}
        for column, cell in row.items():
            meanings = list(readings(cell)) if cell else []
            for needle in needles:
                alone = needle.found(meanings)
                what = (needle.person, needle.identifier, column)
                if alone is not None and (alone or what not in found):
                    found[what] = alone, needle
        spots = [
            self._spot(place, row, needle, column, alone=alone)
            for (_, _, column), (alone, needle) in found.items()
        ]
        samples = self._samples(place, row) if spots else ()
        yield from (Hit(**spot._asdict(), rows=1, samples=samples) for spot in spots)

    def _spot(
        self, place: Searchable, row: Mapping[str, str], needle: Needle, column: str, *, alone: bool
    ) -> Spot:
        standing = self._judge(needle.person, place.label, row)
        if standing is Standing.RETAINED:
            verdict = Verdict.RETAINED
        elif standing is Standing.OWN or (alone and needle.unique):
            verdict = Verdict.BLOCKING
        else:
            verdict = Verdict.POSSIBLE
        return Spot(needle.person, place.label, column, needle.identifier, verdict)

    def _samples(self, place: Searchable, row: Mapping[str, str]) -> tuple[str, ...]:
        parts = [f"{name}={self._shown(row[name], plain=name in place.plain_key)}" for name in place.key]
        return (", ".join(parts),) if parts else ()

    def _shown(self, value: str, *, plain: bool) -> str:
        # SQLite keeps anything in a column of whole numbers.
        return value if plain and _NUMBER_OR_UUID.fullmatch(value) else self._digest(value)
