"""Producers: whose message it is, shown by a signature (Ed25519, RFC 8032).

Signed are `aegis/v1/message`, the task, the message's id, the producer's name and the time in whole seconds
since 1970, each followed by a line feed, and then the body's bytes as they lie in the queue's envelope. None
of the first five has a line feed in it, so no two messages have the same bytes. It all travels in one header,
`aegis`: the producer, the time and the signature.

A service signs with the key that its answers are sealed to (`aegis-client-key-1:`), beat and workers sign as
`aegis` with the worker key; each by a subkey of its own.
"""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from aegis.errors import UsageError
from aegis.keys import KEY_BYTES, Secret

#: The header of a message that says whose it is.
HEADER: Final = "aegis"
#: The name that beat and workers sign with; no service may have it.
OURSELVES: Final = "aegis"
_ROLE: Final = "aegis-producer-1"
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ID: Final = re.compile(r"[!-~]{1,255}")
_SIGNATURE_BYTES: Final = 64
#: The neutral point and zero: for a public half of small order it fits at least one message in eight.
_BY_NOBODY: Final = bytes([1]) + bytes(63)


@dataclass(frozen=True, kw_only=True)
class Message:
    """What is signed of a message."""

    task: str
    id: str
    #: As it lies in the envelope, base64 taken off.
    body: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Who says to have sent a message, and when."""

    producer: str
    #: Whole seconds since 1970.
    time: int
    content: bytes = field(repr=False)

    def fits(self, message: Message, keys: Iterable[str]) -> bool:
        """Say whether the owner of one of these public keys signed this message, as this producer, then."""
        if not _ID.fullmatch(message.id):
            return False
        signed = _signed(message, self.producer, self.time)
        return any(_verifies(_parse(key), self.content, signed) for key in keys)


def producer_public_key(key: Secret) -> str:
    """Return what workers check a producer's signatures with: `aegis-producer-1:<base64>`."""
    return _text(_private(key).public_key())


def checked_producer_key(text: str) -> str:
    """Return the public half of a producer's key, in the one form that it has.

    Raises:
        UsageError: it is none, or one that everybody can sign for, such as a placeholder of zeros.

    """
    key = _parse(text)
    if any(_verifies(key, _BY_NOBODY, bytes([number])) for number in range(128)):
        message = "everybody can sign for this producer's key: no key file has such a public half"
        raise UsageError(message)
    return _text(key)


def checked_producer(name: str) -> str:
    """Return the name of a service that sends messages.

    Raises:
        UsageError: it has another form, or is Aegis's own.

    """
    if not _NAME.fullmatch(name):
        message = "the name of a producer is 1 to 64 letters, digits, dots, dashes and underscores"
        raise UsageError(message)
    if name == OURSELVES:
        message = f"{OURSELVES!r} is how beat and workers sign: give the service another name"
        raise UsageError(message)
    return name


def sign(message: Message, key: Secret, *, producer: str, time: int) -> dict[str, Any]:
    """Return the header of a message that says, with a signature, whose it is.

    Args:
        message: what is sent.
        key: the producer's own.
        producer: its name.
        time: now, in whole seconds since 1970.

    Raises:
        UsageError: the message's id cannot be signed.

    """
    if not _ID.fullmatch(message.id):
        error = "the id of a signed message is 1 to 255 visible ASCII characters"
        raise UsageError(error)
    content = _private(key).sign(_signed(message, producer, time))
    return {"producer": producer, "time": time, "signature": base64.b64encode(content).decode()}


def read_signature(header: object) -> Signature | None:
    """Return what such a header says; None where it is in another form."""
    if not isinstance(header, dict) or set(header) != {"producer", "time", "signature"}:
        return None
    producer, time, text = header["producer"], header["time"], header["signature"]
    if not isinstance(producer, str) or not _NAME.fullmatch(producer):
        return None
    if type(time) is not int or not 0 <= time < 2**53:
        return None
    content = _decoded(text)
    if len(content) != _SIGNATURE_BYTES:
        return None
    return Signature(producer=producer, time=time, content=content)


def _signed(message: Message, producer: str, time: int) -> bytes:
    head = f"aegis/v1/message\n{message.task}\n{message.id}\n{producer}\n{time}\n"
    return head.encode() + message.body


def _private(key: Secret) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(key.subkey("message"))


def _verifies(key: Ed25519PublicKey, content: bytes, signed: bytes) -> bool:
    try:
        key.verify(content, signed)
    except InvalidSignature:
        return False
    return True


def _text(key: Ed25519PublicKey) -> str:
    return f"{_ROLE}:{base64.b64encode(key.public_bytes_raw()).decode()}"


def _parse(text: str) -> Ed25519PublicKey:
    role, _, body = text.strip().partition(":")
    public = _decoded(body)
    if role != _ROLE or len(public) != KEY_BYTES:
        message = f"expected the public half of a producer's key, {_ROLE}:<base64> (`aegis client-key FILE`)"
        raise UsageError(message)
    return Ed25519PublicKey.from_public_bytes(public)


def _decoded(text: object) -> bytes:
    """Return what base64 says; nothing where it is none."""
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        return b""
