"""Coverage: a data map laid over the live schema, and everything that it leaves open.

`examine` gives, for each subject of the map, the edges and tables that have rows of one person, each
with its decision. While anything is undecided nobody can be erased by the map: what it does not see is
an error.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from aegis.datamap.cataloged import misnamed, open_entries
from aegis.datamap.closure import Closure, close
from aegis.datamap.declared import read_edges
from aegis.datamap.edges import sort_rules
from aegis.datamap.erasers import Eraser, strangers
from aegis.datamap.findings import Undecided, once
from aegis.datamap.fitting import misfits, subject_faults
from aegis.datamap.gaps import gaps, no_subject, unreached
from aegis.datamap.hooks import Anonymizer, columns_of
from aegis.datamap.model import DataMap, Subject
from aegis.datamap.reached import Coverage, Reached, View
from aegis.db.catalog import Catalog


@dataclass(frozen=True, kw_only=True)
class Examination:
    """A data map laid over a live schema."""

    datamap: DataMap
    #: By the name of the subject.
    coverages: Mapping[str, Coverage]
    #: By table; empty: every subject can be erased.
    undecided: tuple[Undecided, ...]

    @property
    def decided(self) -> bool:
        """Whether nothing is open."""
        return not self.undecided


def examine(
    datamap: DataMap,
    catalog: Catalog,
    anonymizers: Iterable[Anonymizer] = (),
    erasers: Iterable[Eraser] = (),
) -> Examination:
    """Lay a data map over a live schema.

    Args:
        datamap: the map.
        catalog: the schema.
        anonymizers: code of the application that says what is written into some columns.
        erasers: code of the application that erases what is in no database.

    Raises:
        InvalidDataMap: an anonymizer fails, or writes what the table does not have.

    """
    rules = sort_rules(datamap, catalog)
    edges = read_edges(catalog, rules, datamap.subjects.values())
    hooked, faults = columns_of(anonymizers, catalog)
    view = View(catalog=catalog, rules=rules, edges=edges, hooked=hooked, datamap=datamap)
    coverages = {
        name: _cover(view, subject, datamap.subjects.values()) for name, subject in datamap.subjects.items()
    }
    found = [
        *faults,
        *strangers(erasers, datamap.subjects),
        *rules.undecided,
        *edges.undecided,
        *misfits(catalog, rules),
        *no_subject(datamap),
    ]
    for coverage in coverages.values():
        found += [*subject_faults(catalog, coverage.subject), *gaps(view, coverage)]
    if not found:
        found += unreached(view, coverages.values())
    found = [_beside_rejected(item, datamap) for item in found]
    found += [*open_entries(datamap), *misnamed(datamap, catalog)]
    ordered = sorted(once(found), key=lambda item: (item.kind != "subject", item.table))
    return Examination(datamap=datamap, coverages=coverages, undecided=tuple(ordered))


def _beside_rejected(item: Undecided, datamap: DataMap) -> Undecided:
    """Point to the entry whose proposal was rejected: the decision is written there, not a second time."""
    name = item.cure.partition(":")[0].strip("'")
    rule = datamap.rejected.get(name)
    if rule is None:
        return item
    cure = "write what is to happen there, and status: accepted"
    why = f"{item.why}; its proposal was rejected in line {rule.line}: {cure}"
    return replace(item, why=why, cure="", line=rule.line)


def _cover(view: View, subject: Subject, subjects: Iterable[Subject]) -> Coverage:
    found = view.catalog.find(subject.table) if subject.table else None
    root = found.label if found else None
    homes = [view.catalog.find(each.table) for each in subjects if each.table]
    people = frozenset(home.label for home in homes if home)
    closure = close([label for label in (root, subject.home) if label], view.edges, view.rules, people)
    tables = _reached(view, closure, root, people)
    return Coverage(
        subject=subject,
        root=root,
        edges=tuple(closure.edges),
        tables=tables,
        tenants=_tenants(view, subject, subjects, tables),
    )


def _tenants(
    view: View, subject: Subject, subjects: Iterable[Subject], labels: Iterable[str]
) -> dict[str, str]:
    """Return each table's tenant column: as the map names it, or called as the subject's."""
    homes = [(view.catalog.find(each.table), each.tenant) for each in subjects if each.table]
    own = {home.label: tenant for home, tenant in homes if home and tenant}
    # The one column of a key names the subject itself: in other tables it would name anything.
    usual = None if subject.key == (subject.tenant,) else subject.tenant
    found = {}
    for label in labels:
        table = view.catalog.tables.get(label)
        named = next((rule.tenant for rule in view.entries(label) if rule.tenant), own.get(label, usual))
        if table is not None and named is not None and named in table.table.c:
            found[label] = named
    return found


def _reached(view: View, closure: Closure, root: str | None, people: Collection[str]) -> dict[str, Reached]:
    labels = dict.fromkeys([*([root] if root else []), *(edge.child for edge in closure.edges)])
    tables = {}
    for label in labels:
        ways = tuple(edge for edge in closure.edges if edge.child == label)
        nearest = min((closure.depths[edge.parent] + 1 for edge in ways), default=0)
        tables[label] = Reached(
            table=label,
            depth=0 if label == root else nearest,
            ways=ways,
            entry=view.rules.tables.get(label),
            people=label in people,
        )
    return tables
