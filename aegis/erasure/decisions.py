"""What happens to a row that is reached in several ways, and to one that is another person's too.

Of several decisions `fail` stops the erasure, `retain` keeps the row as it is, `delete` takes it; otherwise
each does its own part. What a kept row refers to can go all the same: that reference ends first. A row that
also refers to somebody else, by a way that takes rows, is shared: the data map's word on that stands above
the others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aegis.datamap.closure import CUT
from aegis.datamap.edges import Edge
from aegis.datamap.model import Row, Shared
from aegis.datamap.reached import Coverage, Reached
from aegis.erasure.rows import Group, Rows
from aegis.erasure.sides import Link

#: Decisions that leave room for no other, the strongest first.
_ALONE: Final[tuple[Row, ...]] = ("fail", "retain", "delete")
#: A row that is reached by several such ways belongs to several people.
_TAKES: Final[frozenset[Row]] = frozenset({"delete", "anonymize"})
#: What becomes of a shared row; none: nothing.
_INSTEAD: Final[Mapping[Shared, Row | None]] = {
    "keep": None,
    "mask_own_columns": "anonymize",
    "delete": "delete",
}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One thing that happens to rows of a group."""

    #: None: they are left as they are, because they are another person's too.
    action: Row | None
    #: The ways that lead to it.
    ways: frozenset[int]
    shared: Shared | None = None
    #: Whether the rows stay and refer, by a foreign key, to rows that go.
    stuck: bool = False


def decisions(coverage: Coverage, reached: Reached, rows: Rows) -> Iterator[tuple[Group, Sequence[Decision]]]:
    """Yield each group of rows of a table with what happens to it.

    That depends on nothing but the ways that lead to it, so of many people's rows it is decided once.
    """
    taking = _taking(coverage, reached)
    made: dict[tuple[frozenset[int], bool, bool], list[Decision]] = {}
    for group in rows.groups(reached.table):
        anothers = not group.own and rows.others(reached.table, group, taking)
        alike = frozenset(group.ways), group.own, anothers
        if alike not in made:
            made[alike] = _decide(coverage, reached, group, anothers=anothers)
        yield group, made[alike]


def _decide(coverage: Coverage, reached: Reached, group: Group, *, anothers: bool) -> list[Decision]:
    shared = _told([coverage.edges[way] for way in sorted(group.ways)], reached) if anothers else None
    made = []
    wanted = _actions(coverage, reached, group)
    for action in wanted:
        ways = frozenset(way for way in group.ways if coverage.edges[way].row == action)
        if action in CUT and "retain" in wanted:
            ways = frozenset(way for way in ways if _ends(coverage, way))
        final = _INSTEAD[shared] if shared and action in _TAKES else action
        stuck = action == "delete" != final and _held_back(coverage, ways)
        if action == "retain":
            stuck = any(coverage.edges[way].row == "delete" and _ends(coverage, way) for way in group.ways)
        made.append(
            Decision(action=final, ways=ways, shared=shared if action in _TAKES else None, stuck=stuck)
        )
    return made


def kept(coverage: Coverage, rows: Rows) -> set[tuple[str, Link]]:
    """Return the groups, by table and values, that stay another person's: what refers to them does too."""
    return {
        (reached.table, group.values)
        for reached in coverage.tables.values()
        if _may_keep(coverage, reached)
        for group in rows.groups(reached.table)
        if group.followed and _shared(coverage, reached, rows, group) == "keep"
    }


def _may_keep(coverage: Coverage, reached: Reached) -> bool:
    """Whether the map says `keep` of rows of a table, whichever way leads to them."""
    edges = [edge for edge in coverage.edges if edge.child == reached.table]
    entries = [*(edge.entry for edge in edges), reached.entry]
    return any(rule is not None and rule.shared == "keep" for rule in entries)


def _actions(coverage: Coverage, reached: Reached, group: Group) -> list[Row]:
    wanted = {coverage.edges[way].row for way in group.ways}
    if group.own and reached.entry is not None:
        wanted.add(reached.entry.action)
    decided = [action for action in wanted if action is not None]
    alone = next((action for action in _ALONE if action in decided), None)
    if alone == "retain":
        ended = {coverage.edges[way].row for way in group.ways if _ends(coverage, way)}
        return [alone, *sorted(action for action in decided if action in ended & CUT)]
    return [alone] if alone else sorted(decided)


def another_persons(coverage: Coverage, reached: Reached, rows: Rows, group: Group) -> bool:
    """Whether rows belong to somebody else as well."""
    return not group.own and rows.others(reached.table, group, _taking(coverage, reached))


def _shared(coverage: Coverage, reached: Reached, rows: Rows, group: Group) -> Shared | None:
    """Return what is done about rows that are another person's too; None where they are not."""
    if not another_persons(coverage, reached, rows, group):
        return None
    return _told([coverage.edges[way] for way in sorted(group.ways)], reached)


def _told(edges: Iterable[Edge], reached: Reached) -> Shared | None:
    entries = [*(edge.entry for edge in edges), reached.entry]
    return next((rule.shared for rule in entries if rule is not None and rule.shared), None)


def _taking(coverage: Coverage, reached: Reached) -> list[int]:
    """Return the ways that make a row of a table somebody's own."""
    edges = enumerate(coverage.edges)
    return [way for way, edge in edges if edge.child == reached.table and edge.row in _TAKES]


def _ends(coverage: Coverage, way: int) -> bool:
    """Whether rows that a foreign key names go, and the database does not empty the reference by itself."""
    edge = coverage.edges[way]
    return edge.on_delete not in {None, "SET NULL"} and "delete" in coverage.tables[edge.parent].rows


def _held_back(coverage: Coverage, ways: Iterable[int]) -> bool:
    edges = [coverage.edges[way] for way in ways]
    return any(edge.on_delete and "delete" in coverage.tables[edge.parent].rows for edge in edges)
