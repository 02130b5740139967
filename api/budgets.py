"""The doors of privacy budgets: open an account, change its limits, see what is spent and by what."""

from typing import Any, Literal

from aegis.arguments import door
from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.errors import UsageError
from aegis.federated import accounts, opening
from aegis.federated.accounts import Account
from aegis.federated.opening import Terms
from aegis.operations.system import current


@door
def create_budget(
    name: str,
    *,
    epsilon: float | None = None,
    delta: float | None = None,
    composition: Literal["pure", "zcdp", "rdp"] = "pure",
    order: int | None = None,
    window_days: int | None = None,
    lifetime_epsilon: float | None = None,
    parent: str | None = None,
    unlimited: bool = False,
    actor: str = "system",
) -> Account:
    """Open a budget that releases can be charged to; the same again changes nothing.

    Args:
        name: letters, digits and `. _ : / -`; it stands in the log and in metrics in clear.
        epsilon: most of each window; without windows, most ever.
        delta: for which delta the limits hold (zcdp and rdp).
        composition: how releases add up: pure epsilon, zcdp, or rdp at one order.
        order: the order of rdp.
        window_days: days after which a window begins anew, counted from now.
        lifetime_epsilon: most ever, whatever the windows.
        parent: an account that is charged along with this one, and so are those above it.
        unlimited: no limit; what is spent is counted only.
        actor: who decided it.

    Raises:
        ValueError: it cannot be meant, or the parent is unknown.
        aegis.errors.Conflict: there is one of that name with other terms.

    """
    terms = Terms(
        name=name,
        parent=parent,
        epsilon=epsilon,
        delta=delta,
        composition=composition,
        order=order,
        window_days=window_days,
        lifetime_epsilon=lifetime_epsilon,
        unlimited=unlimited,
    )
    return opening.create(current(), terms, actor=actor)


@door
def set_budget(
    name: str,
    *,
    epsilon: float | None = None,
    lifetime_epsilon: float | None = None,
    actor: str = "system",
) -> Account:
    """Raise or lower a budget's limits; the old ones and who changed them stand in the log.

    Args:
        name: the account.
        epsilon: most of each window from now on; without windows, most ever.
        lifetime_epsilon: most ever, of a budget that has windows.
        actor: who decided it.

    Raises:
        ValueError: there is no such account, or the limit cannot be meant.

    """
    return opening.change(current(), name, epsilon=epsilon, lifetime_epsilon=lifetime_epsilon, actor=actor)


@door
def show_budgets(name: str | None = None) -> list[Account]:
    """Return the budgets as they stand now, each followed by those below it; or one and those below it.

    Raises:
        ValueError: there is no budget of that name.

    """
    with reading(current().databases.control, CONTROL) as connection:
        return accounts.listed(connection, dialects.now(connection), name)


@door
def budget_history(name: str, *, limit: int = 100, before: int | None = None) -> list[dict[str, Any]]:
    """Return what was charged to a budget, the newest first.

    Args:
        name: the account.
        limit: at most so many charges.
        before: only those whose number is below this one: the next page.

    Returns:
        number, charged_to, release_id, spends, charged (nano-units), amount, window_number, charged_at.

    Raises:
        ValueError: there is no budget of that name, or the limit is no number of rows.

    """
    for word, number in (("limit", limit), ("before", 1 if before is None else before)):
        if type(number) is not int or number < 1:
            message = f"{word} must be a whole number of at least 1"
            raise UsageError(message)
    with reading(current().databases.control, CONTROL) as connection:
        return accounts.history(connection, name, limit=limit, before=before)
