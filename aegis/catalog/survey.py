"""A data source as the proposals see it: its schema, what each table is, and what each column holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from aegis.catalog.decision import ColumnDecision, Verdict
from aegis.catalog.facts import TableFacts, read_facts
from aegis.catalog.natures import Nature
from aegis.catalog.scanning import Limits, scan
from aegis.catalog.units import read_units
from aegis.db.catalog import Catalog, CatalogTable, Reference, read_catalog
from aegis.db.engines import looking

#: Reading the schema may take longer than a look at one table.
_SCHEMA_MS: Final = 60_000
_HEALTH: Final = "user.health_and_medical"
#: Is told how many tables are done, and how many there are.
OnTable = Callable[[int, int], object]


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What is known of a data source; it holds no value of a row."""

    datasource: str
    #: postgresql, mariadb, mysql or sqlite.
    dialect: str
    catalog: Catalog
    facts: Mapping[str, TableFacts]
    #: label → what a row stands for
    natures: Mapping[str, Nature]
    #: label → column → decision
    decisions: Mapping[str, Mapping[str, ColumnDecision]]
    #: (label, column) → what whole numbers in it count since 1970, `s`, `ms` or `us`, where their values tell
    units: Mapping[tuple[str, str], str]

    def table(self, label: str) -> CatalogTable:
        """Return a table of the schema."""
        return self.catalog.tables[label]

    def personal(self, label: str) -> dict[str, ColumnDecision]:
        """Return the columns of a table that hold something of a person; references to one are none."""
        found = self.decisions.get(label, {})
        return {
            name: decision
            for name, decision in found.items()
            if decision.verdict is Verdict.PERSONAL and decision.role is None
        }

    def has_health(self, label: str) -> bool:
        """Whether something about somebody's health is in a table."""
        return any(str(each.category).startswith(_HEALTH) for each in self.personal(label).values())

    def categories(self, label: str) -> tuple[str, ...]:
        """Return the categories of a table's personal columns, each once."""
        return tuple(sorted({str(each.category) for each in self.personal(label).values()}))

    def children(self, label: str) -> list[Reference]:
        """Return the foreign keys of other tables that point at a table."""
        return [each for each in self.catalog.references if each.parent == label and each.child != label]


def survey(
    engine: sa.Engine, datasource: str, *, limits: Limits | None = None, on_table: OnTable | None = None
) -> Survey:
    """Look at a whole data source.

    Args:
        engine: the database.
        datasource: its name.
        limits: how much of a table is read; `rows=0`: names, types and references alone.
        on_table: is told of each table.

    Raises:
        UnsafeTable: row security hides rows.
        Unreachable: it does not answer.

    """
    limits, label = limits or Limits(), f"data source {datasource}"
    with looking(engine, label, lock_ms=limits.lock_ms, statement_ms=_SCHEMA_MS) as connection:
        catalog = read_catalog(connection)
    decisions: dict[str, dict[str, ColumnDecision]] = {}
    natures: dict[str, Nature] = {}
    for found in scan(engine, label, limits=limits):
        decisions[found.table] = {decision.column: decision for decision in found.decisions}
        natures[found.table] = Nature(found.nature)
        if on_table:
            on_table(found.done, found.total)
    # A table that was made between the two looks is for the next one.
    tables = {name: table for name, table in catalog.tables.items() if name in natures}
    seen = Catalog(tables=tables, references=catalog.references, schema=catalog.schema, exact=catalog.exact)
    facts = read_facts(seen, engine.dialect)
    units = read_units(engine, label, seen, limits) if limits.rows else {}
    return Survey(
        datasource=datasource,
        dialect=engine.dialect.name,
        catalog=seen,
        facts=facts,
        natures=natures,
        decisions=decisions,
        units=units,
    )
