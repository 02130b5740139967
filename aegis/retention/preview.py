"""What a policy would do: the values that `looking` counts."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aegis.db.tables import DataRetentionPolicy
from aegis.retention.counting import Sample
from aegis.retention.cutoffs import Cutoffs
from aegis.retention.estimates import Estimate
from aegis.retention.target import Target


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Rows by month of their clock and by tenant."""

    months: Mapping[str, int] = field(default_factory=dict)
    #: Empty without a tenant column.
    tenants: Mapping[str, int] = field(default_factory=dict)
    #: tenant → month → rows
    matrix: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    #: Rows of tenants beyond the first ones.
    other_tenants: int = 0


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What an approver wants to see beside what would go; None: counting it took too long."""

    #: The rows that stay, whatever the reason; of one tenant, where one was named.
    staying: Spread | None
    #: What a run counts before its first row, and guards measure: rows past their time, held or not.
    expected: int | None
    #: The rows that the policy looks at: of these guards measure the share.
    chosen: int | None


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A policy against the live database, at one instant of its clock."""

    policy: DataRetentionPolicy
    target: Target
    cutoffs: Cutoffs
    #: Rows that would be changed, summed over the actions.
    rows: int
    #: The same by action.
    actions: Mapping[str, int]
    #: Rows that stay, by the reason: held, kept, null_clock, younger, condition, other_tenant, done.
    stays: Mapping[str, int]
    #: Rows of the table.
    total: int
    walker: str
    #: Which partitions would be dropped whole, and why others that are wholly past would not.
    partitions: str | None = None
    spread: Spread = field(default_factory=Spread)
    #: None where nobody asked for it.
    estimate: Estimate | None = None
    #: None: every row was counted.
    sample: Sample | None = None
    #: Indexes over masked columns, which make masking dearer (PostgreSQL: no HOT update).
    cold_indexes: Sequence[str] = ()
    #: Rows of other tables that would go along: `action:table` → rows; only where every row is counted.
    along: Mapping[str, int] = field(default_factory=dict)
    #: Referring columns that are searched for each row that goes, and have no index.
    unindexed: Sequence[str] = ()
    #: Age of the oldest open transaction that keeps dead rows; None: not told (PostgreSQL tells it).
    snapshot_seconds: float | None = None
    #: Where somebody asked for it; None otherwise.
    beside: Beside | None = None

    @property
    def held(self) -> int:
        """Rows past their time that a legal hold keeps."""
        return self.stays.get("held", 0)

    @property
    def null_clock(self) -> int:
        """Rows that never go because they have no timestamp."""
        return self.stays.get("null_clock", 0)

    @property
    def tenants(self) -> Mapping[str, int]:
        """Rows that would go, by tenant."""
        return self.spread.tenants

    @property
    def cutoff(self) -> dt.datetime:
        """The cutoff of every tenant that has none of its own."""
        return self.cutoffs.base
