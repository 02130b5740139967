"""Authenticated encryption of small things: AES-256-GCM-SIV (RFC 8452), the nonce first."""

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from aegis.errors import Tampered

_NONCE: Final = 12


def seal(key: bytes, plain: bytes, about: bytes = b"") -> bytes:
    """Encrypt; `about` is not kept, and has to be the same again to decrypt."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCMSIV(key).encrypt(nonce, plain, about)


def unseal(key: bytes, sealed: bytes, about: bytes = b"", *, name: str) -> bytes:
    """Decrypt what `seal` made.

    Args:
        key: 32 bytes.
        sealed: nonce and ciphertext.
        about: what was sealed about.
        name: what to call the key in an error.

    Raises:
        Tampered: it was not sealed with this key, or was changed since.

    """
    try:
        return AESGCMSIV(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], about)
    except (InvalidTag, ValueError):
        message = f"sealed bytes do not open with {name}"
        raise Tampered(message) from None
