"""Envelopes: bytes that only one key opens, whoever carries them (HPKE, RFC 9180).

Base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; one message for each envelope, whose
first 32 bytes are the sender's ephemeral key. `info` is `aegis/v1/envelope`, a line feed, and what the
envelope is about: it opens for nothing else. The additional data of the cipher is empty.

Base mode says nothing about the sender: whoever has the public key can seal. What is inside is
validated like every other argument.
"""

import base64
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from aegis.errors import Tampered, UsageError
from aegis.keys import KEY_BYTES, Secret

#: What an envelope is longer than what is in it: the sender's key and the cipher's tag.
OVERHEAD: Final = 32 + 16
_WORKERS: Final = "aegis-workers-1"
_CLIENT: Final = "aegis-client-1"
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def workers_public_key(worker_key: Secret) -> str:
    """Return what services seal to: `aegis-workers-1:<base64>`."""
    return _text(_WORKERS, worker_key)


def client_public_key(client_key: Secret) -> str:
    """Return what workers seal a service's results to: `aegis-client-1:<base64>`."""
    return _text(_CLIENT, client_key)


def checked_client_key(text: object) -> str:
    """Return a public key of a service as it came.

    Raises:
        UsageError: it is none.

    """
    if isinstance(text, str) and text.startswith(f"{_CLIENT}:"):
        _parse(text)
        return text
    message = f"expected the public key of a service, {_CLIENT}:<base64> (`aegis client-key --new FILE`)"
    raise UsageError(message)


def checked_workers_key(text: str) -> str:
    """Return the workers' public key as it came.

    Raises:
        UsageError: it is none.

    """
    if text.startswith(f"{_WORKERS}:"):
        _parse(text)
        return text
    message = f"expected the workers' public key, {_WORKERS}:<base64> (`aegis client-key`)"
    raise UsageError(message)


def seal(public_key: str, plain: bytes, *, about: bytes) -> bytes:
    """Return an envelope that only the owner of the public key opens, and only as `about` this.

    Raises:
        UsageError: the text is no public key.

    """
    try:
        return _SUITE.encrypt(plain, _parse(public_key), info=_info(about))
    except ValueError:
        # A point that has no shared secret with anybody.
        raise _no_key() from None


def open_(secret: Secret, sealed: bytes, *, about: bytes) -> bytes:
    """Return what is in an envelope.

    Raises:
        Tampered: it was sealed to another key or about something else, or it was changed.

    """
    try:
        return _SUITE.decrypt(sealed, _private(secret), info=_info(about))
    except (InvalidTag, ValueError):
        message = (
            "the envelope does not open: it was sealed to another key or about something else, or changed"
        )
        raise Tampered(message) from None


def _info(about: bytes) -> bytes:
    return b"aegis/v1/envelope\n" + about


def _private(secret: Secret) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(secret.subkey("envelope"))


def _text(role: str, secret: Secret) -> str:
    public = _private(secret).public_key().public_bytes_raw()
    return f"{role}:{base64.b64encode(public).decode()}"


def _parse(text: str) -> X25519PublicKey:
    role, _, body = text.strip().partition(":")
    try:
        public = base64.b64decode(body, validate=True)
    except ValueError:
        public = b""
    if role not in {_WORKERS, _CLIENT} or len(public) != KEY_BYTES:
        raise _no_key()
    return X25519PublicKey.from_public_bytes(public)


def _no_key() -> UsageError:
    return UsageError(f"expected a public key, {_WORKERS}:<base64> or {_CLIENT}:<base64>")
