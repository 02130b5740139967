"""The data map of a data source: what is personal in it, where, and what happens to it.

`aegis.datamap.reading` reads one from YAML. Whether it fits the live schema, and whether it leaves
anything open there, is told by `aegis.datamap.coverage`.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

Row = Literal["anonymize", "delete", "nullify", "reassign", "decorrelate", "retain", "fail"]
ROWS: Final[tuple[Row, ...]] = get_args(Row)
Shared = Literal["mask_own_columns", "keep", "delete"]
SHARED: Final[tuple[Shared, ...]] = get_args(Shared)
#: What was proposed is in force when a person has accepted it; what has no status was written by a person.
Status = Literal["proposed", "accepted", "rejected"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
#: Stands where somebody still has to decide.
TODO: Final = "TODO"
#: The strategy of a column that is looked at and left as it is.
PRESERVE: Final = "preserve"
#: Categories that are none: nothing personal is in a column, and nobody knows.
NONE: Final = "none"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, kw_only=True)
class Minimum:
    """A time for which rows must be kept, whatever a policy says."""

    #: ISO 8601.
    period: str
    #: The column that it is counted from.
    column: str
    #: The law or contract that says so.
    basis: str | None = None


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """What the data map says about keeping the rows of one table."""

    minimums: tuple[Minimum, ...] = ()
    #: Conditions; a row that fulfils one is on hold.
    holds: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Group:
    """People of one kind who can be asked for together: a question to their table instead of a list."""

    name: str
    line: int = 1
    #: ISO 8601: those whose `column` is older than that; none: of any age.
    period: str | None = None
    column: str | None = None
    #: Those whose row fulfils the condition; none: all.
    when: str | None = None


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A kind of person (or tenant, or lead): the row that stands for one of them."""

    name: str
    line: int = 1
    #: The table as it is written; none where the subject lives in another data source only.
    table: str | None = None
    #: The columns that tell one subject from another.
    key: tuple[str, ...] = ()
    tenant: str | None = None
    #: Tells a key that was used again from the old one.
    created: str | None = None
    #: The key of the row that stands for nobody, to which `reassign` moves rows.
    ghost: tuple[str, ...] = ()
    #: kind (email, phone, name, …) → column
    identifiers: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    #: `datasource.table.column`: the same person there.
    same_as: str | None = None
    status: Status = "accepted"
    #: Keys that say TODO, with their lines.
    todo: Mapping[str, int] = field(default_factory=dict)

    @property
    def home(self) -> str | None:
        """The table of `same_as`, with its data source."""
        return self.same_as.rpartition(".")[0] if self.same_as else None


@dataclass(frozen=True, kw_only=True)
class Via:
    """One way from a table to the rows that its own belong to."""

    #: As it was written.
    text: str
    line: int
    #: Columns of the table itself.
    columns: tuple[str, ...]
    #: The table that they refer to; none: whichever their foreign key names.
    parent: str | None = None
    #: Its columns, in the order of `columns`.
    parent_columns: tuple[str, ...] = ()
    #: Keys below the one column, which is JSON.
    path: tuple[str, ...] = ()
    #: Only rows with this condition.
    when: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One entry under `tables`: of a table, or of one edge of it (`table.column`)."""

    name: str
    line: int = 1
    row: Row | None = None
    #: column → strategy, as `strategy_of` reads it; `preserve` among them.
    columns: Mapping[str, Any] = field(default_factory=dict)
    via: tuple[Via, ...] = ()
    reason: str | None = None
    keep_at_least: Minimum | None = None
    until: dt.date | None = None
    shared: Shared | None = None
    hold: str | None = None
    when: str | None = None
    #: The column that says whose customer's row it is; none: one that is called as the subject's.
    tenant: str | None = None
    status: Status = "accepted"
    #: Keys that say TODO (`row`, `shared`, `columns.email`), with their lines.
    todo: Mapping[str, int] = field(default_factory=dict)
    #: The line of each key and, as `columns.email`, of each column.
    lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def action(self) -> Row | None:
        """What happens to the rows: where columns alone are named, the rows stay and those are masked."""
        return "anonymize" if self.row is None and "row" not in self.todo and self.columns else self.row

    @property
    def erases(self) -> bool:
        """Whether it has a word on erasure, and not on keeping alone."""
        return bool(self.row or self.columns or self.via or self.todo or self.shared)

    @property
    def masks(self) -> dict[str, Any]:
        """The columns that are written to."""
        return {name: spec for name, spec in self.columns.items() if spec != PRESERVE}

    def line_of(self, key: str) -> int:
        """Return the line of a key, or of the entry."""
        return self.lines.get(key, self.line)


@dataclass(frozen=True, kw_only=True)
class Holding:
    """What one column of a table was found to hold, or was decided to hold."""

    column: str
    line: int
    #: A key of fideslang; `none`: nothing personal; `unknown`: a person has to look.
    category: str
    #: The type as SQL spells it.
    type: str | None = None
    status: Status = "accepted"
    #: How sure the catalog was, from 0 to 1, and why.
    confidence: float | None = None
    evidence: tuple[str, ...] = ()

    @property
    def is_personal(self) -> bool:
        """Whether something of a person is in it."""
        return self.category not in {NONE, UNKNOWN}

    @property
    def decided(self) -> bool:
        """Whether a person has said what it holds."""
        return self.status != "proposed" and self.category != UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Cataloged:
    """What the columns of one table hold."""

    name: str
    line: int
    #: What a row stands for: person, session, order, …
    kind: str | None = None
    status: Status = "accepted"
    columns: Mapping[str, Holding] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DataMap:
    """The data map of one data source."""

    #: What the file is called in a message.
    file: str
    subjects: Mapping[str, Subject] = field(default_factory=dict)
    #: By name: `table`, `schema.table`, `table.column` or `schema.table.column`.
    rules: Mapping[str, Rule] = field(default_factory=dict)
    #: What columns hold, by table; none: the catalog was never reviewed.
    catalog: Mapping[str, Cataloged] = field(default_factory=dict)
    #: Proposals that a person rejected; they decide nothing.
    rejected: Mapping[str, Rule] = field(default_factory=dict)
