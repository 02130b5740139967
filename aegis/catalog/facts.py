"""What is known of a table and its columns from the schema alone: names, types, keys, references."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from aegis.catalog.types import Family, family_of, is_list, length_of, spelled
from aegis.db.catalog import Catalog, CatalogTable
from aegis.db.documents import IS_DOCUMENT


@dataclass(frozen=True, kw_only=True)
class ColumnFacts:
    """One column as the schema declares it."""

    name: str
    #: The type as SQL spells it, in lower case: `varchar(20)`, `text[]`, `enum`, or `unknown`.
    type: str
    #: What kind of type it is; of an array, that of its elements.
    family: Family
    #: Characters that it has room for; None: no bound.
    length: int | None = None
    #: Whether it holds a list of values.
    many: bool = False
    #: Whether it belongs to the primary key.
    key: bool = False
    #: Label of the table that a declared foreign key of this column alone refers to.
    refers_to: str | None = None
    #: Whether the database computes it from other columns.
    computed: bool = False


@dataclass(frozen=True, kw_only=True)
class TableFacts:
    """One table as the schema declares it."""

    #: `table`, and `schema.table` outside of the session's own schema.
    label: str
    columns: tuple[ColumnFacts, ...]
    #: The table's own name, without its schema.
    name: str = ""
    #: Labels of the tables that its foreign keys refer to, this one's own left out.
    parents: frozenset[str] = field(default_factory=frozenset)
    #: Whether it is a view: of the rows of others.
    view: bool = False


def column(name: str, kind: str, *, key: bool = False, refers_to: str | None = None) -> ColumnFacts:
    """Return the facts of a column from its name and its type as SQL spells it."""
    return ColumnFacts(
        name=name,
        type=kind,
        family=family_of(kind),
        length=length_of(kind),
        many=is_list(kind),
        key=key,
        refers_to=refers_to,
    )


def table(label: str, columns: Iterable[ColumnFacts]) -> TableFacts:
    """Return the facts of a table from its columns."""
    found = tuple(columns)
    parents = frozenset(c.refers_to for c in found if c.refers_to and c.refers_to != label)
    name = label.rpartition(".")[2].strip('"')
    return TableFacts(label=label, name=name, columns=found, parents=parents)


def read_facts(catalog: Catalog, dialect: sa.Dialect) -> Mapping[str, TableFacts]:
    """Return the facts of every table of a live schema, by label."""
    refers: dict[tuple[str, str], str] = {}
    parents: dict[str, set[str]] = {}
    for reference in catalog.references:
        parents.setdefault(reference.child, set()).add(reference.parent)
        if len(reference.columns) == 1:
            refers.setdefault((reference.child, reference.columns[0]), reference.parent)
    return {
        label: TableFacts(
            label=label,
            name=str(found.table.name),
            columns=tuple(_columns(label, found, refers, dialect)),
            parents=frozenset(parents.get(label, set()) - {label}),
        )
        for label, found in catalog.tables.items()
    }


def _columns(
    label: str, found: CatalogTable, refers: Mapping[tuple[str, str], str], dialect: sa.Dialect
) -> Sequence[ColumnFacts]:
    facts = []
    for each in found.table.columns:
        kind = "json" if each.info.get(IS_DOCUMENT) else spelled(each.type, dialect)
        facts.append(
            ColumnFacts(
                name=each.name,
                type=kind,
                family=family_of(kind),
                length=length_of(kind),
                many=is_list(kind),
                key=each.name in found.key,
                refers_to=refers.get((label, each.name)),
                computed=each.computed is not None,
            )
        )
    return facts
