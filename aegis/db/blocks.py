"""Whole tables read in stretches, each short enough for a transaction of its own, as bytes.

PostgreSQL by pages, with COPY; SQLite by its own row numbers; MariaDB, and SQLite without row numbers, by the
primary key. A table that has none of these is one stretch. The database is asked for rows only: what is
looked for in them is known here alone.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from aegis.db import dialects, transactions
from aegis.db.compiling import driver_errors
from aegis.db.searchable import Searchable
from aegis.db.sizes import qualified, rows_about, size_of

#: What a stretch should not have more of.
_STRETCH_BYTES: Final = 8 << 20
_STRETCH_ROWS: Final = 10_000
#: What is looked through at once.
_BLOCK_BYTES: Final = 1 << 20
#: Rows that are fetched together.
_FETCH: Final = 1_000
#: What COPY writes for a character, beside a backslash for itself.
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_Row = TypeVar("_Row")
Cells = Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some rows: a line for each, whose cells stand between tabs, and what the cells are."""

    lines: Sequence[bytes]
    #: Returns the cells of one line.
    cells: Callable[[int], Cells]


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How a table is cut."""

    #: Pages, or rows; None where nobody knows.
    total: int | None
    #: What a stretch begins with: so many pages, or rows.
    stretch: int
    #: Whether a stretch can be told by a number, so that the next process goes on there.
    numbered: bool
    #: Whether there can be more than one stretch.
    parted: bool = True


#: Where a stretch begins: at a page, or behind the row with this number or key.
Begin = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """What was read."""

    #: Pages, or rows.
    size: int
    #: Where the next one begins; None at the end of the table.
    after: Begin | None


def extent_of(connection: sa.Connection, place: Searchable) -> Extent:
    """Say how a table is read."""
    name, table = connection.dialect.name, place.table
    # SQLite would have to read the table to know its size.
    size = None if name == dialects.SQLITE else size_of(connection, table)
    if name == dialects.POSTGRESQL:
        pages, total = (size.pages, size.rows) if size else (0, 0)
        return Extent(total=pages, stretch=_fitting(pages, total), numbered=True)
    rows = rows_about(connection, table)
    stretch = min(_STRETCH_ROWS, _fitting(rows, size.rows) if size and rows else _STRETCH_ROWS)
    numbered = place.rowid is not None
    return Extent(total=rows, stretch=stretch, numbered=numbered, parted=bool(_order(place, table)))


def read_stretch(
    connection: sa.Connection,
    place: Searchable,
    begin: Begin | None,
    size: int,
    take: Callable[[Block], None],
) -> Stretch:
    """Read one stretch of a table.

    Args:
        connection: in a reading transaction.
        place: the table.
        begin: where; none: at the beginning.
        size: how many pages, or rows, at most.
        take: is given the rows block by block.

    """
    if connection.dialect.name == dialects.POSTGRESQL:
        return _read_pages(connection, place, int(begin[0]) if begin else 0, size, take)
    return _read_rows(connection, place, begin, size, take)


def block_of(rows: Sequence[Sequence[Any]]) -> Block:
    """Return rows of values, of whatever type, as they are looked through."""
    return Block(lines=[_line(row) for row in rows], cells=partial(_cells_of_row, rows, None))


def _fitting(parts: int, total: int) -> int:
    """Return how many pages or rows a stretch may have, by what all of them take."""
    return max(1, _STRETCH_BYTES * parts // max(total, 1))


def _read_pages(
    connection: sa.Connection, place: Searchable, begin: int, size: int, take: Callable[[Block], None]
) -> Stretch:
    # A table grows: what was the last page when it was measured need not be the last one now.
    here = sa.text("SELECT pg_relation_size(to_regclass(:name)) / current_setting('block_size')::int")
    pages = int(connection.scalar(here, {"name": qualified(connection, place.table)}) or 0)
    end = begin + size if begin + size < pages else None
    blocks = _gathered(_copied(connection, place, begin, end), len, _BLOCK_BYTES)
    for lines in blocks:
        take(Block(lines=lines, cells=partial(_cells_of_line, lines)))
    return Stretch(size=(end or pages) - begin, after=None if end is None else (end,))


def _copied(connection: sa.Connection, place: Searchable, begin: int, end: int | None) -> Iterator[bytes]:
    transactions.write_exactly(connection)
    connection.execute(sa.select(sa.func.set_config("client_encoding", "UTF8", sa.true())))
    names = ", ".join(map(connection.dialect.identifier_preparer.quote, place.columns))
    until = f" AND ctid < '({end},0)'" if end is not None else ""
    text = (
        f"COPY (SELECT '', {names}, '' FROM ONLY {qualified(connection, place.table)} "  # noqa: S608 - from the catalog
        f"WHERE ctid >= '({begin},0)'{until}) TO STDOUT WITH (NULL '')"
    )
    cursor: Any = connection.connection.cursor()
    with driver_errors(connection, text), cursor.copy(text) as copy:
        yield from map(bytes, copy)


def _cells_of_line(lines: Sequence[bytes], number: int) -> Cells:
    cells = lines[number].rstrip(b"\n").decode("utf-8", "replace").split("\t")[1:-1]
    return [_ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), cell) for cell in cells]


def _read_rows(
    connection: sa.Connection,
    place: Searchable,
    begin: Begin | None,
    size: int,
    take: Callable[[Block], None],
) -> Stretch:
    table = place.table
    order = _order(place, table)
    cell = _decoded_here if _keeps_any_bytes(connection) else _as_it_is
    query = sa.select(*map(cell, table.c), *order).select_from(table)
    if place.versioned:
        query = query.with_hint(table, "FOR SYSTEM_TIME ALL")
    if order:
        query = query.order_by(*order).limit(size)
    if begin is not None:
        query = query.where(_after(order, begin))
    query = query.execution_options(yield_per=_FETCH)
    width, count, last = len(place.columns), 0, None
    result = connection.execute(query)
    for some in _gathered(((_line(row[:width]), row) for row in result), _length, _BLOCK_BYTES):
        lines, rows = zip(*some, strict=True)
        take(Block(lines=lines, cells=partial(_cells_of_row, rows, width)))
        count, last = count + len(rows), tuple(rows[-1][width:])
    return Stretch(size=count, after=last if order and count == size else None)


def _order(place: Searchable, table: sa.TableClause) -> list[sa.ColumnElement[Any]]:
    """Return what the rows are read by; a versioned table has several with one key."""
    if place.rowid:
        return [sa.literal_column(place.rowid)]
    return [] if place.versioned else [table.c[name] for name in place.key]


def _after(order: Sequence[sa.ColumnElement[Any]], begin: Sequence[Any]) -> sa.ColumnElement[bool]:
    steps = []
    for place, column in enumerate(order):
        same = [other == value for other, value in zip(order[:place], begin[:place], strict=True)]
        steps.append(sa.and_(*same, column > begin[place]))
    # By the first condition alone an index can be entered.
    return sa.and_(order[0] >= begin[0], sa.or_(*steps))


def _keeps_any_bytes(connection: sa.Connection) -> bool:
    """Whether a text need not be a valid one: SQLite keeps what it is given, and writes UTF-8 as it is."""
    if connection.dialect.name != dialects.SQLITE:
        return False
    return str(connection.scalar(sa.text("PRAGMA encoding"))) == "UTF-8"


def _as_it_is(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return column


def _decoded_here(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return a column as the driver can read it whatever is in it."""
    as_bytes = sa.cast(column, sa.LargeBinary)
    either = sa.case((sa.func.typeof(column) == "text", as_bytes), else_=column)
    return sa.type_coerce(either, sa.types.NullType())


def _gathered(rows: Iterable[_Row], room: Callable[[_Row], int], most: int) -> Iterator[list[_Row]]:
    """Yield rows together until they take so much room."""
    some: list[_Row] = []
    waiting = 0
    for row in rows:
        some.append(row)
        waiting += room(row)
        if waiting >= most:
            yield some
            some, waiting = [], 0
    if some:
        yield some


def _length(lined: tuple[bytes, Any]) -> int:
    return len(lined[0])


def _line(row: Sequence[Any]) -> bytes:
    cells = b"\t".join([_bytes(cell) for cell in row]).replace(b"\n", b" ")
    return b"\t" + cells + b"\t\n"


def _bytes(cell: Any) -> bytes:
    if isinstance(cell, bytes):
        return cell
    return b"" if cell is None else str(cell).encode("utf-8", "replace")


def _cells_of_row(rows: Sequence[Sequence[Any]], width: int | None, number: int) -> Cells:
    return [_text(_bytes(cell)) for cell in rows[number][:width]]


def _text(cell: bytes) -> str:
    try:
        return cell.decode()
    except UnicodeDecodeError:
        # As PostgreSQL writes bytes: two keys that are none are not the same.
        return f"\\x{cell.hex()}"
