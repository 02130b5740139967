"""The tables of releases and of the budgets that they are charged to.

Amounts are whole nano-units (1e-9 of ε, rho, or RDP-ε): a sum of integers loses nothing.
"""

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aegis.db.base import Base
from aegis.db.columns import Bytes, Exact64, Id, LongBytes, Moment, Name, Plain


class BudgetAccount(Base):
    """What may be spent, and what was; locked by whoever charges it."""

    __tablename__ = "aegis_budget_accounts"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    #: What is charged along with it; never changed, so that there are no cycles.
    parent: Mapped[str | None] = mapped_column(Name, sa.ForeignKey("aegis_budget_accounts.name"), index=True)
    #: Accounts above it.
    depth: Mapped[int] = mapped_column()
    #: pure, zcdp or rdp
    composition: Mapped[str] = mapped_column(sa.String(20))
    #: The order of RDP.
    rdp_order: Mapped[int | None] = mapped_column()
    #: For which δ the limits hold, as the shortest decimal number that is the same float.
    delta: Mapped[str | None] = mapped_column(sa.String(40))
    #: The length of a window; windows begin one after the other from `created_at`.
    window_days: Mapped[int | None] = mapped_column()
    #: Most of one window, and most ever; none: without a limit.
    window_limit: Mapped[int | None] = mapped_column(sa.BigInteger)
    lifetime_limit: Mapped[int | None] = mapped_column(sa.BigInteger)
    #: The window of the newest charge, counted from 0, and what was spent in it.
    window_number: Mapped[int] = mapped_column(sa.BigInteger)
    window_spent: Mapped[int] = mapped_column(sa.BigInteger)
    #: What was spent ever.
    spent: Mapped[int] = mapped_column(sa.BigInteger)
    #: Charges ever: the number of the newest.
    charges: Mapped[int] = mapped_column(sa.BigInteger)
    #: None: it was made on first use.
    created_by: Mapped[str | None] = mapped_column(sa.String(64))
    created_at: Mapped[dt.datetime] = mapped_column(Moment)


class BudgetCharge(Base):
    """What one release took from one account."""

    __tablename__ = "aegis_budget_charges"
    __table_args__ = (sa.UniqueConstraint("account", "charged_to", "release_id"),)

    account: Mapped[str] = mapped_column(Name, sa.ForeignKey("aegis_budget_accounts.name"), primary_key=True)
    number: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    #: The account that the release named: this one, or one below it.
    charged_to: Mapped[str] = mapped_column(Name)
    release_id: Mapped[str] = mapped_column(Exact64)
    #: mechanism, epsilon, delta and noise of each part, from which any composition can be computed again.
    spends: Mapped[Any] = mapped_column(Plain)
    charged: Mapped[int] = mapped_column(sa.BigInteger)
    window_number: Mapped[int] = mapped_column(sa.BigInteger)
    charged_at: Mapped[dt.datetime] = mapped_column(Moment)


class Release(Base):
    """One aggregate that was protected, or is being; released once."""

    __tablename__ = "aegis_releases"
    __table_args__ = (sa.UniqueConstraint("account", "release_id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    account: Mapped[str] = mapped_column(Name)
    #: What the caller names it by: its idempotency key.
    release_id: Mapped[str] = mapped_column(Exact64)
    #: Keyed digest of everything but value and count.
    terms_digest: Mapped[str] = mapped_column(sa.String(64))
    #: reserved, released, refused, expired
    state: Mapped[str] = mapped_column(sa.String(20))
    #: The seed of the noise; destroyed when the output is sealed.
    seed_sealed: Mapped[bytes | None] = mapped_column(Bytes)
    #: Digest of the value, keyed from the seed and destroyed with it.
    value_digest: Mapped[str | None] = mapped_column(sa.String(64))
    #: The sealed output, or the name of its file where it is large.
    output: Mapped[bytes | None] = mapped_column(LongBytes)
    output_at: Mapped[str | None] = mapped_column(sa.Text)
    output_digest: Mapped[str | None] = mapped_column(sa.String(64))
    report: Mapped[Any] = mapped_column(Plain, nullable=True)
    actor_ref: Mapped[str] = mapped_column(sa.String(64))
    tenant: Mapped[str | None] = mapped_column(Name)
    reserved_at: Mapped[dt.datetime] = mapped_column(Moment)
    released_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    #: From when the output is not given any more.
    expires_at: Mapped[dt.datetime | None] = mapped_column(Moment, index=True)
