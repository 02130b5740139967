"""Counting rows of a table: each one, or a sample of the table's blocks with its margin."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.sql.util import ClauseAdapter

from aegis.db import dialects, transactions
from aegis.db.engines import attempt
from aegis.db.sizes import size_of
from aegis.errors import TooLong, UsageError
from aegis.retention.stages import Stage
from aegis.retention.target import Target

#: Blocks that a sample reads: 16 MiB, in a moment.
SAMPLE_BLOCKS: Final = 2_000
#: Standard errors either side that hold the truth 95 times in 100.
_CONFIDENCE: Final = 1.96
Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """How counts were estimated."""

    #: Share of the table's blocks that was read, from 0 to 1.
    share: float
    #: The rows that would go are, 95 times in 100, no more than this away from the estimate.
    margin: int


class Counter(Protocol):
    """Counts rows of one table."""

    def count(self, which: sa.ColumnElement[bool]) -> int:
        """Return how many rows fit."""

    def groups(
        self, by: list[sa.ColumnElement[Any]], which: sa.ColumnElement[bool]
    ) -> Iterator[tuple[Any, ...]]:
        """Return for each group its values, then how many rows fit."""

    def sample(self, which: sa.ColumnElement[bool]) -> Sample | None:
        """Return how well `which` was estimated; None: it was counted."""


class Exact:
    """Counts every row; an index answers where it can."""

    def __init__(self, connection: sa.Connection, target: Target) -> None:
        self._connection = connection
        self._table = target.layout.table

    def count(self, which: sa.ColumnElement[bool]) -> int:
        """Return how many rows fit."""
        query = sa.select(sa.func.count()).select_from(self._table).where(which)
        return int(self._connection.scalar(query) or 0)

    def groups(
        self, by: list[sa.ColumnElement[Any]], which: sa.ColumnElement[bool]
    ) -> Iterator[tuple[Any, ...]]:
        """Return for each group its values, then how many rows fit."""
        yield from _groups(self._connection, sa.select(*by).select_from(self._table).where(which))

    def sample(self, which: sa.ColumnElement[bool]) -> Sample | None:
        """Return None: every row was counted."""
        del which
        return None


class Patient(Exact):
    """Counts every row, and spends no more than so many seconds on all its questions together."""

    def __init__(self, connection: sa.Connection, target: Target, seconds: float, usual_ms: int) -> None:
        super().__init__(connection, target)
        self._end = self._until = time.monotonic() + seconds
        #: What any other statement of the transaction may take.
        self._usual_ms = usual_ms

    def count(self, which: sa.ColumnElement[bool]) -> int:
        """Return how many rows fit.

        Raises:
            TooLong: the time is over.

        """
        self._hurry()
        return super().count(which)

    def groups(
        self, by: list[sa.ColumnElement[Any]], which: sa.ColumnElement[bool]
    ) -> Iterator[tuple[Any, ...]]:
        """Return for each group its values, then how many rows fit."""
        self._hurry()
        yield from super().groups(by, which)

    def within(self, ask: Callable[[], Answer]) -> Answer | None:
        """Return what `ask` found; None when it takes half of the time that is left, and the work goes on."""
        now = time.monotonic()
        self._until = now + max(0.0, self._end - now) / 2
        try:
            with attempt(self._connection, "data source"):
                self._hurry()
                return ask()
        except TooLong:
            return None
        finally:
            transactions.limit_statements(self._connection, self._usual_ms)

    def _hurry(self) -> None:
        """Limit the next statement to the time that is left."""
        left = max(0.0, self._until - time.monotonic())
        transactions.limit_statements(self._connection, max(1, round(1000 * left)))


class Sampled:
    """Counts the rows of some blocks of the heap (PostgreSQL), the same ones for every question."""

    def __init__(self, connection: sa.Connection, target: Target, share: float) -> None:
        self._connection = connection
        self._share = share
        self._table = target.layout.table.tablesample(sa.func.system(100 * share), seed=sa.literal(1))
        self._adapt = ClauseAdapter(self._table).traverse

    def count(self, which: sa.ColumnElement[bool]) -> int:
        """Return about how many rows fit."""
        query = sa.select(sa.func.count()).select_from(self._table).where(self._adapt(which))
        return self._scaled(int(self._connection.scalar(query) or 0))

    def groups(
        self, by: list[sa.ColumnElement[Any]], which: sa.ColumnElement[bool]
    ) -> Iterator[tuple[Any, ...]]:
        """Return for each group that the sample met its values, then about how many rows fit."""
        query = sa.select(*[self._adapt(column) for column in by]).select_from(self._table)
        for *values, rows in _groups(self._connection, query.where(self._adapt(which))):
            yield (*values, self._scaled(rows))

    def sample(self, which: sa.ColumnElement[bool]) -> Sample:
        """Return the margin: rows of one block are alike, so blocks are what varies."""
        block: sa.ColumnElement[float] = sa.literal_column("(ctid::text::point)[0]")
        each = sa.select(sa.func.count().label("rows")).select_from(self._table)
        each = each.where(self._adapt(which)).group_by(sa.literal_column("tableoid"), block)
        blocks = each.subquery()
        rows, squares = self._connection.execute(
            sa.select(sa.func.sum(blocks.c.rows), sa.func.sum(blocks.c.rows * blocks.c.rows))
        ).one()
        read = max(2.0, SAMPLE_BLOCKS)
        mean = float(rows or 0) / read
        variance = max(0.0, float(squares or 0) / read - mean * mean)
        error = math.sqrt(variance * read * (1 - self._share)) / self._share
        return Sample(share=self._share, margin=math.ceil(_CONFIDENCE * error))

    def _scaled(self, rows: int) -> int:
        return round(rows / self._share)


def counter(connection: sa.Connection, target: Target, *, sampled: bool) -> Counter:
    """Return what counts a table; a sample that would be the whole table counts every row.

    Raises:
        UsageError: a sample is asked for where the database cannot take one.

    """
    if not sampled:
        return Exact(connection, target)
    if connection.dialect.name != dialects.POSTGRESQL:
        message = "a sample of a table's blocks can be taken on PostgreSQL only; leave out --sampled"
        raise UsageError(message)
    return sampler(connection, target) or Exact(connection, target)


def sampler(connection: sa.Connection, target: Target) -> Counter | None:
    """Return what counts a sample; None where there is none, or where it would be the whole table."""
    size = size_of(connection, target.layout.table)
    if size is None or size.pages <= SAMPLE_BLOCKS:
        return None
    return Sampled(connection, target, SAMPLE_BLOCKS / size.pages)


def _groups(connection: sa.Connection, rows: sa.Select[Any]) -> Iterator[tuple[Any, ...]]:
    # Grouped outside, so that an expression with bound values stands in the statement once.
    seen = rows.subquery("seen")
    query = sa.select(*seen.c, sa.func.count()).group_by(*seen.c)
    for row in connection.execute(query, execution_options={"yield_per": 1000}):
        yield tuple(row)


def count(connection: sa.Connection, target: Target, which: sa.ColumnElement[bool]) -> int:
    """Count rows of the target."""
    return Exact(connection, target).count(which)


def unclocked(counter: Counter, target: Target, tenant: Any) -> int:
    """Count rows that never go because their timestamp is missing."""
    if not target.clock_column.nullable:
        return 0
    return counter.count(sa.and_(target.clock_column.is_(None), target.chosen(tenant)))


def foreseen(counter: Counter, stages: Sequence[Stage], tenant: Any) -> int:
    """Count the rows that a run's stages would change, legal holds left aside."""
    return sum(counter.count(stage.ahead.expired(stage.cutoffs, tenant)) for stage in stages)
