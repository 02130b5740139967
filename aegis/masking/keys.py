"""The key of the masks that need one."""

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from aegis.errors import UsageError
from aegis.keys import Secret

#: Characters that a key's id has at most.
LONGEST_ID: Final = 8
#: The pattern of a key's id.
ID: Final = f"[0-9a-z]{{1,{LONGEST_ID}}}"
_LEAST_BYTES: Final = 32
#: Of SHA-256.
_BLOCK: Final = 64

Use = Literal["token", "shift"]


@dataclass(frozen=True, kw_only=True)
class MaskKey:
    """A key for masks: with it, and only with it, a token can be computed again from its value.

    A key that is destroyed after use leaves tokens that nobody can link to a value any more.

    Raises:
        UsageError: the id is not 1 to 8 of 0-9 and a-z, or the secret is shorter than 32 bytes.

    """

    #: Stands in every token, so that tokens of an older key are told apart.
    id: str
    #: Never bound to a statement; only what is derived of it for one use is.
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a key that tokens could not name, or that could be guessed."""
        if not re.fullmatch(ID, self.id) or len(self.secret) < _LEAST_BYTES:
            message = (
                f"a key of masks has an id of 1 to {LONGEST_ID} digits and small letters, "
                f"and at least {_LEAST_BYTES} bytes"
            )
            raise UsageError(message)

    def subkey(self, use: Use) -> bytes:
        """Return the 32 bytes for one use (HKDF-SHA256, RFC 5869, no salt)."""
        info = b"aegis/mask/v1/" + use.encode()
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self.secret)

    def pads(self, use: Use) -> tuple[bytes, bytes]:
        """Return the inner and the outer pad of HMAC-SHA256 (RFC 2104) for one use, 64 bytes each."""
        block = self.subkey(use).ljust(_BLOCK, b"\0")
        return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)


def lasting_key(secret: Secret) -> MaskKey:
    """Return the key of tokens that stay linkable: a subkey of the worker's, under the same id."""
    return MaskKey(id=secret.key_id, secret=secret.subkey("mask"))
