"""Proofs that are checked offline: what they show, and every way in which one can be wrong."""

import base64
import datetime as dt
import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.audit import events, proofs
from aegis.audit.keyring.keystore import HeldKey
from aegis.audit.proofs import Proof
from aegis.audit.tlog import merkle, notes, tiles, trust
from aegis.audit.tlog.notes import Checkpoint, FileSigner
from aegis.audit.tlog.trust import Policy
from aegis.errors import Tampered

GOLDEN = Path(__file__).parents[1] / "golden" / "proof.v1.tlog-proof"
#: Whoever has this line can check the golden proof for ever.
TRUSTED: Final = (
    "log logs.example.com/golden+e91b59be+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4\nquorum none\n"
)
SIGNER = FileSigner(name="logs.example.com/golden", seed=bytes(range(32)))
POLICY = Policy(logs=(SIGNER.verifier,))
#: Made for one entry and thrown away: only the receipt has it.
SALT = HeldKey(kind="subject", material=bytes(range(100, 132)))
SUBJECT = ("acme", "user", "17")
MOMENT = dt.datetime(2026, 5, 17, 2, 0, tzinfo=dt.UTC)
SIZE = 300
INDEX = 260


def entry(number: int) -> bytes:
    """Return the entry of a leaf; that of `INDEX` is about the subject."""
    made = events.compose(
        action="user:anonymize",
        outcome="success",
        actor_ref="a1_00",
        target_type="user",
        target_ref=SALT.reference(*SUBJECT) if number == INDEX else f"s1_{number:032x}",
        moment=MOMENT,
        clear={},
        tenant="acme",
    )
    fields = json.loads(made.entry) | {"id": f"019e0000-0000-7000-8000-{number:012d}"}
    return events.canonical(fields)


ENTRIES = [entry(number) for number in range(SIZE)]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]
TILES = tiles.grow(0, {}, LEAVES)
NODE = tiles.reader(lambda level, number: TILES.get((level, number), b""))
NOTE = notes.sign(Checkpoint(origin=SIGNER.name, size=SIZE, root=merkle.root_of(LEAVES)).text, [SIGNER])


def proof(index: int = INDEX, **more: Any) -> Proof:
    """Return the proof of a leaf."""
    path = tuple(merkle.inclusion(index, SIZE, NODE))
    return Proof(extra=proofs.about(ENTRIES[index], **more), index=index, path=path, note=NOTE)


def receipt(**changes: Any) -> Proof:
    """Return the proof that also opens whom its entry is about."""
    opening = {"subject": list(SUBJECT), "salt": base64.b64encode(SALT.material).decode()}
    return proof(**{**opening, **changes})


def changed(made: Proof, **fields: Any) -> Proof:
    """Return a proof with other fields."""
    return Proof(**{**vars(made), **fields})


class TestGood:
    """What holds."""

    def test_the_golden_proof(self) -> None:
        """A receipt that was given to somebody verifies for ever, and its form never changes."""
        text = GOLDEN.read_text("utf-8")
        assert proofs.parse(text).check(trust.parse(TRUSTED)) == json.loads(ENTRIES[INDEX])
        assert str(receipt()) == text

    @given(st.integers(0, SIZE - 1))
    def test_each_leaf(self, index: int) -> None:
        """Written and read again, the proof of any leaf returns its entry."""
        made = proof(index)
        assert proofs.parse(str(made)) == made
        assert made.check(POLICY) == json.loads(ENTRIES[index])

    def test_the_only_leaf(self) -> None:
        """In a tree of one leaf the audit path is empty."""
        note = notes.sign(Checkpoint(origin=SIGNER.name, size=1, root=LEAVES[0]).text, [SIGNER])
        made = Proof(extra=proofs.about(ENTRIES[0]), index=0, path=(), note=note)
        assert proofs.parse(str(made)).check(POLICY)["target"] == f"s1_{0:032x}"

    def test_after_the_key_was_retired(self) -> None:
        """A head that the key signed in its time counts; with a bound below its size it does not."""
        later = FileSigner(name=SIGNER.name, seed=bytes(32)).verifier
        assert receipt().check(Policy(logs=(later,), retired={SIGNER.verifier: SIZE}))
        with pytest.raises(Tampered, match="retired"):
            receipt().check(Policy(logs=(later,), retired={SIGNER.verifier: SIZE - 1}))

    def test_without_its_opening(self) -> None:
        """Whoever does not have the salt checks that the entry is in the log, and learns no subject."""
        made = proof()
        assert made.check(POLICY)["target"] == SALT.reference(*SUBJECT)
        assert not [part for part in SUBJECT[1:] if f'"{part}"' in str(made)]


WRONG = {
    "subject": receipt(subject=["acme", "user", "18"]),
    "tenant": receipt(subject=["", "user", "17"]),
    "parts joined otherwise": receipt(subject=["acmeuser", "", "17"]),
    "no subject": receipt(subject=None),
    "an empty subject": receipt(subject=[]),
    "a subject that is no text": receipt(subject=[["acme"]]),
    "salt": receipt(salt=base64.b64encode(bytes(32)).decode()),
    "no salt": proof(subject=list(SUBJECT)),
    "a salt alone": proof(salt=base64.b64encode(SALT.material).decode()),
    "a salt that is no base64": receipt(salt="***"),
    "a salt that is no text": receipt(salt=17),
    "an opening of another entry": proof(
        7, subject=list(SUBJECT), salt=base64.b64encode(SALT.material).decode()
    ),
    "index": changed(receipt(), index=INDEX - 1),
    "index outside the tree": changed(receipt(), index=SIZE),
    "a longer path": changed(receipt(), path=(*receipt().path, bytes(32))),
    "a shorter path": changed(receipt(), path=receipt().path[:-1]),
    "no path": changed(receipt(), path=()),
    "another path": changed(receipt(), path=proof(0).path),
    "another entry": changed(receipt(), extra=proofs.about(ENTRIES[INDEX - 1])),
    "an entry of nobody": changed(receipt(), extra=proofs.about(b"{}")),
    "no entry": changed(receipt(), extra=b"{}"),
    "an entry that is no text": changed(receipt(), extra=b'{"entry":17}'),
    "an entry that is no UTF-8": changed(receipt(), extra=b'{"entry":"\\ud800"}'),
    "extra that is no object": changed(receipt(), extra=b'["entry"]'),
    "extra that is no JSON": changed(receipt(), extra=b"\xff"),
    "extra without an end": changed(receipt(), extra=b"[" * 100_000),
    "another origin": changed(
        receipt(),
        note=notes.sign(
            Checkpoint(origin="logs.example.com/other", size=SIZE, root=merkle.root_of(LEAVES)).text,
            [FileSigner(name="logs.example.com/other", seed=SIGNER.seed)],
        ),
    ),
    "another key": changed(
        receipt(), note=notes.sign(NOTE.text, [FileSigner(name=SIGNER.name, seed=bytes(32))])
    ),
    "another root": changed(
        receipt(), note=notes.sign(Checkpoint(origin=SIGNER.name, size=SIZE, root=bytes(32)).text, [SIGNER])
    ),
    "another size": changed(
        receipt(),
        note=notes.sign(
            Checkpoint(origin=SIGNER.name, size=7 * SIZE, root=merkle.root_of(LEAVES)).text, [SIGNER]
        ),
    ),
    "a signature of another text": changed(
        receipt(), note=notes.Note(text=NOTE.text.replace("300", "301"), signatures=NOTE.signatures)
    ),
}


@pytest.mark.parametrize("made", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_does_not_hold(made: Proof) -> None:
    """Another subject, salt, place, path, entry, head or signer: each is a finding, as a file too."""
    with pytest.raises(Tampered):
        made.check(POLICY)
    with pytest.raises(Tampered):
        proofs.parse(str(made)).check(POLICY)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("index", f"the entry is not leaf {INDEX - 1} of the log {SIGNER.name} at size {SIZE}"),
        ("subject", "the receipt's subject is not the one that the entry is about"),
    ],
)
def test_what_is_wrong_is_told(name: str, told: str) -> None:
    """The place that was claimed; of a subject nothing."""
    with pytest.raises(Tampered, match=f"^{told}$"):
        WRONG[name].check(POLICY)


@given(st.data())
def test_a_byte_that_was_changed_does_not_hold(data: st.DataObject) -> None:
    """Whatever byte of the file is replaced, it is refused or says exactly the same as before."""
    text = GOLDEN.read_bytes()
    place = data.draw(st.integers(0, len(text) - 1))
    value = data.draw(st.integers(0, 255))
    other = text[:place] + bytes([value]) + text[place + 1 :]
    try:
        found = proofs.parse(other.decode("utf-8", "replace")).check(POLICY)
    except Tampered:
        return
    # Base64 has spare bits at its end, and a signature of nobody we know is not looked at.
    assert found == json.loads(ENTRIES[INDEX])


@given(st.integers(0, 2000))
def test_what_is_cut_off_does_not_hold(length: int) -> None:
    """A file that ends anywhere before its end is refused."""
    text = GOLDEN.read_text("utf-8")
    part = text[:length]
    if part != text:
        with pytest.raises(Tampered):
            proofs.parse(part).check(POLICY)


@given(st.text() | st.text("0123456789abcdefABCDEF+/=\n \u2014", max_size=400))
def test_garbage_is_refused(text: str) -> None:
    """Anything that is no proof says so, and nothing else happens."""
    for whole in (text, f"c2sp.org/tlog-proof@v1\n{text}", f"c2sp.org/tlog-proof@v1\nindex 0\n{text}"):
        with pytest.raises(Tampered):
            proofs.parse(whole).check(POLICY)


@pytest.mark.parametrize(
    "index", ["", "-1", "+1", "01", "1.0", " 1", "1 ", "\u0661", "9" * 5000, "1e3", "0x1"]
)
def test_an_index_has_one_spelling(index: str) -> None:
    """Digits without zeros before them, and no more than a log can have leaves."""
    text = str(receipt()).replace(f"index {INDEX}\n", f"index {index}\n")
    with pytest.raises(Tampered):
        proofs.parse(text)


@pytest.mark.parametrize("at", [1, 3], ids=["extra", "path"])
def test_base64_has_one_spelling(at: int) -> None:
    """A character that belongs to no base64 is not passed over: in the extra data, in the path."""
    lines = str(receipt()).split("\n")
    lines[at] = lines[at][:10] + "*" + lines[at][10:]
    with pytest.raises(Tampered, match="expected a proof"):
        proofs.parse("\n".join(lines))


def test_extra_data_may_be_left_out() -> None:
    """Foreign tools write proofs without it; it is empty then, and the proof is about nothing of ours."""
    made = changed(receipt(), extra=b"")
    text = str(made).replace("extra \n", "")
    assert proofs.parse(text) == made
    with pytest.raises(Tampered, match="does not hold the entry"):
        made.check(POLICY)


@pytest.mark.parametrize("size", ["9" * 5000, "\u0663\u0660\u0660", "0300"])
def test_a_size_has_one_spelling(size: str) -> None:
    """The same for the size of the head."""
    text = str(receipt()).replace(f"\n{SIZE}\n", f"\n{size}\n")
    with pytest.raises(Tampered):
        proofs.parse(text).check(POLICY)


def test_a_step_of_the_path_is_a_hash() -> None:
    """32 bytes each; what is longer or shorter is refused before it is hashed."""
    step = base64.b64encode(receipt().path[0]).decode()
    for other in (base64.b64encode(bytes(31)).decode(), base64.b64encode(bytes(33)).decode(), "", "***"):
        with pytest.raises(Tampered):
            proofs.parse(str(receipt()).replace(step, other)).check(POLICY)
