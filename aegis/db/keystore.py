"""Tables of the key store: its own database, apart from the log, with its own backups."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from aegis.db import dialects, upkeep
from aegis.db.columns import NAMING, Bytes, Id, Moment, Name
from aegis.errors import NotPrepared


class KeyBase(DeclarativeBase):
    """The key store's metadata."""

    metadata = sa.MetaData(naming_convention=NAMING)


class Epoch(KeyBase):
    """One wrapping key's time; the key itself is a file that never enters the store."""

    __tablename__ = "aegis_key_epochs"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    #: The id of the epoch's key file, so that a wrong file is noticed.
    key_id: Mapped[str] = mapped_column(Name)
    began_at: Mapped[dt.datetime] = mapped_column(Moment)
    #: Since when it wraps nothing; no key is wrapped under it any more.
    ended_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    destroyed_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    #: The events of the log that told of it.
    begin_event: Mapped[str | None] = mapped_column(Id)
    destroy_event: Mapped[str | None] = mapped_column(Id)


class WrappedKey(KeyBase):
    """The key of one subject, actor, year or archive, wrapped under an epoch's key."""

    __tablename__ = "aegis_wrapped_keys"

    #: subject, actor, log or archive
    kind: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    #: Keyed digest of what the key belongs to: the store alone names nobody.
    lookup: Mapped[str] = mapped_column(Name, primary_key=True)
    #: Digest of the owner's reference in the log, under the epoch's key: both lose their meaning with it.
    reference: Mapped[str] = mapped_column(Name, unique=True)
    epoch: Mapped[int] = mapped_column(sa.ForeignKey("aegis_key_epochs.number"), index=True)
    wrapped: Mapped[bytes] = mapped_column(Bytes)
    created_at: Mapped[dt.datetime] = mapped_column(Moment)


def newest(connection: sa.Connection) -> sa.Row[int, str, dt.datetime]:
    """Return the epoch to wrap under, which cannot end before the caller's transaction does.

    Raises:
        NotPrepared: there is none.

    """
    query = sa.select(Epoch.number, Epoch.key_id, Epoch.began_at).where(Epoch.ended_at.is_(None))
    query = query.order_by(Epoch.number.desc()).limit(1).with_for_update(read=True, key_share=True)
    row = connection.execute(query).one_or_none()
    # It may end while its lock is waited for; then a second look sees the next one.
    row = row or connection.execute(query).one_or_none()
    if row is None:
        message = "the key store has no epoch; run `aegis migrate`"
        raise NotPrepared(message)
    return row


def end(connection: sa.Connection, number: int, moment: dt.datetime) -> None:
    """Note that an epoch wraps nothing any more, if that is so and a later one began."""
    which = Epoch.number == number
    connection.execute(sa.select(Epoch.number).where(which).with_for_update()).one()
    # Whoever was about to wrap under it is done by now, and the next one finds the later epoch.
    empty = ~sa.exists().where(WrappedKey.epoch == number)
    connection.execute(sa.update(Epoch).where(which, Epoch.ended_at.is_(None), empty).values(ended_at=moment))


def wipe(engine: sa.Engine) -> None:
    """Remove what the store's write-ahead log still has of deleted rows (SQLite).

    The file itself has nothing of them (secure_delete). A reader may be in the way for longer than
    is waited for: the next call does it. What the other databases keep is told in docs/keys.md.
    """
    if engine.dialect.name == dialects.SQLITE:
        upkeep.checkpoint(engine, "key store")
