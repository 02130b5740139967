"""Tables whose rows go, or lose their reference, with the rows of a policy's table: named cascades.

The database would do it by itself and unseen. Named in the policy, the children are handled first, by a
statement of their own in the batch's transaction, so that each row is counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.readings import exactly
from aegis.db.references import Reference
from aegis.db.reflection import Layout, read_layout
from aegis.errors import InvalidPolicy, UnsafeTable
from aegis.operations.rowkeys import held_rows
from aegis.operations.scopes import Scope
from aegis.retention.clocks import Clock, clock_for

#: How deep a cascade may go before somebody should look at the schema.
DEEPEST: Final = 8
#: Clocks that tell an instant exactly: only by those a hold on dates is told apart here.
_EXACT: Final = frozenset({"aware", "epoch"})


class Columns:
    """Where a referring table keeps what a legal hold speaks of; None where it does not."""

    def __init__(self, layout: Layout, rule: Any, dialect_name: str) -> None:
        names = layout.table.c
        self.tenant = names.get(rule.tenant_column) if rule.tenant_column else None
        self.clock_column = names.get(rule.timestamp_column)
        self.clock: Clock | None = None
        if self.clock_column is not None:
            self.clock = _exact_clock(self.clock_column, dialect_name, rule)


@dataclass(frozen=True, kw_only=True)
class Branch:
    """One foreign key whose rows go along, and what hangs on them."""

    reference: Reference
    layout: Layout
    columns: Columns
    #: What goes along with these rows; nothing where they only lose their reference.
    branches: tuple["Branch", ...] = ()

    @property
    def action(self) -> str:
        """What the ledger calls it."""
        return "cascade" if self.reference.on_delete == "CASCADE" else "nullify"

    @property
    def name(self) -> str:
        """What journal, report and ledger count it under."""
        return f"{self.action}:{self.layout.label}"

    def joined(self, parent: sa.Table) -> list[sa.ColumnElement[bool]]:
        """Return the condition that a row of this table refers to a row of `parent`."""
        pairs = zip(self.reference.columns, self.reference.referred_columns, strict=True)
        return [self.layout.table.c[column] == parent.c[referred] for column, referred in pairs]

    def held(
        self, holds: Sequence[Scope], policies: frozenset[str] | None, *, told: bool
    ) -> sa.ColumnElement[bool] | None:
        """Return the rows of this table that legal holds keep; None when no hold touches it.

        What cannot be told apart is held.

        Args:
            holds: every hold that is in force.
            policies: those on this table; None when nobody knows.
            told: the policy's own table tells tenants apart.

        """
        touching = [hold for hold in holds if self._touched(hold, policies)]
        others = [hold for hold in touching if hold.one_row is None]
        kept = [part for hold in others if (part := self._held(hold, told=told)) is not None]
        if rows := [key for hold in touching if (key := hold.one_row) is not None]:
            kept.append(held_rows(self.layout.table, rows))
        return sa.or_(*kept) if kept else None

    def _touched(self, hold: Scope, policies: frozenset[str] | None) -> bool:
        names = {hold.policy} if policies is None else {*policies, None}
        return hold.policy in names and hold.touches(policy=hold.policy or "", table=self.layout.label)

    def _held(self, hold: Scope, *, told: bool) -> sa.ColumnElement[bool] | None:
        parts: list[sa.ColumnElement[bool]] = []
        if hold.tenant is not None:
            if self.columns.tenant is not None:
                text = sa.func.lower(sa.cast(self.columns.tenant, sa.String))
                parts.append(text == str(hold.tenant).lower())
            elif hold.table is None and told:
                # The hold is on the tenant's rows everywhere: those of the parent are told by themselves.
                return None
        clock, column = self.columns.clock, self.columns.clock_column
        if clock is not None and column is not None:
            if hold.since is not None:
                parts.append(sa.not_(clock.expired(column, hold.since)))
            if hold.until is not None:
                parts.append(clock.expired(column, hold.until))
        if hold.key is not None:
            parts.append(held_rows(self.layout.table, [hold.key]))
        return sa.and_(sa.true(), *parts)


def check_cascades(wish: Any) -> None:
    """Refuse cascades, and an order, that cannot be meant, without a look at the database.

    Raises:
        InvalidPolicy: no text, or a policy that never deletes.

    """
    if wish.name in (wish.after or ()) or any(not isinstance(name, str) for name in wish.after or ()):
        message = f"policy {wish.name}: after is a list of the names of other policies"
        raise InvalidPolicy(message)
    names = tuple(wish.cascades or ())
    if any(not isinstance(name, str) or not name.strip() for name in names):
        message = f"policy {wish.name}: cascades is a list of tables, each 'table' or 'schema.table'"
        raise InvalidPolicy(message)
    if names and wish.action != "delete" and wish.delete_after_days is None:
        message = f"policy {wish.name}: cascades belongs to a policy that deletes; this one is {wish.action}"
        raise InvalidPolicy(message)


def read_branches(
    connection: sa.Connection, layout: Layout, rule: Any, path: tuple[str, ...] = ()
) -> tuple[Branch, ...]:
    """Return the named cascades of a table, at any depth.

    Raises:
        UnsafeTable: they go round in a circle, too deep, or cannot be done one by one.

    """
    path = (*path, layout.label)
    found = []
    for reference in layout.references:
        if not reference.changes_rows or not _named(reference, rule.cascades, connection):
            continue
        _refuse_circle(reference, path)
        child = read_layout(connection, reference.table_label, dependent=True)
        columns = Columns(child, rule, connection.dialect.name)
        below = read_branches(connection, child, rule, path) if reference.on_delete == "CASCADE" else ()
        _refuse_passed_on(reference, child)
        found.append(Branch(reference=reference, layout=child, columns=columns, branches=below))
    return tuple(found)


def every(branches: Sequence[Branch]) -> Iterator[Branch]:
    """Go through the branches, the parent before its children."""
    for branch in branches:
        yield branch
        yield from every(branch.branches)


def refuse_unnamed(layout: Layout, branches: Sequence[Branch], cascades: Sequence[str], policy: str) -> None:
    """Refuse a table whose deletion would change rows of tables that the policy does not name.

    Least privilege does not stop a cascade: the database does it with its own rights.

    Raises:
        UnsafeTable: a foreign key with CASCADE, SET NULL or SET DEFAULT points at a table that goes.
        InvalidPolicy: a table is named that no cascade reaches.

    """
    unnamed = [*_unnamed(layout, branches)]
    for branch in every(branches):
        if branch.action == "cascade":
            unnamed += _unnamed(branch.layout, branch.branches)
    if unnamed:
        listed = "; ".join(f"{item.label} ON DELETE {item.on_delete}" for item in unnamed)
        tables = ", ".join(dict.fromkeys(item.table_label for item in unnamed))
        message = (
            f"policy {policy}: deleting from {layout.label} would also change other tables: {listed}. "
            f"Name them in the policy if their rows may go along (cascades: {tables}), or give those tables "
            "a policy of their own and change the foreign key to NO ACTION"
        )
        raise UnsafeTable(message)
    reached = {branch.reference.table_label for branch in every(branches)}
    reached |= {branch.reference.table for branch in every(branches)}
    idle = [name for name in cascades if name not in reached and name.rpartition(".")[2] not in reached]
    if idle:
        message = (
            f"policy {policy}: cascades names {', '.join(idle)}, but no foreign key with ON DELETE CASCADE, "
            f"SET NULL or SET DEFAULT leads there from {layout.label}; leave it out"
        )
        raise InvalidPolicy(message)


def kept(
    branches: Sequence[Branch],
    parent: sa.Table,
    holds: Sequence[Scope],
    owners: Mapping[str, frozenset[str]] | None,
    *,
    told: bool,
) -> sa.ColumnElement[bool] | None:
    """Return the rows of `parent` that stay because a row that hangs on them is held, at any depth."""
    parts: list[sa.ColumnElement[bool]] = []
    for branch in branches:
        policies = None if owners is None else owners.get(branch.layout.label, frozenset())
        own = branch.held(holds, policies, told=told)
        below = kept(branch.branches, branch.layout.table, holds, owners, told=told)
        reasons = [reason for reason in (own, below) if reason is not None]
        if reasons:
            # What is NULL in the condition of a hold cannot be told apart: it is held.
            held = sa.func.coalesce(sa.or_(*reasons), sa.true())
            parts.append(_exists(branch.layout.table, [*branch.joined(parent), held]))
    return sa.or_(*parts) if parts else None


def another_tenants(
    branches: Sequence[Branch], parent: sa.Table, tenant: Any
) -> sa.ColumnElement[bool] | None:
    """Return the rows of `parent` on which a row of another tenant hangs, at any depth; None: none can.

    A row is another tenant's when its own tenant column says anything but this one, also nothing.
    """
    parts: list[sa.ColumnElement[bool]] = []
    for branch in branches:
        table, own = branch.layout.table, branch.columns.tenant
        below = another_tenants(branch.branches, table, tenant)
        reasons = [] if below is None else [below]
        if own is not None:
            same = exactly(own, tenant) if isinstance(tenant, str) else own == tenant
            reasons.append(sa.not_(sa.func.coalesce(same, sa.false())))
        if reasons:
            parts.append(_exists(table, [*branch.joined(parent), sa.or_(*reasons)]))
    return sa.or_(*parts) if parts else None


def along(path: Sequence[Branch], root: sa.Table, where: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Return the rows at the end of a path of branches that hang on the rows of `root` that fit."""
    parent, condition = root, where
    for branch in path:
        condition = _exists(parent, [*branch.joined(parent), condition])
        parent = branch.layout.table
    return condition


def paths(branches: Sequence[Branch], above: tuple[Branch, ...] = ()) -> Iterator[tuple[Branch, ...]]:
    """Return the way to each branch, the leaves first."""
    for branch in branches:
        path = (*above, branch)
        yield from paths(branch.branches, path)
        yield path


def _exists(table: sa.Table, conditions: Sequence[sa.ColumnElement[bool]]) -> sa.ColumnElement[bool]:
    one: sa.ColumnElement[int] = sa.literal_column("1")
    inner = sa.select(one).select_from(table).where(*conditions)
    # The statement around may be about this very table: that is another look at it.
    return inner.correlate_except(table).exists()


def _named(reference: Reference, cascades: Sequence[str] | None, connection: sa.Connection) -> bool:
    spelled = {reference.table_label}
    if reference.schema is None:
        spelled.add(f"{dialects.default_schema(connection)}.{reference.table}")
    return not spelled.isdisjoint(cascades or ())


def _unnamed(layout: Layout, branches: Sequence[Branch]) -> list[Reference]:
    known = {branch.reference for branch in branches}
    return [item for item in layout.references if item.changes_rows and item not in known]


def _refuse_circle(reference: Reference, path: Sequence[str]) -> None:
    way = " → ".join((*path, reference.table_label))
    if reference.table_label in path:
        message = (
            f"the cascade {way} goes round in a circle, so its rows cannot be taken leaves first; "
            f"change {reference.label} to NO ACTION and give the rows an order by policies"
        )
        raise UnsafeTable(message)
    if len(path) > DEEPEST:
        message = f"the cascade {way} is more than {DEEPEST} tables deep; change one of its keys to NO ACTION"
        raise UnsafeTable(message)


def _refuse_passed_on(reference: Reference, child: Layout) -> None:
    """Refuse a reference that is nullified and is itself referred to: the change would go on unseen."""
    if reference.on_delete == "CASCADE":
        return
    onward = [item.label for item in child.references if set(item.referred_columns) & set(reference.columns)]
    if onward:
        message = (
            f"{reference.label} would be changed by ON DELETE {reference.on_delete}, and "
            f"{', '.join(onward)} refers to it; change that key first"
        )
        raise UnsafeTable(message)


def _exact_clock(column: sa.Column[Any], dialect_name: str, rule: Any) -> Clock | None:
    try:
        clock = clock_for(column, dialect_name, zone=rule.zone, unit=rule.timestamp_unit)
    except InvalidPolicy:
        return None
    return clock if clock.kind in _EXACT else None
