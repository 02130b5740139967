"""Budget accounts: what may be spent, in a tree, and how far each of them is.

An account's parent, composition and window never change, so a tree has no cycles; its limits change
only by a recorded act. What is spent is written by `aegis.federated.ledger` alone.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.db.columns import table_of
from aegis.db.tables import BudgetAccount, BudgetCharge
from aegis.errors import UnknownName
from aegis.federated.composition import NANO, Composition
from aegis.federated.conversion import UNITS, epsilon_of

#: The account of releases that name none, by their noise: Gaussian noise has no pure epsilon.
DEFAULT: Final = "default"
DEFAULTS: Final[Mapping[str, str]] = {"laplace": DEFAULT, "gaussian": "default-gaussian"}
WINDOW: Final = "window"
LIFETIME: Final = "lifetime"

ACCOUNTS: Final = table_of(BudgetAccount)
CHARGES: Final = table_of(BudgetCharge)


@dataclass(frozen=True, kw_only=True)
class Period:
    """What of an account was spent in its window, or ever; whole nano-units."""

    #: window or lifetime
    name: str
    spent: int
    #: None: without a limit.
    limit: int | None
    #: What both mean as the epsilon of the account's delta.
    epsilon_spent: float
    epsilon_limit: float | None
    #: When it begins anew; None: never.
    ends_at: dt.datetime | None

    @property
    def left(self) -> int | None:
        """What may still be spent; nothing where the limit was lowered below what is spent already."""
        return None if self.limit is None else max(0, self.limit - self.spent)

    @property
    def share(self) -> float | None:
        """Which part of the limit is spent, in what the account counts."""
        return None if self.limit is None else self.spent / self.limit


@dataclass(frozen=True, kw_only=True)
class Account:
    """One account, as it stands at a moment."""

    name: str
    parent: str | None
    depth: int
    composition: Composition
    #: The order of RDP.
    order: int | None
    #: For which delta the limits hold; pure epsilon has none.
    delta: float | None
    window_days: int | None
    #: The window of that moment, counted from 0.
    window: int
    #: The window, where there is one, and the lifetime.
    periods: tuple[Period, ...]
    #: Charges ever.
    charges: int
    created_at: dt.datetime

    @property
    def unit(self) -> str:
        """What is counted."""
        return UNITS[self.composition]

    @property
    def tightest(self) -> Period:
        """The period with the least left; the last one where none has a limit."""
        limited = [period for period in self.periods if period.left is not None]
        return min(limited, key=lambda period: period.left or 0, default=self.periods[-1])


def account_of(row: sa.RowMapping, moment: dt.datetime) -> Account:
    """Return what a row says at a moment.

    A clock that went backward does not bring an earlier window back.
    """
    delta = None if row["delta"] is None else float(row["delta"])
    days, window, ends_at = row["window_days"], 0, None
    if days is not None:
        length = dt.timedelta(days=days)
        window = max(row["window_number"], (moment - row["created_at"]) // length)
        ends_at = row["created_at"] + (window + 1) * length

    def period(name: str, spent: int, limit: int | None, ends_at: dt.datetime | None) -> Period:
        meaning = [
            None if nano is None else epsilon_of(nano, delta, row["rdp_order"]) for nano in (spent, limit)
        ]
        return Period(
            name=name,
            spent=spent,
            limit=limit,
            epsilon_spent=meaning[0] or 0.0,
            epsilon_limit=meaning[1],
            ends_at=ends_at,
        )

    periods = [period(LIFETIME, row["spent"], row["lifetime_limit"], None)]
    if days is not None:
        spent = row["window_spent"] if window == row["window_number"] else 0
        periods.insert(0, period(WINDOW, spent, row["window_limit"], ends_at))
    return Account(
        name=row["name"],
        parent=row["parent"],
        depth=row["depth"],
        composition=row["composition"],
        order=row["rdp_order"],
        delta=delta,
        window_days=days,
        window=window,
        periods=tuple(periods),
        charges=row["charges"],
        created_at=row["created_at"],
    )


def listed(connection: sa.Connection, moment: dt.datetime, name: str | None = None) -> list[Account]:
    """Return the accounts, each followed by those below it; with a name that one and those below it.

    Raises:
        UnknownName: there is no account of that name.

    """
    rows = connection.execute(sa.select(ACCOUNTS).order_by(ACCOUNTS.c.name)).mappings()
    below: dict[str | None, list[Account]] = {}
    for row in rows:
        account = account_of(row, moment)
        below.setdefault(account.parent, []).append(account)
        if account.name == name:
            below[""] = [account]
    if name is not None and "" not in below:
        raise unknown(name)
    found: list[Account] = []
    waiting = list(reversed(below.get(None if name is None else "", [])))
    while waiting:
        account = waiting.pop()
        found.append(account)
        waiting += reversed(below.get(account.name, []))
    return found


def history(
    connection: sa.Connection, name: str, *, limit: int, before: int | None = None
) -> list[dict[str, Any]]:
    """Return what was charged to an account, the newest first.

    Args:
        connection: an open transaction.
        name: the account.
        limit: at most so many.
        before: only charges whose number is below this one.

    Raises:
        UnknownName: there is no account of that name.

    """
    known = sa.select(ACCOUNTS.c.name).where(ACCOUNTS.c.name == name)
    if connection.scalar(known) is None:
        raise unknown(name)
    query = sa.select(CHARGES).where(CHARGES.c.account == name)
    if before is not None:
        query = query.where(CHARGES.c.number < before)
    rows = connection.execute(query.order_by(CHARGES.c.number.desc()).limit(limit)).mappings()
    return [dict(row) | {"amount": row["charged"] / NANO} for row in rows]


def unknown(name: str) -> UnknownName:
    """Return the error for a name that no account has."""
    return UnknownName(
        f"there is no budget {name}; make it: "
        f"`aegis federated budget create {name} --epsilon E --days N --actor YOU`"
    )
