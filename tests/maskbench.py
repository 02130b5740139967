"""Strategies put to work on a table of values, in whatever database, and held to what they declare."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.db.engines import writing
from aegis.db.reflection import read_layout
from aegis.db.transactions import begin_work
from aegis.masking.keys import MaskKey
from aegis.masking.kinds import Kind
from aegis.masking.masks import Masks
from aegis.masking.preflight import refuse_unfit
from aegis.masking.strategies import strategy_of
from aegis.masking.strategy import Strategy
from tests.worlds import TYPES, World

KEY: Final = MaskKey(id="3", secret=bytes(range(32)))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of the values, in their order."""

    #: Of every row; the values repeat.
    rows: list[Any]
    first: list[Any]
    second: list[Any]
    #: Rows that a second pass changed.
    again: int

    @property
    def texts(self) -> list[str | None]:
        """The first of each as text."""
        return [None if value is None else str(value) for value in self.first]


def mask(
    world: World,
    name: str,
    kind: str,
    spec: Any,
    values: Sequence[Any],
    *,
    marked: bool = False,
    copies: int = 2,
) -> Outcome:
    """Put a strategy to work on a table of its own, and hold it to what it declares.

    Args:
        world: any.
        name: of the table that is made.
        kind: the column's type, with `{text}`, `{wall}` and `{instant}` as `World.create` takes them.
        spec: the strategy as a policy writes it, or itself.
        values: one or more.
        marked: the strategy needs a marker column.
        copies: rows with the same value.

    """
    strategy = spec if isinstance(spec, Strategy) else strategy_of(spec)
    words = TYPES[world.dialect]
    world.execute(
        f"CREATE TABLE {name} (id INT PRIMARY KEY, who INT, done BOOLEAN, v {kind})".replace(
            kind, kind.format_map(words)
        )
    )
    insert = f"INSERT INTO {name} (id, who, v) VALUES (:id, :who, :v)"  # noqa: S608
    rows = [{"id": n, "who": n % 7, "v": world.value(v)} for n, v in enumerate([*values] * copies)]
    with world.app.begin() as connection:
        connection.execute(sa.text(insert), rows)
    masks = Masks(strategies={"v": strategy}, marker="done" if marked else None)
    with writing(world.system.databases.source(world.datasource), "test") as connection:
        begin_work(connection, lock_ms=1000, statement_ms=60_000)
        layout = read_layout(connection, name)
        refuse_unfit(connection, layout, masks, roles={})
        done = _put_on(connection, layout.table, masks, len(values))
        _hold_to(strategy, values, done)
        if strategy.idempotent:
            assert _applied(connection, layout.table, strategy) == _plain(strategy, done.rows)
    return done


def _put_on(connection: sa.Connection, table: sa.Table, masks: Masks, many: int) -> Outcome:
    update = sa.update(table).where(masks.due(table)).values(masks.values(table, KEY))
    connection.execute(update)
    found = _values(connection, table)
    again = connection.execute(update).rowcount
    assert _values(connection, table) == found
    return Outcome(rows=found, first=found[:many], second=found[-many:], again=again)


def _values(connection: sa.Connection, table: sa.Table) -> list[Any]:
    return list(connection.scalars(sa.text(f"SELECT v FROM {table.name} ORDER BY id")))  # noqa: S608


def _applied(connection: sa.Connection, table: sa.Table, strategy: Strategy) -> list[Any]:
    """Return what a strategy makes of what it wrote, by itself."""
    there = sa.update(table).where(table.c.v.is_not(None))
    connection.execute(there.values({"v": strategy.expression(table.c.v, KEY)}))
    return _plain(strategy, _values(connection, table))


def _plain(strategy: Strategy, values: list[Any]) -> list[Any]:
    """Return documents as data: how one is spaced says nothing."""
    return [parsed(value) for value in values] if Kind.DOCUMENT in strategy.takes else values


def parsed(value: Any) -> Any:
    """Return a document as data; PostgreSQL's driver has read it already."""
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return value


def _hold_to(strategy: Strategy, values: Sequence[Any], done: Outcome) -> None:
    assert done.again == 0
    there = [place for place, value in enumerate(values) if value is not None]
    assert all(done.first[n] is None and done.second[n] is None for n in range(len(values)) if n not in there)
    pairs = [(str(done.first[n]), str(done.second[n])) for n in there]
    if strategy.deterministic and not strategy.reads:
        assert all(first == second for first, second in pairs)
    if strategy.injective:
        outputs = [v for v in (done.first if strategy.deterministic else done.rows) if v is not None]
        assert len(set(outputs)) == len(outputs)
    if strategy.longest is not None:
        assert (
            max((len(value.rstrip()) for value in done.first if isinstance(value, str)), default=0)
            <= strategy.longest
        )
