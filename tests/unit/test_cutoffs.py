"""The cutoffs of a run, all of one instant: the policy's own, and those of tenants with their own days."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from aegis.datamap.periods import LONGEST_DAYS
from aegis.errors import InvalidPolicy, UsageError
from aegis.retention.cutoffs import (
    MOST_TENANTS,
    Cutoffs,
    began_at,
    check_tenant_days,
    cutoffs_for,
    refuse_same_tenant,
    told,
)

DAY = dt.timedelta(days=1)
MOMENT = dt.datetime(2026, 5, 31, 12, tzinfo=dt.UTC)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The part of a policy that says how long rows are kept."""

    retention_days: int = 30
    period: str | None = None
    zone: str = "UTC"
    tenant_days: Mapping[str, int] | None = None


class Numbered:
    """A table whose tenants are numbers."""

    def tenant_value(self, tenant: Any) -> int:
        """Return the number, or refuse."""
        if not str(tenant).isdigit():
            message = "the tenant column holds numbers"
            raise UsageError(message)
        return int(tenant)


OWN = Rule(tenant_days={"1": 10, "2": 60, "3": 10})


def test_each_tenant_has_its_own() -> None:
    """Written as the column holds it; everybody else has the policy's."""
    found = cutoffs_for(OWN, MOMENT, Numbered())
    own = {1: MOMENT - 10 * DAY, 2: MOMENT - 60 * DAY, 3: MOMENT - 10 * DAY}
    assert found == Cutoffs(moment=MOMENT, base=MOMENT - 30 * DAY, by_tenant=own)
    assert (found.latest, found.earliest) == (MOMENT - 10 * DAY, MOMENT - 60 * DAY)
    assert found.grouped() == [(MOMENT - 60 * DAY, [2]), (MOMENT - 10 * DAY, [1, 3])]


def test_the_policys_own_is_the_bound_where_no_tenants_is_beyond_it() -> None:
    """Latest and earliest count the policy's as well."""
    longer, shorter = ({"1": days} for days in (60, 10))
    assert cutoffs_for(Rule(tenant_days=longer), MOMENT, Numbered()).latest == MOMENT - 30 * DAY
    assert cutoffs_for(Rule(tenant_days=shorter), MOMENT, Numbered()).earliest == MOMENT - 30 * DAY


@pytest.mark.parametrize(("tenant", "days"), [("1", 10), ("2", 60), ("4", 30)])
def test_a_run_for_one_tenant_has_its_cutoff_alone(tenant: str, days: int) -> None:
    """Its own where it has one, the policy's otherwise; no other tenant's."""
    found = cutoffs_for(OWN, MOMENT, Numbered(), tenant=tenant)
    assert found == Cutoffs(moment=MOMENT, base=MOMENT - days * DAY, by_tenant={})


@pytest.mark.parametrize("tenant", [None, "1", "4"])
def test_what_a_run_has_written_down_stands(tenant: str | None) -> None:
    """A run that goes on keeps its cutoff, whatever the policy says by now."""
    written = MOMENT - 45 * DAY
    assert cutoffs_for(OWN, MOMENT, Numbered(), tenant=tenant, base=written).base == written


def test_a_period_is_counted_by_the_calendar_of_its_zone() -> None:
    """Not by its days: a month before 31 May is the last of April."""
    found = cutoffs_for(Rule(period="P1M", zone="Europe/Berlin"), MOMENT, Numbered())
    assert found.base == dt.datetime(2026, 4, 30, 12, tzinfo=dt.UTC)
    night = dt.datetime(2026, 5, 31, 22, 30, tzinfo=dt.UTC)
    assert cutoffs_for(Rule(period="P1M", zone="Europe/Berlin"), night, Numbered()).base == night - 31 * DAY


def test_shifted_lies_before() -> None:
    """So many days earlier, the policy's and each tenant's; the moment is the same."""
    found = cutoffs_for(OWN, MOMENT, Numbered()).shifted(7)
    own = {1: MOMENT - 17 * DAY, 2: MOMENT - 67 * DAY, 3: MOMENT - 17 * DAY}
    assert found == Cutoffs(moment=MOMENT, base=MOMENT - 37 * DAY, by_tenant=own)


def test_a_run_began_at_its_moment() -> None:
    """A run of before the moment was kept began its days after its cutoff."""
    cutoff = MOMENT - 45 * DAY
    assert began_at({"moment": MOMENT, "cutoff": cutoff}, Rule()) == MOMENT
    assert began_at({"moment": None, "cutoff": cutoff}, Rule()) == cutoff + 30 * DAY


def test_a_report_tells_the_tenants_cutoffs() -> None:
    """Of a run that has begun and is for all tenants."""
    run = {"moment": MOMENT, "cutoff": MOMENT - 30 * DAY, "tenant": None}
    early, late = "2026-04-01T12:00:00.000000Z", "2026-05-21T12:00:00.000000Z"
    assert told(run, OWN) == {"1": late, "2": early, "3": late}
    assert told(run, Rule()) == {}
    assert told(run | {"tenant": "1"}, OWN) == {}
    assert told(run | {"cutoff": None}, OWN) == {}


@pytest.mark.parametrize(
    "days",
    [
        None,
        {"1": 1},
        {"1": LONGEST_DAYS},
        {str(n): 30 for n in range(MOST_TENANTS)},
    ],
    ids=["none", "fewest", "longest", "most tenants"],
)
def test_days_that_can_be_meant(days: Any) -> None:
    """Text with whole days, up to the bounds."""
    check_tenant_days("p", days, "tenant")


@pytest.mark.parametrize(
    ("days", "said"),
    [
        ({}, "1 to 500 tenants"),
        ([("1", 30)], "1 to 500 tenants"),
        ({str(n): 30 for n in range(MOST_TENANTS + 1)}, "1 to 500 tenants"),
        ({"1": 0}, "1 of 1 are not so"),
        ({"1": LONGEST_DAYS + 1, "2": 1}, "1 of 2 are not so"),
        ({"1": True}, "1 of 1 are not so"),
        ({"1": 30.0}, "1 of 1 are not so"),
        ({1: 30}, "1 of 1 are not so"),
    ],
    ids=["empty", "no mapping", "too many", "no day", "too long", "truth", "float", "number"],
)
def test_days_that_cannot_be_meant(days: Any, said: str) -> None:
    """Each one beyond a bound; the message has no tenant."""
    with pytest.raises(InvalidPolicy, match=said):
        check_tenant_days("p", days, "tenant")


def test_days_of_tenants_need_their_column() -> None:
    """Without it no row belongs to anybody; without days nothing is asked."""
    with pytest.raises(InvalidPolicy, match="tenant_column"):
        check_tenant_days("p", {"1": 30}, None)
    check_tenant_days("p", None, None)


def test_one_tenant_is_named_once() -> None:
    """Two spellings of one value are refused, and so is what the column cannot hold."""
    refuse_same_tenant("p", {"1": 10, "2": 10}, Numbered())
    refuse_same_tenant("p", None, Numbered())
    with pytest.raises(InvalidPolicy, match="twice"):
        refuse_same_tenant("p", {"1": 10, "01": 10}, Numbered())
    with pytest.raises(UsageError, match="numbers"):
        refuse_same_tenant("p", {"acme": 10}, Numbered())
