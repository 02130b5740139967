"""Signed notes, checkpoints and cosignatures, exactly as C2SP has them.

signed-note: text, an empty line, and signature lines. tlog-checkpoint: a note whose text is origin,
size and root. tlog-cosignature: a witness's signature over the checkpoint and a time.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from aegis.audit.tlog.merkle import HASH_BYTES
from aegis.errors import Tampered, UsageError

ED25519: Final = 0x01
COSIGNATURE: Final = 0x04

#: Decimal without zeros before it; 63 bits have 19 digits.
_SIZE: Final = re.compile("0|[1-9][0-9]{0,18}")
_DASH: Final = "\u2014 "
_KEY_BYTES: Final = 32
_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8
#: More signatures than anybody needs: a note with more is not read.
_MOST: Final = 64


@dataclass(frozen=True, kw_only=True)
class Verifier:
    """A public key with its name: what a `vkey` holds."""

    name: str
    public: bytes
    algorithm: int = ED25519

    @property
    def key_id(self) -> bytes:
        """The four bytes that name the key in a signature line."""
        framed = self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public
        return hashlib.sha256(framed).digest()[:_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The key as text: name, id and key, with `+` between them."""
        body = base64.b64encode(bytes([self.algorithm]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{body}"

    def verifies(self, text: str, signature: bytes) -> bool:
        """Say whether this key signed the text."""
        message, plain = text.encode(), signature
        if self.algorithm == COSIGNATURE:
            moment, plain = signature[:_TIME_BYTES], signature[_TIME_BYTES:]
            message = f"cosignature/v1\ntime {int.from_bytes(moment, 'big')}\n{text}".encode()
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(plain, message)
        except InvalidSignature:
            return False
        return True


def verifier(vkey: str) -> Verifier:
    """Read a `vkey`.

    Raises:
        UsageError: it is none, or its id does not belong to its key.

    """
    name, _, rest = vkey.strip().partition("+")
    key_id, _, body = rest.partition("+")
    try:
        raw = base64.b64decode(body, validate=True)
    except ValueError:
        raw = b""
    known = raw[:1] in {bytes([ED25519]), bytes([COSIGNATURE])} and len(raw) == 1 + _KEY_BYTES
    if not known or not well_named(name):
        message = (
            f"{vkey!r} is no public key of a log or a witness: expected name+id+key with an Ed25519 key, "
            "as `aegis audit keys list` prints it"
        )
        raise UsageError(message)
    found = Verifier(name=name, algorithm=raw[0], public=raw[1:])
    if found.key_id.hex() != key_id:
        message = f"the id of the key {vkey!r} is {found.key_id.hex()}, not {key_id}: it was copied wrongly"
        raise UsageError(message)
    return found


def well_named(name: str) -> bool:
    """Say whether a key may have this name: no spaces, no `+`, no control characters."""
    return bool(name) and not any(c == "+" or c.isspace() or c < " " for c in name)


class Signer(Protocol):
    """What signs checkpoints: a key file here, a key service elsewhere."""

    @property
    def verifier(self) -> Verifier:
        """The public half."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature."""


@dataclass(frozen=True, kw_only=True)
class FileSigner:
    """An Ed25519 key that was read from its file."""

    name: str
    seed: bytes = field(repr=False)

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return Verifier(name=self.name, public=self._key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Return the signature (RFC 8032)."""
        return self._key.sign(message)

    @property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)


@dataclass(frozen=True, kw_only=True)
class Signature:
    """One signature line."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line as it stands in a note, with its end."""
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.signature).decode()}\n"


@dataclass(frozen=True, kw_only=True)
class Note:
    """A text with the signatures under it; nothing in it is to be believed before `signers`."""

    #: Ends with a newline.
    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        """Return the note as it is stored and sent."""
        return self.text + "\n" + "".join(signature.line for signature in self.signatures)

    def signers(self, known: Iterable[Verifier]) -> list[Verifier]:
        """Return which of these keys signed it.

        Raises:
            Tampered: a signature that names one of them is not theirs.

        """
        keys = {(key.name, key.key_id): key for key in known}
        found = []
        for line in self.signatures:
            key = keys.get((line.name, line.key_id))
            if key is None:
                continue
            if not key.verifies(self.text, line.signature):
                message = f"a signature that names the key {key.name}+{key.key_id.hex()} is not of that key"
                raise Tampered(message)
            found.append(key)
        return found

    def with_signatures(self, more: Iterable[Signature]) -> "Note":
        """Return the note with further signatures; one of the same key is replaced."""
        merged = {(line.name, line.key_id): line for line in (*self.signatures, *more)}
        return Note(text=self.text, signatures=tuple(merged.values()))


def sign(text: str, signers: Sequence[Signer]) -> Note:
    """Sign a text with each of these keys."""
    lines = [
        Signature(
            name=signer.verifier.name, key_id=signer.verifier.key_id, signature=signer.sign(text.encode())
        )
        for signer in signers
    ]
    return Note(text=text, signatures=tuple(lines))


def parse(data: bytes | str) -> Note:
    """Read a note.

    Raises:
        Tampered: it is none.

    """
    try:
        whole = data if isinstance(data, str) else data.decode()
    except UnicodeDecodeError:
        whole = ""
    text, mark, below = whole.rpartition("\n\n")
    *lines, last = below.split("\n")
    odd = any(c < " " and c != "\n" for c in whole)
    if not text or not mark or odd or last or not lines or len(lines) > _MOST:
        message = "expected a signed note: text, an empty line, and lines that begin with a dash"
        raise Tampered(message)
    return Note(text=text + "\n", signatures=tuple(map(signature, lines)))


def signature(line: str) -> Signature:
    """Read a signature line.

    Raises:
        Tampered: it is none.

    """
    name, _, body = line.rstrip("\n").removeprefix(_DASH).partition(" ")
    try:
        raw = base64.b64decode(body, validate=True)
    except ValueError:
        raw = b""
    if not line.startswith(_DASH) or not well_named(name) or len(raw) <= _ID_BYTES:
        message = "expected a signature line: dash, key name, signature"
        raise Tampered(message)
    return Signature(name=name, key_id=raw[:_ID_BYTES], signature=raw[_ID_BYTES:])


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The head of a tree: what a log signs."""

    #: The name of the log; its keys have the same.
    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text to sign."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def checkpoint(note: Note) -> Checkpoint:
    """Read the checkpoint in a note's text.

    Raises:
        Tampered: the text is none.

    """
    origin, _, rest = note.text.partition("\n")
    size, _, rest = rest.partition("\n")
    encoded, end, _ = rest.partition("\n")
    try:
        root = base64.b64decode(encoded, validate=True)
    except ValueError:
        root = b""
    if not well_named(origin) or not _SIZE.fullmatch(size) or len(root) != HASH_BYTES or not end:
        message = "expected a checkpoint: origin, size and root, a line each"
        raise Tampered(message)
    return Checkpoint(origin=origin, size=int(size), root=root)
