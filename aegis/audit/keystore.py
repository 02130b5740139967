"""Keys of subjects, actors, years and archives: random, wrapped under an epoch's key, each destroyable.

The store is its own database. It names nobody: a key is found by a keyed digest of what it
belongs to, and it opens only with the epoch's key, a file that is not in the store.
"""

import datetime as dt
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final, Literal

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import Databases, reading, writing
from aegis.db.keystore import Epoch, WrappedKey
from aegis.errors import NotPrepared, Tampered
from aegis.keys import KEY_BYTES, KeyFiles

Kind = Literal["subject", "actor", "log", "archive"]

_NONCE: Final = 12
_LABEL: Final = "key store"
REFERENCES: Final[dict[Kind, str]] = {"subject": "s1_", "actor": "a1_", "log": "l1_", "archive": "f1_"}


@dataclass(frozen=True, kw_only=True)
class HeldKey:
    """The key of one subject, actor, year or archive."""

    kind: Kind
    material: bytes = field(repr=False)

    def reference(self, *parts: str) -> str:
        """Return a keyed reference: 128 bits of HMAC-SHA256, with a prefix that tells the kind."""
        digest = hmac.new(self.material, framed(parts), hashlib.sha256).hexdigest()
        return REFERENCES[self.kind] + digest[:32]

    def seal(self, plain: bytes, about: bytes = b"") -> bytes:
        """Encrypt with AES-256-GCM-SIV (RFC 8452); the nonce comes first."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + AESGCMSIV(self.material).encrypt(nonce, plain, about)

    def open(self, sealed: bytes, about: bytes = b"") -> bytes:
        """Decrypt what `seal` made.

        Raises:
            Tampered: it was not sealed with this key, or was changed since.

        """
        try:
            return AESGCMSIV(self.material).decrypt(sealed[:_NONCE], sealed[_NONCE:], about)
        except InvalidTag:
            message = f"sealed bytes do not open with their {self.kind} key"
            raise Tampered(message) from None


class KeyStore:
    """The key store of one process; keys that were used stay in memory for a while."""

    #: How many keys one process remembers.
    REMEMBERED: Final = 1024

    def __init__(self, databases: Databases, files: KeyFiles) -> None:
        self._databases = databases
        self._files = files
        self._remembered: dict[tuple[Kind, str], HeldKey] = {}

    def begin(self, moment: dt.datetime) -> None:
        """Note the first epoch; does nothing when it is there."""
        values = {"number": 1, "key_id": self._files.epoch(1).key_id, "began_at": moment}
        with writing(self._databases.keys, _LABEL) as connection:
            dialects.insert_missing(connection, table_of(Epoch), values)

    def key(self, kind: Kind, *owner: str) -> HeldKey:
        """Return the key of an owner, made when there is none yet."""
        lookup = self._lookup(kind, owner)
        found = self._remembered.get((kind, lookup)) or self._read(kind, WrappedKey.lookup == lookup)
        found = found or self._make(kind, lookup, owner)
        if len(self._remembered) >= self.REMEMBERED:
            self._remembered.clear()
        self._remembered[kind, lookup] = found
        return found

    def kept(self, kind: Kind, *owner: str) -> HeldKey | None:
        """Return the key of an owner, or None when there is none (any more)."""
        return self._read(kind, WrappedKey.lookup == self._lookup(kind, owner))

    def destroy(self, kind: Kind, *owner: str) -> None:
        """Remove the key of an owner: what it sealed cannot be opened by anybody again."""
        lookup = self._lookup(kind, owner)
        self._remembered.pop((kind, lookup), None)
        with writing(self._databases.keys, _LABEL) as connection:
            which = (WrappedKey.kind == kind) & (WrappedKey.lookup == lookup)
            connection.execute(sa.delete(WrappedKey).where(which))

    def existing(self, reference: str) -> HeldKey | None:
        """Return the key behind a reference, or None when there is none (any more)."""
        kind = next((kind for kind, prefix in REFERENCES.items() if reference.startswith(prefix)), None)
        return self._read(kind, WrappedKey.reference == reference) if kind else None

    def _lookup(self, kind: Kind, owner: tuple[str, ...]) -> str:
        key = self._files.worker().subkey("key-lookup")
        return hmac.new(key, framed((kind, *owner)), hashlib.sha256).hexdigest()

    def _read(self, kind: Kind, which: sa.ColumnElement[bool]) -> HeldKey | None:
        query = sa.select(WrappedKey.lookup, WrappedKey.epoch, WrappedKey.wrapped, Epoch.key_id).join(Epoch)
        query = query.where(WrappedKey.kind == kind, which)
        with reading(self._databases.keys, _LABEL) as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        material = self._epoch(row.epoch, row.key_id).open(row.wrapped, framed((kind, row.lookup)))
        return HeldKey(kind=kind, material=material)

    def _make(self, kind: Kind, lookup: str, owner: tuple[str, ...]) -> HeldKey:
        newest = sa.select(Epoch.number, Epoch.key_id).order_by(Epoch.number.desc()).limit(1)
        with writing(self._databases.keys, _LABEL) as connection:
            row = connection.execute(newest).first()
            if row is None:
                message = "the key store has no epoch; run `aegis init`"
                raise NotPrepared(message)
            fresh = HeldKey(kind=kind, material=secrets.token_bytes(KEY_BYTES))
            values = {
                "kind": kind,
                "lookup": lookup,
                "reference": fresh.reference(*owner),
                "epoch": row.number,
                "wrapped": self._epoch(row.number, row.key_id).seal(fresh.material, framed((kind, lookup))),
                "created_at": dialects.now(connection),
            }
            made = dialects.insert_missing(connection, table_of(WrappedKey), values)
        # Another process may have made it between our look and our insert: its key counts.
        found = fresh if made else self._read(kind, WrappedKey.lookup == lookup)
        if found is None:
            message = "a key disappeared from the key store while it was made"
            raise Tampered(message)
        return found

    def _epoch(self, number: int, key_id: str) -> HeldKey:
        secret = self._files.epoch(number)
        if secret.key_id != key_id:
            message = (
                f"the key of epoch {number} is {secret.key_id}, but the key store was wrapped with {key_id}: "
                "restore the epoch key that belongs to this key store"
            )
            raise NotPrepared(message)
        return HeldKey(kind="log", material=secret.material)


def framed(parts: tuple[str, ...]) -> bytes:
    """Join texts so that no two different lists give the same bytes."""
    encoded = [part.encode("utf-8") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
