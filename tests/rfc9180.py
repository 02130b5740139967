"""Hybrid public key encryption written down from RFC 9180, to check the one that Aegis uses against it.

Base mode, DHKEM(X25519, HKDF-SHA256) and HKDF-SHA256 only, one message for each context.
"""

import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEM = b"KEM" + (32).to_bytes(2, "big")


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A cipher by its number and the length of its key (RFC 9180, 7.3)."""

    aead: int
    key_bytes: int

    @property
    def _name(self) -> bytes:
        return b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (32, 1, self.aead))

    def seal(self, public: X25519PublicKey, plain: bytes, *, info: bytes, aad: bytes = b"") -> bytes:
        """Return the sender's key and the ciphertext behind it."""
        mine = X25519PrivateKey.generate()
        enc = mine.public_key().public_bytes_raw()
        key, nonce = self._schedule(mine.exchange(public), enc + public.public_bytes_raw(), info)
        return enc + AESGCM(key).encrypt(nonce, plain, aad)

    def open(self, private: X25519PrivateKey, sealed: bytes, *, info: bytes, aad: bytes = b"") -> bytes:
        """Return what was sealed."""
        enc, body = sealed[:32], sealed[32:]
        shared = private.exchange(X25519PublicKey.from_public_bytes(enc))
        key, nonce = self._schedule(shared, enc + private.public_key().public_bytes_raw(), info)
        return AESGCM(key).decrypt(nonce, body, aad)

    def _schedule(self, exchanged: bytes, context: bytes, info: bytes) -> tuple[bytes, bytes]:
        shared = _expand(_KEM, _extract(_KEM, b"", b"eae_prk", exchanged), b"shared_secret", context, 32)
        name = self._name
        mode = b"\0" + _extract(name, b"", b"psk_id_hash", b"") + _extract(name, b"", b"info_hash", info)
        secret = _extract(name, shared, b"secret", b"")
        return _expand(name, secret, b"key", mode, self.key_bytes), _expand(
            name, secret, b"base_nonce", mode, 12
        )


def _extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + material, "sha256")


def _expand(suite: bytes, secret: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    # All lengths here fit into one block.
    return hmac.digest(secret, labelled + b"\1", "sha256")[:length]
