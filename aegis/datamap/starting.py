"""The first version of a data map, written from the live schema: nothing in it is decided.

What refers to the person's row stands there with TODO. What refers to that in turn stands there as a
comment: whether it matters depends on what is decided first, and `aegis datamap check` asks for it then.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aegis.datamap import suggestions
from aegis.datamap.closure import CHOICES, via_of
from aegis.datamap.declared import read_edges
from aegis.datamap.edges import Edge, Edges, Rules
from aegis.datamap.model import TODO
from aegis.datamap.names import meant, spelled
from aegis.db.catalog import Catalog, CatalogTable
from aegis.errors import UnknownName

#: Names of tables of people, the likeliest first.
_PEOPLE: Final = (
    *("users", "user", "accounts", "account", "customers", "customer", "members", "member"),
    *("people", "person", "persons", "auth_user", "profiles", "employees", "clients", "contacts"),
)
_TENANT: Final = re.compile(r"(tenant|org|organi[sz]ation|company|workspace)_?id", re.IGNORECASE)
_CREATED: Final = re.compile(r"(created|registered|inserted|joined)(_?(at|on|time))?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What another tool knows of the schema."""

    #: Where it comes from.
    origin: str = ""
    #: References that the schema may have no foreign key for.
    edges: tuple[Edge, ...] = ()
    #: (table, column) → data categories
    categories: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    #: (table, column) → kind of identifier
    identities: Mapping[tuple[str, str], str] = field(default_factory=dict)


def guess_subject(catalog: Catalog) -> str | None:
    """Return the table that most likely has the people; None when none looks like it."""
    counts = {label: sum(r.parent == label for r in catalog.references) for label in catalog.tables}
    known = {label: label.rpartition(".")[2].lower() for label in catalog.tables}
    likely = [label for label, name in known.items() if name in _PEOPLE]
    if not likely:
        # Named for its application: `galaxy_user`. A table between two others is called so too.
        known = {label: name.rpartition("_")[2] for label, name in known.items()}
        likely = [label for label, name in known.items() if name in _PEOPLE and counts[label]]
    return max(likely, key=lambda label: (counts[label], -_PEOPLE.index(known[label])), default=None)


def first_map(
    catalog: Catalog, datasource: str, *, subject_table: str | None = None, hints: Hints | None = None
) -> str:
    """Return the text of a first data map.

    Args:
        catalog: the live schema.
        datasource: the source's name.
        subject_table: the table with the people; none: it is guessed.
        hints: what another tool knows.

    Raises:
        UnknownName: there is no such table.

    """
    hints = hints or Hints()
    label = subject_table or guess_subject(catalog)
    table = catalog.find(label) if label else None
    if label and table is None:
        message = f"there is no table {label} in data source {datasource}; {meant(label, catalog.tables)}"
        raise UnknownName(message)
    view = _View(catalog=catalog, edges=_all_edges(catalog, hints), hints=hints)
    lines = [
        f"# The data map of {datasource}, a first version: what is personal in it, where, and what happens",
        f"# to it. {TODO} stands where you decide; `aegis datamap check` lists what is open. A strategy",
        "# behind a # is a suggestion, guessed from the column's name or type.",
        "subjects:",
        "  user:",
        *_subject(table, view, guessed=subject_table is None),
        "tables:" if table else "tables: {}",
        *(_tables(table, view) if table else ()),
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, kw_only=True)
class _View:
    catalog: Catalog
    edges: Edges
    hints: Hints


def _all_edges(catalog: Catalog, hints: Hints) -> Edges:
    edges = read_edges(catalog, Rules(tables={}, edges={}), [])
    for edge in hints.edges:
        edges.by_place.setdefault(edge.place, edge)
    return edges


def _subject(table: CatalogTable | None, view: _View, *, guessed: bool) -> Iterator[str]:
    if table is None:
        yield f"    table: {TODO}  # no table looks like one of people"
        yield f"    key: {TODO}"
        yield f"    identifiers: {TODO}  # such as {{email: email, phone: phone}}"
        return
    refer = len({edge.child for edge in view.edges.into(table.label) if not edge.is_self})
    note = f"  # guessed; {refer} tables refer to it" if guessed else ""
    yield f"    table: {spelled(table.label)}{note}"
    yield f"    key: {_list(table.key)}" if table.key else f"    key: {TODO}  # it has no primary key"
    names = [column.name for column in table.table.columns]
    for role, pattern in (("tenant", _TENANT), ("created", _CREATED)):
        found = next((name for name in names if pattern.fullmatch(name)), None)
        if found:
            yield f"    # {role}: {spelled(found)}"
    yield f"    identifiers: {_identifiers(table, view.hints)}"


def _identifiers(table: CatalogTable, hints: Hints) -> str:
    """Return what another tool says identifies a person; else what may, as a comment."""
    names = table.free_columns
    said = {kind: name for name in names if (kind := hints.identities.get((table.label, name)))}
    if said:
        return "{" + ", ".join(f"{kind}: {spelled(name)}" for kind, name in said.items()) + "}"
    guesses = {kind: name for name in reversed(names) if (kind := suggestions.identifier(name))}
    guess = ", ".join(f"{kind}: {spelled(name)}" for kind, name in guesses.items())
    return f"{TODO}  # such as {{{guess or 'email: email'}}}"


def _tables(table: CatalogTable, view: _View) -> Iterator[str]:
    yield f"  {spelled(table.label)}:"
    yield f"    row: {TODO}  # anonymize or delete"
    yield from _columns(table, view)
    near = view.edges.into(table.label)
    for edge in near:
        if edge.is_self:
            yield f"  {spelled(view.edges.entry_name(edge))}: {{row: {TODO}}}"
    children = list(dict.fromkeys(edge.child for edge in near if not edge.is_self))
    for child in children:
        yield from _child([edge for edge in near if edge.child == child], view)
    yield from _further([table.label, *children], view.edges)


def _child(ways: Sequence[Edge], view: _View) -> Iterator[str]:
    """Yield the entries of a table that refers to the person's row."""
    child = ways[0].child
    body = [f"    via: {via_of(ways[0])}", f"    row: {TODO}  # {CHOICES}"]
    if len(ways) > 1:
        for edge in ways:
            yield f"  {spelled(view.edges.entry_name(edge))}: {{row: {TODO}}}  # {CHOICES}"
        unknown = [via_of(edge) for edge in ways if not edge.on_delete]
        body = [f"    via: [{', '.join(unknown)}]"] if unknown else []
    body += _columns(view.catalog.tables[child], view) if child in view.catalog.tables else ()
    yield from [f"  {spelled(child)}:", *body] if body else ()


def _columns(table: CatalogTable, view: _View) -> Iterator[str]:
    referring = {name for edge in view.edges.of(table.label) for name in edge.columns}
    free = [name for name in table.free_columns if name not in referring]
    if free:
        yield "    columns:"
    for name in free:
        said = ", ".join(view.hints.categories.get((table.label, name), ()))
        guess = suggestions.strategies(table.table.c[name])
        note = "; ".join(part for part in (guess, said and f"{view.hints.origin}: {said}") if part)
        yield f"      {spelled(name)}: {TODO}" + (f"  # {note}" if note else "")


def _further(shown: Sequence[str], edges: Edges) -> Iterator[str]:
    """Yield what refers to those tables, and so on, as comments."""
    known, waiting = set(shown), list(shown)
    while waiting:
        for edge in edges.into(waiting.pop(0)):
            if edge.child not in known:
                if len(known) == len(shown):
                    yield "  # `aegis datamap check` asks for these when rows they refer to are the person's:"
                known.add(edge.child)
                waiting.append(edge.child)
                yield f"  # {spelled(edge.child)}: {{row: {TODO}, via: {via_of(edge)}}}"


def _list(names: Iterable[str]) -> str:
    shown = [spelled(name) for name in names]
    return shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"
