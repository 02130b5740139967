"""Indexes: whether policies and erasures find their rows without reading whole tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aegis.db.engines import reading
from aegis.db.sizes import rows_about
from aegis.db.tables import DataRetentionPolicy
from aegis.doctor.findings import Finding, Found, Skipped, fault, note, ok
from aegis.doctor.patient import Patient
from aegis.doctor.work import Work
from aegis.retention.anonymizing import deletes

#: From about so many rows on, a table that is read whole again and again is a fault.
LARGE: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Columns that rows are looked for by, and no index begins with."""

    table: str
    columns: tuple[str, ...]
    #: Who looks.
    who: str
    #: Whether that is once for each person or each row, and not once for a run.
    often: bool = True


def check_indexes(patient: Patient, name: str) -> Found:
    """Check the columns by which rows are followed, and those by which policies go through their tables."""
    if patient.fresh:
        return
    if not patient.control_ready:
        message = "cannot be told while the control database is not ready"
        raise Skipped(message)
    label, work = f"indexes of {name}", patient.work(name)
    found = {(one.table, one.columns): one for one in [*_of_policies(work), *_of_erasures(work)]}
    with reading(patient.system.databases.source(name), f"data source {name}") as connection:
        for _, one in sorted(found.items()):
            yield _told(label, one, rows_about(connection, work.catalog.tables[one.table].table))
    if not found:
        yield ok(label, "whatever policies and erasures look for has one")


def _of_policies(work: Work) -> Iterator[Missing]:
    for policy in work.policies:
        label = work.label_of(policy)
        if label is None:
            continue
        if not work.catalog.tables[label].indexed([policy.timestamp_column]):
            clock = (policy.timestamp_column,)
            yield Missing(table=label, columns=clock, who=f"each run of policy {policy.name}", often=False)
        if deletes(policy):
            yield from _referring(work, policy, label, {label})


def _referring(work: Work, policy: DataRetentionPolicy, label: str, seen: set[str]) -> Iterator[Missing]:
    """Yield what refers to rows that go, and to those that go along with them."""
    for reference in work.catalog.references:
        table = work.catalog.tables.get(reference.child)
        if reference.parent != label or table is None:
            continue
        if not table.indexed(reference.columns):
            who = f"each row that policy {policy.name} deletes"
            yield Missing(table=table.label, columns=reference.columns, who=who)
        if reference.on_delete == "CASCADE" and table.label not in seen:
            yield from _referring(work, policy, table.label, seen | {table.label})


def _of_erasures(work: Work) -> Iterator[Missing]:
    for coverage in work.examination.coverages.values() if work.examination else ():
        for edge in coverage.edges:
            table = work.catalog.tables.get(edge.child)
            if table is not None and not edge.path and not table.indexed(edge.columns):
                yield Missing(table=edge.child, columns=edge.columns, who="each erasure")


def _told(label: str, one: Missing, rows: int | None) -> Finding:
    listed = ", ".join(one.columns)
    name = "_".join([one.table.rpartition(".")[2], *one.columns])
    text = f"{one.table} ({listed}): {one.who} reads the whole table"
    cure = f"CREATE INDEX {name} ON {one.table} ({listed})"
    if one.often and rows is not None and rows >= LARGE:
        return fault(label, f"{text}, about {rows:,} rows", cure)
    return note(label, text, cure)
