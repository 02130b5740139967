"""Charging a release to its budget and to all budgets above it, before any noise is drawn.

Everybody locks in one order, from the account up to its root. In a tree two such ways share nothing,
or all from where they meet, so nobody waits for somebody who waits for them; and the root, which most
releases share, is locked last and shortest.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.errors import BudgetSpent, Conflict, OperationFailed, UsageError
from aegis.federated.accounts import ACCOUNTS, CHARGES, WINDOW, Account, account_of, unknown
from aegis.federated.composition import NANO, Spend, cost
from aegis.federated.conversion import shown
from aegis.federated.opening import DEEPEST, ensure_default

__all__ = ["Charged", "charge", "ensure_default"]

#: The largest number that is kept.
_COUNTABLE: Final = 2**63 - 1
#: Takes one row of values for each account, so that a tree costs no more round trips than one of them.
_SPENT: Final = (
    sa.update(ACCOUNTS)
    .where(ACCOUNTS.c.name == sa.bindparam("account"))
    .values({name: sa.bindparam(name) for name in ("window_number", "window_spent", "spent", "charges")})
)


@dataclass(frozen=True, kw_only=True)
class Charged:
    """What one account gave for a release; whole nano-units, of the period that has the least left."""

    account: str
    composition: str
    charged: int
    #: With this charge.
    spent: int
    #: None: it has no limit.
    limit: int | None

    @property
    def remaining(self) -> float | None:
        """What is left of epsilon, rho or RDP epsilon; None without a limit."""
        return None if self.limit is None else max(0, self.limit - self.spent) / NANO


def charge(
    connection: sa.Connection, account: str, spends: Sequence[Spend], *, release: str, moment: dt.datetime
) -> list[Charged]:
    """Take a release's cost from an account and from every account above it, or from none.

    Args:
        connection: an open writing transaction of the control database, the caller's.
        account: which one.
        spends: the noise that is going to be drawn.
        release: its id; an account gives once for it.
        moment: the control database's clock, by which windows begin anew.

    Returns:
        one of each account, the named one first.

    Raises:
        BudgetSpent: one of them has too little left; nothing was written.
        UsageError: there is no such account, or one of them has no price for this noise.
        Conflict: this account has given for this release already.

    """
    if not spends:
        message = "a release draws noise once at least"
        raise UsageError(message)
    _refuse_again(connection, account, release)
    rows = _locked(connection, account)
    found = [account_of(row, moment) for row in rows]
    costs = [_cost(each, spends) for each in found]
    for each, amount in zip(found, costs, strict=True):
        _refuse_if_spent(each, amount, account)
    _write(connection, found, costs, charged_to=account, spends=spends, release=release, moment=moment)
    return [_charged(each, amount) for each, amount in zip(found, costs, strict=True)]


def _refuse_again(connection: sa.Connection, account: str, release: str) -> None:
    """Refuse in good words what the history's unique key refuses anyway; so it needs no lock."""
    mine = sa.select(CHARGES.c.number).where(CHARGES.c.account == account, CHARGES.c.charged_to == account)
    if connection.scalar(mine.where(CHARGES.c.release_id == release)) is not None:
        message = f"budget {account} was charged for this release already"
        raise Conflict(message)


def _locked(connection: sa.Connection, account: str) -> list[sa.RowMapping]:
    """Lock an account and those above it, and return them as they are since."""
    rows: list[sa.RowMapping] = []
    name: str | None = account
    while name is not None:
        query = sa.select(ACCOUNTS).where(ACCOUNTS.c.name == name).with_for_update()
        row = connection.execute(query).mappings().first()
        if row is None:
            raise unknown(name)
        rows.append(row)
        if len(rows) > DEEPEST + 1:
            message = f"the budgets above {account} have no end: their rows were changed by another hand"
            raise OperationFailed(message)
        name = row["parent"]
    return rows


def _cost(account: Account, spends: Sequence[Spend]) -> int:
    try:
        return sum(cost(account.composition, account.order, spend) for spend in spends)
    except UsageError as error:
        message = f"budget {account.name}: {error}"
        raise UsageError(message) from None


def _refuse_if_spent(account: Account, amount: int, charged_to: str) -> None:
    for period in account.periods:
        limit = _COUNTABLE if period.limit is None else period.limit
        if period.spent + amount <= limit:
            continue
        where = "" if account.name == charged_to else f", which is above {charged_to},"
        unit = "" if account.composition == "pure" else f" of {account.unit}"
        left = shown(max(0, limit - period.spent))
        if period.name == WINDOW and period.ends_at is not None:
            cure = f"its window begins anew at {period.ends_at.isoformat(timespec='seconds')}"
        else:
            cure = f"that is for its lifetime; `aegis federated budget set {account.name}` can raise it"
        message = (
            f"budget {account.name}{where} has {left}{unit} left, this release needs {shown(amount)}{unit}; "
            f"nothing was drawn and nothing charged; {cure}"
        )
        raise BudgetSpent(message)


def _write(
    connection: sa.Connection,
    accounts: Sequence[Account],
    costs: Sequence[int],
    *,
    charged_to: str,
    spends: Sequence[Spend],
    release: str,
    moment: dt.datetime,
) -> None:
    noise = [asdict(spend) for spend in spends]
    given: list[dict[str, Any]] = [
        {
            "account": account.name,
            "number": account.charges + 1,
            "charged_to": charged_to,
            "release_id": release,
            "spends": noise,
            "charged": amount,
            "window_number": account.window,
            "charged_at": moment,
        }
        for account, amount in zip(accounts, costs, strict=True)
    ]
    connection.execute(sa.insert(CHARGES), given)
    left: list[dict[str, Any]] = [
        {
            "account": account.name,
            "window_number": account.window,
            "window_spent": account.periods[0].spent + amount,
            "spent": account.periods[-1].spent + amount,
            "charges": account.charges + 1,
        }
        for account, amount in zip(accounts, costs, strict=True)
    ]
    connection.execute(_SPENT, left)


def _charged(account: Account, amount: int) -> Charged:
    tightest = account.tightest
    return Charged(
        account=account.name,
        composition=account.composition,
        charged=amount,
        spent=tightest.spent + amount,
        limit=tightest.limit,
    )
