"""Epochs of the key store: a new wrapping key, everything under it, and the old one destroyed.

A key that was destroyed is gone for good when nobody can open an older backup of the key store
any more: when the epoch's key under which it was wrapped is destroyed too. That is so at most one
epoch and the backups' time later, if the key files are not backed up together with the store.

Each step commits by itself and can be repeated: whoever comes next, here or on another machine,
completes what was begun. What was done is recorded after it, at least once.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from aegis.audit.actions import Action
from aegis.audit.keyring import rewrapping
from aegis.audit.keyring.keystore import LABEL, KeyStore
from aegis.audit.recorder import Note, Recorder
from aegis.db import dialects, keystore
from aegis.db.columns import table_of
from aegis.db.engines import Databases, reading, writing
from aegis.db.keystore import Epoch, WrappedKey
from aegis.errors import NotPrepared, Refused, UnknownName
from aegis.keys import KeyFiles

#: The first epoch begins with the store, before there is a log to tell.
_FIRST: Final = 1


@dataclass(frozen=True, kw_only=True)
class Turned:
    """What one call did."""

    #: The epoch under whose key everything is wrapped now.
    epoch: int
    #: Whether this call began it.
    began: bool
    #: Keys that were wrapped anew.
    keys: int
    #: Epochs whose keys were destroyed.
    destroyed: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class EpochState:
    """One epoch, for a list."""

    number: int
    key_id: str
    began_at: dt.datetime
    #: Since when it wraps nothing.
    ended_at: dt.datetime | None
    destroyed_at: dt.datetime | None
    #: Keys that it wraps.
    keys: int
    #: Whether its file is on this machine.
    here: bool


class Epochs:
    """The epochs of one key store."""

    def __init__(self, databases: Databases, files: KeyFiles, store: KeyStore, recorder: Recorder) -> None:
        self._databases = databases
        self._files = files
        self._store = store
        self._recorder = recorder
        self._settings = databases.settings.audit

    def due(self, moment: dt.datetime) -> bool:
        """Say whether the newest epoch is older than it should become."""
        days = self._settings.epoch_days
        _, began_at = self._newest()
        return bool(days) and began_at + dt.timedelta(days=days) <= moment

    def destroyed_by(self, moment: dt.datetime) -> dt.datetime | None:
        """Return when a key that is destroyed now is gone for good; None: when somebody turns the store.

        It stands in backups of the store until then, and opens with the epoch keys that are here.
        """
        if not self._settings.epoch_days:
            return None
        _, began_at = self._newest()
        end = began_at + dt.timedelta(days=self._settings.epoch_days)
        return max(end, moment) + dt.timedelta(days=self._settings.keys_backup_days)

    def prepare(self) -> Path:
        """Make the next epoch's key file and nothing else, to be copied to other machines before a turn."""
        newest, _ = self._newest()
        self._files.make("epoch", newest + 1)
        return self._files.folder / f"epoch-{newest + 1}.key"

    def turn(self, moment: dt.datetime, *, actor: str = "system") -> Turned:
        """Begin a new epoch, wrap everything under its key, and destroy what is past its time.

        Never call it inside a transaction.

        Raises:
            NotPrepared: keys of an older epoch cannot be opened here; everything else was done.

        """
        began = self._begin(moment)
        return self._follow_up(moment, actor, began=began)

    def tend(self, moment: dt.datetime, *, actor: str = "system") -> Turned:
        """Turn when that is due; otherwise complete what was begun, and destroy what is past its time.

        Raises:
            NotPrepared: keys of an older epoch cannot be opened here; everything else was done.

        """
        return self._follow_up(moment, actor, began=self.due(moment) and self._begin(moment))

    def give_up(self, number: int, moment: dt.datetime, *, actor: str) -> int:
        """Remove the keys that only a lost epoch key could open; return how many.

        Until then nobody gets a new key in their place: the file may come back.

        Raises:
            UnknownName: there was no such epoch.
            Refused: its key is here, or was destroyed in its time.

        """
        key_id = self._lost(number)
        newest, _ = self._newest()
        if number == newest:
            self._begin(moment)
        which = WrappedKey.epoch == number
        with writing(self._databases.keys, LABEL) as connection:
            keys = connection.execute(sa.delete(WrappedKey).where(which)).rowcount
        self._store.forget()
        with writing(self._databases.keys, LABEL) as connection:
            keystore.end(connection, number, moment)
            ended = (Epoch.number == number) & Epoch.ended_at.is_not(None)
            connection.execute(sa.update(Epoch).where(ended).values(destroyed_at=moment))
        self._record(Action.EPOCH_DESTROY, number, key_id, actor, lost=keys)
        self._follow_up(moment, actor, began=False)
        return keys

    def listed(self) -> list[EpochState]:
        """Return every epoch, the oldest first."""
        here = set(self._files.numbers("epoch"))
        keys = sa.select(sa.func.count()).where(WrappedKey.epoch == Epoch.number).scalar_subquery()
        query = sa.select(
            Epoch.number, Epoch.key_id, Epoch.began_at, Epoch.ended_at, Epoch.destroyed_at, keys.label("keys")
        )
        with reading(self._databases.keys, LABEL) as connection:
            rows = connection.execute(query.order_by(Epoch.number)).mappings().all()
        return [EpochState(**row, here=row["number"] in here) for row in rows]

    def _newest(self) -> tuple[int, dt.datetime]:
        """Return the newest epoch's number and beginning."""
        query = sa.select(Epoch.number, Epoch.began_at).order_by(Epoch.number.desc()).limit(1)
        with reading(self._databases.keys, LABEL) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            message = "the key store has no epoch; run `aegis migrate`"
            raise NotPrepared(message)
        return row.number, row.began_at

    def _begin(self, moment: dt.datetime) -> bool:
        """Begin the next epoch; say whether this call did it, or another one at the same time."""
        newest, _ = self._newest()
        number = newest + 1
        # The file first, to last: a row under a key that nobody has would be lost.
        values = {"number": number, "key_id": self._files.make("epoch", number).key_id, "began_at": moment}
        with writing(self._databases.keys, LABEL) as connection:
            return dialects.insert_missing(connection, table_of(Epoch), values)

    def _follow_up(self, moment: dt.datetime, actor: str, *, began: bool) -> Turned:
        done = rewrapping.rewrap(self._databases.keys, self._store.wrappings)
        self._end(moment)
        self._destroy(moment)
        destroyed = self._remove()
        keystore.wipe(self._databases.keys)
        self._tell(actor)
        if done.fault:
            message = f"keys that stay under their old epoch: {done.stuck}. {done.fault}"
            raise NotPrepared(message)
        newest, _ = self._newest()
        return Turned(epoch=newest, began=began, keys=done.keys, destroyed=destroyed)

    def _end(self, moment: dt.datetime) -> None:
        """Note which epochs wrap nothing any more."""
        open_ones = sa.select(Epoch.number).where(Epoch.ended_at.is_(None)).order_by(Epoch.number)
        with reading(self._databases.keys, LABEL) as connection:
            numbers = connection.scalars(open_ones).all()
        for number in numbers[:-1]:
            with writing(self._databases.keys, LABEL) as connection:
                keystore.end(connection, number, moment)

    def _destroy(self, moment: dt.datetime) -> None:
        """Decide which epoch keys no backup of the store needs any more."""
        horizon = moment - dt.timedelta(days=self._settings.keys_backup_days)
        unused = ~sa.exists().where(WrappedKey.epoch == Epoch.number)
        past = (Epoch.ended_at <= horizon) & Epoch.destroyed_at.is_(None) & unused
        with reading(self._databases.keys, LABEL) as connection:
            if not connection.scalar(sa.select(sa.exists().where(past))):
                return
        with writing(self._databases.keys, LABEL) as connection:
            connection.execute(sa.update(Epoch).where(past).values(destroyed_at=moment))

    def _remove(self) -> tuple[int, ...]:
        """Remove the files of destroyed epochs from this machine; return those that were here."""
        query = sa.select(Epoch.number, Epoch.key_id).where(Epoch.destroyed_at.is_not(None))
        with reading(self._databases.keys, LABEL) as connection:
            destroyed = {row.number: row.key_id for row in connection.execute(query)}
        removed = []
        for number in self._files.numbers("epoch"):
            secret = self._files.find("epoch", number) if number in destroyed else None
            # A store that came back from a backup counts anew: the number alone does not tell.
            if secret and secret.key_id == destroyed[number]:
                self._files.remove("epoch", number)
                removed.append(number)
        return tuple(removed)

    def _tell(self, actor: str) -> None:
        """Record what was done and is not in the log yet."""
        query = sa.select(table_of(Epoch)).order_by(Epoch.number)
        new = Epoch.begin_event.is_(None) & (Epoch.number > _FIRST)
        gone = Epoch.destroy_event.is_(None) & Epoch.destroyed_at.is_not(None)
        with reading(self._databases.keys, LABEL) as connection:
            rows = connection.execute(query.where(new | gone)).all()
        for row in rows:
            if row.begin_event is None and row.number > _FIRST:
                self._record(Action.EPOCH_BEGIN, row.number, row.key_id, actor)
            if row.destroy_event is None and row.destroyed_at is not None:
                self._record(Action.EPOCH_DESTROY, row.number, row.key_id, actor)

    def _record(self, action: Action, number: int, key_id: str, actor: str, **more: int) -> None:
        details = {"key_id": key_id, **more}
        event = self._recorder.record(
            Note(action=action, actor=actor, target_type="epoch", target_id=str(number), details=details)
        )
        column = "begin_event" if action == Action.EPOCH_BEGIN else "destroy_event"
        with writing(self._databases.keys, LABEL) as connection:
            connection.execute(sa.update(Epoch).where(Epoch.number == number).values({column: event.id}))

    def _lost(self, number: int) -> str:
        """Return the id of an epoch's key that is not here."""
        query = sa.select(Epoch.number, Epoch.key_id, Epoch.destroyed_at).where(Epoch.number == number)
        with reading(self._databases.keys, LABEL) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            message = f"the key store had no epoch {number}; `aegis audit keys list` lists those it had"
            raise UnknownName(message)
        if row.destroyed_at is not None:
            message = f"the key of epoch {number} was destroyed in its time; nothing was wrapped under it"
            raise Refused(message)
        secret = self._files.find("epoch", number)
        if secret and secret.key_id == row.key_id:
            message = f"the key of epoch {number} is here ({row.key_id}): nothing is lost"
            raise Refused(message)
        return str(row.key_id)
