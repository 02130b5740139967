"""Rows as lines of text, from which the same database makes exactly the same rows again.

A line is one JSON array. On PostgreSQL every value is the text that its type's own output function
writes, for the type's input function to read. Elsewhere it is the value that the database gives,
and what JSON has no exact word for is tagged: `{"b": base64}` for bytes, `{"f": hex}` for a float.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from aegis.db import dialects
from aegis.errors import OperationFailed, Passing

#: Rows that are fetched together.
_FETCH: Final = 1_000
_PLAIN: Final = sa.types.NullType()


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a line holds: the columns in their order, each with its type, and the table's key."""

    encoding: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return [name for name, _ in self.columns]

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        columns = [list(column) for column in self.columns]
        return {"encoding": self.encoding, "columns": columns, "key": list(self.key)}

    @classmethod
    def read(cls, plain: dict[str, Any]) -> Self:
        """Return it from plain data."""
        columns = tuple((name, kind) for name, kind in plain["columns"])
        return cls(encoding=plain["encoding"], columns=columns, key=tuple(plain["key"]))


def shape_of(connection: sa.Connection, table: sa.Table) -> Shape:
    """Return the shape of a table's lines; generated columns make themselves again."""
    return Shape(
        encoding="text" if connection.dialect.name == dialects.POSTGRESQL else "values",
        columns=tuple((column.name, _type_name(column, connection)) for column in _stored(table)),
        key=tuple(column.name for column in table.primary_key.columns),
    )


def read_lines(connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> Iterator[bytes]:
    """Lock the rows that fit, until the transaction ends, and yield each as a line."""
    name = connection.dialect.name
    if name == dialects.POSTGRESQL:
        dialects.write_exactly(connection)
        columns = [_line_in_sql(table)]
    else:
        columns = [_exact(column, name) for column in _stored(table)]
    query = sa.select(*columns).select_from(table).where(where).with_for_update()
    # One after the other, so that memory stays flat however wide the rows are.
    rows = connection.execute(query, execution_options={"yield_per": _FETCH})
    for row in rows:
        yield row[0].encode() if name == dialects.POSTGRESQL else _line(row)


def refuse_new_columns(connection: sa.Connection, table: sa.Table) -> None:
    """Refuse a table that got a column since it was read: its values would not be in the lines.

    Raises:
        Passing: reading the table again helps.

    """
    found = connection.execute(sa.select(sa.literal_column("*")).select_from(table).limit(0)).keys()
    if set(found) - set(table.columns.keys()):
        message = f"table {table.name} got a new column in mid-run; nothing was changed, it is read again"
        raise Passing(message)


def values_of(line: bytes) -> list[Any]:
    """Return the values of a line, ready to be bound."""
    return [_unpack(value) for value in json.loads(line)]


def _stored(table: sa.Table) -> list[sa.Column[Any]]:
    return [column for column in table.columns if column.computed is None]


def _type_name(column: sa.Column[Any], connection: sa.Connection) -> str:
    try:
        return str(column.type.compile(dialect=connection.dialect))
    except sa.exc.CompileError:
        # A type that nobody knows but the database; its values are kept all the same.
        return "unknown"


def _line_in_sql(table: sa.Table) -> sa.ColumnElement[Any]:
    """Return the whole line as one expression: `format` writes a value as its type's output function does."""
    plain = sa.literal("%s", sa.Text)
    texts: list[sa.ColumnElement[Any]] = [
        # IS NULL would be true of a composite value whose parts are all null.
        sa.case((column.is_distinct_from(None), sa.func.format(plain, column)), else_=sa.null())
        for column in (sa.type_coerce(column, _PLAIN) for column in _stored(table))
    ]
    line: sa.ColumnElement[Any] = postgresql.array(texts, type_=sa.Text())
    return sa.cast(sa.func.to_json(line), sa.Text)


def _exact(column: sa.Column[Any], dialect_name: str) -> sa.ColumnElement[Any]:
    """Return the expression whose value the driver gives without losing a digit."""
    if dialect_name in dialects.MARIADB:
        if column.type.__visit_name__ == "FLOAT":
            # Written as itself a FLOAT has six digits; as a DOUBLE it has all.
            return sa.type_coerce(sa.type_coerce(column, _PLAIN).op("*")(sa.literal_column("1e0")), _PLAIN)
        if isinstance(column.type, sa.DateTime | sa.Date | sa.Time | sa.Numeric) and not isinstance(
            column.type, sa.Float
        ):
            return sa.type_coerce(sa.cast(column, sa.CHAR), _PLAIN)
    return sa.type_coerce(column, _PLAIN)


def _line(row: sa.Row[Any]) -> bytes:
    return json.dumps([_pack(value) for value in row], ensure_ascii=False, separators=(",", ":")).encode()


def _pack(value: Any) -> Any:
    if value is None or type(value) in {int, str}:
        return value
    if isinstance(value, float):
        return {"f": value.hex()}
    if isinstance(value, bytes | bytearray):
        return {"b": base64.b64encode(value).decode("ascii")}
    message = f"a value of type {type(value).__name__} cannot be archived exactly; nothing was changed"
    raise OperationFailed(message)


def _unpack(value: Any) -> Any:
    if isinstance(value, dict):
        ((tag, text),) = value.items()
        return float.fromhex(text) if tag == "f" else base64.b64decode(text)
    return value
