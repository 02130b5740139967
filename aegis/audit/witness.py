"""Witnesses: somebody elsewhere who keeps the newest checkpoint that was shown to them (C2SP tlog-witness).

A witness cosigns a checkpoint only when the tree grew out of the one that it knows. So it objects
to a log that was rewritten or restored, even when the log's own key is in other hands.
"""

import base64
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aegis.audit.posting import opener
from aegis.audit.tlog import merkle, notes
from aegis.audit.tlog.notes import Checkpoint, Note, Signature, Verifier
from aegis.errors import OperationFailed, Tampered, Unreachable, UsageError
from aegis.settings import masked

#: Seconds that a witness may take to answer.
PATIENCE: Final = 5.0
#: Most bytes of an answer.
_LONGEST: Final = 64 * 1024
#: Most digits of a size.
_DIGITS: Final = 19
_OK: Final = 200
_CONFLICT: Final = 409
_REWRITTEN: Final = 422


class Ahead(Tampered):
    """A witness has seen more of the log than there is: it was restored, or cut off."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a witness answered."""

    status: int
    body: str


#: Posts a body to a URL.
Post = Callable[[str, bytes], Answer]


def post(url: str, body: bytes) -> Answer:
    """Post over HTTP; a redirection is an answer, and is not followed.

    Raises:
        Unreachable: nobody answers, or nothing that can be read.

    """
    if not url.startswith(("https://", "http://")):
        message = f"the URL of a witness begins with https://, not {url.partition(':')[0]}:"
        raise UsageError(message)
    request = urllib.request.Request(url, data=body, method="POST")  # noqa: S310 - the scheme was checked
    try:
        with opener().open(request, timeout=PATIENCE) as answer:
            return Answer(status=answer.status, body=answer.read(_LONGEST).decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(status=error.code, body=error.read(_LONGEST).decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException) as error:
        message = f"the witness at {masked(url)} does not answer: {type(error).__name__}"
        raise Unreachable(message) from None


def submit(
    note: Note, *, url: str, key: Verifier, known_size: int, node: merkle.Node, send: Post = post
) -> list[Signature]:
    """Show a witness a checkpoint; return its cosignatures.

    Args:
        note: the checkpoint.
        url: the witness's submission prefix.
        key: the witness's.
        known_size: the size that it is believed to have seen last; it corrects us.
        node: reads the tree.
        send: how to post.

    Raises:
        Ahead: it has seen a larger tree.
        Tampered: what it has seen is not the beginning of this tree.
        OperationFailed: it does not know this log, or answers what it may not.
        Unreachable: it does not answer.

    """
    head_now = notes.checkpoint(note)
    old = min(known_size, head_now.size)
    answer = send(f"{url.rstrip('/')}/add-checkpoint", _body(note, head_now, old, node))
    if answer.status == _CONFLICT:
        seen = _seen(answer, key)
        if seen > head_now.size:
            message = (
                f"the witness {key.name} has seen {seen} leaves of {head_now.origin}, this log has "
                f"{head_now.size}: it was restored from a backup or cut off"
            )
            raise Ahead(message)
        if seen == old:
            message = f"the witness {key.name} has seen another tree of {seen} leaves: the log was rewritten"
            raise Tampered(message)
        answer = send(f"{url.rstrip('/')}/add-checkpoint", _body(note, head_now, seen, node))
    if answer.status == _REWRITTEN:
        message = (
            f"the witness {key.name} says that this log does not grow out of what it has seen: rewritten"
        )
        raise Tampered(message)
    if answer.status != _OK:
        cure = _CURES.get(answer.status, "")
        message = (
            f"the witness {key.name} refuses the checkpoint of {head_now.origin}: HTTP {answer.status}{cure}"
        )
        raise OperationFailed(message)
    return _cosignatures(note, key, answer)


_CURES: Final = {
    403: ". It does not know the key that signs; give it the one that `aegis audit keys list` prints",
    404: ". It does not know this log; give it the log's key, which `aegis audit keys list` prints",
    **dict.fromkeys(
        (301, 302, 303, 307, 308),
        ". It redirects, which is not followed: `aegis audit witness remove` it, and add it with its new URL",
    ),
}


def _body(note: Note, head_now: Checkpoint, old: int, node: merkle.Node) -> bytes:
    proof = merkle.consistency(old, head_now.size, node)
    lines = [f"old {old}", *(base64.b64encode(step).decode() for step in proof), "", str(note)]
    return "\n".join(lines).encode()


def _seen(answer: Answer, key: Verifier) -> int:
    text = answer.body.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        message = f"the witness {key.name} answered HTTP 409 without the size that it has seen; check its URL"
        raise OperationFailed(message)
    return int(text)


def _cosignatures(note: Note, key: Verifier, answer: Answer) -> list[Signature]:
    try:
        lines = [notes.signature(line) for line in answer.body.splitlines() if line]
        ours = [line for line in lines if (line.name, line.key_id) == (key.name, key.key_id)]
        signed = Note(text=note.text, signatures=tuple(ours)).signers([key])
    except Tampered:
        # The answer is at fault, not the log: nothing may be halted because of it.
        signed = []
    if not signed:
        message = f"the witness {key.name} answered without a signature of its key; ask for its present one"
        raise OperationFailed(message)
    return ours
