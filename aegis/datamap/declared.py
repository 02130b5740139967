"""The edges of a source: those that its schema declares, and those that the map's `via` adds to them."""

from collections.abc import Container, Iterable
from typing import NamedTuple

from aegis.datamap.edges import Edge, Edges, Rules
from aegis.datamap.findings import Undecided
from aegis.datamap.model import TODO, Rule, Subject, Via
from aegis.datamap.names import meant
from aegis.db.catalog import Catalog, CatalogTable, Reference
from aegis.db.contents import is_free


def read_edges(catalog: Catalog, rules: Rules, subjects: Iterable[Subject]) -> Edges:
    """Return the edges of a source."""
    edges = Edges()
    for reference in catalog.references:
        edge = _of_reference(reference)
        edges.by_place.setdefault(edge.place, edge)
    homes = {subject.home: subject for subject in subjects if subject.home}
    for label, rule in rules.tables.items():
        for via in rule.via:
            _read_via(edges, catalog, frozenset(homes), _Way(catalog.tables[label], rule, via))
    return edges


class _Way(NamedTuple):
    """A `via` with where it stands."""

    table: CatalogTable
    rule: Rule
    via: Via

    def wrong(self, why: str, cure: str) -> Undecided:
        return Undecided(
            kind="name",
            table=self.table.label,
            what=f"via {self.via.text}",
            why=why,
            cure=f"{self.rule.name}: {{via: {cure}}}",
            line=self.via.line,
        )


def _of_reference(reference: Reference) -> Edge:
    return Edge(
        child=reference.child,
        columns=reference.columns,
        parent=reference.parent,
        parent_columns=reference.parent_columns,
        on_delete=reference.on_delete,
        on_update=reference.on_update,
        deferrable=reference.deferrable,
    )


def _read_via(edges: Edges, catalog: Catalog, homes: Container[str], way: _Way) -> None:
    table, via = way.table.table, way.via
    missing = [name for name in via.columns if name not in table.c]
    if missing:
        why = f"it names column {missing[0]}, which is not there; {meant(missing[0], table.c.keys())}"
        edges.undecided.append(way.wrong(why, TODO))
    elif via.path and not is_free(table.c[via.columns[0]].type):
        kind = table.c[via.columns[0]].type.__visit_name__
        why = f"column {via.columns[0]} is {kind}, in which no JSON stands"
        edges.undecided.append(way.wrong(why, TODO))
    elif via.parent is None:
        _name_foreign_key(edges, way)
    else:
        parent = via.parent if via.parent in homes else _parent(edges, catalog, way)
        if parent is not None:
            _name_edge(edges, way, parent)


def _name_foreign_key(edges: Edges, way: _Way) -> None:
    via = way.via
    keys = [e for e in edges.of(way.table.label) if e.on_delete and via.columns[0] in e.columns]
    alone = [edge for edge in keys if edge.columns == via.columns] or keys
    if len({edge.columns for edge in alone}) == 1:
        edges.named.update(edge.place for edge in alone)
        return
    why = f"no foreign key is on {via.text}, so the map must say what it refers to"
    if alone:
        why = f"{via.text} is part of several foreign keys; write the columns of the one that is meant"
    edges.undecided.append(way.wrong(why, f"{{{via.text}: users.id}}"))


def _parent(edges: Edges, catalog: Catalog, way: _Way) -> str | None:
    name = str(way.via.parent)
    parent = catalog.find(name)
    if parent is None:
        why = f"it refers to table {name}, which is not there; {meant(name, catalog.tables)}"
    else:
        missing = [column for column in way.via.parent_columns if column not in parent.table.c]
        if not missing:
            return parent.label
        near = meant(missing[0], parent.table.c.keys())
        why = f"it refers to column {missing[0]} of {parent.label}, which is not there; {near}"
    edges.undecided.append(way.wrong(why, f"{{{_quoted(way.via.text)}: {TODO}}}"))
    return None


def _name_edge(edges: Edges, way: _Way, parent: str) -> None:
    via = way.via
    edge = _same(edges, way.table, via, parent)
    if edge is None:
        edge = Edge(
            child=way.table.label,
            columns=via.columns,
            parent=parent,
            parent_columns=via.parent_columns,
            path=via.path,
            when=via.when,
        )
        edges.by_place[edge.place] = edge
    elif via.when:
        why = "the condition leaves its other rows without a decision, and the foreign key is on every row"
        edges.undecided.append(way.wrong(why, via.text))
    edges.named.add(edge.place)


def _same(edges: Edges, table: CatalogTable, via: Via, parent: str) -> Edge | None:
    """Return the edge of the schema that a way spells out, its columns in any order."""
    wanted = set(zip(via.columns, via.parent_columns, strict=True))
    for edge in edges.of(table.label):
        pairs = set(zip(edge.columns, edge.parent_columns, strict=False))
        if (edge.parent, edge.path) == (parent, via.path) and pairs == wanted and edge.on_delete:
            return edge
    return None


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else text
