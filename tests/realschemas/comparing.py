"""A database as text, row by row: searched for a person, compared with what it was, its references tried."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tests.realschemas.judging import Verdict
from tests.realschemas.picture import Picture
from tests.realschemas.planting import CANARIES, Row

#: Column → its value as text.
Texts = Mapping[str, str | None]
Dump = Mapping[str, Sequence[Texts]]


def dump(database: sa.Engine, picture: Picture) -> Dump:
    """Return every row of every table of the application."""
    found: dict[str, Sequence[Texts]] = {}
    with database.connect() as connection:
        for name, table in picture.tables.items():
            columns = ", ".join(_quoted(database, column.name) for column in table.c)
            query = f"SELECT {columns} FROM {_quoted(database, name)}"  # noqa: S608
            names = [column.name for column in table.c]
            rows = connection.exec_driver_sql(query)
            found[name] = [dict(zip(names, map(_text, row), strict=True)) for row in rows]
    return found


def _quoted(database: sa.Engine, name: str) -> str:
    return database.dialect.identifier_preparer.quote(name)


def _text(value: Any) -> str | None:
    if isinstance(value, bytes | memoryview):
        raw = bytes(value)
        return f"{raw.decode('utf-8', 'replace')} {raw.hex()}"
    if isinstance(value, dict | list):
        return json.dumps(value, default=str, ensure_ascii=False, sort_keys=True)
    return None if value is None else str(value)


def traces(found: Dump) -> Counter[str]:
    """Return where the person's words stand: `table.column` → rows."""
    wanted = [canary.lower() for canary in CANARIES] + [canary.encode().hex() for canary in CANARIES]
    return Counter(
        f"{table}.{column}"
        for table, rows in found.items()
        for row in rows
        for column, text in row.items()
        if text is not None and any(word in text.lower() for word in wanted)
    )


def dangling(database: sa.Engine, picture: Picture) -> list[str]:
    """Return the foreign keys that a row breaks, each tried by a query of its own."""
    broken = []
    with database.connect() as connection:
        for key in picture.keys:
            child = picture.tables[key.child].alias("child")
            parent = picture.tables[key.parent].alias("parent")
            pairs = list(zip(key.columns, key.parent_columns, strict=True))
            same = sa.and_(*[child.c[own] == parent.c[other] for own, other in pairs])
            full = sa.and_(*[child.c[own].is_not(None) for own, _ in pairs])
            query = sa.select(sa.func.count()).select_from(child)
            if rows := connection.scalar(query.where(full, ~sa.exists().where(same).correlate(child))):
                broken.append(f"{rows} rows of {key.child}.{key.columns} refer to no {key.parent}")
    return broken


def differences(
    before: Dump,
    after: Dump,
    picture: Picture,
    planted: Mapping[str, list[Row]],
    verdicts: Mapping[Row, Verdict],
) -> list[str]:
    """Return what became of a row that should not have, as sentences without values."""
    return [
        f"{name}: {told}"
        for name, table in picture.tables.items()
        for told in _Table(
            key=list(table.primary_key.columns.keys()) or sorted(table.c.keys()),
            keyed=bool(table.primary_key.columns),
            emptied={name for key in picture.of(name) if key.empties for name in key.columns},
        ).differences(before[name], after[name], {r: verdicts[r] for r in planted[name] if verdicts.get(r)})
    ]


@dataclass(frozen=True, kw_only=True)
class _Table:
    """One table, before and after."""

    #: What tells its rows apart: all columns where it has no key.
    key: Sequence[str]
    keyed: bool
    #: Columns that the database empties when the row that they refer to goes.
    emptied: set[str]

    def differences(
        self, before: Sequence[Texts], after: Sequence[Texts], touched: Mapping[Row, Verdict]
    ) -> Iterator[str]:
        fates = {
            self._identity({n: _text(v) for n, v in row.values.items()}): v for row, v in touched.items()
        }
        now = {self._identity(row): row for row in after}
        gone, told = 0, Counter[str]()
        for row in before:
            verdict = fates.get(self._identity(row), {})
            found = now.get(self._identity(row))
            gone += "delete" in verdict
            told.update(self._row(row, found, verdict))
        if len(before) - gone != len(after):
            yield f"{len(after)} rows, {len(before) - gone} expected"
        yield from (f"{what} ({rows} times)" for what, rows in told.items())

    def _row(self, row: Texts, now: Texts | None, verdict: Verdict) -> Iterator[str]:
        if "delete" in verdict:
            if now is not None:
                yield "a row that should be gone is there"
        elif now is None:
            # A row without a key cannot be told from others once it is written over.
            if self.keyed or not verdict:
                yield "a row is gone that should be there"
        else:
            may = set().union(*verdict.values())
            for name in row:
                emptied = name in self.emptied and now[name] is None
                if row[name] != now[name] and name not in may and not emptied:
                    yield f"column {name} changed in a row of {'the person' if verdict else 'others'}"

    def _identity(self, row: Texts) -> tuple[str | None, ...]:
        return tuple(row[name] for name in self.key)
