"""The keys that wrap all others: one for each epoch, a file that is never in the key store.

What stands in the store under an epoch says nothing without that epoch's key: not what a wrapped
key is, and not which reference of the log it belongs to. So a backup of the store loses its
meaning with the file.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from aegis.audit.keyring import sealing
from aegis.audit.keyring.remembered import Remembered
from aegis.errors import NotPrepared
from aegis.keys import KEY_BYTES, KeyFiles, Secret

#: Epoch keys that one process remembers: those of which there are wrapped keys, so one or two.
_MOST: Final = 64


@dataclass(frozen=True, kw_only=True)
class Wrapping:
    """The key of one epoch."""

    number: int
    secret: Secret = field(repr=False)

    def wrap(self, material: bytes, reference: str, about: bytes) -> bytes:
        """Encrypt a key together with its reference.

        Args:
            material: the key.
            reference: what stands in the log.
            about: to whom the wrapped bytes belong, so that they fit nobody else.

        """
        return sealing.seal(self.secret.material, material + reference.encode(), about)

    def unwrap(self, wrapped: bytes, about: bytes) -> tuple[bytes, str]:
        """Return a key and its reference; an empty one where an older version kept none.

        Raises:
            Tampered: it was not wrapped with this key and for this owner, or was changed since.

        """
        plain = sealing.unseal(self.secret.material, wrapped, about, name=f"the key of epoch {self.number}")
        return plain[:KEY_BYTES], plain[KEY_BYTES:].decode()

    def blind(self, reference: str) -> str:
        """Return what stands in the store for a reference: its HMAC-SHA256 under this epoch's key."""
        return hmac.digest(self._blinding, reference.encode(), "sha256").hex()

    @cached_property
    def _blinding(self) -> bytes:
        return self.secret.subkey("key-reference")


class Wrappings:
    """The epoch keys that are here, each read from its file and remembered for a while."""

    def __init__(self, files: KeyFiles, *, seconds: float, clock: Callable[[], float]) -> None:
        self._files = files
        self._remembered: Remembered[int, Wrapping] = Remembered(seconds=seconds, most=_MOST, clock=clock)

    @property
    def known(self) -> list[Wrapping]:
        """Those that were used of late."""
        return self._remembered.all()

    def find(self, number: int, key_id: str) -> Wrapping | None:
        """Return the key of an epoch, or None when its file is not here.

        Raises:
            NotPrepared: the file is another key, or cannot be read.

        """
        found = self._remembered.get(number)
        if found is None:
            secret = self._files.find("epoch", number)
            if secret is None:
                return None
            found = Wrapping(number=number, secret=secret)
        if found.secret.key_id != key_id:
            self._remembered.drop(number)
            message = (
                f"the key of epoch {number} in {self._path(number)} is {found.secret.key_id}, but the key "
                f"store was wrapped with {key_id}: restore the epoch keys that belong to this key store"
            )
            raise NotPrepared(message)
        self._remembered.put(number, found)
        return found

    def load(self, number: int, key_id: str) -> Wrapping:
        """Return the key of an epoch.

        Raises:
            NotPrepared: its file is not here, or is another key.

        """
        found = self.find(number, key_id)
        if found is None:
            raise self.missing(number, key_id)
        return found

    def missing(self, number: int, key_id: str) -> NotPrepared:
        """Return the error that tells of an epoch key that is not here, and what it costs."""
        return NotPrepared(
            f"the key of epoch {number} ({key_id}), {self._path(number)}, is missing: the key store has keys "
            "that only it opens. Copy it from the host where the store was turned, or restore it from the "
            "backup of the key files (not from the key store's own). Without it nobody can read the names, "
            "sealed details and archives whose keys it wraps; the log itself stays verifiable. When it is "
            f"lost for good: `aegis audit keys turn --give-up {number}`"
        )

    def _path(self, number: int) -> str:
        return f"{self._files.folder}/epoch-{number}.key"
