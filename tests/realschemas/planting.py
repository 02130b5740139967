"""People planted into every table of any schema.

Each person has a row in each table, whose foreign keys lead to that person's other rows. Further rows belong
to two people: each foreign key of a table leads to the person who will be erased while the others lead to
somebody else, and the other way round. Which rows are reached is the test's to say (`judging`); these get
the person's own words into every column that can hold any.
"""

import datetime as dt
import decimal
import itertools
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from tests.realschemas.picture import Key, Picture, is_binary

#: What the person leaves everywhere.
EMAIL: Final = "zoe.quill@canary-zq.example"
PHONE: Final = "+4915155500077"
NAME: Final = "Zoe Quillfeather"
NICK: Final = "zqcanary"
ADDRESS: Final = "203.0.113.77"
CANARIES: Final = (EMAIL, PHONE, NAME, NICK, ADDRESS)
PEOPLE: Final = 4
_NOW: Final = dt.datetime(2026, 3, 1, 12, 30, 15)  # noqa: DTZ001 - columns without a zone
#: What fits into a key of MariaDB.
_LONGEST: Final = 120
#: The least that a column must take to hold a word of the person.
ROOM: Final = len(NICK)


@dataclass(kw_only=True, eq=False)
class Row:
    """One planted row."""

    table: str
    values: dict[str, Any] = field(default_factory=dict)

    def link(self, columns: Iterable[str]) -> tuple[Any, ...] | None:
        """Return the values of some columns; None where one of them is NULL."""
        found = tuple(self.values[name] for name in columns)
        return None if None in found else found


@dataclass(kw_only=True)
class Garden:
    """Rows of several people in every table of a schema."""

    picture: Picture
    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    #: Person → table → their own row; the first one is to be erased.
    anchors: list[dict[str, Row]] = field(default_factory=list)
    _taken: dict[tuple[str, tuple[str, ...]], set[Any]] = field(default_factory=lambda: defaultdict(set))
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def grow(self) -> None:
        """Make the rows of everybody."""
        self.anchors = [{name: Row(table=name) for name in self.picture.tables} for _ in range(PEOPLE)]
        for anchors in self.anchors:
            for name in self.picture.tables:
                self._complete(name, anchors)
            for row in anchors.values():
                self._add(row)
        for name in self.picture.tables:
            self._mix(name)

    def _complete(self, table: str, anchors: Mapping[str, Row]) -> None:
        for column in self.picture.tables[table].c:
            self._value(table, column.name, anchors)

    def _value(self, table: str, name: str, anchors: Mapping[str, Row]) -> Any:
        """Return a column's value in a person's own row: what it refers to, or something new."""
        row = anchors[table]
        if name in row.values:
            return row.values[name]
        column = self.picture.tables[table].c[name]
        key = next((key for key in self.picture.of(table) if name in key.columns), None)
        if key is None:
            row.values[name] = self._new(column)
        elif key.parent == table:
            row.values[name] = None if column.nullable else self._value(table, _other(key, name), anchors)
        else:
            row.values[name] = self._value(key.parent, _other(key, name), anchors)
        return row.values[name]

    def _mix(self, table: str) -> None:
        """Add rows that belong to two people, and rows that refer by one key alone."""
        keys = self.picture.of(table)
        for key in keys:
            for first, second in ((0, 1), (2, 0)):
                self._cross(table, key, self.anchors[first], self.anchors[second], keys)
            self._cross(table, key, self.anchors[0], None, keys)
            self._cross(table, key, self.anchors[3], None, keys)

    def _cross(
        self,
        table: str,
        key: Key,
        first: Mapping[str, Row],
        second: Mapping[str, Row] | None,
        keys: Iterable[Key],
    ) -> None:
        columns = self.picture.tables[table].c
        row = Row(table=table)
        for other in keys:
            owner = second or (first if not all(columns[c].nullable for c in other.columns) else None)
            self._refer(row, other, owner)
        self._refer(row, key, first)
        for column in columns:
            if column.name not in row.values:
                row.values[column.name] = self._new(column)
        if not self._clashes(row):
            self._add(row)

    def _refer(self, row: Row, key: Key, owner: Mapping[str, Row] | None) -> None:
        for name, other in zip(key.columns, key.parent_columns, strict=True):
            row.values[name] = owner[key.parent].values[other] if owner else None

    def _clashes(self, row: Row) -> bool:
        return any(
            link is not None and link in self._taken[row.table, columns]
            for columns in self.picture.uniques[row.table]
            if (link := row.link(columns)) is not None
        )

    def _add(self, row: Row) -> None:
        for columns in self.picture.uniques[row.table]:
            self._taken[row.table, columns].add(row.link(columns))
        self.rows[row.table].append(row)

    def _new(self, column: sa.Column[Any]) -> Any:
        """Return a value that says nothing of anybody."""
        number = next(self._numbers)
        table = column.table.name
        if (table, column.name) in self.picture.words:
            return self.picture.words[table, column.name][0]
        if (table, column.name) in self.picture.documents:
            return f'{{"plain": {number}}}'
        return _plain(column.type, number)

    # -- the person's words --------------------------------------------------------------

    def mark(self, rows: Iterable[Row], columns: Collection[str] | None = None) -> int:
        """Write the person's words into columns of these rows (none named: all) with room; count them."""
        return sum(
            self._mark(row, column)
            for row in rows
            for column in self.picture.tables[row.table].c
            if columns is None or column.name in columns
        )

    def _mark(self, row: Row, column: sa.Column[Any]) -> bool:
        if row.values[column.name] is None or not self.picture.is_text(row.table, column.name):
            return False
        if self._referred(row.table, column.name):
            return False
        number = next(self._numbers)
        made = (
            f'{{"email": "{EMAIL}", "people": [{{"name": "{NAME}", "phone": "{PHONE}"}}], "n": {number}}}'
            if (row.table, column.name) in self.picture.documents
            else _of_the_person(column.type, number)
        )
        if made is None or (made == NICK and self.picture.is_unique(row.table, column.name)):
            return False
        row.values[column.name] = made
        return True

    def _referred(self, table: str, column: str) -> bool:
        return any(key.parent == table and column in key.parent_columns for key in self.picture.keys)

    # -- the database --------------------------------------------------------------------

    def plant(self, database: sa.Engine) -> None:
        """Insert every row; foreign keys are not looked at meanwhile."""
        postgres = database.dialect.name == "postgresql"
        with database.begin() as connection:
            off = "SET LOCAL session_replication_role = replica" if postgres else "SET foreign_key_checks = 0"
            connection.exec_driver_sql(off)
            for name, rows in self.rows.items():
                writable = {c.name for c in self.picture.tables[name].c if c.computed is None}
                for row in rows:
                    values = {column: row.values[column] for column in writable}
                    connection.execute(sa.insert(self.picture.tables[name]).values(values))
            if postgres:
                self._set_sequences(connection)
            else:
                connection.exec_driver_sql("SET foreign_key_checks = 1")

    def _set_sequences(self, connection: sa.Connection) -> None:
        for table in self.picture.tables.values():
            for column in table.primary_key.columns:
                named = {"table": f'"{table.name}"', "column": column.name}
                query = sa.text("SELECT pg_get_serial_sequence(:table, :column)")
                if isinstance(column.type, sa.Integer) and (sequence := connection.scalar(query, named)):
                    connection.execute(sa.text("SELECT setval(:sequence, 100000)"), {"sequence": sequence})


def _other(key: Key, name: str) -> str:
    return key.parent_columns[key.columns.index(name)]


def _plain(kind: Any, number: int) -> Any:
    if isinstance(kind, sa.ARRAY):
        return [_plain(kind.item_type, number)]
    for types, make in _MAKERS:
        if isinstance(kind, types):
            return make(kind, number)
    if kind.__visit_name__ in {"INET", "CIDR"}:
        return f"198.51.100.{number % 200}"
    if is_binary(kind):
        return number.to_bytes(16)[-(kind.length or 16) :]
    message = f"no value of type {kind!r} is known"
    raise NotImplementedError(message)


def _small(kind: Any, number: int) -> int:
    if kind.__visit_name__ == "TINYINT":
        return number % 2
    return number % 30_000 if kind.__visit_name__ == "SMALLINT" else number


def _decimal(kind: Any, number: int) -> decimal.Decimal:
    whole = (kind.precision or 9) - (kind.scale or 0)
    return decimal.Decimal(number % 10 ** min(whole, 4))


def _text(kind: Any, number: int) -> str:
    text = f"{number} plain"
    return text if kind.length is None else text[: min(kind.length, _LONGEST)]


#: Tried in this order: Enum is a String, and Float may be a Numeric.
_MAKERS: Final[tuple[tuple[Any, Any], ...]] = (
    (sa.Boolean, lambda _kind, number: bool(number % 2)),
    (sa.Enum, lambda kind, _number: kind.enums[0]),
    (sa.JSON, lambda _kind, number: {"plain": number}),
    (sa.String, _text),
    (sa.Uuid, lambda _kind, number: uuid.UUID(int=number)),
    (sa.Integer, _small),
    (sa.Float, lambda _kind, number: float(number)),
    (sa.Numeric, _decimal),
    (sa.DateTime, lambda _kind, number: _NOW + dt.timedelta(minutes=number)),
    (sa.Date, lambda _kind, number: _NOW.date() + dt.timedelta(days=number % 300)),
    (sa.Time, lambda _kind, _number: _NOW.time()),
    (sa.Interval, lambda _kind, number: dt.timedelta(seconds=number)),
)


def _of_the_person(kind: Any, number: int) -> Any:
    """Return what stands in a column of the person's; None: it has no room for it."""
    if isinstance(kind, sa.ARRAY):
        return [_of_the_person(kind.item_type, number), "plain"]
    if isinstance(kind, sa.JSON):
        return {"email": EMAIL, "people": [{"name": NAME, "phone": PHONE}], "number": number}
    if kind.__visit_name__ in {"INET", "CIDR"}:
        return ADDRESS
    if is_binary(kind):
        words = (_words(kind.length, number) or "").encode()
        # As MariaDB stores it.
        return words.ljust(kind.length or 0, b"\0") if isinstance(kind, sa.BINARY) else words or None
    return _words(kind.length, number)


def _words(room: int | None, number: int) -> str | None:
    whole = f"{NAME} <{EMAIL}> {PHONE} {number}"
    choices = (whole, f"{number}.{EMAIL}", f"{NAME} {number}", f"{PHONE} {number:05}", f"{NICK} {number:05}")
    fitting = [text for text in choices if len(text) <= min(room or _LONGEST, _LONGEST)]
    # Each of them somewhere.
    if fitting:
        return fitting[number % len(fitting)]
    return NICK if room is not None and room >= ROOM else None
