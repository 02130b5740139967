"""Look what a policy would do: counts in one snapshot of the live database, and nothing is changed."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from aegis.db import dialects, transactions
from aegis.db.engines import attempt, snapshot
from aegis.db.indexes import indexes_over
from aegis.db.journal import Journal
from aegis.db.load import Gauge
from aegis.db.sizes import size_of
from aegis.db.tables import DataRetentionPolicy
from aegis.errors import TooLong
from aegis.operations import holds
from aegis.operations.holds import Scope
from aegis.operations.system import System
from aegis.retention import bounds, counting
from aegis.retention.children import count_children, without_index
from aegis.retention.counting import Exact, foreseen, unclocked
from aegis.retention.cutoffs import cutoffs_for
from aegis.retention.estimates import estimate
from aegis.retention.inspecting import read_policy_target
from aegis.retention.months import Months
from aegis.retention.preview import Beside, Preview, Spread
from aegis.retention.sessions import seen_by
from aegis.retention.stages import Stage, stages_of
from aegis.retention.target import Target
from aegis.retention.tempo import Tempo, recent_runs, tempo
from aegis.retention.walkers import choose

#: Tenants that are told apart; more would be a list that nobody reads.
MOST_TENANTS: Final = 10_000
Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Glance:
    """A policy's table in one snapshot."""

    connection: sa.Connection
    target: Target
    #: The legal holds in force.
    scopes: Sequence[Scope]
    #: The database's clock.
    moment: dt.datetime


def look(
    system: System,
    policy: DataRetentionPolicy,
    *,
    tenant: Any = None,
    in_full: bool = False,
    sampled: bool = False,
    beside: bool = False,
) -> Preview:
    """Count what the policy would do now, in one snapshot.

    Args:
        system: this process's Aegis.
        policy: approved or not.
        tenant: this tenant's rows only.
        in_full: by month and tenant too, with an estimate of time and room.
        sampled: read some of the table's blocks only (PostgreSQL).
        beside: with `in_full`, what stays by month and tenant too, and what guards measure.

    Raises:
        UsageError: a name of the policy is not in the database any more, or no sample can be taken.
        UnsafeTable: rows are hidden from Aegis, or the table must not be touched.
        TooLong: a count took longer than the settings let it.

    """
    (seen,) = looks(system, [policy], tenant=tenant, in_full=in_full, sampled=sampled, beside=beside)
    return seen


def looks(
    system: System,
    variants: list[DataRetentionPolicy],
    *,
    tenant: Any = None,
    in_full: bool = False,
    sampled: bool = False,
    beside: bool = False,
) -> list[Preview]:
    """Count what each variant of one policy would do, all at the same instant and in one snapshot."""
    try:
        return _looks(system, variants, tenant=tenant, in_full=in_full, sampled=sampled, beside=beside)
    except TooLong as error:
        message = (
            f"{error}. A count of policy {variants[0].name} may take retention.count_seconds "
            f"({system.settings.retention.count_seconds:g}): raise it, or preview with --sampled (PostgreSQL)"
        )
        raise TooLong(message) from None


def _looks(
    system: System,
    variants: list[DataRetentionPolicy],
    *,
    tenant: Any,
    in_full: bool,
    sampled: bool,
    beside: bool,
) -> list[Preview]:
    policy = variants[0]
    runs = recent_runs(system, policy) if in_full else []
    with glance(system, policy, tenant) as seen:
        connection, target, scopes = seen.connection, seen.target, seen.scopes
        counter = counting.counter(connection, target, sampled=sampled)
        transactions.limit_statements(connection, round(1000 * system.settings.retention.count_seconds))
        looked = [_Look(one, target, counter, scopes, now=seen.moment, tenant=tenant) for one in variants]
        if not in_full:
            return [look.preview(connection, in_full=False) for look in looked]
        pace = tempo(connection, runs)
        found = [
            replace(look.preview(connection, in_full=True), **look.hanging(connection)) for look in looked
        ]
        if beside:
            pairs = zip(found, looked, strict=True)
            found = [replace(seen, beside=look.beside(connection)) for seen, look in pairs]
        estimated = [_with_estimate(connection, seen, pace) for seen in found]
    # After our own snapshot has ended, so that it is not taken for the application's.
    engine, where = system.databases.source(policy.datasource), f"data source {policy.datasource}"
    oldest = Gauge(engine, where, target.layout.table, ["snapshot_seconds"]).read()
    return [replace(seen, snapshot_seconds=oldest.get("snapshot_seconds")) for seen in estimated]


@contextmanager
def glance(system: System, policy: DataRetentionPolicy, tenant: Any) -> Iterator[Glance]:
    """Open one snapshot of the policy's table, with its holds and the clock as they are in it."""
    source, limits = policy.datasource, system.settings.retention
    engine = system.databases.source(source)
    with snapshot(engine, f"data source {source}") as connection:
        transactions.begin_work(
            connection,
            lock_ms=limits.lock_timeout_milliseconds,
            statement_ms=limits.statement_timeout_milliseconds,
            seen_by=seen_by(policy, tenant),
        )
        yield Glance(
            connection=connection,
            target=read_policy_target(connection, policy, system),
            scopes=holds.read(connection, Journal(engine.dialect.name), system.worker_key),
            moment=dialects.now(connection),
        )


class _Look:
    """One variant of a policy against a table."""

    def __init__(
        self,
        policy: DataRetentionPolicy,
        target: Target,
        counter: counting.Counter,
        scopes: Sequence[Scope],
        *,
        now: dt.datetime,
        tenant: Any,
    ) -> None:
        self._policy, self._target, self._counter = policy, target, counter
        self._tenant = tenant
        self._scopes = scopes
        self._cutoffs = cutoffs_for(policy, now, target, tenant=tenant)
        self._stages = stages_of(target, policy, self._cutoffs)
        self._doomed = sa.or_(*[self._doomed_in(stage) for stage in self._stages])

    def preview(self, connection: sa.Connection, *, in_full: bool) -> Preview:
        """Count what goes, and what stays for which reason."""
        months = Months(self._target.clock, self._target.clock_column, self._cutoffs.latest)
        spread = self._spread(months, self._doomed) if in_full else Spread()
        touched = sum(spread.months.values()) if in_full else self._counter.count(self._doomed)
        total, actions = self._counter.count(sa.true()), self._actions(touched)
        walker = choose(connection, self._target, cutoff=self._cutoffs.latest, expected=touched)
        return Preview(
            policy=self._policy,
            target=self._target,
            cutoffs=self._cutoffs,
            rows=sum(actions.values()),
            actions=actions,
            stays=self._stays(touched, total),
            total=total,
            walker=walker.name,
            spread=spread,
            sample=self._counter.sample(self._doomed),
        )

    def _doomed_in(self, stage: Stage) -> sa.ColumnElement[bool]:
        return stage.ahead.doomed(stage.cutoffs, self._scopes, self._policy.name, self._tenant)

    def _actions(self, touched: int) -> dict[str, int]:
        """Return the rows by action; one that is anonymized and then deleted counts for both."""
        if len(self._stages) == 1:
            return {self._stages[0].action.name: touched}
        return {stage.action.name: self._counter.count(self._doomed_in(stage)) for stage in self._stages}

    def hanging(self, connection: sa.Connection) -> dict[str, Any]:
        """Return what hangs on the rows that go; a sample of them says nothing about other tables."""
        exact = isinstance(self._counter, Exact)
        last = self._stages[-1]
        goes = exact and last.action.name == "delete"
        along = count_children(connection, self._target, self._doomed_in(last)) if goes else {}
        return {
            "along": along,
            "unindexed": without_index(connection, self._target),
            "partitions": bounds.told(connection, self._target, self._policy, self._cutoffs, self._tenant),
        }

    def _stays(self, rows: int, total: int) -> dict[str, int]:
        """Return the rows that stay, by reason; every row of the table goes or has one of them."""
        target, tenant, count = self._target, self._tenant, self._counter.count
        undone = rows
        if target.floors or target.held(self._scopes, self._policy.name, tenant) is not None:
            undone = count(sa.or_(*[stage.ahead.expired(stage.cutoffs, tenant) for stage in self._stages]))
        past = undone
        if target.masks is not None:
            past = count(replace(target, part="all").expired(self._cutoffs, tenant))
        null_clock = unclocked(self._counter, target, tenant)
        narrowed = [word for word, given in self._narrowed().items() if given]
        chosen = count(target.chosen(tenant)) if narrowed else total
        held = self._held() if target.floors else undone - rows
        stays = {"held": held, "kept": undone - rows - held, "done": past - undone, "null_clock": null_clock}
        stays["younger"] = chosen - past - null_clock
        stays["_or_".join(narrowed)] = total - chosen
        # Estimates need not add up; a count of nothing is no reason.
        return {reason: left for reason, left in stays.items() if left > 0}

    def _held(self) -> int:
        """Count the rows past their time that holds keep, whatever minimum they are under."""
        held = self._target.held(self._scopes, self._policy.name, self._tenant)
        if held is None:
            return 0
        past = [stage.ahead.expired(stage.cutoffs, self._tenant) for stage in self._stages]
        return self._counter.count(sa.and_(held, sa.or_(*past)))

    def _narrowed(self) -> dict[str, bool]:
        return {"condition": self._target.condition is not None, "other_tenant": self._tenant is not None}

    def beside(self, connection: sa.Connection) -> Beside:
        """Count what an approver wants to see beside what would go, as far as the time allows it."""
        count = self._counter.count
        return Beside(
            staying=_in_time(connection, self._staying),
            expected=_in_time(connection, lambda: foreseen(self._counter, self._stages, self._tenant)),
            chosen=_in_time(connection, lambda: count(self._target.chosen(self._tenant))),
        )

    def _staying(self) -> Spread:
        """Group the rows that stay, in one pass over the table."""
        target, cutoffs = self._target, self._cutoffs
        months = Months(target.clock, target.clock_column, cutoffs.latest, until=cutoffs.moment)
        stays: sa.ColumnElement[bool] = sa.func.coalesce(self._doomed, sa.false()).is_(sa.false())
        if self._tenant is not None and target.tenant_column is not None:
            stays = sa.and_(target.tenant_column == target.tenant_value(self._tenant), stays)
        return self._spread(months, stays)

    def _spread(self, months: Months, which: sa.ColumnElement[bool]) -> Spread:
        """Group some rows, in one pass over them."""
        target = self._target
        by: list[sa.ColumnElement[Any]] = [months.number()]
        if target.tenant_column is not None:
            by.append(target.tenant_column)
        matrix: dict[str, Counter[int]] = defaultdict(Counter)
        every, others = Counter[int](), 0
        for month, *tenants, rows in self._counter.groups(by, which):
            every[month] += rows
            if tenants and (str(tenants[0]) in matrix or len(matrix) < MOST_TENANTS):
                matrix[str(tenants[0])][month] += rows
            elif tenants:
                others += rows
        return Spread(
            months=_named(months, every),
            tenants={tenant: matrix[tenant].total() for tenant in sorted(matrix)},
            matrix={tenant: _named(months, matrix[tenant]) for tenant in sorted(matrix)},
            other_tenants=others,
        )


def _in_time(connection: sa.Connection, ask: Callable[[], Answer]) -> Answer | None:
    """Return what a count found; None when it takes longer than a statement may, and the look goes on."""
    try:
        with attempt(connection, "data source"):
            return ask()
    except TooLong:
        return None


def _named(months: Months, rows: Mapping[int, int]) -> dict[str, int]:
    return {months.name(number): rows[number] for number in sorted(rows)}


def _with_estimate(connection: sa.Connection, seen: Preview, pace: Tempo | None) -> Preview:
    size = size_of(connection, seen.target.layout.table)
    masks = "anonymize" in seen.policy.action
    dear = indexes_over(connection, seen.target.layout.table, _written(seen.target))
    return replace(
        seen, cold_indexes=dear, estimate=estimate(seen.rows, seen.total, size=size, tempo=pace, masks=masks)
    )


def _written(target: Target) -> Sequence[str]:
    return target.masks.columns if target.masks else ()
