"""The closure: from a subject's table to every table that has rows of the person.

An edge is followed further where its decision leaves rows that are the person's: `delete` and
`anonymize`, and `retain`, whose rows stay the person's until their end, with all that belongs to them.
`nullify`, `reassign` and `decorrelate` cut the row off from the person: what refers to it belongs to
others. `fail` ends an erasure. An edge that nobody decided leads no further; it is an error.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from aegis.datamap.edges import Edge, Edges, Place, Rules, decide, decided_by
from aegis.datamap.findings import Undecided
from aegis.datamap.model import TODO, Row, Rule
from aegis.datamap.names import spelled

#: Rows of other people, whose reference to the person ends.
CUT: Final[frozenset[Row]] = frozenset({"nullify", "reassign", "decorrelate"})
#: Rows that stay, or go, as the person's own.
FOLLOWED: Final[frozenset[Row]] = frozenset({"delete", "anonymize", "retain"})
#: Rows that stay as the person's own.
OWN: Final[frozenset[Row]] = frozenset({"anonymize", "retain"})
CHOICES: Final = "delete, anonymize, nullify, reassign, decorrelate, retain or fail"


@dataclass(kw_only=True)
class Closure:
    """What was found on the way; edges nearest to the person first."""

    #: label → how many edges lie between the person and the table
    depths: dict[str, int]
    edges: list[Edge] = field(default_factory=list)
    #: Edges that a table's own `row` decides because it has no other way in.
    implied: set[Place] = field(default_factory=set)


def close(roots: Iterable[str], edges: Edges, rules: Rules, people: Collection[str] = ()) -> Closure:
    """Follow every edge that leads from the subject's table to rows of the person.

    Args:
        roots: the labels of the subject's table here and, where it has one, in its other data source.
        edges: every edge of the source.
        rules: what the map says.
        people: the labels of the tables of all kinds of people.

    """
    found = Closure(depths=dict.fromkeys(roots, 0))
    everybody, waiting = frozenset((*found.depths, *people)), list(found.depths)
    while waiting:
        parent = waiting.pop(0)
        for edge in edges.into(parent):
            decided = _decided(edge, edges, rules, everybody, found)
            found.edges.append(decided)
            if decided.row in FOLLOWED and edge.child not in found.depths:
                found.depths[edge.child] = found.depths[parent] + 1
                waiting.append(edge.child)
    _take_back(found)
    _lend(found, rules, everybody)
    return found


def _decided(edge: Edge, edges: Edges, rules: Rules, people: frozenset[str], found: Closure) -> Edge:
    """Return an edge with its decision: its own, or that of its table, where that speaks of no people."""
    decided, rule = decide(edge, rules, edges.named), rules.tables.get(edge.child)
    spoken = any(column in edge.columns for column in rules.edges.get(edge.child, {}))
    if decided.row or rule is None or rule.via or spoken or edge.is_self or edge.child in people:
        return decided
    if rule.action:
        found.implied.add(edge.place)
    return decided_by(edge, rule, rules)


def _take_back(found: Closure) -> None:
    """Leave open what a table's own `row` cannot decide: it has several ways in."""
    children = [place[0] for place in found.implied]
    found.edges[:] = [
        replace(edge, row=None, entry=None, masks={})
        if edge.place in found.implied and children.count(edge.child) > 1
        else edge
        for edge in found.edges
    ]


def _lend(found: Closure, rules: Rules, people: frozenset[str]) -> None:
    """Have the table's columns written over by ways whose own entry names none.

    Only where no row stays as the person's own, or is another person: the table's columns would be meant for
    those, and other people's rows would lose what is theirs.
    """
    own = {edge.child for edge in found.edges if edge.row in OWN} | people
    found.edges[:] = [
        replace(edge, masks=rules.tables[edge.child].masks)
        if edge.row in CUT and not names_columns(edge) and edge.child in rules.tables.keys() - own
        else edge
        for edge in found.edges
    ]


def names_columns(edge: Edge) -> bool:
    """Whether the entry that decides an edge speaks of columns."""
    return edge.entry is not None and bool(edge.entry.columns)


def open_edge(edge: Edge, edges: Edges, rules: Rules, *, alone: bool) -> Undecided:
    """Say what is to be decided about an edge.

    Args:
        edge: one without a decision.
        edges: all of the source.
        rules: what the map says.
        alone: whether it is its table's only way in.

    """
    table = rules.tables.get(edge.child)
    own = [rule for column, rule in rules.edges.get(edge.child, {}).items() if column in edge.columns]
    line, cure = None, f"{spelled(edges.entry_name(edge))}: {{row: {TODO}}}"
    todo = next((rule for rule in [*own, *([table] if table else [])] if "row" in rule.todo), None)
    if todo is not None and (todo is not table or not own):
        why, line, cure = f"row is {TODO}: decide what happens to these rows", todo.todo["row"], ""
    elif len({rule.action for rule in own}) > 1:
        why, line = f"{' and '.join(rule.name for rule in own)} decide it differently; keep one", own[0].line
    elif table is None and not own:
        why = f"nobody has decided what happens to the rows that refer to {edge.parent}"
        cure = f"{spelled(edge.child)}: {{row: {TODO}, via: {via_of(edge)}}}" if alone else cure
    elif alone:
        why = f"these rows are people of another kind: say whether they go with those of {edge.parent}"
        line = _line(table)
    else:
        why, line = "the table has another way in, and this one has no decision", _line(table)
    return Undecided(kind="edge", table=edge.child, what=edge.label, why=why, cure=cure, line=line)


def via_of(edge: Edge) -> str:
    """Return an edge as `via` writes it, in YAML."""
    if len(edge.columns) == 1 and edge.on_delete and not {".", "-"} & set(edge.columns[0]):
        return spelled(edge.columns[0])
    pairs = zip(edge.columns, edge.parent_columns, strict=True)
    return (
        "{" + ", ".join(f"{spelled(own)}: {spelled(f'{edge.parent}.{other}')}" for own, other in pairs) + "}"
    )


def _line(rule: Rule | None) -> int | None:
    return rule.line if rule else None
