"""Lines of JSON with the very bytes that were hashed, and after each batch what proves it.

* `{"leaf":N,"event":…,"sealed":…}`: the entry, byte for byte, and its encrypted details in Base64.
* `{"pruned":[first,last],"hashes":[…]}`: these leaves were pruned; the roots of the full subtrees
  that they divide into (Base64).
* `{"checkpoint":"…","first":a,"next":b,"leaves":"…","proof":[…]}` ends the batch of the leaves from
  a to before b: a signed checkpoint, the leaf hashes side by side (Base64), and the hashes that with
  them give the root of the checkpoint, left to right.
"""

import base64
import json
from typing import Final

from aegis.audit.exports.batches import Batch, Leaf

LEAF: Final = b'{"leaf":'
PRUNED: Final = b'{"pruned":'
CHECKPOINT: Final = b'{"checkpoint":'
EVENT: Final = b',"event":'
SEALED: Final = b',"sealed":'


def lines(batch: Batch) -> list[bytes]:
    """Return the lines of a batch, without their ends."""
    found = [event(leaf) for leaf in batch.leaves]
    if batch.pruned:
        gap = {"pruned": [*batch.pruned], "hashes": [_encoded(part) for part in batch.cover]}
        found.insert(0, _line(gap))
    end = {
        "checkpoint": str(batch.note),
        "first": batch.first,
        "next": batch.next,
        "leaves": _encoded(b"".join(leaf.hash for leaf in batch.leaves)),
        "proof": [_encoded(part) for part in batch.proof],
    }
    return [*found, _line(end)]


def event(leaf: Leaf) -> bytes:
    """Return the line of an event."""
    return spell(leaf.index, leaf.entry, leaf.sealed)


def spell(index: int, entry: bytes, sealed: bytes | None) -> bytes:
    """Return the one spelling of such a line."""
    tail = b"null" if sealed is None else b'"' + base64.b64encode(sealed) + b'"'
    return b"".join([LEAF, str(index).encode(), EVENT, entry, SEALED, tail, b"}"])


def _line(document: dict[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
