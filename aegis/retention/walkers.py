"""How a run goes through a table: each walker cuts the next portion after a mark.

* `TimeWalker`: slices of the clock's index, where few rows are due; on PostgreSQL also where the
  clock is in the order of the heap.
* `BlockWalker` (PostgreSQL, otherwise): blocks of the heap in order; concurrent updates can move
  a row past it, so the run sweeps again at the end.
* `KeyWalker` (MariaDB, SQLite, otherwise): ranges of the primary key.

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
from aegis.db.sizes import rows_about
from aegis.retention.target import Target

#: From this on, the clock's order is the heap's order.
CORRELATED: Final = 0.9
_BLOCK_BYTES: Final = 8192
#: Up to this share of the table, its index finds the rows that are due faster than a walk through all of it.
FEW: Final = 0.02


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
        self, connection: sa.Connection, parts: int, rows: int, due: sa.ColumnElement[bool]
    ) -> list[dict[str, Any]]:
        """Return the marks between so many ranges of about the same work.

        Args:
            connection: the data source.
            parts: how many ranges at most.
            rows: rows that are due.
            due: says which they are.

        """


class TimeWalker:
    """Slices on the clock; the key breaks ties where one instant holds more than a portion."""

    name = "time slices on the clock's index"

    def __init__(self, target: Target, *, as_stored: bool = False) -> None:
        self._table = target.layout.table
        self._clock = target.clock_column
        self._key = _stored(target.layout.key) if as_stored else target.layout.key
        self._target = target
        self._end: Any = None

    def until(self, end: Mapping[str, Any]) -> None:
        """End before an instant."""
        self._end = end["at"]

    def divide(
        self, connection: sa.Connection, parts: int, rows: int, due: sa.ColumnElement[bool]
    ) -> list[dict[str, Any]]:
        """Return instants with about the same number of due rows between them."""
        instants = (self._nth(connection, due, part * rows // parts) for part in range(1, parts))
        return [{"at": instant} for instant in dict.fromkeys(instants) if instant is not None]

    def cut(
        self, connection: sa.Connection, mark: Mapping[str, Any], size: int, cutoff: dt.datetime
    ) -> Portion:
        """Return the slice of the clock behind the mark."""
        if "tie" in mark:
            return self._cut_tie(connection, mark, size)
        expired = self._target.clock.expired(self._clock, cutoff)
        if self._end is not None:
            expired = sa.and_(expired, self._clock < self._value(connection, self._end))
        behind = (
            sa.and_(self._clock >= self._value(connection, mark["at"]), expired) if "at" in mark else expired
        )
        upper = self._nth(connection, behind, size)
        if upper is None:
            return Portion(within=behind, mark=None)
        if upper == mark.get("at"):
            return self._cut_tie(connection, {"at": upper, "tie": None}, size)
        return Portion(
            within=sa.and_(behind, self._clock < self._value(connection, upper)), mark={"at": upper}
        )

    def mark_at(self, connection: sa.Connection, moment: dt.datetime) -> dict[str, Any]:
        """Return the mark before the first row whose clock is not past a cutoff."""
        at = self._nth(connection, sa.not_(self._target.clock.expired(self._clock, moment)), 0)
        return {} if at is None else {"at": at}

    def _cut_tie(self, connection: sa.Connection, mark: Mapping[str, Any], size: int) -> Portion:
        instant = self._clock == self._value(connection, mark["at"])
        behind = instant if mark["tie"] is None else sa.and_(instant, after(self._key, mark["tie"]))
        last = nth_key(connection, self._key, behind, size)
        if last is None:
            beyond = self._clock > self._value(connection, mark["at"])
            if self._end is not None:
                beyond = sa.and_(beyond, self._clock < self._value(connection, self._end))
            upper = self._nth(connection, beyond, 0)
            return Portion(within=behind, mark=None if upper is None else {"at": upper})
        return Portion(within=sa.and_(behind, up_to(self._key, last)), mark={"at": mark["at"], "tie": last})

    def _nth(self, connection: sa.Connection, behind: sa.ColumnElement[bool], n: int) -> Any:
        """Return the n-th clock of a range as a mark keeps it; only that one is turned into text."""
        ordered = sa.select(self._clock.label("clock")).where(behind).order_by(self._clock)
        one = ordered.offset(n).limit(1).subquery()
        return connection.scalar(sa.select(dialects.as_text(connection, one.c.clock)))

    def _value(self, connection: sa.Connection, text: Any) -> sa.ColumnElement[Any]:
        return dialects.as_value(connection, text, self._clock.type)


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
        self, connection: sa.Connection, parts: int, rows: int, due: sa.ColumnElement[bool]
    ) -> list[dict[str, Any]]:
        """Return blocks with about the same number of due rows between them."""
        del rows
        place: sa.ColumnElement[Any] = sa.literal_column("ctid")
        shares = sa.literal([part / parts for part in range(1, parts)], sa.ARRAY(sa.Double))
        cuts = sa.cast(sa.func.percentile_disc(shares).within_group(place), sa.ARRAY(sa.Text))
        found = connection.scalar(sa.select(cuts).select_from(self._table).where(due)) or []
        return [{"block": block} for block in sorted({_block(tid) for tid in found} - {0})]

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
        self._key = _stored(target.layout.key) if as_stored else target.layout.key
        self._table = target.layout.table
        self._end: Sequence[Any] | None = None

    def until(self, end: Mapping[str, Any]) -> None:
        """End with a key."""
        self._end = end["key"]

    def divide(
        self, connection: sa.Connection, parts: int, rows: int, due: sa.ColumnElement[bool]
    ) -> list[dict[str, Any]]:
        """Return keys with the same number of due rows between them."""
        keys: list[list[Any]] = []
        behind = due
        for _ in range(1, parts):
            key = nth_key(connection, self._key, behind, max(1, rows // parts))
            if key is None:
                break
            keys.append(key)
            behind = sa.and_(due, after(self._key, key))
        return [{"key": key} for key in keys]

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


def choose(
    connection: sa.Connection,
    target: Target,
    *,
    cutoff: dt.datetime | None = None,
    expected: int | None = None,
) -> Walker:
    """Return the walker that suits the database, the table's layout, and how much of it is past its time.

    Args:
        connection: the data source.
        target: the table.
        cutoff: the latest one.
        expected: rows that are due, where they were counted.

    """
    as_stored = connection.dialect.name == dialects.SQLITE
    indexed = leads_an_index(connection, target.layout, target.clock_column)
    if indexed and cutoff is not None and _few(connection, target, cutoff, expected):
        return TimeWalker(target, as_stored=as_stored)
    if connection.dialect.name != dialects.POSTGRESQL:
        return KeyWalker(target, as_stored=as_stored)
    if target.layout.partitioned:
        return TimeWalker(target) if indexed else KeyWalker(target)
    order = correlation(connection, target.clock_column)
    ordered = order is None or abs(order) >= CORRELATED
    return TimeWalker(target) if indexed and ordered else BlockWalker(target)


def _few(connection: sa.Connection, target: Target, cutoff: dt.datetime, expected: int | None) -> bool:
    """Whether the clock's index is the shorter way: it passes what stays for another reason, too."""
    rows = rows_about(connection, target.layout.table)
    if rows is None or (expected or 0) > FEW * rows:
        return False
    past = sa.select(sa.literal(1)).where(target.clock.expired(target.clock_column, cutoff))
    some = past.select_from(target.layout.table).limit(int(FEW * rows) + 1).subquery()
    return int(connection.scalar(sa.select(sa.func.count()).select_from(some)) or 0) <= FEW * rows


def resume(
    connection: sa.Connection,
    target: Target,
    mark: Mapping[str, Any],
    *,
    cutoff: dt.datetime | None = None,
    expected: int | None = None,
) -> Walker:
    """Return the walker that made a mark, whatever the table looks like by now; any, for an empty one."""
    as_stored = connection.dialect.name == dialects.SQLITE
    if "at" in mark:
        return TimeWalker(target, as_stored=as_stored)
    if "block" in mark:
        return BlockWalker(target)
    if "key" in mark:
        return KeyWalker(target, as_stored=as_stored)
    return choose(connection, target, cutoff=cutoff, expected=expected)


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


def _stored(key: Sequence[sa.ColumnElement[Any]]) -> Sequence[sa.ColumnElement[Any]]:
    return [sa.type_coerce(column, sa.types.NullType()) for column in key]


def _block(tid: str) -> int:
    return int(tid.strip("()").partition(",")[0])


class _Tid(sa.types.UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "TID"
