"""In which order an erasure goes through the tables: what refers comes before what it refers to.

Tables that refer to each other in a circle are one knot. Inside of one, rows are told apart by level: those
to which no other row refers come first.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from aegis.datamap.edges import Edge
from aegis.datamap.reached import Coverage
from aegis.erasure.rows import Group, Rows

#: Table and group.
Place = tuple[str, Group]
_NOBODY: Final[frozenset[str]] = frozenset()


def knots(coverage: Coverage) -> list[tuple[str, ...]]:
    """Return the tables, those that refer before those that are referred to; a circle is one knot."""
    referring: dict[str, set[str]] = {label: set() for label in coverage.tables}
    for edge in coverage.edges:
        if edge.parent in referring:
            referring[edge.parent].add(edge.child)
    before = {label: _reach(label, referring) for label in referring}
    circles = {
        tuple(sorted({label, *(other for other in found if label in before.get(other, _NOBODY))}))
        for label, found in before.items()
    }
    # Whoever has fewer before them comes first; a knot has as many as each of its tables.
    return sorted(circles, key=lambda knot: (len(before[knot[0]] | set(knot)), knot))


def _reach(label: str, referring: Mapping[str, Iterable[str]]) -> set[str]:
    """Return every table that refers to one, over whichever others."""
    found: set[str] = set()
    waiting = deque(referring[label])
    while waiting:
        other = waiting.popleft()
        if other not in found:
            found.add(other)
            waiting.extend(referring.get(other, ()))
    return found


def levels(
    coverage: Coverage, rows: Rows, groups: Mapping[str, Sequence[Group]]
) -> tuple[list[list[Place]], list[Place]]:
    """Sort groups that are to be deleted by what refers to them among these tables, by foreign keys.

    Returns:
        Levels that can be deleted one after the other; and the groups of circles, which cannot.

    """
    links = [edge for edge in coverage.edges if edge.on_delete and {edge.child, edge.parent} <= groups.keys()]
    places = [(label, group) for label, found in groups.items() for group in found]
    if not links:
        return [places], []
    parents = _parents(coverage, rows, groups, links)
    left = dict.fromkeys(range(len(places)), 0)
    number = {(label, group.values): n for n, (label, group) in enumerate(places)}
    above = {n: [number[p] for p in parents[label, group.values]] for n, (label, group) in enumerate(places)}
    for found in above.values():
        for parent in found:
            left[parent] += 1
    made = []
    while level := [n for n, referring in left.items() if not referring]:
        made.append([places[n] for n in level])
        for n in level:
            del left[n]
            for parent in above[n]:
                left[parent] -= 1
    return made, [places[n] for n in left]


def _parents(
    coverage: Coverage, rows: Rows, groups: Mapping[str, Sequence[Group]], links: Sequence[Edge]
) -> Mapping[tuple[str, tuple[object, ...]], set[tuple[str, tuple[object, ...]]]]:
    """Return what each group refers to among these; MariaDB alone minds that a row refers to itself."""
    found: dict[tuple[str, tuple[object, ...]], set[tuple[str, tuple[object, ...]]]] = defaultdict(set)
    for edge in links:
        way, child, parent = coverage.edges.index(edge), rows.side(edge.child), rows.side(edge.parent)
        referred = {parent.referred(group.values, edge): group for group in groups[edge.parent]}
        for group in groups[edge.child]:
            link = child.link(group.values, way)
            target = referred.get(link) if link is not None else None
            if target is not None and (target is not group or rows.own_reference_binds):
                found[edge.child, group.values].add((edge.parent, target.values))
    return found
