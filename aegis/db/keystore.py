"""Tables of the key store: its own database, apart from the log, with its own backups."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from aegis.db.columns import NAMING, Bytes, Moment, Name


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
    destroyed_at: Mapped[dt.datetime | None] = mapped_column(Moment)


class WrappedKey(KeyBase):
    """The key of one subject, actor, year or archive, wrapped under an epoch's key."""

    __tablename__ = "aegis_wrapped_keys"

    #: subject, actor, log or archive
    kind: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    #: Keyed digest of what the key belongs to: the store alone names nobody.
    lookup: Mapped[str] = mapped_column(Name, primary_key=True)
    #: The owner's reference in the log, keyed by this very key: it goes with it.
    reference: Mapped[str] = mapped_column(Name, unique=True)
    epoch: Mapped[int] = mapped_column(sa.ForeignKey("aegis_key_epochs.number"), index=True)
    wrapped: Mapped[bytes] = mapped_column(Bytes)
    created_at: Mapped[dt.datetime] = mapped_column(Moment)
