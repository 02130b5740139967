"""Fides datasets: read one as a start for a data map, write one from a data map.

The format is fideslang's `Dataset` (github.com/ethyca/fideslang, `fideslang/models.py`): `dataset:` is a
list, each with `collections`, each with `fields`, each with `data_categories` of the fideslang taxonomy
and `fides_meta: {primary_key, identity, references: [{dataset, field, direction}]}` (`fidesops_meta` in
older files). A reference whose direction is `to` points away from the person: the other field is reached
from this one.

A category says what a value is, not what is to happen to it: it becomes a note behind a TODO, never a
strategy. References and identities are facts of the schema: they become `via` and `identifiers`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aegis.datamap.coverage import Examination
from aegis.datamap.edges import Edge
from aegis.datamap.formats import Problems, read_yaml, value_of, write_yaml
from aegis.datamap.starting import Hints
from aegis.datamap.suggestions import category
from aegis.db.catalog import Catalog, CatalogTable

_META: Final = ("fides_meta", "fidesops_meta")
#: Identities of Fides that a data map calls otherwise.
_IDENTITIES: Final = {"phone_number": "phone"}
_NO_DATASET: Final = "it is no Fides dataset: expected dataset: with collections: with fields:"
_NOT_PERSONAL: Final = "system.operations"
_PERSONAL: Final = "user"


def read_dataset(text: str, file: str, catalog: Catalog) -> Hints:
    """Return what a Fides file knows of the tables that are there.

    Args:
        text: YAML.
        file: what it is called in a message.
        catalog: the live schema; what the file says of other tables and columns is left out.

    Raises:
        InvalidFile: it is no such file.

    """
    problems = Problems(file=file)
    root = read_yaml(text, problems)
    data = value_of(root, problems, "the file")
    problems.refuse()
    categories: dict[tuple[str, str], tuple[str, ...]] = {}
    identities: dict[tuple[str, str], str] = {}
    edges: list[Edge] = []
    try:
        for table, field in _fields(data, catalog):
            place = (table.label, field["name"])
            categories[place] = tuple(field.get("data_categories") or ())
            meta: dict[str, Any] = next((field[key] for key in _META if field.get(key)), {})
            if kind := meta.get("identity"):
                identities[place] = _IDENTITIES.get(kind, kind)
            edges += _edges(catalog, table, field["name"], meta.get("references") or [])
    except (AttributeError, KeyError, TypeError):
        problems.add(1, _NO_DATASET)
    problems.refuse()
    return Hints(origin="fides", edges=tuple(edges), categories=categories, identities=identities)


def categories_of(text: str, file: str) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Return (collection, field) → data categories of a Fides file.

    Raises:
        InvalidFile: it is no such file.

    """
    problems = Problems(file=file)
    data = value_of(read_yaml(text, problems), problems, "the file")
    problems.refuse()
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    try:
        for dataset in data["dataset"]:
            for collection in dataset["collections"]:
                for field in collection["fields"]:
                    found[collection["name"], field["name"]] = tuple(field.get("data_categories") or ())
    except (AttributeError, KeyError, TypeError):
        problems.add(1, _NO_DATASET)
    problems.refuse()
    return found


def write_dataset(datasource: str, catalog: Catalog, examination: Examination) -> str:
    """Return the tables that a data map reaches as a Fides file.

    A column's category is guessed from its name where the map writes over it; one that the map
    preserves, or says nothing of, is not personal.
    """
    reached = [label for each in examination.coverages.values() for label in each.tables]
    tables = [catalog.tables[label] for label in dict.fromkeys(reached) if label in catalog.tables]
    collections = [_collection(table, datasource, examination) for table in tables]
    dataset = {"fides_key": datasource, "name": datasource, "collections": collections}
    return write_yaml({"dataset": [dataset]})


def _fields(data: Any, catalog: Catalog) -> Iterator[tuple[CatalogTable, Mapping[str, Any]]]:
    for dataset in data["dataset"]:
        for collection in dataset["collections"]:
            table = catalog.find(collection["name"])
            if table is not None:
                yield from ((table, f) for f in collection["fields"] if f["name"] in table.table.c)


def _edges(
    catalog: Catalog, table: CatalogTable, column: str, references: list[Mapping[str, str]]
) -> Iterator[Edge]:
    """Yield the references of a field to fields that are there."""
    for reference in references:
        name, _, field = reference["field"].rpartition(".")
        other = catalog.find(name)
        if other is None or field not in other.table.c:
            continue
        child, parent = (table.label, column), (other.label, field)
        if reference.get("direction") == "to":
            child, parent = parent, child
        edge = Edge(child=child[0], columns=(child[1],), parent=parent[0], parent_columns=(parent[1],))
        if not _known(catalog, edge):
            yield edge


def _known(catalog: Catalog, edge: Edge) -> bool:
    """Whether the schema has a foreign key for it."""
    return any(
        (r.child, r.columns, r.parent) == (edge.child, edge.columns, edge.parent) for r in catalog.references
    )


def _collection(table: CatalogTable, datasource: str, examination: Examination) -> dict[str, Any]:
    return {
        "name": table.label,
        "fields": [
            _field(table, str(column.name), datasource, examination) for column in table.table.columns
        ],
    }


def _field(table: CatalogTable, name: str, datasource: str, examination: Examination) -> dict[str, Any]:
    edges = [e for each in examination.coverages.values() for e in each.edges if e.child == table.label]
    meta: dict[str, Any] = {"primary_key": True} if name in table.key else {}
    meta |= _identity(table, name, examination)
    references = [
        {"dataset": datasource, "field": f"{edge.parent}.{other}", "direction": "from"}
        for edge in edges
        if not edge.path
        for own, other in zip(edge.columns, edge.parent_columns, strict=True)
        if own == name
    ]
    if references:
        meta["references"] = references
    found = {"name": name, "data_categories": [_category(table, name, examination)]}
    return found | ({"fides_meta": meta} if meta else {})


def _identity(table: CatalogTable, name: str, examination: Examination) -> dict[str, str]:
    spelling = {ours: theirs for theirs, ours in _IDENTITIES.items()}
    for coverage in examination.coverages.values():
        for kind, column in coverage.subject.identifiers.items():
            if (coverage.root, column) == (table.label, name):
                return {"identity": spelling.get(kind, kind)}
    return {}


def _category(table: CatalogTable, name: str, examination: Examination) -> str:
    reached = [
        each.tables[table.label] for each in examination.coverages.values() if table.label in each.tables
    ]
    entries = [
        entry for each in reached for entry in (each.entry, *(way.entry for way in each.ways)) if entry
    ]
    masked = any(name in entry.masks for entry in entries)
    return (category(name) or _PERSONAL) if masked else _NOT_PERSONAL
