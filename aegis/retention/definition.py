"""What a policy says, and the digest that an approval binds to.

The digest's document is canonical JSON and versioned: an old approval keeps its meaning.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.events import canonical
from aegis.datamap.periods import LONGEST_DAYS, parse_period
from aegis.errors import InvalidPolicy
from aegis.operations.runs import ERASURE
from aegis.retention import anonymizing, archiving
from aegis.retention import guards as guarding
from aegis.retention.branches import Branch, check_cascades, every
from aegis.retention.budgets import check_budget
from aegis.retention.cron import check_cron
from aegis.retention.cutoffs import check_tenant_days
from aegis.retention.sessions import check_session
from aegis.retention.target import Target
from aegis.retention.windows import check_windows

#: What a new approval binds to; older versions keep their meaning for ever.
DIGEST_VERSION: Final = 2
#: Actions that this version carries out.
ACTIONS: Final = frozenset({"anonymize", "delete"})
#: The pattern of a policy's name.
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")
#: Ranges of one run at most.
MOST_RANGES: Final = 64


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A policy as its author wrote it."""

    name: str
    table: str
    timestamp_column: str = "created_at"
    #: Whole days, of 24 hours each.
    retention_days: int = 90
    #: ISO 8601 (`P2Y`, `P6M`), by the calendar of `zone`; then `retention_days` is the fewest days of it.
    period: str | None = None
    action: str = "delete"
    #: column → strategy, for `anonymize`
    masks: Mapping[str, Any] | None = None
    #: Set in the UPDATE that masks a row, where the masks alone do not show that they were applied.
    marker_column: str | None = None
    #: After `anonymize`: the row is deleted when it is so many days older.
    delete_after_days: int | None = None
    #: tenant → days, in place of `retention_days`
    tenant_days: Mapping[str, int] | None = None
    #: What stops a run before its first row: max_rows, max_share, usual_times.
    guards: Mapping[str, Any] | None = None
    #: Rows are written to files first: keep_days; or a backup must be young enough: backup_hours.
    archive: Mapping[str, Any] | None = None
    #: Tables whose rows may go with their parents'.
    cascades: Sequence[str] = ()
    #: Policies that have to be through with their tables before this one.
    after: Sequence[str] = ()
    tenant_column: str | None = None
    #: The setting that row policies of the application read: a run sees what one tenant's session sees.
    tenant_session: str | None = None
    filter_sql: str | None = None
    datasource: str = "default"
    #: s, ms or us when the timestamp column holds whole numbers since 1970.
    timestamp_unit: str | None = None
    #: How a timestamp without a zone is read.
    zone: str = "UTC"
    cron: str = "0 2 * * *"
    cron_zone: str = "UTC"
    #: Quiet hours, such as `22:00-06:00`, in `cron_zone`; none: at any time.
    windows: Sequence[str] = ()
    #: Most rows and seconds of one run.
    budget: Mapping[str, int] | None = None
    #: Key ranges that workers may work on at the same time.
    parallel: int = 1
    purpose: str | None = None
    legal_basis: str | None = None
    #: Kinds of personal data, for the record of processing.
    categories: Sequence[str] = ()
    #: When somebody should look at the policy again.
    review_by: dt.date | None = None

    def __post_init__(self) -> None:
        """Derive the days from the period, unless both were given; spell guards and archive in one way."""
        object.__setattr__(self, "guards", guarding.spelled(self.guards))
        object.__setattr__(self, "archive", archiving.spelled(self.archive))
        if self.period is not None and self.retention_days == Definition.retention_days:
            object.__setattr__(self, "retention_days", parse_period(self.period).fewest_days)

    def check(self) -> None:
        """Refuse what can be refused without a look at the database.

        Raises:
            InvalidPolicy: the name, the days or the action cannot be meant.

        """
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            message = (
                "a policy's name has 1 to 100 letters, digits and _ . : - and begins with a letter or digit"
            )
            raise InvalidPolicy(message)
        if self.name == ERASURE:
            message = f"{ERASURE} is what the ledger calls the rows of erasures; give the policy another name"
            raise InvalidPolicy(message)
        days = self.retention_days
        if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= LONGEST_DAYS:
            shown = repr(days)[:40]
            message = f"policy {self.name}: expected 1 to {LONGEST_DAYS} whole retention_days, got {shown}"
            raise InvalidPolicy(message)
        if self.period is not None and days != parse_period(self.period).fewest_days:
            message = (
                f"policy {self.name}: period {self.period} and {days} retention_days contradict each other; "
                "give one of them"
            )
            raise InvalidPolicy(message)
        if self.action not in ACTIONS:
            message = (
                f"policy {self.name}: action must be one of {', '.join(sorted(ACTIONS))}, got {self.action!r}"
            )
            raise InvalidPolicy(message)
        guarding.check_guards(self.name, self.guards)
        check_tenant_days(self.name, self.tenant_days, self.tenant_column)
        parallel = self.parallel
        if isinstance(parallel, bool) or not isinstance(parallel, int) or not 1 <= parallel <= MOST_RANGES:
            message = f"policy {self.name}: expected parallel from 1 to {MOST_RANGES}, got {parallel!r:.40}"
            raise InvalidPolicy(message)
        anonymizing.check(self)
        check_session(self)
        check_cascades(self)
        archiving.check_archive(self)
        check_cron(self.cron, self.cron_zone)
        check_windows(self.name, self.windows or (), self.cron_zone)
        check_budget(self.name, self.budget)


def document(
    definition: Definition,
    target: Target,
    *,
    identity: str,
    connection: sa.Connection,
    version: int = DIGEST_VERSION,
) -> str:
    """Return the canonical text of everything that an approval of this policy covers.

    Args:
        definition: the policy.
        target: its table as it stands in the live database.
        identity: the data source's random id.
        connection: the data source, for the database's name and its type names.
        version: of the document; that of a stored policy, or the newest for a new one.

    """
    layout = target.layout
    body: dict[str, Any] = {
        "version": version,
        "name": definition.name,
        "datasource": definition.datasource,
        "identity": identity,
        "database": connection.engine.url.database,
        "table": layout.label,
        "key": [_typed(column, connection) for column in layout.key],
        "clock": _typed(target.clock_column, connection),
        "unit": definition.timestamp_unit,
        "zone": definition.zone,
        "days": definition.retention_days,
        "action": definition.action,
        "condition": target.condition and target.condition.canonical,
        "condition_columns": [_typed(column, connection) for column in target.condition_columns],
        "tenant_column": None if target.tenant_column is None else _typed(target.tenant_column, connection),
        "tenant_days": definition.tenant_days,
        "masks": anonymizing.in_digest(definition.masks),
        "marker": definition.marker_column,
        "guards": definition.guards,
        "archive": definition.archive,
        "cascades": sorted(definition.cascades or ()),
        "after": sorted(definition.after or ()),
        "purpose": definition.purpose,
        "legal_basis": definition.legal_basis,
        "references": [_reference(item) for item in layout.references],
        "triggers": list(layout.triggers),
        "row_security": list(layout.row_security),
    }
    if version > 1:
        body["branches"] = [_branch(branch) for branch in every(target.branches)]
        body |= {"period": definition.period, "delete_after_days": definition.delete_after_days}
    if definition.tenant_session is not None:
        body["tenant_session"] = definition.tenant_session
    if target.floors:
        floors = [vars(floor.minimum) | {"from": _typed(floor.column, connection)} for floor in target.floors]
        body["minimum"] = sorted(floors, key=str)
    if target.own_holds:
        body["hold"] = sorted(hold.canonical for hold in target.own_holds)
    if target.masks:
        body["written"] = [_typed(layout.table.c[name], connection) for name in target.masks.columns]
    return canonical(body).decode("utf-8")


def digest(text: str) -> str:
    """Return the SHA-256 of a document, in hex."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Name the parts in which two documents differ."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _typed(column: sa.Column[Any], connection: sa.Connection) -> dict[str, str]:
    return {"name": column.name, "type": str(column.type.compile(dialect=connection.dialect))}


def _branch(branch: Branch) -> dict[str, Any]:
    """Return what an approval says of a named cascade: where it leads, and what it sets off there."""
    triggers = list(branch.layout.triggers)
    references = [_reference(item) for item in branch.layout.references]
    return _reference(branch.reference) | {"triggers": triggers, "references": references}


def _reference(item: Any) -> dict[str, Any]:
    return {"from": item.label, "to": list(item.referred_columns), "on_delete": item.on_delete}
