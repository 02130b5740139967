"""What a witness answers, and what is made of it; over HTTP it is tried in tests/interop."""

from collections.abc import Sequence

import pytest

from aegis.audit.tlog import merkle, notes
from aegis.audit.tlog.notes import COSIGNATURE, Checkpoint, FileSigner, Verifier
from aegis.audit.witness import Ahead, Answer, post, submit
from aegis.errors import AegisError, OperationFailed, Tampered, UsageError

ORIGIN = "logs.example.com/aegis"
LEAVES = [merkle.leaf_hash(bytes([number])) for number in range(5)]
KEY = Verifier(name="w.example", public=bytes(32), algorithm=COSIGNATURE)


def node(level: int, index: int) -> bytes:
    """Return a hash of the tree."""
    return merkle.root_of(LEAVES[index << level : (index + 1) << level])


NOTE = notes.sign(
    Checkpoint(origin=ORIGIN, size=5, root=merkle.root(5, node)).text,
    [FileSigner(name=ORIGIN, seed=bytes(32))],
)


@pytest.mark.parametrize(
    ("answers", "error", "told"),
    [
        ([(409, "6\n")], Ahead, "has seen 6 leaves of .*, this log has 5: it was restored from a backup"),
        ([(409, "3\n")], Tampered, "has seen another tree of 3 leaves: the log was rewritten"),
        ([(409, "4\n"), (422, "")], Tampered, "does not grow out of what it has seen"),
        ([(409, "many")], OperationFailed, "answered HTTP 409 without the size that it has seen"),
        ([(409, "9" * 40)], OperationFailed, "answered HTTP 409 without the size that it has seen"),
        ([(404, "")], OperationFailed, "HTTP 404. It does not know this log"),
        ([(500, "")], OperationFailed, "HTTP 500$"),
        ([(200, "— no signature")], AegisError, "w.example"),
    ],
)
def test_an_answer_that_cosigns_nothing(
    answers: Sequence[tuple[int, str]], error: type[AegisError], told: str
) -> None:
    """Each says what it means for the log; a witness that knows another size of it is asked once more."""
    asked: list[bytes] = []

    def send(url: str, body: bytes) -> Answer:
        assert url == "https://w.example/add-checkpoint"
        asked.append(body)
        status, text = answers[len(asked) - 1]
        return Answer(status=status, body=text)

    with pytest.raises(error, match=told):
        submit(NOTE, url="https://w.example/", key=KEY, known_size=3, node=node, send=send)
    assert [body.partition(b"\n")[0] for body in asked] == [b"old 3", b"old 4"][: len(answers)]


def test_a_witness_is_asked_over_http_alone() -> None:
    """A file, or anything else that Python could open, is no witness."""
    with pytest.raises(UsageError, match="begins with https://, not file:"):
        post("file:///etc/passwd", b"")
