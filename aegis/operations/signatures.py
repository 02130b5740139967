"""Keys and signatures of approvers: plain Ed25519 (RFC 8032), and what `ssh-keygen -Y sign` makes.

The second is OpenSSH's SSHSIG (PROTOCOL.sshsig): a blob that names its key, its namespace and a
hash, and signs the hash of the message. Only Ed25519 keys and the namespace `aegis` are taken.
"""

import base64
import binascii
import hashlib
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_pem_public_key,
    load_ssh_private_key,
)

from aegis.errors import SettingsError, UsageError

ED25519: Final = "ed25519"
SSH: Final = "ssh"
#: What `ssh-keygen -Y sign -n` has to be given: a signature made for something else is none here.
NAMESPACE: Final = b"aegis"
_KEY_TYPE: Final = b"ssh-ed25519"
_MAGIC: Final = b"SSHSIG"
_BEGIN: Final = b"-----BEGIN SSH SIGNATURE-----"
_END: Final = b"-----END SSH SIGNATURE-----"
_HASHES: Final = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """An Ed25519 public key, however its file is written."""

    #: How it was given: ed25519 or ssh.
    scheme: str
    #: The 32 bytes of the key.
    raw: bytes

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint as `ssh-keygen -l` prints it."""
        return fingerprint(self.raw)


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A signature, not yet verified."""

    scheme: str
    #: 64 bytes, or the whole SSHSIG blob.
    body: bytes

    def verifies(self, message: bytes, key: bytes) -> bool:
        """Whether it is the signature of this key over exactly these bytes."""
        try:
            body, signed = (
                (self.body, message) if self.scheme == ED25519 else _unwrap(self.body, message, key)
            )
            Ed25519PublicKey.from_public_bytes(key).verify(body, signed)
        except (InvalidSignature, ValueError):
            return False
        return True


def fingerprint(raw: bytes) -> str:
    """Return the fingerprint of a key as `ssh-keygen -l` prints it."""
    digest = hashlib.sha256(_string(_KEY_TYPE) + _string(raw)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def read_public_key(content: bytes) -> PublicKey:
    """Read a public key: PEM, one line `ssh-ed25519 …`, or base64 of its 32 bytes.

    Raises:
        UsageError: it is none of these, a private key, or of another kind than Ed25519.

    """
    text = content.strip()
    if b"PRIVATE KEY" in text:
        message = "this is a private key: give the public one, and keep this one to yourself"
        raise UsageError(message)
    try:
        if text.startswith(b"-----BEGIN"):
            key = load_pem_public_key(text)
            raw = key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else b""
            scheme = ED25519
        elif text.startswith(_KEY_TYPE + b" "):
            raw, scheme = _ssh_key(base64.b64decode(text.split()[1], validate=True)), SSH
        else:
            raw, scheme = base64.b64decode(text, validate=True), ED25519
    except (ValueError, UnsupportedAlgorithm):
        raw, scheme = b"", ED25519
    if len(raw) != _KEY_BYTES:
        message = (
            "this is no Ed25519 public key: expected PEM, a line `ssh-ed25519 …`, or base64 of 32 bytes "
            "(`ssh-keygen -t ed25519` makes one)"
        )
        raise UsageError(message)
    return PublicKey(scheme=scheme, raw=raw)


def read_signature(content: bytes) -> Signature:
    """Read a signature: the file of `ssh-keygen -Y sign`, 64 bytes, or base64 of them.

    Raises:
        UsageError: it is none of these.

    """
    text = content.strip()
    try:
        if text.startswith(_BEGIN) and text.endswith(_END):
            inside = b"".join(text.removeprefix(_BEGIN).removesuffix(_END).split())
            return Signature(scheme=SSH, body=base64.b64decode(inside, validate=True))
        if len(content) != _SIGNATURE_BYTES:
            content = base64.b64decode(text, validate=True)
    except binascii.Error:
        content = b""
    if len(content) != _SIGNATURE_BYTES:
        message = "this is no signature: expected the file of `ssh-keygen -Y sign`, or 64 bytes of Ed25519"
        raise UsageError(message)
    return Signature(scheme=ED25519, body=content)


def sign(path: Path, message: bytes) -> bytes:
    """Sign with the private key in a file (PEM or OpenSSH, without a passphrase).

    Raises:
        SettingsError: others can read the file.
        UsageError: it holds no Ed25519 key that can be opened.

    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            text = f"the key {path} can be read by others; run `chmod 600 {path}`"
            raise SettingsError(text)
        content = file.read()
    try:
        load = load_ssh_private_key if b"OPENSSH" in content else load_pem_private_key
        key = load(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        text = (
            f"{path} is no Ed25519 private key without a passphrase; sign elsewhere, "
            "`aegis policy show` prints how, and give the signature with --signature"
        )
        raise UsageError(text)
    return key.sign(message)


def _unwrap(blob: bytes, message: bytes, key: bytes) -> tuple[bytes, bytes]:
    """Return the inner signature of an SSHSIG blob, and the bytes that it signs."""
    if not blob.startswith(_MAGIC + struct.pack(">I", 1)):
        raise ValueError
    rest = blob[len(_MAGIC) + 4 :]
    public, rest = _next(rest)
    namespace, rest = _next(rest)
    reserved, rest = _next(rest)
    name, rest = _next(rest)
    wrapped, rest = _next(rest)
    kind, inner = _next(wrapped)
    body, inner = _next(inner)
    known = name in _HASHES and namespace == NAMESPACE and kind == _KEY_TYPE and _ssh_key(public) == key
    if rest or inner or not known:
        raise ValueError
    hashed = _HASHES[name](message).digest()
    return body, _MAGIC + b"".join(map(_string, (namespace, reserved, name, hashed)))


def _ssh_key(blob: bytes) -> bytes:
    kind, rest = _next(blob)
    raw, rest = _next(rest)
    if kind != _KEY_TYPE or rest:
        raise ValueError
    return raw


def _string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _next(blob: bytes) -> tuple[bytes, bytes]:
    """Return the first length-prefixed string and what follows it."""
    size = int.from_bytes(blob[:4], "big")
    if len(blob) < 4 + size:
        raise ValueError
    return blob[4 : 4 + size], blob[4 + size :]
