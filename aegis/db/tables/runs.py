"""The tables of requests, their runs, and what a run leaves behind."""

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aegis.db.base import Base
from aegis.db.columns import Bytes, Id, Moment, Name, Plain


class Request(Base):
    """Something that a service, a person or beat asked for, once."""

    __tablename__ = "aegis_requests"

    request_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    operation: Mapped[str] = mapped_column(Name)
    #: Keyed digest of the arguments: the same id with others is refused.
    payload_digest: Mapped[str] = mapped_column(sa.String(64))
    #: What a later slice needs; ids only.
    arguments: Mapped[Any] = mapped_column(Plain, nullable=True)
    producer: Mapped[str | None] = mapped_column(Name)
    actor_ref: Mapped[str | None] = mapped_column(sa.String(64))
    datasource: Mapped[str | None] = mapped_column(Name)
    state: Mapped[str] = mapped_column(sa.String(20), index=True)
    reason: Mapped[str | None] = mapped_column(sa.Text)
    #: The legal clock runs from receipt.
    received_at: Mapped[dt.datetime] = mapped_column(Moment)
    due_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    extended_because: Mapped[str | None] = mapped_column(sa.Text)
    plan_digest: Mapped[str | None] = mapped_column(sa.String(64))
    planned_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    executed_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    verified_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    closed_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    epoch: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[dt.datetime | None] = mapped_column(Moment)
    lease_owner: Mapped[str | None] = mapped_column(Name)
    lease_until: Mapped[dt.datetime | None] = mapped_column(Moment)
    sent_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    result: Mapped[Any] = mapped_column(Plain, nullable=True)
    sealed_result: Mapped[bytes | None] = mapped_column(Bytes)
    finished_at: Mapped[dt.datetime | None] = mapped_column(Moment, index=True)


class Run(Base):
    """One execution of a policy, or of an erasure; its progress stands in the data source's journal."""

    __tablename__ = "aegis_runs"
    __table_args__ = (sa.UniqueConstraint("policy", "scheduled_for"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    #: None: it is an erasure, of the request `request_id`.
    policy_id: Mapped[str | None] = mapped_column(Id, sa.ForeignKey("data_retention_policies.id"), index=True)
    policy: Mapped[str] = mapped_column(Name)
    request_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    datasource: Mapped[str] = mapped_column(Name)
    table_name: Mapped[str] = mapped_column(Name)
    action: Mapped[str] = mapped_column(sa.String(20))
    tenant: Mapped[str | None] = mapped_column(Name)
    #: schedule, call, task or cli
    origin: Mapped[str] = mapped_column(sa.String(20))
    actor_ref: Mapped[str] = mapped_column(sa.String(64))
    scheduled_for: Mapped[dt.datetime | None] = mapped_column(Moment)
    state: Mapped[str] = mapped_column(sa.String(20), index=True)
    reason: Mapped[str | None] = mapped_column(sa.Text)
    #: What a waiting run waits for: approval, hold, window, paused
    waits_for: Mapped[str | None] = mapped_column(sa.String(20))
    #: Counts claims; the journal's header refuses a batch of an older one.
    epoch: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[dt.datetime | None] = mapped_column(Moment)
    lease_owner: Mapped[str | None] = mapped_column(Name)
    lease_until: Mapped[dt.datetime | None] = mapped_column(Moment)
    sent_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    #: The data source's clock when the run began: every cutoff is computed from it.
    moment: Mapped[dt.datetime | None] = mapped_column(Moment)
    #: The policy's cutoff, fixed for the run.
    cutoff: Mapped[dt.datetime | None] = mapped_column(Moment)
    #: When the first portion of a soft landing was done.
    canary_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    #: Seconds of work, and of pauses by reason.
    tally: Mapped[Any] = mapped_column(Plain, nullable=True)
    shards: Mapped[int] = mapped_column(default=1)
    #: Rows counted before the first batch.
    rows_expected: Mapped[int | None] = mapped_column(sa.BigInteger)
    #: Rows gone, summed from the journal when the run ends.
    rows: Mapped[int | None] = mapped_column(sa.BigInteger)
    report: Mapped[Any] = mapped_column(Plain, nullable=True)
    created_at: Mapped[dt.datetime] = mapped_column(Moment)
    started_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    finished_at: Mapped[dt.datetime | None] = mapped_column(Moment)


class RunShard(Base):
    """One key range of a run that several workers share; the run itself is shard 0."""

    __tablename__ = "aegis_run_shards"

    run: Mapped[str] = mapped_column(Id, sa.ForeignKey("aegis_runs.id"), primary_key=True)
    shard: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    #: First and last key, sealed as a mark is.
    bounds: Mapped[bytes] = mapped_column(Bytes)
    epoch: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[dt.datetime | None] = mapped_column(Moment)
    lease_owner: Mapped[str | None] = mapped_column(Name)
    lease_until: Mapped[dt.datetime | None] = mapped_column(Moment)
    finished_at: Mapped[dt.datetime | None] = mapped_column(Moment)


class Archive(Base):
    """Rows that were written to files before they went; destroyed at its expiry."""

    __tablename__ = "aegis_archives"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    run: Mapped[str] = mapped_column(Id, sa.ForeignKey("aegis_runs.id"), index=True)
    policy: Mapped[str] = mapped_column(Name)
    datasource: Mapped[str] = mapped_column(Name)
    table_name: Mapped[str] = mapped_column(Name)
    tenant: Mapped[str | None] = mapped_column(Name)
    #: The folder or bucket, without secrets.
    location: Mapped[str] = mapped_column(sa.Text)
    #: open, complete, expired
    state: Mapped[str] = mapped_column(sa.String(20), index=True)
    rows: Mapped[int | None] = mapped_column(sa.BigInteger)
    parts: Mapped[int | None] = mapped_column()
    manifest_digest: Mapped[str | None] = mapped_column(sa.String(64))
    created_at: Mapped[dt.datetime] = mapped_column(Moment)
    completed_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    expires_at: Mapped[dt.datetime] = mapped_column(Moment, index=True)
    expired_at: Mapped[dt.datetime | None] = mapped_column(Moment)


class Watermark(Base):
    """Per policy and tenant: nothing older than this remains, but for what is named."""

    __tablename__ = "aegis_watermarks"

    policy: Mapped[str] = mapped_column(Name, primary_key=True)
    #: Empty: all tenants together.
    tenant: Mapped[str] = mapped_column(Name, primary_key=True)
    datasource: Mapped[str] = mapped_column(Name)
    table_name: Mapped[str] = mapped_column(Name)
    nothing_older_than: Mapped[dt.datetime | None] = mapped_column(Moment)
    #: Past their time and still there, by reason.
    remaining: Mapped[Any] = mapped_column(Plain, nullable=True)
    #: Rows that were due when the newest run began, or that it left when it ended.
    overdue: Mapped[int | None] = mapped_column(sa.BigInteger)
    #: Rows that become due in a day, from the clocks of those that are due next.
    arriving_per_day: Mapped[float | None] = mapped_column(sa.Double)
    run: Mapped[str] = mapped_column(Id)
    measured_at: Mapped[dt.datetime] = mapped_column(Moment)


class Purge(Base):
    """The last stage of a run: when the rows that went are gone from the files too."""

    __tablename__ = "aegis_purges"

    run: Mapped[str] = mapped_column(Id, sa.ForeignKey("aegis_runs.id"), primary_key=True)
    policy: Mapped[str] = mapped_column(Name)
    datasource: Mapped[str] = mapped_column(Name)
    table_name: Mapped[str] = mapped_column(Name)
    #: waiting, done, overdue
    state: Mapped[str] = mapped_column(sa.String(20), index=True)
    changed_at: Mapped[dt.datetime] = mapped_column(Moment)
    due_at: Mapped[dt.datetime] = mapped_column(Moment)
    report: Mapped[Any] = mapped_column(Plain, nullable=True)
    looked_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    done_at: Mapped[dt.datetime | None] = mapped_column(Moment)
