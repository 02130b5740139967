"""A few rows from all over a table, without reading it: probes along its key, each a short way into an index.

The first rows of a table are its oldest, and random ones cost the whole of it. Between the lowest and the
highest key so many points are taken, and at each a few rows that follow; a key is a number, a time, a UUID or
a text. A table without one is sampled by pages (PostgreSQL), by its row numbers (SQLite), or read from its
beginning, which is told.
"""

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.catalog import CatalogTable
from aegis.db.sizes import size_of

#: Rows that follow a point.
_FOLLOWING: Final = 5
#: Pages that are sampled of a table without a key (PostgreSQL).
_PAGES: Final = 40
#: Letters of a text key that a point between two of them is made of.
_LETTERS: Final = 6
#: Between two of them there is any part of the way.
_STEADY: Final[tuple[type[Any], ...]] = (dt.date, Decimal, float)
_HIGHEST: Final = 0x7E
_LOWEST: Final = 0x20


@dataclass(frozen=True, kw_only=True)
class Probed:
    """Rows of a table, as texts cut to a width; shown in no message."""

    rows: Sequence[Sequence[str | None]]
    #: Whether they are from all over the table.
    spread: bool

    def __repr__(self) -> str:
        """Return how many there are, never what."""
        return f"Probed({len(self.rows)} rows)"


def probe(connection: sa.Connection, found: CatalogTable, widths: Mapping[str, int], rows: int) -> Probed:
    """Read a few rows of a table.

    Args:
        connection: in a reading transaction with limits.
        found: the table.
        widths: column → characters of it that are read.
        rows: how many at most.

    """
    table = sa.table(found.table.name, *map(sa.column, found.table.c.keys()), schema=found.table.schema)
    cells = [_cut(connection, table.c[name], width) for name, width in widths.items()]
    query = sa.select(*cells).limit(rows)
    key = _key(connection, found, table)
    if key is None:
        sampled = _by_pages(connection, table)
        source, spread = (table, False) if sampled is None else (sampled, True)
        if sampled is not None:
            cells = [_cut(connection, sampled.c[name], width) for name, width in widths.items()]
            query = sa.select(*cells).limit(rows)
        return Probed(rows=_fetch(connection, query.select_from(source)), spread=spread)
    ends = _ends(connection, table, key)
    if ends is None:
        return Probed(rows=[], spread=True)
    points = list(_points(*ends, max(2, rows // _FOLLOWING)))
    some = sa.select(key.label("k")).select_from(table).limit(_FOLLOWING)
    near = [some.where(key >= point).order_by(key).subquery() for point in points]
    last = some.order_by(key.desc()).subquery()
    keys = sa.union_all(*[sa.select(some.c.k) for some in (*near, last)]).subquery()
    return Probed(
        rows=_fetch(connection, query.select_from(table).where(key.in_(sa.select(keys.c.k)))), spread=True
    )


def _fetch(connection: sa.Connection, query: sa.Select[Any]) -> list[Sequence[str | None]]:
    # Each table is asked once: what was compiled for it need not be remembered.
    once = connection.execution_options(compiled_cache=None)
    return [tuple(_text(cell) for cell in row) for row in once.execute(query)]


def _text(cell: Any) -> str | None:
    if cell is None:
        return None
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)


def _cut(connection: sa.Connection, column: sa.ColumnElement[Any], width: int) -> sa.ColumnElement[Any]:
    """Return the first characters of a column as text, whatever its type."""
    kind = sa.CHAR if connection.dialect.name in dialects.MARIADB else sa.Text
    cell: sa.ColumnElement[Any] = sa.func.substr(sa.cast(column, kind), 1, width)
    if connection.dialect.name == dialects.SQLITE:
        # A text there need not be a valid one.
        cell = sa.cast(cell, sa.LargeBinary)
    return sa.type_coerce(cell, sa.types.NullType())


def _key(
    connection: sa.Connection, found: CatalogTable, table: sa.TableClause
) -> sa.ColumnElement[Any] | None:
    """Return what the table is probed along: the first column of an index that points can be told of."""
    for columns in sorted(found.indexes, key=lambda index: index != found.key):
        name = columns[0]
        if name in found.table.c and _tells_points(found.table.c[name].type):
            return sa.type_coerce(table.c[name], found.table.c[name].type)
    if connection.dialect.name == dialects.SQLITE and not found.key:
        return sa.literal_column("rowid", sa.Integer())
    return None


def _tells_points(kind: sa.types.TypeEngine[Any]) -> bool:
    plain = (sa.Integer, sa.Numeric, sa.String, sa.Uuid, sa.DateTime, sa.Date)
    return isinstance(kind, plain) and not isinstance(kind, sa.Enum)


def _by_pages(connection: sa.Connection, table: sa.TableClause) -> sa.TableSample | None:
    if connection.dialect.name != dialects.POSTGRESQL:
        return None
    size = size_of(connection, table)
    if size is None or size.pages <= 0:
        return None
    percent = min(100.0, 100.0 * _PAGES / size.pages)
    return sa.tablesample(table, sa.func.system(percent))


def _ends(
    connection: sa.Connection, table: sa.TableClause, key: sa.ColumnElement[Any]
) -> tuple[Any, Any] | None:
    """Return the lowest and the highest key; None for an empty table."""
    some = sa.select(key.label("k")).select_from(table).where(key.is_not(None))
    ends = [some.order_by(order).limit(1).scalar_subquery() for order in (key.asc(), key.desc())]
    low, high = connection.execution_options(compiled_cache=None).execute(sa.select(*ends)).one()
    return None if low is None else (low, high)


def _points(low: Any, high: Any, count: int) -> Iterable[Any]:
    """Yield so many values between two, the lowest first; equal ones once."""
    seen = set()
    for number in range(count):
        point = _between(low, high, number, count)
        if point not in seen:
            seen.add(point)
            yield point


def _between(low: Any, high: Any, number: int, count: int) -> Any:
    if isinstance(low, str) and isinstance(high, str):
        return _spelled(_worth(low) + (_worth(high) - _worth(low)) * number // count) if number else low
    if isinstance(low, uuid.UUID) and isinstance(high, uuid.UUID):
        return uuid.UUID(int=low.int + (high.int - low.int) * number // count)
    if isinstance(low, int) and isinstance(high, int):
        return low + (high - low) * number // count
    if type(low) is type(high) and isinstance(low, _STEADY):
        begin, way = low, high - low
        return begin + way * (Decimal(number) / count if isinstance(way, Decimal) else number / count)
    # SQLite keeps what it was given: two ends that are of two kinds.
    return low


def _worth(text: str) -> int:
    """Return a text as a number that grows with it, about."""
    letters = [min(max(ord(c), _LOWEST), _HIGHEST) - _LOWEST for c in text[:_LETTERS].ljust(_LETTERS)]
    worth = 0
    for letter in letters:
        worth = worth * (_HIGHEST - _LOWEST + 1) + letter
    return worth


def _spelled(worth: int) -> str:
    letters = []
    for _ in range(_LETTERS):
        worth, letter = divmod(worth, _HIGHEST - _LOWEST + 1)
        letters.append(chr(letter + _LOWEST))
    return "".join(reversed(letters)).rstrip() or " "
