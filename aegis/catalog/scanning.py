"""A live schema scanned table by table: read-only, bounded, and nothing of a row is kept."""

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from aegis.catalog.decision import ColumnDecision


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much of a table is looked at."""

    #: Rows of a table that are sampled, at most; 0: none.
    rows: int = 100
    #: How long one statement may take.
    statement_ms: int = 2_000
    #: How long a lock is waited for.
    lock_ms: int = 500


@dataclass(frozen=True, kw_only=True)
class TableScan:
    """What was found in one table."""

    table: str
    #: What a row of it stands for, in words.
    nature: str
    decisions: tuple[ColumnDecision, ...]
    #: Rows that were sampled; None: it was not sampled.
    sampled: int | None
    #: Why it was not sampled, or not fully; empty otherwise. Never a value.
    note: str = ""
    #: Tables that are done with this one, and all there are.
    done: int
    total: int


def scan(
    engine: sa.Engine, label: str, *, limits: Limits | None = None, only: frozenset[str] = frozenset()
) -> Iterator[TableScan]:
    """Scan the tables of a database, one after the other; whoever iterates may stop at any time.

    Args:
        engine: the database.
        label: what to call it in an error.
        limits: how much is looked at.
        only: labels of the tables to be scanned; none: all.

    Raises:
        UnknownName: there is no table of such a label.
        UnsafeTable: row security hides rows.
        Unreachable: it does not answer.

    """
    raise NotImplementedError((engine, label, limits, only))
