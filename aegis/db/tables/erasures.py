"""The tables of erased people: who, by which digests, and where copies of them are."""

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aegis.db.base import Base
from aegis.db.columns import Bytes, Id, LongBytes, Moment, Name, Plain


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
