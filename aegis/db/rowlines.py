"""Rows as lines of text, from which the same database makes exactly the same rows again.

On PostgreSQL a line is one of COPY's (encoding `copy`). Elsewhere it is a JSON array of the values
that the database gives (`values`), and what JSON has no exact word for is tagged: `{"b": base64}`
for bytes, `{"f": hex}` for a float. Older archives of PostgreSQL hold JSON arrays of the texts that
COPY has (`text`); they are read for ever.
"""

import base64
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import sqlalchemy as sa

from aegis.db import dialects, transactions
from aegis.db.copying import copy_out
from aegis.errors import OperationFailed, Passing

#: Rows that are fetched together.
_FETCH: Final = 1_000
_PLAIN: Final = sa.types.NullType()
COPY: Final = "copy"
VALUES: Final = "values"
#: What COPY reads as something else than itself.
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
#: The encodings that a database reads, by the one that it writes.
_READ: Final[Mapping[str, frozenset[str]]] = {
    COPY: frozenset({COPY, "text"}),
    VALUES: frozenset({VALUES}),
}


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

    def fits(self, live: "Shape") -> bool:
        """Whether lines of this shape make rows of a table that has the other one."""
        same = (self.columns, self.key) == (live.columns, live.key)
        return same and self.encoding in _READ[live.encoding]

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
        encoding=COPY if connection.dialect.name == dialects.POSTGRESQL else VALUES,
        columns=tuple((column.name, _type_name(column, connection)) for column in _stored(table)),
        key=tuple(column.name for column in table.primary_key.columns),
    )


def read_lines(connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> Generator[bytes]:
    """Lock the rows that fit, until the transaction ends, and yield them as lines, whole ones with newlines.

    Close it before the transaction ends.
    """
    name = connection.dialect.name
    columns = [_exact(column, name) for column in _stored(table)]
    query = sa.select(*columns).select_from(table).where(where).with_for_update()
    if name == dialects.POSTGRESQL:
        transactions.write_exactly(connection)
        yield from copy_out(connection, query)
        return
    # One after the other, so that memory stays flat however wide the rows are.
    for row in connection.execute(query, execution_options={"yield_per": _FETCH}):
        yield _line(row)


def take_lines(connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> Generator[bytes]:
    """Delete the rows that fit and yield them as `read_lines` does: those, and no others (PostgreSQL).

    Each row is met once, where reading first locks it, and writes to it, before it is deleted.
    """
    transactions.write_exactly(connection)
    columns = [_exact(column, dialects.POSTGRESQL) for column in _stored(table)]
    yield from copy_out(connection, sa.delete(table).where(where).returning(*columns))


def gives_what_it_deletes(connection: sa.Connection, table: sa.Table) -> bool:
    """Whether `take_lines` can be used; with a rule on the table PostgreSQL refuses it."""
    if connection.dialect.name != dialects.POSTGRESQL:
        return False
    query = sa.text("SELECT relhasrules FROM pg_class WHERE oid = to_regclass(:name)")
    name = connection.dialect.identifier_preparer.format_table(table)
    return connection.scalar(query, {"name": name}) is False


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


def copied(line: bytes) -> bytes:
    """Return a line of the encoding `text` as COPY has it."""
    return b"\t".join(_copied(text) for text in json.loads(line))


def _copied(text: str | None) -> bytes:
    return rb"\N" if text is None else text.translate(_ESCAPES).encode()


def _stored(table: sa.Table) -> list[sa.Column[Any]]:
    return [column for column in table.columns if column.computed is None]


def _type_name(column: sa.Column[Any], connection: sa.Connection) -> str:
    try:
        return str(column.type.compile(dialect=connection.dialect))
    except sa.exc.CompileError:
        # A type that nobody knows but the database; its values are kept all the same.
        return "unknown"


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
    return (
        json.dumps([_pack(value) for value in row], ensure_ascii=False, separators=(",", ":")).encode()
        + b"\n"
    )


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
