"""The files of an archive: rows compressed, sealed under the archive's own key, named by their content.

A part of a batch that was rolled back can neither replace nor be taken for one that was committed:
what counts is the name that stands in the batch's event, and the name is the file's SHA-256.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aegis.audit.events import canonical
from aegis.audit.keyring.keystore import HeldKey
from aegis.errors import Tampered
from aegis.operations.stores import Store

FORMAT: Final = 1
_LEVEL: Final = 3


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file of an archive."""

    #: SHA-256 of the file, in hex: also its name.
    digest: str
    rows: int
    bytes: int


class Parts:
    """The parts of one archive."""

    def __init__(self, store: Store, archive: str, key: HeldKey) -> None:
        self._store = store
        self._archive = archive
        self._key = key

    def write(self, head: Mapping[str, Any], lines: Iterable[bytes]) -> Part | None:
        """Write lines as one file, durable on return; no file when there is no line.

        Args:
            head: what the file says of itself.
            lines: whole ones with their newlines, as many at a time as it pleases.

        """
        rows, packed = _pack(canonical({"format": FORMAT, **head}), lines)
        if not rows:
            return None
        sealed = self._key.seal(packed, self._about)
        part = Part(digest=hashlib.sha256(sealed).hexdigest(), rows=rows, bytes=len(sealed))
        self._store.put(self._archive, file_of(part.digest), sealed)
        return part

    def read(self, digest: str) -> tuple[dict[str, Any], Iterator[bytes]]:
        """Return a part's head and its lines.

        Raises:
            Tampered: the file is missing, or is not what was written.

        """
        sealed = self._store.get(self._archive, file_of(digest))
        found = hashlib.sha256(sealed).hexdigest()
        if found != digest:
            message = f"archive {self._archive}: a part has SHA-256 {found[:12]}…, expected {digest[:12]}…"
            raise Tampered(message)
        lines = _unpack(self._key.open(sealed, self._about))
        head: dict[str, Any] = json.loads(next(lines))
        return head, lines

    @property
    def _about(self) -> bytes:
        return f"aegis-archive-part/{FORMAT}/{self._archive}".encode()


def file_of(digest: str) -> str:
    """Return the name of a part's file."""
    return f"{digest}.part"


def _pack(head: bytes, lines: Iterable[bytes]) -> tuple[int, bytes]:
    import zstandard  # noqa: PLC0415 - only a process that keeps archives needs it

    compressor, rows = zstandard.ZstdCompressor(level=_LEVEL).compressobj(), 0
    packed = [compressor.compress(head + b"\n")]
    for some in lines:
        packed.append(compressor.compress(some))
        rows += some.count(b"\n")
    return rows, b"".join([*packed, compressor.flush()])


def _unpack(packed: bytes) -> Iterator[bytes]:
    import zstandard  # noqa: PLC0415 - only a process that keeps archives needs it

    with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
        for line in io.BufferedReader(reader):
            yield line.removesuffix(b"\n")
