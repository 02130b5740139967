"""How a run goes through a table: each walker cuts the next portion after a mark.

* `TimeWalker` (PostgreSQL, clock in the order of the heap): slices of the clock's index.
* `BlockWalker` (PostgreSQL, otherwise): blocks of the heap in order; concurrent updates can move
  a row past it, so the run sweeps again at the end.
* `KeyWalker` (MariaDB, SQLite): ranges of the primary key.

A portion is only a range. The statement that deletes repeats the whole predicate, so a row that
was refreshed, or put on hold, while its lock was waited for stays.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.reflection import correlation, leads_an_index
from aegis.retention.target import Target

#: From this on, the clock's order is the heap's order.
CORRELATED: Final = 0.9
_BLOCK_BYTES: Final = 8192


@dataclass(frozen=True, kw_only=True)
class Portion:
    """A range of the table, and the mark behind it."""

    within: sa.ColumnElement[bool]
    #: None: there is nothing behind this portion.
    mark: dict[str, Any] | None


class Walker(Protocol):
    """Cuts portions."""

    name: str

    def cut(
        self, connection: sa.Connection, mark: Mapping[str, Any], size: int, cutoff: dt.datetime
    ) -> Portion:
        """Return the portion of about `size` rows behind the mark."""

    def until(self, end: Mapping[str, Any]) -> None:
        """Walk no further than to this mark, which belongs to the next range."""

    def divide(
        self, connection: sa.Connection, parts: int, rows: int, cutoff: dt.datetime
    ) -> list[dict[str, Any]]:
        """Return the marks between so many ranges of about the same work.

        Args:
            connection: the data source.
            parts: how many ranges at most.
            rows: expired rows.
            cutoff: where the walk ends.

        """


class TimeWalker:
    """Slices on the clock; the key breaks ties where one instant holds more than a portion."""

    name = "time slices on the clock's index"

    def __init__(self, target: Target) -> None:
        self._table = target.layout.table
        self._clock = target.clock_column
        self._key = target.layout.key
        self._target = target
        self._end: Any = None

    def until(self, end: Mapping[str, Any]) -> None:
        """End before an instant."""
        self._end = end["at"]

    def divide(
        self, connection: sa.Connection, parts: int, rows: int, cutoff: dt.datetime
    ) -> list[dict[str, Any]]:
        """Return instants with about the same number of expired rows between them."""
        expired = self._target.clock.expired(self._clock, cutoff)
        instants = (self._nth(connection, expired, part * rows // parts) for part in range(1, parts))
        return [{"at": instant} for instant in dict.fromkeys(instants) if instant is not None]

    def cut(
        self, connection: sa.Connection, mark: Mapping[str, Any], size: int, cutoff: dt.datetime
    ) -> Portion:
        """Return the slice of the clock behind the mark."""
        if "tie" in mark:
            return self._cut_tie(connection, mark, size)
        expired = self._target.clock.expired(self._clock, cutoff)
        if self._end is not None:
            expired = sa.and_(expired, self._clock < self._value(self._end))
        behind = sa.and_(self._at_least(mark["at"]), expired) if "at" in mark else expired
        upper = self._nth(connection, behind, size)
        if upper is None:
            return Portion(within=behind, mark=None)
        if upper == mark.get("at"):
            return self._cut_tie(connection, {"at": upper, "tie": None}, size)
        return Portion(within=sa.and_(behind, self._clock < self._value(upper)), mark={"at": upper})

    def mark_at(self, connection: sa.Connection, moment: dt.datetime) -> dict[str, Any]:
        """Return the mark before the first row whose clock is not past a cutoff."""
        at = self._nth(connection, sa.not_(self._target.clock.expired(self._clock, moment)), 0)
        return {} if at is None else {"at": at}

    def _cut_tie(self, connection: sa.Connection, mark: Mapping[str, Any], size: int) -> Portion:
        instant = self._clock == self._value(mark["at"])
        behind = instant if mark["tie"] is None else sa.and_(instant, after(self._key, mark["tie"]))
        last = nth_key(connection, self._key, behind, size)
        if last is None:
            beyond = self._clock > self._value(mark["at"])
            if self._end is not None:
                beyond = sa.and_(beyond, self._clock < self._value(self._end))
            upper = self._nth(connection, beyond, 0)
            return Portion(within=behind, mark=None if upper is None else {"at": upper})
        return Portion(within=sa.and_(behind, up_to(self._key, last)), mark={"at": mark["at"], "tie": last})

    def _nth(self, connection: sa.Connection, behind: sa.ColumnElement[bool], n: int) -> Any:
        """Return the n-th clock of a range, as text; only that one is turned into text."""
        ordered = sa.select(self._clock.label("clock")).where(behind).order_by(self._clock)
        one = ordered.offset(n).limit(1).subquery()
        return connection.scalar(sa.select(dialects.as_text(connection, one.c.clock)))

    def _at_least(self, text: Any) -> sa.ColumnElement[bool]:
        return self._clock >= self._value(text)

    def _value(self, text: Any) -> sa.ColumnElement[Any]:
        return sa.cast(sa.literal(text, sa.Text), self._clock.type)


class BlockWalker:
    """Ranges of heap blocks, by ctid (PostgreSQL from 14 scans them without an index)."""

    name = "blocks of the heap, with a sweep at the end"

    def __init__(self, target: Target) -> None:
        self._table = target.layout.table
        self._rows_per_block = 0.0
        self._end: int | None = None

    def until(self, end: Mapping[str, Any]) -> None:
        """End before a block."""
        self._end = int(end["block"])

    def divide(
        self, connection: sa.Connection, parts: int, rows: int, cutoff: dt.datetime
    ) -> list[dict[str, Any]]:
        """Return blocks at the same distance from each other."""
        del rows, cutoff
        blocks = self._blocks(connection)
        return [
            {"block": block} for block in sorted({part * blocks // parts for part in range(1, parts)} - {0})
        ]

    def cut(
        self, connection: sa.Connection, mark: Mapping[str, Any], size: int, cutoff: dt.datetime
    ) -> Portion:
        """Return the next blocks."""
        del cutoff
        first, blocks = int(mark.get("block", 0)), self._blocks(connection)
        end = blocks if self._end is None else min(blocks, self._end)
        step = max(1, round(size / self._density(connection, blocks)))
        upper = first + step if self._end is None else min(first + step, self._end)
        place: sa.ColumnElement[Any] = sa.literal_column("ctid")
        within = sa.and_(place >= self._tid(first), place < self._tid(upper))
        return Portion(within=within, mark={"block": upper} if upper < end else None)

    def _blocks(self, connection: sa.Connection) -> int:
        size = sa.func.pg_relation_size(sa.func.to_regclass(self._qualified(connection)))
        return int(connection.scalar(sa.select(size)) or 0) // _BLOCK_BYTES

    def _density(self, connection: sa.Connection, blocks: int) -> float:
        if not self._rows_per_block:
            query = sa.text(
                "SELECT reltuples / GREATEST(relpages, 1) FROM pg_class WHERE oid = to_regclass(:name)"
            )
            known = connection.scalar(query, {"name": self._qualified(connection)})
            self._rows_per_block = max(1.0, float(known or 0)) if blocks else 1.0
        return self._rows_per_block

    def _qualified(self, connection: sa.Connection) -> str:
        return connection.dialect.identifier_preparer.format_table(self._table)

    def _tid(self, block: int) -> sa.ColumnElement[Any]:
        return sa.cast(sa.literal(f"({block},0)", sa.Text), _Tid())


class KeyWalker:
    """Ranges of the primary key.

    On SQLite a key is taken as it is stored: read as the declared type and bound again, a time in
    another form would be another value, and the walk would stand still.
    """

    name = "ranges of the primary key"

    def __init__(self, target: Target, *, as_stored: bool = False) -> None:
        key = target.layout.key
        self._key = [sa.type_coerce(column, sa.types.NullType()) for column in key] if as_stored else key
        self._table = target.layout.table
        self._end: Sequence[Any] | None = None

    def until(self, end: Mapping[str, Any]) -> None:
        """End with a key."""
        self._end = end["key"]

    def divide(
        self, connection: sa.Connection, parts: int, rows: int, cutoff: dt.datetime
    ) -> list[dict[str, Any]]:
        """Return keys with the same number of rows between them, whatever their age."""
        del rows, cutoff
        total = connection.scalar(sa.select(sa.func.count()).select_from(self._table)) or 0
        places = sorted({part * total // parts for part in range(1, parts)} - {0})
        keys = (nth_key(connection, self._key, sa.true(), place) for place in places)
        return [{"key": key} for key in keys if key is not None]

    def cut(
        self, connection: sa.Connection, mark: Mapping[str, Any], size: int, cutoff: dt.datetime
    ) -> Portion:
        """Return the keys behind the mark."""
        del cutoff
        behind = after(self._key, mark["key"]) if "key" in mark else sa.true()
        if self._end is not None:
            behind = sa.and_(behind, up_to(self._key, self._end))
        last = nth_key(connection, self._key, behind, size)
        if last is None:
            return Portion(within=behind, mark=None)
        return Portion(within=sa.and_(behind, up_to(self._key, last)), mark={"key": last})


def choose(connection: sa.Connection, target: Target) -> Walker:
    """Return the walker that suits the database and the table's layout."""
    if connection.dialect.name != dialects.POSTGRESQL:
        return KeyWalker(target, as_stored=connection.dialect.name == dialects.SQLITE)
    indexed = leads_an_index(connection, target.layout, target.clock_column)
    if target.layout.partitioned:
        return TimeWalker(target) if indexed else KeyWalker(target)
    order = correlation(connection, target.clock_column)
    ordered = order is None or abs(order) >= CORRELATED
    return TimeWalker(target) if indexed and ordered else BlockWalker(target)


def resume(connection: sa.Connection, target: Target, mark: Mapping[str, Any]) -> Walker:
    """Return the walker that made a mark, whatever the table looks like by now; any, for an empty one."""
    if "at" in mark:
        return TimeWalker(target)
    if "block" in mark:
        return BlockWalker(target)
    return choose(connection, target)


def first_mark(walker: Walker, connection: sa.Connection, moment: dt.datetime) -> dict[str, Any]:
    """Return the mark to begin at when the rows past a cutoff are done; empty: at the beginning."""
    return walker.mark_at(connection, moment) if isinstance(walker, TimeWalker) else {}


def after(key: Sequence[sa.ColumnElement[Any]], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Return the rows whose key comes after `values`, in the order of the key."""
    head: sa.ColumnElement[Any] = key[0]
    value = values[0]
    beyond: sa.ColumnElement[bool] = head > value
    if len(key) == 1:
        return beyond
    return sa.and_(head >= value, sa.or_(beyond, after(key[1:], values[1:])))


def up_to(key: Sequence[sa.ColumnElement[Any]], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Return the rows whose key is `values` or comes before it, in the order of the key."""
    head: sa.ColumnElement[Any] = key[0]
    value = values[0]
    within: sa.ColumnElement[bool] = head <= value
    if len(key) == 1:
        return within
    return sa.and_(within, sa.or_(head < value, up_to(key[1:], values[1:])))


def nth_key(
    connection: sa.Connection, key: Sequence[sa.ColumnElement[Any]], behind: sa.ColumnElement[bool], n: int
) -> list[Any] | None:
    """Return the n-th key of a range, or None when it holds fewer rows."""
    row = connection.execute(sa.select(*key).where(behind).order_by(*key).offset(n - 1).limit(1)).first()
    return None if row is None else list(row)


class _Tid(sa.types.UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "TID"
