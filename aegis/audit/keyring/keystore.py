"""Keys of subjects, actors, years and archives: random, wrapped under an epoch's key, each destroyable.

The store is its own database. It names nobody: a key is found by a keyed digest of what it
belongs to, and it opens only with the epoch's key, a file that is not in the store.
"""

import datetime as dt
import hmac
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

import sqlalchemy as sa

from aegis.audit.keyring import sealing
from aegis.audit.keyring.remembered import Remembered
from aegis.audit.keyring.wrapping import Wrapping, Wrappings
from aegis.db import dialects, keystore
from aegis.db.columns import table_of
from aegis.db.engines import Databases, reading, writing
from aegis.db.keystore import Epoch, WrappedKey
from aegis.errors import Tampered
from aegis.keys import KEY_BYTES, KeyFiles

Kind = Literal["subject", "actor", "log", "archive"]

LABEL: Final = "key store"
#: Keys in one statement.
_TOGETHER: Final = 500
REFERENCES: Final[dict[Kind, str]] = {"subject": "s1_", "actor": "a1_", "log": "l1_", "archive": "f1_"}

# Made once: making them takes longer than asking them.
_COLUMNS: Final = (Epoch.number, Epoch.key_id, WrappedKey.lookup, WrappedKey.wrapped)
_ONE: Final = (
    sa.select(*_COLUMNS)
    .join(Epoch, WrappedKey.epoch == Epoch.number)
    .where(WrappedKey.kind == sa.bindparam("kind"), WrappedKey.lookup == sa.bindparam("lookup"))
)
_AMONG: Final = (
    sa.select(*_COLUMNS)
    .select_from(Epoch)
    .outerjoin(
        WrappedKey,
        (WrappedKey.epoch == Epoch.number)
        & (WrappedKey.kind == sa.bindparam("kind"))
        & WrappedKey.reference.in_(sa.bindparam("candidates", expanding=True)),
    )
    .where(Epoch.ended_at.is_(None))
)


@dataclass(frozen=True, kw_only=True)
class HeldKey:
    """The key of one subject, actor, year or archive."""

    kind: Kind
    material: bytes = field(repr=False)

    def reference(self, *parts: str) -> str:
        """Return a keyed reference: 128 bits of HMAC-SHA256, with a prefix that tells the kind."""
        digest = hmac.digest(self.material, framed(parts), "sha256").hex()
        return REFERENCES[self.kind] + digest[:32]

    def seal(self, plain: bytes, about: bytes = b"") -> bytes:
        """Encrypt with AES-256-GCM-SIV (RFC 8452); the nonce comes first."""
        return sealing.seal(self.material, plain, about)

    def open(self, sealed: bytes, about: bytes = b"") -> bytes:
        """Decrypt what `seal` made.

        Raises:
            Tampered: it was not sealed with this key, or was changed since.

        """
        return sealing.unseal(self.material, sealed, about, name=f"their {self.kind} key")


class KeyStore:
    """The key store of one process.

    A key that was used stays in memory for a while: that long, a key that another process destroyed
    may still be used here. A destroyed key never comes back into the store.
    """

    #: How many keys one process remembers.
    REMEMBERED: Final = 1024
    #: For how many seconds.
    SECONDS: Final = 60.0

    def __init__(
        self, databases: Databases, files: KeyFiles, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._databases = databases
        self._files = files
        #: The epoch keys that are on this machine.
        self.wrappings = Wrappings(files, seconds=self.SECONDS, clock=clock)
        self._remembered: Remembered[tuple[Kind, str], HeldKey] = Remembered(
            seconds=self.SECONDS, most=self.REMEMBERED, clock=clock
        )

    def begin(self, moment: dt.datetime) -> None:
        """Note the first epoch; does nothing when it is there.

        In the place of a store that was lost it goes on with the newest key that is here.
        """
        with writing(self._databases.keys, LABEL) as connection:
            # Its file may have been destroyed long ago.
            if connection.scalar(sa.select(sa.func.count()).select_from(Epoch)) == 0:
                number = max(self._files.numbers("epoch"), default=1)
                key_id = self._files.epoch(number).key_id
                values = {"number": number, "key_id": key_id, "began_at": moment}
                dialects.insert_missing(connection, table_of(Epoch), values)

    def key(self, kind: Kind, *owner: str) -> HeldKey:
        """Return the key of an owner, made when there is none yet."""
        lookup = self._lookup(kind, owner)
        found = self._remembered.get((kind, lookup))
        if found is None:
            found = self._read(kind, lookup) or self._make(kind, lookup, owner)
            self._remembered.put((kind, lookup), found)
        return found

    def kept(self, kind: Kind, *owner: str) -> HeldKey | None:
        """Return the key of an owner, or None when there is none (any more)."""
        return self._read(kind, self._lookup(kind, owner))

    def destroy(self, kind: Kind, *owner: str) -> None:
        """Remove the key of an owner: what it sealed cannot be opened by anybody again."""
        self.destroy_all(kind, [owner])

    def destroy_all(self, kind: Kind, owners: Iterable[tuple[str, ...]]) -> None:
        """Remove the keys of several owners, of all or of none."""
        lookups = [self._lookup(kind, owner) for owner in owners]
        with writing(self._databases.keys, LABEL) as connection:
            for start in range(0, len(lookups), _TOGETHER):
                some = lookups[start : start + _TOGETHER]
                which = (WrappedKey.kind == kind) & WrappedKey.lookup.in_(some)
                connection.execute(sa.delete(WrappedKey).where(which))
        for lookup in lookups:
            self._remembered.drop((kind, lookup))
        keystore.wipe(self._databases.keys)

    def make_missing(self, kind: Kind, owners: Iterable[tuple[str, ...]]) -> None:
        """Make the keys of those owners that have none, in one transaction."""
        wanted = {self._lookup(kind, owner): owner for owner in owners}
        with writing(self._databases.keys, LABEL) as connection:
            there = self._blinded(connection, kind, wanted)
            fresh = {
                lookup: HeldKey(kind=kind, material=secrets.token_bytes(KEY_BYTES))
                for lookup in wanted
                if lookup not in there
            }
            rows = self._rows(connection, [(fresh[lookup], lookup, wanted[lookup]) for lookup in fresh])
            dialects.insert_all_missing(connection, table_of(WrappedKey), rows)
            # Another process may have made one between our look and our insert: its key counts.
            kept = self._blinded(connection, kind, fresh)
        for row in rows:
            if kept.get(row["lookup"]) == row["reference"]:
                self._remembered.put((kind, row["lookup"]), fresh[row["lookup"]])

    @staticmethod
    def _blinded(connection: sa.Connection, kind: Kind, lookups: Iterable[str]) -> dict[str, str]:
        """Return what stands in the store for the references of those that have a key."""
        query = sa.select(WrappedKey.lookup, WrappedKey.reference)
        query = query.where(WrappedKey.kind == kind, WrappedKey.lookup.in_(list(lookups)))
        return {row.lookup: row.reference for row in connection.execute(query)}

    def forget(self) -> None:
        """Forget every key in memory."""
        self._remembered.clear()

    def existing(self, reference: str) -> HeldKey | None:
        """Return the key behind a reference, or None when there is none (any more).

        Raises:
            NotPrepared: an epoch's key is not here, so that nobody can tell.

        """
        kind = next((kind for kind, prefix in REFERENCES.items() if reference.startswith(prefix)), None)
        known = {wrapping.number: wrapping for wrapping in self.wrappings.known}
        while kind:
            # An older version kept the reference as it is.
            candidates = [reference, *(wrapping.blind(reference) for wrapping in known.values())]
            rows = self._among(kind, candidates)
            for row in rows:
                if row.wrapped is not None:
                    return _opened(kind, row, self.wrappings.load(row.number, row.key_id))
            unknown = [row for row in rows if row.number not in known]
            if not unknown:
                break
            known |= {row.number: self.wrappings.load(row.number, row.key_id) for row in unknown}
        return None

    def _lookup(self, kind: Kind, owner: tuple[str, ...]) -> str:
        return hmac.digest(self._lookup_key, framed((kind, *owner)), "sha256").hex()

    @cached_property
    def _lookup_key(self) -> bytes:
        return self._files.worker().subkey("key-lookup")

    def _among(self, kind: Kind, candidates: list[str]) -> list[Any]:
        """Return every epoch that may wrap keys, with the key that has one of these references if any.

        In one statement, so that no key escapes it by being wrapped anew.
        """
        with reading(self._databases.keys, LABEL) as connection:
            return list(connection.execute(_AMONG, {"kind": kind, "candidates": candidates}))

    def _read(self, kind: Kind, lookup: str) -> HeldKey | None:
        seen: set[int] = set()
        while True:
            with reading(self._databases.keys, LABEL) as connection:
                row = connection.execute(_ONE, {"kind": kind, "lookup": lookup}).one_or_none()
            if row is None:
                return None
            wrapping = self.wrappings.find(row.number, row.key_id)
            if wrapping:
                return _opened(kind, row, wrapping)
            # It may have been wrapped anew since the look, and its old epoch's key destroyed.
            if row.number in seen:
                raise self.wrappings.missing(row.number, row.key_id)
            seen.add(row.number)

    def _make(self, kind: Kind, lookup: str, owner: tuple[str, ...]) -> HeldKey:
        fresh = HeldKey(kind=kind, material=secrets.token_bytes(KEY_BYTES))
        with writing(self._databases.keys, LABEL) as connection:
            made = self._insert(connection, fresh, lookup, owner)
        # Another process may have made it between our look and our insert: its key counts.
        found = fresh if made else self._read(kind, lookup)
        if found is None:
            message = "a key disappeared from the key store while it was made"
            raise Tampered(message)
        return found

    def _insert(self, connection: sa.Connection, fresh: HeldKey, lookup: str, owner: tuple[str, ...]) -> bool:
        """Insert a key; return whether none was there."""
        (values,) = self._rows(connection, [(fresh, lookup, owner)])
        return dialects.insert_missing(connection, table_of(WrappedKey), values)

    def _rows(
        self, connection: sa.Connection, keys: Sequence[tuple[HeldKey, str, tuple[str, ...]]]
    ) -> list[dict[str, Any]]:
        """Return the rows of new keys, wrapped under the newest epoch's; each with its look-up and owner."""
        row = keystore.newest(connection)
        wrapping, moment = self.wrappings.load(row.number, row.key_id), dialects.now(connection)
        made = []
        for fresh, lookup, owner in keys:
            reference = fresh.reference(*owner)
            values = {
                "kind": fresh.kind,
                "lookup": lookup,
                "reference": wrapping.blind(reference),
                "epoch": row.number,
                "wrapped": wrapping.wrap(fresh.material, reference, framed((fresh.kind, lookup))),
                "created_at": moment,
            }
            made.append(values)
        return made


def framed(parts: tuple[str, ...]) -> bytes:
    """Join texts so that no two different lists give the same bytes."""
    encoded = [part.encode("utf-8") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def _opened(kind: Kind, row: Any, wrapping: Wrapping) -> HeldKey:
    material, _ = wrapping.unwrap(row.wrapped, framed((kind, row.lookup)))
    return HeldKey(kind=kind, material=material)
