"""What an erasure does, in the order in which it does it: rows that refer before those that they refer to.

So whatever is reached over a row is done before the row itself, and an erasure that was cut off finds what is
left by following the map again.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aegis.datamap.closure import CUT
from aegis.datamap.model import Row
from aegis.datamap.reached import Coverage
from aegis.erasure.decisions import decisions
from aegis.erasure.order import Place, knots, levels
from aegis.erasure.rows import Group, Rows

_Sort = tuple[Row, frozenset[int], bool]


@dataclass(frozen=True, kw_only=True)
class Act:
    """One thing done to groups of one table."""

    table: str
    action: Row
    groups: Sequence[Group]
    #: The edges by which the rows are reached, by their place in the coverage.
    ways: frozenset[int] = frozenset()
    #: Whether they stand for the person.
    own: bool = False
    #: column → strategy
    masks: Mapping[str, Any]

    @property
    def counted(self) -> str:
        """How journal, log and ledger call what is done."""
        return "anonymize" if self.action == "retain" else self.action


def acts(coverage: Coverage, rows: Rows) -> Iterator[Act | list[Act]]:
    """Yield what is to be done; a list are deletions in a circle, which can only be done together."""
    found = _sorted(coverage, rows)
    for knot in knots(coverage):
        masked = [act for label in knot for act in _masks(coverage, label, found[label])]
        yield from (act for label in knot for act in _cuts(coverage, label, found[label]))
        yield from (act for act in masked if not act.own)
        yield from _deletions(coverage, rows, {label: _doomed(found[label]) for label in knot})
        yield from (act for act in masked if act.own)


def flat(found: Iterable[Act | list[Act]]) -> Iterator[Act]:
    """Yield acts, also those of circles."""
    for item in found:
        yield from item if isinstance(item, list) else [item]


def _sorted(coverage: Coverage, rows: Rows) -> Mapping[str, Mapping[_Sort, list[Group]]]:
    """Return the groups of each table by what happens to them."""
    found: dict[str, dict[_Sort, list[Group]]] = {label: defaultdict(list) for label in coverage.tables}
    for reached in coverage.tables.values():
        for group, made in decisions(coverage, reached, rows):
            for decision in made:
                if decision.action and decision.action != "fail":
                    sort = (decision.action, decision.ways, group.own)
                    found[reached.table][sort].append(group)
    return found


def masks_of_ways(coverage: Coverage, label: str, ways: Iterable[int], *, own: bool) -> dict[str, Any]:
    """Return the columns that are written over in rows that are reached so: column → strategy."""
    entry = coverage.tables[label].entry
    masks = dict(entry.masks) if own and entry else {}
    for way in sorted(ways):
        masks |= coverage.edges[way].masks
    return masks


def _cuts(coverage: Coverage, label: str, found: Mapping[_Sort, list[Group]]) -> Iterator[Act]:
    for (action, ways, own), groups in found.items():
        if action in CUT:
            masks = masks_of_ways(coverage, label, ways, own=False)
            yield Act(table=label, action=action, groups=groups, ways=ways, own=own, masks=masks)


def _masks(coverage: Coverage, label: str, found: Mapping[_Sort, list[Group]]) -> Iterator[Act]:
    for (action, ways, own), groups in found.items():
        masks = masks_of_ways(coverage, label, ways, own=own)
        if action == "anonymize" or (action == "retain" and masks):
            yield Act(table=label, action=action, groups=groups, ways=ways, own=own, masks=masks)


def _doomed(found: Mapping[_Sort, list[Group]]) -> list[Group]:
    return [group for (action, _, _), groups in found.items() if action == "delete" for group in groups]


def _deletions(
    coverage: Coverage, rows: Rows, doomed: Mapping[str, Sequence[Group]]
) -> Iterator[Act | list[Act]]:
    made, circle = levels(coverage, rows, {label: groups for label, groups in doomed.items() if groups})
    for level in made:
        yield from _by_table(level)
    if circle:
        yield list(_by_table(circle))


def _by_table(places: Iterable[Place]) -> Iterator[Act]:
    tables: dict[str, list[Group]] = defaultdict(list)
    for label, group in places:
        tables[label].append(group)
    for label, groups in tables.items():
        own = any(group.own for group in groups)
        yield Act(table=label, action="delete", groups=groups, own=own, masks={})
