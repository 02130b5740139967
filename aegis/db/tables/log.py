"""The tables of the audit log, and of the names behind its keyed references."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aegis.db.base import Base
from aegis.db.columns import Bytes, Id, Moment, Name


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
