"""Edges: every reference between two tables, from the schema's foreign keys and from the map's `via`.

An edge points from a child, whose rows refer, to a parent, whose rows are referred to. What a map says
of an edge is found here too: `table.column` decides the edges with that column, `via` makes the
table's own `row` the decision of the edges it names, and a table that has neither is decided by its
`row` while it has one way in only (`aegis.datamap.closure`).
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aegis.datamap.findings import Undecided
from aegis.datamap.model import DataMap, Row, Rule
from aegis.datamap.names import meant
from aegis.datamap.vias import written
from aegis.db.catalog import Catalog, CatalogTable

Place = tuple[str, tuple[str, ...], str, tuple[str, ...], tuple[str, ...], str | None]


@dataclass(frozen=True, kw_only=True)
class Edge:
    """One reference from a table to another (or to itself), with its decision."""

    child: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    #: Keys below the one column, which is JSON.
    path: tuple[str, ...] = ()
    #: Only rows with this condition.
    when: str | None = None
    #: What the database does with a child when its parent goes, and when the parent's key changes;
    #: none: there is no foreign key.
    on_delete: str | None = None
    on_update: str | None = None
    deferrable: bool = False
    #: What happens to the rows that are reached by it; none: nobody has decided.
    row: Row | None = None
    #: The entry of the map that decides it: of the edge (`table.column`) or of its table.
    entry: Rule | None = None
    #: column → strategy in the rows that it reaches: the entry's own, and where it names no columns the
    #: table's, if they are to be anonymized, or if no rows of the table are (`aegis.datamap.closure`).
    masks: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        """What tells it from every other edge."""
        return (self.child, self.columns, self.parent, self.parent_columns, self.path, self.when)

    @property
    def source(self) -> str:
        """The referring columns, as a data map writes them."""
        return written(self.columns, self.path)

    @property
    def label(self) -> str:
        """The edge as people write it."""
        return f"{self.child}.{self.source} → {self.parent}.{written(self.parent_columns)}"

    @property
    def is_self(self) -> bool:
        """Whether a table refers to itself."""
        return self.child == self.parent


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The map's entries by what they are about in the live schema."""

    #: label → the entry of the table
    tables: Mapping[str, Rule]
    #: label → column → the entry of the edges with that column
    edges: Mapping[str, Mapping[str, Rule]]
    undecided: tuple[Undecided, ...] = ()


@dataclass(kw_only=True)
class Edges:
    """Every edge of a source; `named` are those that a `via` speaks of."""

    by_place: dict[Place, Edge] = field(default_factory=dict)
    named: set[Place] = field(default_factory=set)
    undecided: list[Undecided] = field(default_factory=list)

    def into(self, parent: str) -> list[Edge]:
        """Return the edges that point at a table, in the order of their names."""
        return sorted((e for e in self.by_place.values() if e.parent == parent), key=lambda e: e.label)

    def of(self, child: str) -> list[Edge]:
        """Return the edges of a table."""
        return [edge for edge in self.by_place.values() if edge.child == child]

    def entry_name(self, edge: Edge) -> str:
        """Return the name under which a map decides this edge and no other one."""
        others = {name for e in self.of(edge.child) if e.columns != edge.columns for name in e.columns}
        own = next((name for name in edge.columns if name not in others), edge.columns[-1])
        return f"{edge.child}.{own}"


def sort_rules(datamap: DataMap, catalog: Catalog) -> Rules:
    """Tell entries of tables from those of edges: only the live schema knows what a dot means."""
    tables: dict[str, Rule] = {}
    edges: dict[str, dict[str, Rule]] = {}
    undecided: list[Undecided] = []
    for name, rule in datamap.rules.items():
        table, (owner, column) = catalog.find(name), _divided(catalog, name)
        if table is not None and table.label in tables:
            undecided.append(_twice(rule, tables[table.label]))
        elif table is not None:
            tables[table.label] = rule
        elif owner is not None and column in owner.table.c:
            edges.setdefault(owner.label, {})[column] = rule
        else:
            undecided.append(_unknown(rule, catalog, owner, column))
    return Rules(tables=tables, edges=edges, undecided=tuple(undecided))


def _divided(catalog: Catalog, name: str) -> tuple[CatalogTable | None, str]:
    """Return the table and the column that a name with a dot has; names may have dots themselves."""
    dots = [place for place, sign in enumerate(name) if sign == "."]
    found = [(catalog.find(name[:place]), name[place + 1 :]) for place in dots]
    known = [(table, column) for table, column in found if table is not None]
    whole = [(table, column) for table, column in known if column in table.table.c]
    return next(iter([*whole, *reversed(known)]), (None, ""))


def decide(edge: Edge, rules: Rules, named: Container[Place]) -> Edge:
    """Return an edge with what the map says of it expressly."""
    own = [rule for column, rule in rules.edges.get(edge.child, {}).items() if column in edge.columns]
    if not own and edge.place in named and edge.child in rules.tables:
        own = [rules.tables[edge.child]]
    if len({rule.action for rule in own}) != 1:
        return edge
    return decided_by(edge, own[0], rules)


def decided_by(edge: Edge, entry: Rule, rules: Rules) -> Edge:
    """Return an edge with the decision of an entry."""
    table = rules.tables.get(edge.child)
    masks = entry.masks
    if not masks and entry.action == "anonymize" and table is not None:
        masks = table.masks
    when = edge.when or entry.when
    if edge.when and entry.when:
        when = f"({edge.when}) AND ({entry.when})"
    return replace(edge, row=entry.action, entry=entry, masks=masks, when=when)


def _twice(rule: Rule, other: Rule) -> Undecided:
    why = f"it stands in line {other.line} already, as {other.name}; keep one"
    return Undecided(
        kind="name", table=other.name, what=rule.name, why=why, cure=f"{other.name}: …", line=rule.line
    )


def _unknown(rule: Rule, catalog: Catalog, owner: CatalogTable | None, column: str) -> Undecided:
    if owner is not None:
        why = f"table {owner.label} has no column {column}; {meant(column, owner.table.c.keys())}"
    else:
        why = f"there is no table {rule.name}; {meant(rule.name, catalog.tables)}"
    cure = f"take {rule.name} out, or write the name that the table has"
    table = owner.label if owner else rule.name
    return Undecided(kind="name", table=table, what=rule.name, why=why, cure=cure, line=rule.line)
