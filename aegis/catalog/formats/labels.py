"""A label: what one column holds, as every format has it in its own way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aegis.datamap.model import NONE, UNKNOWN, DataMap, Status


@dataclass(frozen=True, kw_only=True)
class Label:
    """What one column of a table holds."""

    table: str
    column: str
    #: A key of fideslang, `none` or `unknown`.
    category: str
    status: Status
    type: str = ""
    confidence: float | None = None
    evidence: tuple[str, ...] = ()

    @property
    def is_personal(self) -> bool:
        """Whether something of a person is in it."""
        return self.category not in {NONE, UNKNOWN}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a database is called what, in another tool."""

    datasource: str
    #: postgresql, mariadb, mysql or sqlite.
    dialect: str
    #: What stands before a table's name there, such as `app.public`; empty: nothing.
    prefix: str = ""

    def name(self, table: str) -> str:
        """Return a table's whole name there; a schema of its own replaces the default one."""
        schema, _, plain = table.rpartition(".")
        above = self.prefix.split(".") if self.prefix else []
        if schema:
            above = [*above[:-1], schema]
        return ".".join([*above, plain.strip('"')])

    def table(self, name: str, tables: Sequence[str]) -> str | None:
        """Return the table of the data source that a name from there means; None: it is not one of it."""
        for table in tables:
            if name in {table, self.name(table)}:
                return table
        return next((table for table in tables if name.endswith(f".{table}")), None)


def labels_of(datamap: DataMap, *, proposed: bool = False) -> list[Label]:
    """Return what a data map says that columns hold, in its order.

    Args:
        datamap: reviewed or not.
        proposed: also what nobody has accepted.

    """
    return [
        Label(
            table=table.name,
            column=holding.column,
            category=holding.category,
            status=holding.status,
            type=holding.type or "",
            confidence=holding.confidence,
            evidence=holding.evidence,
        )
        for table in datamap.catalog.values()
        for holding in table.columns.values()
        if (holding.decided and holding.status == "accepted") or (proposed and not holding.decided)
    ]


def by_table(labels: Sequence[Label]) -> Mapping[str, list[Label]]:
    """Return labels by their table, in their order."""
    found: dict[str, list[Label]] = {}
    for label in labels:
        found.setdefault(label.table, []).append(label)
    return found
