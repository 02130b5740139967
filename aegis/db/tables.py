"""Aegis's own tables in the control database.

Everything here is created by the migrations; the tests prove that models and migrations agree.
The names begin with `aegis_`, so that they can share a database with an application; the three
that others read by name (`audit_logs`, `audit_pending`, `data_retention_policies`) do not.
"""

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aegis.db import base, releases
from aegis.db.columns import Bytes, Id, LongBytes, Moment, Name, Plain

Base = base.Base
#: What releases are charged to, and they; of the same metadata, in a module of their own.
BudgetAccount = releases.BudgetAccount
BudgetCharge = releases.BudgetCharge
Release = releases.Release


class AuditLog(Base):
    """One event of the audit log, insert-only; every column but `entry` and `sealed` repeats `entry`."""

    __tablename__ = "audit_logs"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    time: Mapped[dt.datetime] = mapped_column(Moment, index=True)
    action: Mapped[str] = mapped_column(Name, index=True)
    outcome: Mapped[str] = mapped_column(sa.String(20))
    actor_ref: Mapped[str] = mapped_column(sa.String(64))
    target_type: Mapped[str] = mapped_column(Name)
    target_ref: Mapped[str] = mapped_column(Name)
    tenant: Mapped[str | None] = mapped_column(Name)
    correlation_id: Mapped[str | None] = mapped_column(Id, index=True)
    #: The exact bytes that are hashed: canonical JSON, at most 32 KiB.
    entry: Mapped[bytes] = mapped_column(Bytes)
    #: Details encrypted under the subject's key or the year's log key.
    sealed: Mapped[bytes | None] = mapped_column(Bytes)


class AuditPending(Base):
    """Events that have no leaf yet."""

    __tablename__ = "audit_pending"

    id: Mapped[str] = mapped_column(Id, primary_key=True)


class AuditState(Base):
    """The log's one row: who locks it may give events their leaves."""

    __tablename__ = "aegis_audit_state"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    #: The log's name, in every checkpoint and in every key of it.
    origin: Mapped[str] = mapped_column(Name)
    #: Counts how often the log was begun again after a restore.
    incarnation: Mapped[int] = mapped_column()
    #: Leaves so far.
    size: Mapped[int] = mapped_column(sa.BigInteger)
    #: The first leaf whose entry must be there; those below were pruned.
    minimum: Mapped[int] = mapped_column(sa.BigInteger)
    #: Why no checkpoint is signed, if none is.
    halted: Mapped[str | None] = mapped_column(sa.Text)


class AuditLeaf(Base):
    """An event's place in the log."""

    __tablename__ = "aegis_audit_leaves"

    leaf: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(Id, unique=True)


class AuditTile(Base):
    """Up to 256 hashes of the tree side by side; the only place where leaf hashes are kept."""

    __tablename__ = "aegis_audit_tiles"

    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    hashes: Mapped[bytes] = mapped_column(Bytes)


class AuditCheckpoint(Base):
    """A signed head of the tree; the newest, and the last of every hour before."""

    __tablename__ = "aegis_audit_checkpoints"

    #: An incarnation has a tree of its own size, but sizes only grow.
    size: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    time: Mapped[dt.datetime] = mapped_column(Moment)
    #: The signed note, with the cosignatures that came for it.
    note: Mapped[bytes] = mapped_column(Bytes)


class AuditKey(Base):
    """A key that signs checkpoints, or did."""

    __tablename__ = "aegis_audit_keys"

    vkey: Mapped[str] = mapped_column(Name, primary_key=True)
    #: Which file has the private half: `audit-<number>.key`.
    number: Mapped[int] = mapped_column()
    added_at: Mapped[dt.datetime] = mapped_column(Moment)
    #: The size of the last tree that it may have signed; none while it signs.
    retired_size: Mapped[int | None] = mapped_column(sa.BigInteger)


class AuditWitness(Base):
    """Somebody elsewhere who keeps the newest checkpoint that was shown to them."""

    __tablename__ = "aegis_audit_witnesses"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    vkey: Mapped[str] = mapped_column(sa.Text)
    url: Mapped[str] = mapped_column(sa.Text)
    #: The size of the newest checkpoint that it has cosigned.
    size: Mapped[int] = mapped_column(sa.BigInteger)
    cosigned_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    #: Since when it does not cosign, and why.
    failed_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    reason: Mapped[str | None] = mapped_column(sa.Text)


class AuditPruned(Base):
    """Rows gone per policy, table and action, by events whose entries were pruned from the log."""

    __tablename__ = "aegis_audit_pruned"

    policy: Mapped[str] = mapped_column(Name, primary_key=True)
    table_name: Mapped[str] = mapped_column(Name, primary_key=True)
    action: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    rows: Mapped[int] = mapped_column(sa.BigInteger)


class Actor(Base):
    """The name behind an `actor_ref`, sealed under the actor's own key; erasable."""

    __tablename__ = "aegis_actors"

    actor_ref: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    name_sealed: Mapped[bytes] = mapped_column(Bytes)
    created_at: Mapped[dt.datetime] = mapped_column(Moment)


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


class ErasedPerson(Base):
    """One person of an erasure's run; who it is stands sealed, and only until the erasure is verified."""

    __tablename__ = "aegis_erased_persons"

    run: Mapped[str] = mapped_column(Id, sa.ForeignKey("aegis_runs.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    #: Keyed digest of the subject and its key: who knows them finds the row, nobody else does.
    reference: Mapped[str] = mapped_column(sa.String(64), index=True)
    #: The key, what refers to the person, their identifiers and the key of their tokens.
    sealed: Mapped[bytes | None] = mapped_column(Bytes)
    #: When `sealed` was taken away.
    wiped_at: Mapped[dt.datetime | None] = mapped_column(Moment)


class Tombstone(Base):
    """One row of an erased person, by keyed digests: a restored source must not bring it back."""

    __tablename__ = "aegis_tombstones"

    run: Mapped[str] = mapped_column(Id, sa.ForeignKey("aegis_runs.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    datasource: Mapped[str] = mapped_column(Name, index=True)
    #: As the data map names it.
    subject: Mapped[str] = mapped_column(Name)
    #: Digest of the subject's key.
    key_digest: Mapped[str] = mapped_column(sa.String(64), index=True)
    #: identifier → digest of its value before the erasure
    identifiers: Mapped[Any] = mapped_column(Plain)
    #: identifier → digest of what stands there since
    masked: Mapped[Any] = mapped_column(Plain)
    erased_at: Mapped[dt.datetime] = mapped_column(Moment)


class ErasureCopy(Base):
    """Somewhere else that an erasure's people have to be gone from, until somebody confirms that they are."""

    __tablename__ = "aegis_erasure_copies"

    request_id: Mapped[str] = mapped_column(
        sa.String(64), sa.ForeignKey("aegis_requests.request_id"), primary_key=True
    )
    #: As `aegis.toml` named it when the erasure ended.
    name: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    #: task, webhook, manual
    kind: Mapped[str] = mapped_column(sa.String(20))
    due_at: Mapped[dt.datetime] = mapped_column(Moment)
    #: The people's keys, for those who are asked; until it is confirmed.
    sealed: Mapped[bytes | None] = mapped_column(LongBytes)
    #: When it was last asked about all of them.
    asked_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    #: People of whom it was told since it was asked last: asking goes on there.
    told: Mapped[int] = mapped_column(default=0)
    #: Tries in vain since it was asked last, and why the newest was.
    tries: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str | None] = mapped_column(sa.Text)
    #: When it is asked next; None: never.
    not_before: Mapped[dt.datetime | None] = mapped_column(Moment, index=True)
    confirmed_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    confirmed_by: Mapped[str | None] = mapped_column(sa.String(64))
    #: The event of the confirmation.
    event: Mapped[str | None] = mapped_column(Id)


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
