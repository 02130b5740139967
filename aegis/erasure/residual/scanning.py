"""The residual scan of a database: every table of it, once, for everybody who is looked for.

Each stretch of a table is a reading transaction of its own, so that no snapshot is old and whoever scans may
stop after each and go on later. A row that the application moves meanwhile from a part that is still to be
read into one that was read already is not seen.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa

from aegis.db import transactions
from aegis.db.blocks import Begin, Block, Extent, Stretch, extent_of, read_stretch
from aegis.db.engines import reading
from aegis.db.searchable import Ground, Searchable, read_ground
from aegis.erasure.residual.finding import Finder, Judge, Sought, anybodys
from aegis.erasure.residual.hits import Hit, Hits
from aegis.errors import TooLong


@dataclass(frozen=True, kw_only=True)
class Mark:
    """How far a scan has come; what was found up to here was yielded."""

    schema: str | None
    name: str
    #: The page or row from which the table is still to be read; none: all of it.
    begin: int | None = None
    #: Whether nothing of the table is left.
    whole: bool = False

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"schema": self.schema, "name": self.name, "begin": self.begin, "whole": self.whole}

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Self:
        """Return it from plain data."""
        return cls(**plain)


@dataclass(frozen=True, kw_only=True)
class Scanned:
    """One stretch more."""

    #: The table that it was of.
    table: str
    #: Pages or rows of it that were read, and about how many there are.
    done: int
    total: int | None
    mark: Mark
    #: What was found since the mark before.
    hits: tuple[Hit, ...]


class Scan:
    """A scan of one database.

    Args:
        engine: the database, or a replica of it.
        label: what to call it in an error.
        sought: everybody who is looked for.
        judge: says whose a row is.
        digest: makes of a key that may be somebody's own value what can be shown.
        lock_ms: how long a lock is waited for.
        statement_ms: how long the statement of a stretch may take; it is made smaller when it takes longer.

    """

    def __init__(
        self,
        engine: sa.Engine,
        label: str,
        sought: Sought,
        *,
        judge: Judge = anybodys,
        digest: Callable[[str], str],
        lock_ms: int = 1_000,
        statement_ms: int = 15_000,
    ) -> None:
        self._engine = engine
        self._label = label
        self._finder = Finder(sought, judge, digest)
        self._lock_ms = lock_ms
        self._statement_ms = statement_ms

    def ground(self) -> Ground:
        """Return what is searched, and what is not."""
        with self._transaction() as connection:
            return read_ground(connection)

    def run(self, after: Mark | None = None) -> Iterator[Scanned]:
        """Search everything that is left after a mark, stretch by stretch.

        Raises:
            TooLong: a table that cannot be read in parts, or one page of it, took too long.
            UnsafeTable: row security hides rows.
            Refused: a right is missing.
            Passing, Unreachable: try again, from the last mark.

        """
        places = sorted(self.ground().places, key=_order)
        for place in places:
            if after is None or _order(place) > _order(after):
                yield from self._table(place, None)
            elif _order(place) == _order(after) and not after.whole:
                yield from self._table(place, after.begin)

    def _table(self, place: Searchable, first: int | None) -> Iterator[Scanned]:
        begin: Begin | None = None if first is None else (first,)
        extent = self._extent(place)
        size, done, waiting = extent.stretch, 0, Hits()
        more = True
        while more:
            try:
                read, hits = self._stretch(place, begin, size)
            except TooLong:
                if size == 1 or not extent.parted:
                    raise
                size = max(1, size // 4)
                continue
            waiting.add(hits)
            done, begin, more = done + read.size, read.after, read.after is not None
            # Where a mark cannot say how far it came, all that was found is told at the table's end.
            tell = extent.numbered or not more
            mark = _mark(place, begin if extent.numbered else None, whole=not more)
            found = tuple(waiting) if tell else ()
            yield Scanned(table=place.label, done=done, total=extent.total, mark=mark, hits=found)
            waiting = Hits() if tell else waiting
            size = min(extent.stretch, 2 * size)

    def _extent(self, place: Searchable) -> Extent:
        with self._transaction() as connection:
            return extent_of(connection, place)

    def _stretch(self, place: Searchable, begin: Begin | None, size: int) -> tuple[Stretch, Hits]:
        found = Hits()

        def take(block: Block) -> None:
            found.add(self._finder.hits(place, block))

        with self._transaction() as connection:
            return read_stretch(connection, place, begin, size, take), found

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with reading(self._engine, self._label) as connection:
            transactions.begin_work(connection, lock_ms=self._lock_ms, statement_ms=self._statement_ms)
            yield connection


def _order(place: Searchable | Mark) -> tuple[str, str]:
    return place.schema or "", place.name


def _mark(place: Searchable, begin: Begin | None, *, whole: bool) -> Mark:
    number = None if begin is None else int(begin[0])
    return Mark(schema=place.schema, name=place.name, begin=number, whole=whole)
