"""What is reached: the tables that have rows of one person, and every way into each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aegis.datamap.closure import CUT, FOLLOWED, OWN
from aegis.datamap.edges import Edge, Edges, Rules
from aegis.datamap.model import DataMap, Row, Rule, Subject
from aegis.db.catalog import Catalog


@dataclass(frozen=True, kw_only=True)
class Reached:
    """A table that has rows of one person."""

    table: str
    #: How many edges lie between the person's own row and these rows.
    depth: int
    #: Every way in, nearest to the person first; none for the subject's own table.
    ways: tuple[Edge, ...]
    #: What the map says of the table as a whole.
    entry: Rule | None
    #: Whether its rows are people themselves, of this kind or another one.
    people: bool = False

    @property
    def rows(self) -> frozenset[Row]:
        """Everything that happens to rows of the table."""
        own = {self.entry.action} if self.depth == 0 and self.entry else set()
        return frozenset(row for row in {*own, *(edge.row for edge in self.ways)} if row)

    @property
    def followed(self) -> bool:
        """Whether rows of it are the person's, so that what refers to them is looked at too."""
        return bool(self.rows & FOLLOWED)

    @property
    def owned(self) -> bool:
        """Whether rows of it stay somebody's own: what is said of its columns is meant for those."""
        return self.people or bool(self.rows & OWN)

    def hooked(self, action: Row) -> bool:
        """Whether code of the application writes into rows to which that happens.

        Into those that stay as the person's own, and other people's only where it cannot be meant for those.
        """
        return action == "anonymize" or (action in CUT and not self.owned)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Everything that one subject of a map reaches."""

    subject: Subject
    #: The label of its table; none where the subject lives in another data source only.
    root: str | None
    #: Nearest to the person first.
    edges: tuple[Edge, ...] = ()
    #: By label, in the same order.
    tables: Mapping[str, Reached] = field(default_factory=dict)
    #: label → the column that says whose customer's row it is; tables without one are left out.
    tenants: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class View:
    """A map's entries and edges beside the live schema."""

    catalog: Catalog
    rules: Rules
    edges: Edges
    #: label → the columns that code of the application writes.
    hooked: Mapping[str, frozenset[str]]
    datamap: DataMap

    def entries(self, label: str) -> list[Rule]:
        """Return what the map says of a table and of its edges."""
        table = self.rules.tables.get(label)
        return [*([table] if table else []), *self.rules.edges.get(label, {}).values()]
