"""The section `catalog` of a data map: what each column holds, as it was found, and as a person decided.

    catalog:
      users:
        status: accepted
        kind: person
        columns:
          email: {type: varchar(254), category: user.contact.email, confidence: 0.97, evidence: ["..."]}
          nickname: {status: proposed, type: text, category: user.name, confidence: 0.8, evidence: ["..."]}

A column has the status of its table unless it says another. A category is a key of fideslang, `none` or
`unknown`.
"""

from collections.abc import Container, Iterator
from typing import Final

from aegis.datamap.bodies import Body
from aegis.datamap.findings import Kind, Undecided
from aegis.datamap.formats import Entry, Problems
from aegis.datamap.keeping import status_of
from aegis.datamap.model import TODO, UNKNOWN, Cataloged, DataMap, Holding
from aegis.datamap.names import meant, spelled
from aegis.db.catalog import Catalog, CatalogTable

TABLE: Final = ("status", "kind", "columns")
COLUMN: Final = ("status", "type", "category", "confidence", "evidence")
_CHOICE: Final = "say status: accepted, or rejected; write it over first where it is wrong"


def cataloged(entry: Entry, problems: Problems) -> Cataloged:
    """Return what a map says that the columns of one table hold; what is wrong is added to the problems."""
    body = Body(entry.node, f"catalog, table {entry.key}", TABLE, problems)
    status = status_of(body)
    columns = [_column(part, body, problems) for part in body.pairs("columns")]
    return Cataloged(
        name=entry.key,
        line=entry.line,
        kind=body.text("kind"),
        status=status,
        columns={holding.column: holding for holding in columns},
    )


def _column(entry: Entry, table: Body, problems: Problems) -> Holding:
    body = Body(entry.node, f"{table.where}, column {entry.key}", COLUMN, problems)
    own = status_of(body) if "status" in body.parts else status_of(table)
    if body.parts and "category" not in body.parts:
        problems.add(entry.line, f"{body.where}: category is missing: a key of fideslang, none or {UNKNOWN}")
    return Holding(
        column=entry.key,
        line=entry.line,
        category=body.text("category") or UNKNOWN,
        type=body.text("type"),
        status=own,
        confidence=body.number("confidence"),
        evidence=body.names("evidence"),
    )


def open_entries(datamap: DataMap) -> Iterator[Undecided]:
    """Find what was proposed and not decided: subjects, tables, edges, and what columns hold."""
    for subject in datamap.subjects.values():
        if subject.status == "proposed":
            yield _proposed(subject.name, "", f"the subject is proposed: {_CHOICE}", subject.line, "subject")
    for name, rule in datamap.rules.items():
        if rule.status == "proposed":
            yield _proposed(name, "", f"what happens to it is proposed: {_CHOICE}", rule.line)
    for table in datamap.catalog.values():
        waiting = [holding for holding in table.columns.values() if not holding.decided]
        whole = table.status == "proposed"
        if whole:
            why = f"what its {len(table.columns)} columns hold is proposed: {_CHOICE}"
            yield _proposed(table.name, "catalog", why, table.line)
        for holding in waiting:
            if table.status != "rejected" and not (whole and holding.category != UNKNOWN):
                yield _proposed(table.name, f"column {holding.column}", _asked(holding), holding.line)


def misnamed(datamap: DataMap, catalog: Catalog) -> Iterator[Undecided]:
    """Find tables and columns of the section that are not there any more."""
    for table in datamap.catalog.values():
        found = catalog.find(table.name)
        if found is None:
            why = f"there is no table {table.name}; {meant(table.name, catalog.tables)}"
            yield _gone(table.name, "catalog", why, table.line)
            continue
        for holding in table.columns.values():
            if holding.column not in found.table.c:
                near = meant(holding.column, found.table.c.keys())
                yield _gone(
                    found.label, f"column {holding.column}", f"there is no such column; {near}", holding.line
                )


def unmasked(
    datamap: DataMap, catalog: Catalog, table: CatalogTable, decided: Container[str]
) -> Iterator[Undecided]:
    """Find columns that were accepted as personal, whose rows stay, and of which the map says nothing."""
    for said in datamap.catalog.values():
        found = catalog.find(said.name)
        if found is None or found.label != table.label:
            continue
        for holding in said.columns.values():
            known = holding.column in table.table.c and holding.column not in decided
            if known and holding.decided and holding.is_personal and said.status != "rejected":
                yield Undecided(
                    kind="column",
                    table=table.label,
                    what=f"column {holding.column}",
                    why=f"it holds {holding.category}, and has neither a strategy nor `preserve`",
                    cure=f"{spelled(table.label)}: {{columns: {{{spelled(holding.column)}: {TODO}}}}}",
                )


def _asked(holding: Holding) -> str:
    if holding.category == UNKNOWN:
        return "nobody knows what it holds: name a category, or none"
    return f"{holding.category} is proposed: {_CHOICE}"


def _proposed(table: str, what: str, why: str, line: int, kind: Kind = "proposed") -> Undecided:
    return Undecided(kind=kind, table=table, what=what, why=why, cure="", line=line)


def _gone(table: str, what: str, why: str, line: int) -> Undecided:
    return Undecided(kind="name", table=table, what=what, why=why, cure="take it out of catalog:", line=line)
