"""The tables of the policies and of who approved what."""

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aegis.db.base import Base
from aegis.db.columns import Bytes, Id, Moment, Name, Plain


class DataRetentionPolicy(Base):
    """One version of a retention policy."""

    __tablename__ = "data_retention_policies"
    __table_args__ = (sa.UniqueConstraint("name", "version"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Name)
    version: Mapped[int] = mapped_column()
    #: pending, approved, superseded or disabled
    state: Mapped[str] = mapped_column(sa.String(20), index=True)
    datasource: Mapped[str] = mapped_column(Name)
    schema_name: Mapped[str | None] = mapped_column(Name)
    table_name: Mapped[str] = mapped_column(Name)
    key_columns: Mapped[Any] = mapped_column(Plain, nullable=True)
    timestamp_column: Mapped[str] = mapped_column(Name)
    #: s, ms or us for an integer clock
    timestamp_unit: Mapped[str | None] = mapped_column(sa.String(2))
    #: The zone in which a clock without one is read.
    zone: Mapped[str] = mapped_column(Name)
    #: Whole days; where `period` is given, the fewest that it can mean.
    retention_days: Mapped[int] = mapped_column()
    #: ISO 8601, when the time is not given in days.
    period: Mapped[str | None] = mapped_column(sa.String(40))
    action: Mapped[str] = mapped_column(sa.String(20))
    #: Anonymized rows are deleted after so many days more.
    delete_after_days: Mapped[int | None] = mapped_column()
    tenant_column: Mapped[str | None] = mapped_column(Name)
    #: The setting by which its runs see what one tenant's session sees.
    tenant_session: Mapped[str | None] = mapped_column(sa.String(63))
    #: The condition in its canonical form.
    filter_sql: Mapped[str | None] = mapped_column(sa.Text)
    masks: Mapped[Any] = mapped_column(Plain, nullable=True)
    marker_column: Mapped[str | None] = mapped_column(Name)
    tenant_days: Mapped[Any] = mapped_column(Plain, nullable=True)
    guards: Mapped[Any] = mapped_column(Plain, nullable=True)
    archive: Mapped[Any] = mapped_column(Plain, nullable=True)
    cascades: Mapped[Any] = mapped_column(Plain, nullable=True)
    after: Mapped[Any] = mapped_column(Plain, nullable=True)
    cron: Mapped[str] = mapped_column(sa.String(200))
    cron_zone: Mapped[str] = mapped_column(Name)
    windows: Mapped[Any] = mapped_column(Plain, nullable=True)
    #: Most rows and seconds of one run.
    budget: Mapped[Any] = mapped_column(Plain, nullable=True)
    #: Key ranges that are worked on at the same time.
    parallel: Mapped[int] = mapped_column(default=1, server_default="1")
    purpose: Mapped[str | None] = mapped_column(sa.Text)
    legal_basis: Mapped[str | None] = mapped_column(sa.Text)
    categories: Mapped[Any] = mapped_column(Plain, nullable=True)
    owner_ref: Mapped[str | None] = mapped_column(sa.String(64))
    review_by: Mapped[dt.date | None] = mapped_column(sa.Date)
    #: What an approval binds to: canonical JSON, and its SHA-256.
    definition: Mapped[str] = mapped_column(sa.Text)
    digest: Mapped[str] = mapped_column(sa.String(64))
    digest_version: Mapped[int] = mapped_column()
    created_by: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[dt.datetime] = mapped_column(Moment)
    approved_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    confirmed_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    disabled_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    #: The newest scheduled instant that was planned or reported as missed.
    planned_until: Mapped[dt.datetime | None] = mapped_column(Moment)
    #: Instants of this version that passed without a run.
    instants_missed: Mapped[int] = mapped_column(default=0, server_default="0")


class Approval(Base):
    """A person's word for one digest."""

    __tablename__ = "aegis_approvals"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    #: policy or request
    subject_type: Mapped[str] = mapped_column(sa.String(20))
    subject_id: Mapped[str] = mapped_column(Id, index=True)
    digest: Mapped[str] = mapped_column(sa.String(64))
    digest_version: Mapped[int] = mapped_column()
    actor_ref: Mapped[str] = mapped_column(sa.String(64))
    #: Without a signature the actor is only claimed.
    claimed: Mapped[bool] = mapped_column()
    key_name: Mapped[str | None] = mapped_column(Name)
    signature_scheme: Mapped[str | None] = mapped_column(sa.String(20))
    signature: Mapped[bytes | None] = mapped_column(Bytes)
    #: Over the other fields, so that a row which was written by SQL approves nothing.
    mac: Mapped[bytes | None] = mapped_column(Bytes)
    created_at: Mapped[dt.datetime] = mapped_column(Moment)
    revoked_at: Mapped[dt.datetime | None] = mapped_column(Moment)


class Approver(Base):
    """A public key whose owner may approve, from one day until another."""

    __tablename__ = "aegis_approvers"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    #: The key's name, as `approver add` gives it.
    name: Mapped[str] = mapped_column(Name, index=True)
    actor_ref: Mapped[str] = mapped_column(sa.String(64))
    #: ed25519 or ssh
    scheme: Mapped[str] = mapped_column(sa.String(20))
    public_key: Mapped[bytes] = mapped_column(Bytes)
    from_time: Mapped[dt.datetime] = mapped_column(Moment)
    until_time: Mapped[dt.datetime | None] = mapped_column(Moment)
    added_by: Mapped[str] = mapped_column(sa.String(64))
    added_at: Mapped[dt.datetime] = mapped_column(Moment)
    removed_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    #: Over the other fields, so that a key which was written by SQL signs nothing.
    mac: Mapped[bytes] = mapped_column(Bytes)
