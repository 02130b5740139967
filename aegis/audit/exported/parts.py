"""The lines of an export as JSON lines, read back one by one."""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aegis.audit.exported.folder import pruned_up_to
from aegis.audit.exports.batches import commits_to
from aegis.audit.exports.formats import jsonl
from aegis.audit.tlog import merkle, notes
from aegis.audit.tlog.notes import Note
from aegis.audit.tlog.tiles import hashes_of
from aegis.errors import OperationFailed, Tampered

#: Longer lines are none of ours.
LONGEST: Final = 4 * 1024 * 1024
_EVENT: Final = re.compile(
    rb'\{"leaf":(0|[1-9]\d{0,18}),"event":(\{.*\}),"sealed":(?:null|"([A-Za-z0-9+/=]*)")\}'
)


@dataclass(frozen=True, kw_only=True)
class Torn:
    """A last line without its end, and which cannot be read."""

    where: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """The line of an event."""

    where: str
    leaf: int
    hash: bytes
    #: Whether the sealed details are those that the entry commits to.
    sealed: bool
    #: Up to which leaf the event says that the log was pruned.
    pruned: int | None


@dataclass(frozen=True, kw_only=True)
class Gap:
    """The line of leaves that were pruned."""

    where: str
    first: int
    last: int
    #: The roots of the full subtrees that they divide into.
    hashes: Sequence[bytes]


@dataclass(frozen=True, kw_only=True)
class End:
    """The line that ends a batch."""

    where: str
    note: Note
    first: int
    #: The leaf hashes of the batch.
    leaves: Sequence[bytes]
    #: What `merkle.outside` gave for them.
    proof: Sequence[bytes]

    @property
    def next(self) -> int:
        """The first leaf behind the batch."""
        return self.first + len(self.leaves)

    @property
    def before(self) -> Sequence[bytes]:
        """What the proof says of the leaves before the batch: the frontier of a tree of `first` leaves."""
        return self.proof[: self.first.bit_count()]


Part = Torn | Line | Gap | End


def parts(path: Path) -> Iterator[Part | Tampered]:
    """Yield what each line of a file is; a fault in place of one that is none of an export."""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST):
                number += 1
                where = f"{path.name}:{number}"
                if len(line) == LONGEST and not line.endswith(b"\n"):
                    yield Tampered(f"{where}: the line is longer than any of an export")
                    while line and not line.endswith(b"\n"):
                        line = file.readline(LONGEST)
                else:
                    yield _part(line, where)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise OperationFailed(message) from None


def _part(line: bytes, where: str) -> Part | Tampered:
    whole, found = line.endswith(b"\n"), line.removesuffix(b"\n")
    try:
        if found.startswith(jsonl.LEAF):
            return _line(found, where)
        return _gap(found, where) if found.startswith(jsonl.PRUNED) else _end(found, where)
    except (Tampered, ValueError, KeyError, TypeError, RecursionError) as fault:
        if not whole:
            return Torn(where=where)
        why = str(fault) if isinstance(fault, Tampered) else "it is no line of an export"
        return Tampered(f"{where}: {why}")


def _line(line: bytes, where: str) -> Line:
    match = _EVENT.fullmatch(line)
    if match is None:
        message = "it is no line of an event"
        raise Tampered(message)
    entry, encoded = match[2], match[3]
    pruned = pruned_up_to(entry) if b'"audit:prune"' in entry else None
    return Line(
        where=where,
        leaf=int(match[1]),
        hash=merkle.leaf_hash(entry),
        sealed=_commits(entry, encoded),
        pruned=pruned,
    )


def _commits(entry: bytes, encoded: bytes | None) -> bool:
    try:
        sealed = None if encoded is None else base64.b64decode(encoded, validate=True)
        return commits_to(json.loads(entry), sealed)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _gap(line: bytes, where: str) -> Gap:
    document = _document(line, {"pruned", "hashes"})
    first, last = (_number(value) for value in document["pruned"])
    if last < first:
        raise TypeError
    return Gap(where=where, first=first, last=last, hashes=_hashes(document["hashes"]))


def _end(line: bytes, where: str) -> End:
    document = _document(line, {"checkpoint", "first", "next", "leaves", "proof"})
    data = _decoded(document["leaves"])
    found = End(
        where=where,
        note=notes.parse(document["checkpoint"]),
        first=_number(document["first"]),
        leaves=hashes_of(data),
        proof=_hashes(document["proof"]),
    )
    if not data or len(data) % merkle.HASH_BYTES or found.next != _number(document["next"]):
        message = "its hashes are not those of as many leaves as it says"
        raise Tampered(message)
    return found


def _document(line: bytes, names: set[str]) -> Mapping[str, Any]:
    document = json.loads(line)
    if not isinstance(document, dict) or document.keys() != names:
        raise TypeError
    return document


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError
    return value


def _hashes(values: Any) -> list[bytes]:
    found = [_decoded(value) for value in values]
    if any(len(part) != merkle.HASH_BYTES for part in found):
        raise TypeError
    return found


def _decoded(text: Any) -> bytes:
    if not isinstance(text, str):
        raise TypeError
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise TypeError from None
