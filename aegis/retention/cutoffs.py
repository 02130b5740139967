"""The cutoffs of a run: all computed from one instant of the data source's clock, and frozen.

A policy has one period, and tenants may have days of their own. One pass over the table takes
both: walkers go up to the latest cutoff, and the statement says for each tenant which is its own.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from aegis.audit.events import stamp
from aegis.datamap.periods import LONGEST_DAYS, parse_period
from aegis.errors import InvalidPolicy
from aegis.retention.clocks import cutoff_before

#: Tenants with days of their own; each is a value in every statement.
MOST_TENANTS: Final = 500


class Lasting(Protocol):
    """The part of a policy that says how long rows are kept."""

    @property
    def retention_days(self) -> int: ...  # noqa: D102
    @property
    def period(self) -> str | None: ...  # noqa: D102
    @property
    def zone(self) -> str: ...  # noqa: D102
    @property
    def tenant_days(self) -> Mapping[str, int] | None: ...  # noqa: D102


class Tenants(Protocol):
    """The table's way to write a tenant."""

    def tenant_value(self, tenant: Any) -> Any:
        """Return a tenant as the column's own type."""


@dataclass(frozen=True, kw_only=True)
class Cutoffs:
    """Before which instants rows are past their time."""

    #: The data source's clock when the run began.
    moment: dt.datetime
    #: For every tenant that has none of its own.
    base: dt.datetime
    #: tenant, as its column holds it → its own
    by_tenant: Mapping[Any, dt.datetime] = field(default_factory=dict)

    @property
    def latest(self) -> dt.datetime:
        """Nothing goes whose clock is at or after this one."""
        return max([self.base, *self.by_tenant.values()])

    @property
    def earliest(self) -> dt.datetime:
        """Whatever lies before this one is past its time, whosever it is."""
        return min([self.base, *self.by_tenant.values()])

    def shifted(self, days: int) -> "Cutoffs":
        """Return cutoffs that lie so many days before these, for what happens to rows that much older."""
        span = days * dt.timedelta(days=1)
        own = {tenant: cutoff - span for tenant, cutoff in self.by_tenant.items()}
        return Cutoffs(moment=self.moment, base=self.base - span, by_tenant=own)

    def grouped(self) -> list[tuple[dt.datetime, list[Any]]]:
        """Return each cutoff of its own with the tenants that share it, the earliest first."""
        sharing: defaultdict[dt.datetime, list[Any]] = defaultdict(list)
        for tenant, cutoff in self.by_tenant.items():
            sharing[cutoff].append(tenant)
        return sorted(sharing.items())


def cutoffs_for(
    rule: Lasting,
    moment: dt.datetime,
    target: Tenants,
    *,
    tenant: Any = None,
    base: dt.datetime | None = None,
) -> Cutoffs:
    """Return the cutoffs of a policy.

    Args:
        rule: the policy.
        moment: the data source's clock when the run began.
        target: its table, which knows how a tenant is written.
        tenant: the only tenant that the run is for; then its cutoff is the only one.
        base: what a run that has begun already has written down.

    Raises:
        UsageError: a tenant does not fit the column.

    """
    own = _of_their_own(rule, moment, target)
    if tenant is not None:
        base = base or own.get(target.tenant_value(tenant))
        own = {}
    return Cutoffs(moment=moment, base=base or _plain(rule, moment), by_tenant=own)


def began_at(run: Mapping[str, Any], rule: Lasting) -> dt.datetime:
    """Return the instant of which a run that has begun took its cutoffs."""
    moment: dt.datetime = run["moment"] or run["cutoff"] + rule.retention_days * dt.timedelta(days=1)
    return moment


def told(run: Mapping[str, Any], rule: Lasting) -> dict[str, str]:
    """Return the cutoffs of a run's tenants as a report has them: tenant → ISO 8601."""
    if run["cutoff"] is None or run["tenant"] is not None:
        return {}
    moment = began_at(run, rule)
    return {tenant: stamp(cutoff_before(moment, days)) for tenant, days in (rule.tenant_days or {}).items()}


def check_tenant_days(name: str, tenant_days: Any, tenant_column: str | None) -> None:
    """Refuse days of tenants that cannot be meant.

    Raises:
        InvalidPolicy: no column tells tenants apart, or the days are no whole numbers in their range.

    """
    if tenant_days is None:
        return
    if not isinstance(tenant_days, Mapping) or not 1 <= len(tenant_days) <= MOST_TENANTS:
        message = f"policy {name}: tenant_days: expected 1 to {MOST_TENANTS} tenants with their days"
        raise InvalidPolicy(message)
    if tenant_column is None:
        message = f"policy {name}: tenant_days need a tenant_column, which tells tenants apart"
        raise InvalidPolicy(message)
    wrong = [
        tenant
        for tenant, days in tenant_days.items()
        if not isinstance(tenant, str) or type(days) is not int or not 1 <= days <= LONGEST_DAYS
    ]
    if wrong:
        message = (
            f"policy {name}: tenant_days: expected tenants as text with 1 to {LONGEST_DAYS} whole days; "
            f"{len(wrong)} of {len(tenant_days)} are not so"
        )
        raise InvalidPolicy(message)


def refuse_same_tenant(name: str, tenant_days: Mapping[str, int] | None, target: Tenants) -> None:
    """Refuse two spellings of one tenant, and tenants that the column cannot hold.

    Raises:
        UsageError: says which column, never which tenant.

    """
    values = [target.tenant_value(tenant) for tenant in tenant_days or {}]
    if len(set(values)) < len(values):
        message = f"policy {name}: tenant_days name one tenant twice, in two spellings; keep one of them"
        raise InvalidPolicy(message)


def _plain(rule: Lasting, moment: dt.datetime) -> dt.datetime:
    if rule.period is None:
        return cutoff_before(moment, rule.retention_days)
    return parse_period(rule.period).before(moment, rule.zone)


def _of_their_own(rule: Lasting, moment: dt.datetime, target: Tenants) -> dict[Any, dt.datetime]:
    return {
        target.tenant_value(tenant): cutoff_before(moment, days)
        for tenant, days in (rule.tenant_days or {}).items()
    }
