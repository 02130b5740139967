"""One table of an erasure, and the columns of it by which rows are followed."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

import sqlalchemy as sa

from aegis.datamap.conditions import parse_condition
from aegis.datamap.edges import Edge
from aegis.datamap.reached import Coverage
from aegis.db import documents
from aegis.db.catalog import Catalog
from aegis.db.membership import among
from aegis.erasure.portions import in_portions

#: Values of some columns, in their order.
Link = tuple[Any, ...]
#: How many of them stand in one statement: of one column, and of several, of which each pair is compared.
_OF_ONE: Final = 5_000
_OF_SEVERAL: Final = 500
_Group = TypeVar("_Group", bound="Alike")


class Alike(Protocol):
    """Rows that are alike in every column by which rows are followed."""

    values: Link


def together(columns: int) -> int:
    """Return how many values of so many columns stand in one statement."""
    return _OF_ONE if columns == 1 else _OF_SEVERAL


class Side:
    """One table: what is read of its rows, and how its edges are compared.

    Args:
        catalog: the schema.
        label: the table.
        coverage: the edges.
        tenant: a column that tells its rows apart as well, so that every statement says its value.

    """

    def __init__(
        self, catalog: Catalog, label: str, coverage: Coverage, *, tenant: str | None = None
    ) -> None:
        self._table = catalog.tables[label].table
        self._ways = {way: edge for way, edge in enumerate(coverage.edges) if edge.child == label}
        # One that lives in another data source has its values given, and no columns here.
        self._parents = {
            way: catalog.tables[edge.parent].table if edge.parent in catalog.tables else None
            for way, edge in self._ways.items()
        }
        plain = [edge.columns for edge in self._ways.values() if not edge.path]
        referred = [edge.parent_columns for edge in coverage.edges if edge.parent == label]
        key = [coverage.subject.key] if label == coverage.root else []
        told = [(tenant,)] if tenant else []
        names = dict.fromkeys(name for columns in [*plain, *referred, *key, *told] for name in columns)
        read: dict[Any, sa.ColumnElement[Any]] = {name: self._table.c[name] for name in names}
        read |= {way: _inside(self._table, edge) for way, edge in self._ways.items() if edge.path}
        # Rows of which a condition is true are told from those that have the same values.
        read |= {(way, edge.when): self._holds(edge.when) for way, edge in self._ways.items() if edge.when}
        self._columns = list(read.values())
        self._place = {what: place for place, what in enumerate(read)}

    @property
    def columns(self) -> list[sa.ColumnElement[Any]]:
        """What is read of its rows."""
        return list(self._columns)

    def groups(self, where: sa.ColumnElement[bool]) -> sa.Select[Any]:
        """Return the query for rows with a condition: the columns read, and how many rows have them."""
        query = sa.select(*self._columns, sa.func.count()).select_from(self._table)
        return query.where(where).group_by(*self._columns)

    def rows(self, groups: Sequence[Link], leaving_out: Collection[str]) -> sa.Select[Any]:
        """Return the query for the rows of some groups, in the order of their key."""
        columns = [column for column in self._table.c if column.name not in leaving_out]
        return sa.select(*columns).where(self.among(groups)).order_by(*self._table.primary_key.columns)

    def portions(self, groups: Iterable[_Group]) -> Iterator[list[_Group]]:
        """Yield as many groups at a time as one statement names."""
        return in_portions(groups, together(len(self._columns)))

    def among(self, groups: Sequence[Link]) -> sa.ColumnElement[bool]:
        """Return the rows of some groups: those that have their values still."""
        by_empty: dict[tuple[int, ...], list[Link]] = defaultdict(list)
        for values in groups:
            by_empty[tuple(place for place, value in enumerate(values) if value is None)].append(values)
        return sa.or_(*[self._alike(empty, some) for empty, some in by_empty.items()])

    def values_of(self, named: Mapping[str, Any]) -> Link:
        """Return a group's values of a row that is not there any more, from what referred to it."""
        values: list[Any] = [None] * len(self._columns)
        for name, value in named.items():
            if name in self._place:
                values[self._place[name]] = value
        return tuple(values)

    def named(self, values: Link) -> dict[str, Any]:
        """Return what a group has in its columns, by name."""
        return {name: values[place] for name, place in self._place.items() if isinstance(name, str)}

    @property
    def names(self) -> list[str]:
        """The columns that `values_of` needs."""
        return [name for name in self._place if isinstance(name, str)]

    def emptied(self, values: Link, names: Collection[str]) -> Link:
        """Return a group's values after some of its columns were emptied."""
        places = {self._place[name] for name in names}
        return tuple(None if place in places else value for place, value in enumerate(values))

    def _alike(self, empty: Sequence[int], groups: Sequence[Link]) -> sa.ColumnElement[bool]:
        """Return the rows of groups that have NULL in the same places, and values in all others."""
        nulls = [self._columns[place].is_(None) for place in empty]
        full = [place for place in range(len(self._columns)) if place not in empty]
        if not full:
            return sa.and_(*nulls)
        # One by one as well: by that, indexes are found everywhere.
        each = [
            among(self._columns[place], list(dict.fromkeys(values[place] for values in groups)))
            for place in full
        ]
        if len(full) == 1 or len(groups) == 1:
            return sa.and_(*each, *nulls)
        wanted = [tuple(values[place] for place in full) for values in groups]
        return sa.and_(*each, sa.tuple_(*[self._columns[place] for place in full]).in_(wanted), *nulls)

    def refers_to(self, way: int, links: Sequence[Link]) -> sa.ColumnElement[bool]:
        """Return the rows that refer, by an edge, to parents with one of these values."""
        edge = self._ways[way]
        own = [self._columns[place] for place in self._places(way)]
        as_text = self._as_text(way, own, links)
        compared = [sa.cast(c, sa.String) if text else c for c, text in zip(own, as_text, strict=True)]
        wanted = [tuple(str(v) if t else v for v, t in zip(link, as_text, strict=True)) for link in links]
        if len(compared) == 1:
            found = among(compared[0], [value for (value,) in wanted])
        else:
            found = sa.tuple_(*compared).in_(wanted)
        return found if edge.when is None else sa.and_(found, self._holds(edge.when) == 1)

    def link(self, values: Link, way: int) -> Link | None:
        """Return the values of the columns that refer by an edge; None where it refers to nothing."""
        when = self._ways[way].when
        link = tuple(values[place] for place in self._places(way))
        return None if None in link or (when and not values[self._place[way, when]]) else link

    def _as_text(self, way: int, own: Sequence[sa.ColumnElement[Any]], links: Sequence[Link]) -> list[bool]:
        """Say of each column that refers whether it is compared as text: its values are of another type."""
        parent = self._parents[way]
        if parent is None:
            kinds = [{type(link[place]) for link in links} for place in range(len(own))]
            return [kind != {_python(mine.type)} for mine, kind in zip(own, kinds, strict=True)]
        names = self._ways[way].parent_columns
        return [_differ(mine, parent.c[name]) for mine, name in zip(own, names, strict=True)]

    def referred(self, values: Link, edge: Edge) -> Link:
        """Return the values of the columns that an edge refers to."""
        return tuple(values[self._place[name]] for name in edge.parent_columns)

    def _places(self, way: int) -> list[int]:
        edge = self._ways[way]
        return [self._place[way]] if edge.path else [self._place[name] for name in edge.columns]

    def _holds(self, condition: str) -> sa.ColumnElement[int]:
        return sa.case((parse_condition(condition, self._table).expression, 1), else_=0)


def _inside(table: sa.Table, edge: Edge) -> sa.ColumnElement[Any]:
    """Return the value inside of a JSON column, as text."""
    return documents.value_at(documents.read(table.c[edge.columns[0]], [edge.path]), edge.path)


def _differ(own: sa.ColumnElement[Any], other: sa.Column[Any]) -> bool:
    """Whether two columns hold values that a driver gives in different types."""
    return _python(own.type) is not _python(other.type)


def _python(kind: sa.types.TypeEngine[Any]) -> type[Any]:
    try:
        return kind.python_type
    except NotImplementedError:
        return str
