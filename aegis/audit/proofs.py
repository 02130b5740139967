"""Proofs that anybody can check offline: C2SP tlog-proof, with the entry itself as extra data.

The extra data is canonical JSON: `entry`, the exact text that was hashed; for a receipt also
`subject` (tenant, type and id) and `salt`, which open the entry's keyed reference.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aegis.audit import events
from aegis.audit.keyring.keystore import REFERENCES, framed
from aegis.audit.tlog import merkle, notes
from aegis.audit.tlog.notes import Checkpoint, Note
from aegis.audit.tlog.trust import Policy
from aegis.errors import Tampered

_HEAD: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = re.compile("0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, kw_only=True)
class Proof:
    """An entry, its place in the log, and the signed head of a tree that has it."""

    #: Opaque to foreign tools, and not trusted before `check` has seen it.
    extra: bytes
    index: int
    path: tuple[bytes, ...]
    note: Note

    def __str__(self) -> str:
        """Return the file."""
        lines = [_HEAD, f"extra {_encoded(self.extra)}", f"index {self.index}", *map(_encoded, self.path)]
        return "\n".join([*lines, "", str(self.note)])

    def check(self, policy: Policy) -> dict[str, Any]:
        """Return the entry that the proof is about, once everything of it holds.

        Raises:
            Tampered: the head is not trusted, the entry is not in it, or the receipt opens another subject.

        """
        head = policy.check(self.note)
        extra, entry = self._extra()
        self._check_place(head, entry)
        fields: dict[str, Any] = json.loads(entry)
        if "salt" in extra or "subject" in extra:
            _check_subject(fields, extra)
        return fields

    def _check_place(self, head: Checkpoint, entry: bytes) -> None:
        leaf = merkle.leaf_hash(entry)
        if merkle.root_from_inclusion(self.index, head.size, leaf, self.path) != head.root:
            message = f"the entry is not leaf {self.index} of the log {head.origin} at size {head.size}"
            raise Tampered(message)

    def _extra(self) -> tuple[Mapping[str, Any], bytes]:
        """Return the extra data, and the entry in it."""
        try:
            extra = json.loads(self.extra)
            return extra, extra["entry"].encode()
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            message = "the proof does not hold the entry that it is about"
            raise Tampered(message) from None


def about(entry: bytes, **more: Any) -> bytes:
    """Return the extra data of a proof."""
    return events.canonical({"entry": entry.decode(), **more})


def parse(text: str) -> Proof:
    """Read a proof.

    Raises:
        Tampered: it is none.

    """
    above, _, below = text.partition("\n\n")
    head, *lines = above.split("\n")
    encoded = lines.pop(0).removeprefix("extra ") if lines and lines[0].startswith("extra ") else ""
    index = lines.pop(0).removeprefix("index ") if lines and lines[0].startswith("index ") else ""
    try:
        raw, path = _decoded(encoded), tuple(map(_decoded, lines))
    except ValueError:
        raw, path, index = b"", (), ""
    hashes = all(len(step) == merkle.HASH_BYTES for step in path)
    if head != _HEAD or not _INDEX.fullmatch(index) or not hashes:
        message = f"expected a proof that begins with {_HEAD}, an index and an audit path"
        raise Tampered(message)
    return Proof(extra=raw, index=int(index), path=path, note=notes.parse(below))


def _check_subject(fields: Mapping[str, Any], extra: Mapping[str, Any]) -> None:
    try:
        salt, subject = _decoded(extra["salt"]), framed(tuple(map(str, extra["subject"])))
    except (KeyError, TypeError, ValueError):
        salt, subject = b"", b""
    digest = hmac.new(salt, subject, hashlib.sha256).hexdigest()
    if not subject or fields["target"] != REFERENCES["subject"] + digest[:32]:
        message = "the receipt's subject is not the one that the entry is about"
        raise Tampered(message)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
