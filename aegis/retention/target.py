"""A policy's table in the live database, and the predicate that says which rows go."""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol

import sqlalchemy as sa

from aegis.datamap.conditions import Condition, parse_condition
from aegis.datamap.model import Keeping
from aegis.db.readings import exactly
from aegis.db.reflection import Layout, read_layout
from aegis.errors import InvalidPolicy, UsageError
from aegis.masking.masks import Masks, masks_of
from aegis.operations.rowkeys import held_rows
from aegis.operations.scopes import Scope
from aegis.retention.branches import Branch, another_tenants, kept, read_branches
from aegis.retention.clocks import Clock, clock_for
from aegis.retention.cutoffs import Cutoffs
from aegis.retention.forms import FORMS, first_form, form_census, other_forms
from aegis.retention.minimums import Floor

#: What is added to a hold's end where a clock does not tell the instant exactly.
_SLACK: Final = dt.timedelta(days=2)
Part = Literal["bare", "masked", "all"]


class Rule(Protocol):
    """The part of a policy that its table depends on; a definition or a stored policy."""

    @property
    def timestamp_column(self) -> str: ...  # noqa: D102
    @property
    def timestamp_unit(self) -> str | None: ...  # noqa: D102
    @property
    def zone(self) -> str: ...  # noqa: D102
    @property
    def tenant_column(self) -> str | None: ...  # noqa: D102
    @property
    def filter_sql(self) -> str | None: ...  # noqa: D102
    @property
    def action(self) -> str: ...  # noqa: D102
    @property
    def masks(self) -> Mapping[str, Any] | None: ...  # noqa: D102
    @property
    def marker_column(self) -> str | None: ...  # noqa: D102
    @property
    def cascades(self) -> Sequence[str] | None: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True)
class Target:
    """Everything that is needed to say which rows of a table go."""

    layout: Layout
    clock: Clock
    clock_column: sa.Column[Any]
    tenant_column: sa.Column[Any] | None
    condition: Condition | None
    #: What is written over the rows, for the action `anonymize`.
    masks: Masks | None = None
    #: Of a policy that anonymizes: the rows that are not masked yet, those that are, or both.
    part: Part = "bare"
    #: Tables whose rows go, or lose their reference, with this table's.
    branches: tuple[Branch, ...] = ()
    #: Table → the policies on it, for holds on a policy; None: nobody knows, so that each may be.
    owners: Mapping[str, frozenset[str]] | None = None
    #: For how long rows must be kept, whatever the policy says.
    floors: tuple[Floor, ...] = ()
    #: The data source's own holds: a row that fulfils one stays.
    own_holds: tuple[Condition, ...] = ()

    @property
    def forms(self) -> dict[str, str]:
        """Text clock → its form, for whoever reads the table again."""
        clocks = {self.clock_column.name: self.clock} | {f.column.name: f.clock for f in self.floors}
        return {name: clock.form.name for name, clock in clocks.items() if clock.form is not None}

    @property
    def due(self) -> sa.ColumnElement[bool]:
        """The rows that are this target's as far as masks tell, whatever their age."""
        if self.masks is None or self.part == "all":
            return sa.true()
        bare = self.masks.due(self.layout.table)
        return bare if self.part == "bare" else sa.not_(bare)

    @property
    def condition_columns(self) -> list[sa.Column[Any]]:
        """The columns of the condition, by name."""
        names = sorted(self.condition.columns) if self.condition else []
        return [self.layout.table.c[name] for name in names]

    def chosen(self, tenant: Any = None) -> sa.ColumnElement[bool]:
        """Return the rows that the policy speaks of, whatever their age."""
        parts: list[sa.ColumnElement[bool]] = []
        if self.condition is not None:
            parts.append(self.condition.expression)
        if tenant is not None:
            parts.append(self._tenant(tenant))
        return sa.and_(sa.true(), *parts)

    def expired(self, cutoffs: Cutoffs, tenant: Any = None) -> sa.ColumnElement[bool]:
        """Return the rows that are past their time and still due."""
        return sa.and_(self._past(cutoffs), self.chosen(tenant), self.due)

    def held(self, holds: Sequence[Scope], policy: str, tenant: Any = None) -> sa.ColumnElement[bool] | None:
        """Return the rows that legal holds keep; None when no hold touches this table.

        What cannot be told apart is held: a hold on a tenant keeps every row of a table that has
        no tenant column. A row is held, too, when one that would go along with it is, and, of one tenant's
        rows, when another tenant's would go along.
        """
        touching = [hold for hold in holds if hold.touches(policy=policy, table=self.layout.label)]
        parts = [self._held(hold) for hold in touching if hold.one_row is None]
        if rows := [key for hold in touching if (key := hold.one_row) is not None]:
            parts.append(held_rows(self.layout.table, rows))
        parts += [hold.expression for hold in self.own_holds]
        told = self.tenant_column is not None
        # A row that is masked stays where it is, with all that hangs on it.
        goes = self.masks is None or self.part != "bare"
        below = kept(self.branches, self.layout.table, holds, self.owners, told=told) if goes else None
        if below is not None:
            parts.append(below)
        if (anothers := self._anothers(tenant) if goes else None) is not None:
            parts.append(anothers)
        # UNKNOWN is held as well: nobody could tell that it is not.
        return sa.func.coalesce(sa.or_(*parts), sa.true()).is_(sa.true()) if parts else None

    def doomed(
        self, cutoffs: Cutoffs, holds: Sequence[Scope], policy: str, tenant: Any = None
    ) -> sa.ColumnElement[bool]:
        """Return the rows that go: past their time, chosen, not held, and kept for long enough."""
        held = self.held(holds, policy, tenant)
        free = [] if held is None else [sa.not_(held)]
        kept_enough = [floor.passed(cutoffs.moment) for floor in self.floors]
        return sa.and_(self.expired(cutoffs, tenant), *free, *kept_enough)

    def tenant_value(self, tenant: Any) -> Any:
        """Return a tenant as the column's own type.

        Raises:
            UsageError: the policy has no tenant column, or the value does not fit it.

        """
        if tenant is None:
            return None
        if self.tenant_column is None:
            message = (
                f"a tenant was named, but the policy on {self.layout.label} has no tenant_column; "
                "register it with one, or run it for all tenants"
            )
            raise InvalidPolicy(message)
        kind = _python_type(self.tenant_column)
        if isinstance(tenant, kind) and not isinstance(tenant, bool):
            return tenant
        try:
            return kind(str(tenant))
        except (TypeError, ValueError):
            message = f"the tenant does not fit column {self.tenant_column.name}, which holds {kind.__name__}"
            raise UsageError(message) from None

    def _anothers(self, tenant: Any) -> sa.ColumnElement[bool] | None:
        if tenant is None:
            return None
        return another_tenants(self.branches, self.layout.table, self.tenant_value(tenant))

    def _tenant(self, tenant: Any) -> sa.ColumnElement[bool]:
        value = self.tenant_value(tenant)
        return self._one_of([value])

    def _past(self, cutoffs: Cutoffs) -> sa.ColumnElement[bool]:
        """Return the rows whose clock lies before their tenant's cutoff.

        What lies before the earliest of all is told by the clock alone, and that is the most.
        """
        if not cutoffs.by_tenant or self.tenant_column is None:
            return self._before(cutoffs.base)
        own = [sa.and_(self._one_of(tenants), self._before(cutoff)) for cutoff, tenants in cutoffs.grouped()]
        others = sa.or_(self.tenant_column.is_(None), sa.not_(self._one_of(list(cutoffs.by_tenant))))
        each = sa.or_(self._before(cutoffs.earliest), *own, sa.and_(others, self._before(cutoffs.base)))
        return sa.and_(self._before(cutoffs.latest), each)

    def _before(self, cutoff: dt.datetime) -> sa.ColumnElement[bool]:
        return self.clock.expired(self.clock_column, cutoff)

    def _one_of(self, tenants: Sequence[Any]) -> sa.ColumnElement[bool]:
        """Return the rows of these tenants, which stand as their column holds them."""
        if self.tenant_column is None:
            return sa.true()
        if isinstance(tenants[0], str):
            return exactly(self.tenant_column, *tenants)
        return self.tenant_column.in_(tenants)

    def _held(self, hold: Scope) -> sa.ColumnElement[bool]:
        parts: list[sa.ColumnElement[bool]] = []
        if hold.tenant is not None and self.tenant_column is not None:
            # As the column compares: a hold rather keeps a tenant of a similar name as well.
            parts.append(self.tenant_column == self.tenant_value(hold.tenant))
        if hold.since is not None:
            parts.append(sa.not_(self.clock.expired(self.clock_column, hold.since)))
        if hold.until is not None:
            slack = dt.timedelta() if self.clock.kind in {"aware", "epoch"} else _SLACK
            parts.append(self.clock.expired(self.clock_column, hold.until + slack))
        if hold.key is not None:
            parts.append(held_rows(self.layout.table, [hold.key]))
        return sa.and_(sa.true(), *parts)


def read_target(
    connection: sa.Connection,
    table: str,
    rule: Rule,
    *,
    keeping: Keeping | None = None,
    forms: Mapping[str, str] | None = None,
    known: Target | None = None,
) -> Target:
    """Read a policy's table from the live database and check every name against it.

    Args:
        connection: the data source.
        table: `table` or `schema.table`.
        rule: the policy.
        keeping: what the data map says about keeping the table's rows.
        forms: text clock → its form, where that was found out before; without them it is found out,
            which reads the whole column.
        known: the same table as it was read a moment ago; it is not reflected again.

    Raises:
        UsageError: an unknown name, a column that is no clock, a condition outside the allow-list.
        UnsafeTable: a table that must not be touched.

    """
    layout = known.layout if known else read_layout(connection, table)
    column = layout.column(rule.timestamp_column, "timestamp_column")
    clock = _clock(connection, column, rule, forms)
    keeping = keeping or Keeping()
    floors = []
    for minimum in keeping.minimums:
        since = layout.column(minimum.column, "keep_at_least")
        own = clock if since is column else _clock(connection, since, rule, forms)
        floors.append(Floor(minimum=minimum, column=since, clock=own, zone=rule.zone))
    tenant = rule.tenant_column
    masks = masks_of(rule.masks, rule.marker_column) if rule.masks and rule.action == "anonymize" else None
    for name in masks.columns if masks else ():
        layout.column(name, "masks")
    return Target(
        layout=layout,
        clock=clock,
        clock_column=column,
        tenant_column=None if tenant is None else layout.column(tenant, "tenant_column"),
        condition=parse_condition(rule.filter_sql, layout.table) if rule.filter_sql is not None else None,
        masks=masks,
        branches=known.branches if known else read_branches(connection, layout, rule),
        floors=tuple(floors),
        own_holds=tuple(parse_condition(text, layout.table) for text in keeping.holds),
    )


def _clock(
    connection: sa.Connection, column: sa.Column[Any], rule: Rule, known: Mapping[str, str] | None
) -> Clock:
    clock = clock_for(column, connection.dialect.name, zone=rule.zone, unit=rule.timestamp_unit)
    if clock.kind != "text":
        return clock
    if known is not None:
        return replace(clock, form=FORMS[known[column.name]]) if column.name in known else clock
    first = connection.execute(first_form(column)).one_or_none()
    if first is None:
        return clock
    # To compare each value with one form takes far less than to tell which of all it has.
    alike = first.kind == "text" and first.shape is not None
    if alike and not connection.scalar(other_forms(column, FORMS[first.shape])):
        return replace(clock, form=FORMS[first.shape])
    return clock.with_form(tuple(row) for row in connection.execute(form_census(column)))


def _python_type(column: sa.Column[Any]) -> type[Any]:
    try:
        kind = column.type.python_type
    except NotImplementedError:
        return str
    return kind if kind in {int, str, uuid.UUID} else str
