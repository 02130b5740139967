"""The rows of one person: every edge followed from their own rows outwards, in one snapshot.

Rows are found by sets, many values of the rows before at a time, by the indexes that the
referring columns have. Of a row only the columns of its edges are read; rows that are alike in those are
one group with a count. So a circle of references, a table with several ways in and one without a primary
key are all the same: a group is met again, and counted once.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from aegis.datamap.closure import FOLLOWED
from aegis.datamap.reached import Coverage
from aegis.db import dialects
from aegis.db.catalog import Catalog
from aegis.erasure.people import People
from aegis.erasure.portions import in_portions
from aegis.erasure.sides import Link, Side, together

#: What stands in somebody's own row at home: column → value.
HomeRow = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of people besides their keys."""

    #: What stood in their own rows before these were deleted or masked: column → value.
    gone: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    #: Where their home is another data source, what stands in their rows there.
    at_home: Sequence[HomeRow] = field(default=(), repr=False)
    #: Entries of the data map that retain rows no longer.
    ended: frozenset[str] = frozenset()


NOTHING: Final = Known()


@dataclass(kw_only=True, slots=True)
class Group:
    """Rows of one table that are alike in every column by which rows are followed."""

    #: What they have in those columns.
    values: Link
    rows: int
    #: The edges that reach them, by their place in the coverage.
    ways: set[int] = field(default_factory=set)
    #: Whether they stand for the person.
    own: bool = False
    #: Whether what refers to them was asked for.
    followed: bool = False


class Rows:
    """Every row that one person reaches.

    Args:
        connection: the data source, in a transaction that sees one state of it.
        catalog: its schema.
        coverage: the edges.
        closed: label and values of groups that are another person's: what refers to them is not followed.
        tenant: the only one whose rows may be among them; every statement on a table that tells tenants
            apart says which.

    """

    def __init__(
        self,
        connection: sa.Connection,
        catalog: Catalog,
        coverage: Coverage,
        closed: Collection[tuple[str, Link]] = (),
        *,
        tenant: str | None = None,
    ) -> None:
        self._connection = connection
        self._closed = closed
        self._edges = coverage.edges
        columns = coverage.tenants if tenant is not None else {}
        self._sides = {
            label: Side(catalog, label, coverage, tenant=columns.get(label)) for label in coverage.tables
        }
        #: Of each edge, the values that were looked for, as text: its sides may be of different types.
        self._asked: list[set[tuple[str, ...]]] = [set() for _ in self._edges]
        self._found: dict[str, dict[Link, Group]] = {label: {} for label in coverage.tables}

    def groups(self, label: str) -> Iterable[Group]:
        """Return what was found of a table."""
        return self._found[label].values()

    def select(
        self, label: str, groups: Iterable[Group], leaving_out: Collection[str]
    ) -> Iterator[sa.Select[Any]]:
        """Yield queries that together read the rows of these groups, each row once."""
        side = self._sides[label]
        for some in side.portions(groups):
            yield side.rows([group.values for group in some], leaving_out)

    @property
    def own_reference_binds(self) -> bool:
        """Whether the database keeps a row from being deleted because it refers to itself."""
        return self._connection.dialect.name in dialects.MARIADB

    def side(self, label: str) -> Side:
        """Return how rows of a table are compared."""
        return self._sides[label]

    def follow(self, who: People, known: Known = NOTHING) -> None:
        """Find everything that people reach: their own rows, and what stands in them at home.

        Args:
            who: the people.
            known: what is known of them besides.

        """
        # By table: what several ways found of one is followed by one statement.
        waiting: dict[str, list[Group]] = {}
        if who.own is not None:
            root = who.own.label
            waiting[root] = [g for where in who.wheres() for g in self._keep(root, where, way=None)]
            for named in known.gone:
                values = self._sides[root].values_of(named)
                if values not in self._found[root]:
                    waiting[root].append(Group(values=values, rows=0, own=True, followed=True))
        for way, edge in enumerate(self._edges):
            if edge.parent == who.subject.home:
                links = [tuple(row[name] for name in edge.parent_columns) for row in known.at_home]
                if fresh := self._refer(way, links):
                    waiting.setdefault(edge.child, []).extend(fresh)
        while waiting:
            parent = next(iter(waiting))
            found = waiting.pop(parent)
            for way, edge in enumerate(self._edges):
                if edge.parent == parent and (fresh := self._step(way, found)):
                    waiting.setdefault(edge.child, []).extend(fresh)

    def others(self, label: str, group: Group, ways: Iterable[int]) -> bool:
        """Whether rows also refer, by one of these edges, to somebody who is not the person."""
        side = self._sides[label]
        links = [(way, side.link(group.values, way)) for way in ways if way not in group.ways]
        return any(link is not None and _text(link) not in self._asked[way] for way, link in links)

    def _step(self, way: int, parents: Sequence[Group]) -> list[Group]:
        """Follow one edge from new groups of its parent; return the child's groups to go on from."""
        edge = self._edges[way]
        return self._refer(way, [self._sides[edge.parent].referred(group.values, edge) for group in parents])

    def _refer(self, way: int, links: Iterable[Link]) -> list[Group]:
        """Find what refers by an edge to some values; return the groups to go on from."""
        edge = self._edges[way]
        wanted = {_text(link): link for link in links if None not in link}
        new = [link for text, link in wanted.items() if text not in self._asked[way]]
        self._asked[way].update(wanted)
        child = self._sides[edge.child]
        return [
            group
            for some in in_portions(new, together(len(edge.columns)))
            for group in self._keep(edge.child, child.refers_to(way, some), way=way)
        ]

    def _keep(self, label: str, where: sa.ColumnElement[bool], *, way: int | None) -> list[Group]:
        """Note the groups with a condition; return those that can be followed from now on."""
        known, fresh = self._found[label], []
        for *values, rows in self._connection.execute(self._sides[label].groups(where)).all():
            link = tuple(values)
            group = known.get(link)
            if group is None:
                group = known[link] = Group(values=link, rows=int(rows))
            if way is None:
                group.own = True
            else:
                group.ways.add(way)
            leads = group.own or (way is not None and self._edges[way].row in FOLLOWED)
            if leads and not group.followed and (label, group.values) not in self._closed:
                group.followed = True
                fresh.append(group)
        return fresh


def _text(link: Link) -> tuple[str, ...]:
    return tuple(map(str, link))
