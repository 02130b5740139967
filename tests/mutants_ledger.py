"""Ledgers that are wrong, to show that the checks which the real one passes catch them."""

import datetime as dt
import secrets
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from aegis.errors import BudgetSpent
from aegis.federated.accounts import ACCOUNTS, CHARGES
from aegis.federated.composition import NANO, Spend, cost


def charge_unlocked(
    connection: sa.Connection, account: str, spends: Sequence[Spend], *, release: str, moment: dt.datetime
) -> None:
    """Look, then write, without a lock between; nor is a charge numbered, which would be one."""
    row = connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.name == account)).mappings().one()
    spent = row["spent"] + sum(cost("pure", None, each) for each in spends)
    if spent > row["lifetime_limit"]:
        raise BudgetSpent(account)
    values: dict[str, Any] = {"spent": spent, "window_spent": spent, "charges": row["charges"] + 1}
    connection.execute(sa.update(ACCOUNTS).where(ACCOUNTS.c.name == account).values(**values))
    connection.execute(
        sa.insert(CHARGES).values(
            account=account,
            number=secrets.randbelow(2**62),
            charged_to=account,
            release_id=release,
            spends=[],
            charged=spent - row["spent"],
            window_number=0,
            charged_at=moment,
        )
    )


class FloatLedger:
    """Adds floats up."""

    def __init__(self) -> None:
        self._spent = 0.0

    def charge(
        self,
        connection: sa.Connection,
        account: str,
        spends: Sequence[Spend],
        *,
        release: str,
        moment: dt.datetime,
    ) -> None:
        """Charge one account by a sum of floats."""
        del release, moment
        limit = sa.select(ACCOUNTS.c.lifetime_limit).where(ACCOUNTS.c.name == account)
        spent = self._spent + sum(each.epsilon for each in spends)
        if spent > connection.scalars(limit).one() / NANO:
            raise BudgetSpent(account)
        self._spent = spent
