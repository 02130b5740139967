"""What a release would add and cost, before anything is drawn or charged."""

from collections.abc import Iterator
from math import sqrt
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.errors import UsageError
from aegis.federated.accounts import DEFAULTS, Account, listed, unknown
from aegis.federated.composition import NANO, cost
from aegis.federated.mechanism import Plan
from aegis.federated.protecting import content_of, plan_of
from aegis.federated.release import threshold_spend
from aegis.federated.terms import Terms, check
from aegis.operations.system import System

#: Of Laplace noise, over its scale.
_DEVIATION: Final = {"laplace": sqrt(2), "gaussian": 1.0}


def estimate(system: System, value: Any, terms: Terms) -> dict[str, Any]:
    """Return what a release of this aggregate would add to each number, and take from each budget.

    Nothing depends on the values themselves: only on how many numbers there are, and of which kinds.

    Raises:
        UsageError: it cannot be protected as it is, or a budget has no price for this noise.

    """
    check(terms, floor=system.settings.federated.minimum_participants)
    if terms.epsilon is None:
        message = "there is no noise without dp_epsilon, and nothing to estimate"
        raise UsageError(message)
    plan = plan_of(content_of(value, terms), terms, terms.epsilon)
    with reading(system.databases.control, CONTROL) as connection:
        budgets = list(_priced(connection, terms, plan))
    return {
        "mechanism": plan.mechanism,
        "epsilon": plan.epsilon,
        "delta": plan.delta,
        "sensitivity": plan.sensitivity,
        "scale": plan.scale,
        "standard_deviation": plan.scale * _DEVIATION[plan.mechanism],
        "coordinates": plan.coordinates,
        "budgets": budgets,
        "enough": all(each["left"] is None or each["cost"] <= each["left"] for each in budgets),
    }


def _priced(connection: sa.Connection, terms: Terms, plan: Plan) -> Iterator[dict[str, Any]]:
    known = {account.name: account for account in listed(connection, dialects.now(connection))}
    name: str | None = terms.account or DEFAULTS[plan.mechanism]
    if name in DEFAULTS.values() and name not in known:
        return
    while name is not None:
        if name not in known:
            raise unknown(name)
        account = known[name]
        yield _price(account, terms, plan)
        name = account.parent


def _price(account: Account, terms: Terms, plan: Plan) -> dict[str, Any]:
    try:
        spends = [plan.spend, *threshold_spend(terms)]
        nano = sum(cost(account.composition, account.order, spend) for spend in spends)
    except UsageError as error:
        message = f"budget {account.name}: {error}"
        raise UsageError(message) from None
    left = account.tightest.left
    return {
        "budget": account.name,
        "unit": account.unit,
        "cost": nano / NANO,
        "left": None if left is None else left / NANO,
    }
