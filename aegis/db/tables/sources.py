"""The tables of data sources: what is known of each, its holds, and how far the log has it."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aegis.db.base import Base
from aegis.db.columns import Bytes, Id, Moment, Name


class Hold(Base):
    """A legal hold, or a stop; its working copy stands in the data source's journal."""

    __tablename__ = "aegis_holds"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    #: hold, or stop (the kill switch)
    kind: Mapped[str] = mapped_column(sa.String(20), default="hold", server_default="hold")
    matter: Mapped[str] = mapped_column(sa.Text)
    owner_ref: Mapped[str] = mapped_column(sa.String(64))
    review_by: Mapped[dt.date] = mapped_column(sa.Date)
    datasource: Mapped[str] = mapped_column(Name, index=True)
    policy: Mapped[str | None] = mapped_column(Name)
    table_name: Mapped[str | None] = mapped_column(Name)
    tenant: Mapped[str | None] = mapped_column(Name)
    from_time: Mapped[dt.datetime | None] = mapped_column(Moment)
    until_time: Mapped[dt.datetime | None] = mapped_column(Moment)
    key_sealed: Mapped[bytes | None] = mapped_column(Bytes)
    #: placed (not yet in force), in_force, releasing (not yet out of the source), released
    state: Mapped[str] = mapped_column(sa.String(20), index=True)
    placed_at: Mapped[dt.datetime] = mapped_column(Moment)
    in_force_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    released_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    released_by: Mapped[str | None] = mapped_column(sa.String(64))
    #: When the log was told that its review date has passed.
    overdue_at: Mapped[dt.datetime | None] = mapped_column(Moment)


class Source(Base):
    """What the control database knows of a data source."""

    __tablename__ = "aegis_sources"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    identity: Mapped[str] = mapped_column(Id)
    incarnation: Mapped[int] = mapped_column()
    journal_version: Mapped[int] = mapped_column()
    #: ok, or why nothing is relayed from it: reverted, tampered
    state: Mapped[str] = mapped_column(sa.String(20))
    reason: Mapped[str | None] = mapped_column(sa.Text)
    #: Journal rows that were relayed, ever: the high-water mark.
    relayed: Mapped[int] = mapped_column(sa.BigInteger)
    relayed_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    #: When a relay last found nothing more to move.
    caught_up_at: Mapped[dt.datetime | None] = mapped_column(Moment)


class CatalogReview(Base):
    """How far the review of a data source's columns is behind its live schema, by the newest look."""

    __tablename__ = "aegis_catalog_reviews"

    datasource: Mapped[str] = mapped_column(Name, primary_key=True)
    #: Columns that nobody has decided on; none: the source or its data map could not be looked at.
    undecided: Mapped[int | None] = mapped_column()
    #: Why not.
    reason: Mapped[str | None] = mapped_column(sa.Text)
    looked_at: Mapped[dt.datetime] = mapped_column(Moment)


class RelayMark(Base):
    """The last journal row of a shard that stands in the log."""

    __tablename__ = "aegis_relay_marks"

    datasource: Mapped[str] = mapped_column(Name, primary_key=True)
    run: Mapped[str] = mapped_column(Id, primary_key=True)
    shard: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(sa.BigInteger)


class Ledger(Base):
    """Rows gone per policy, table and action, as the log has them."""

    __tablename__ = "aegis_ledger"

    policy: Mapped[str] = mapped_column(Name, primary_key=True)
    table_name: Mapped[str] = mapped_column(Name, primary_key=True)
    action: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    rows: Mapped[int] = mapped_column(sa.BigInteger)
