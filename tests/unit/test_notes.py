"""Signed notes, checkpoints and policies as C2SP has them."""

import base64
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from aegis.audit.tlog import notes, trust
from aegis.audit.tlog.notes import COSIGNATURE, Checkpoint, FileSigner, Note, Signature, Verifier
from aegis.errors import Tampered, UsageError

LOG = FileSigner(name="logs.example.com/aegis", seed=bytes(range(32)))
OTHER = FileSigner(name="logs.example.com/aegis", seed=bytes(range(1, 33)))
HEAD = Checkpoint(origin="logs.example.com/aegis", size=5, root=bytes(32))
NOTE = notes.sign(HEAD.text, [LOG])


def witness(name: str, seed: int) -> tuple[Verifier, Ed25519PrivateKey]:
    """Return a witness's key."""
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    public = key.public_key().public_bytes_raw()
    return Verifier(name=name, public=public, algorithm=COSIGNATURE), key


def cosign(note: Note, who: tuple[Verifier, Ed25519PrivateKey], moment: int = 1_700_000_000) -> Note:
    """Return the note with a witness's cosignature."""
    verifier, key = who
    signed = key.sign(f"cosignature/v1\ntime {moment}\n{note.text}".encode())
    line = Signature(name=verifier.name, key_id=verifier.key_id, signature=struct.pack(">Q", moment) + signed)
    return note.with_signatures([line])


ONE, TWO, THREE = (witness(f"w{number}.example", number) for number in (1, 2, 3))


def policy(*more: str, logs: tuple[str, ...] = (LOG.verifier.vkey,), retired: str = "") -> trust.Policy:
    """Read a policy of these lines."""
    return trust.parse("\n".join([*(f"log {vkey}" for vkey in logs), *more]) + "\n", retired)


class TestNotes:
    """A note is a text with signatures."""

    def test_the_golden_note(self) -> None:
        """Ed25519 signs the same bytes for ever: a note of a known key, letter by letter."""
        assert str(NOTE) == (
            "logs.example.com/aegis\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n"
            "— logs.example.com/aegis Od9J8NCDG+oJ+ZI8uxFv8SUqU5QnxXBaM2mf"
            "gOUY1OfyoaHM5kADuazUDTrEKIajsK6XN5U7QW61Skt1S2EO/vRAxws=\n"
        )

    def test_comes_back_as_it_was(self) -> None:
        """Written and read, a note is the same; its signer is found among others."""
        again = notes.parse(str(NOTE).encode())
        assert again == NOTE
        assert again.signers([OTHER.verifier, LOG.verifier]) == [LOG.verifier]
        assert notes.checkpoint(again) == HEAD

    def test_unknown_signatures_are_passed_over(self) -> None:
        """A signature of a key that nobody knows neither helps nor hurts."""
        both = notes.sign(HEAD.text, [OTHER, LOG])
        assert both.signers([LOG.verifier]) == [LOG.verifier]
        assert both.signers([]) == []

    def test_a_known_key_must_have_signed(self) -> None:
        """A line that names a known key but is not its signature spoils the note."""
        wrong = Note(text=NOTE.text.replace("5", "6"), signatures=NOTE.signatures)
        with pytest.raises(Tampered, match="is not of that key"):
            wrong.signers([LOG.verifier])

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "no signature\n",
            "text\n\n",
            "text\n\n— name\n",
            "text\n\n— name !!!\n",
            "text\n\n- name AAAAAAAA\n",
            "text\n\n— na+me AAAAAAAA\n",
            "text\n\n— name AAAAAAAA",
            "te\txt\n\n— name AAAAAAAA\n",
            "text\n\n" + "— name AAAAAAAA\n" * 65,
        ],
    )
    def test_what_is_no_note(self, text: str) -> None:
        """Anything else is refused as a whole."""
        with pytest.raises(Tampered, match="expected a sign"):
            notes.parse(text)

    def test_bytes_that_are_no_text(self) -> None:
        """A note is UTF-8."""
        with pytest.raises(Tampered, match="expected a signed note"):
            notes.parse(b"\xff\n\n\xff\n")

    @pytest.mark.parametrize(
        "text", ["", "a\n", "a\n1\n", "a\n01\nAA==\n", "a\n1\nAA==\n", "a b\n1\n" + "A" * 43 + "=\n"]
    )
    def test_what_is_no_checkpoint(self, text: str) -> None:
        """Origin, size without leading zeros and a root of 32 bytes, or it is none."""
        with pytest.raises(Tampered, match="expected a checkpoint"):
            notes.checkpoint(Note(text=text, signatures=()))

    @given(size=st.integers(min_value=0, max_value=2**63), root=st.binary(min_size=32, max_size=32))
    def test_every_checkpoint_comes_back(self, size: int, root: bytes) -> None:
        """Written and read, a checkpoint is the same."""
        head = Checkpoint(origin="a/b", size=size, root=root)
        assert notes.checkpoint(notes.sign(head.text, [LOG])) == head


class TestKeys:
    """Public keys as text."""

    def test_the_example_of_the_specification(self) -> None:
        """The key of Go's checksum database, as everybody has it, reads back with its own id."""
        vkey = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
        assert notes.verifier(vkey).vkey == vkey

    @pytest.mark.parametrize(
        "vkey",
        [
            "",
            "name",
            "name+00000000+AAAA",
            "name+00000000+***",
            "na me+00000000+" + base64.b64encode(b"\x01" + bytes(32)).decode(),
            "name+00000000+" + base64.b64encode(b"\x02" + bytes(32)).decode(),
        ],
    )
    def test_what_is_no_key(self, vkey: str) -> None:
        """Another form, length or kind is refused."""
        with pytest.raises(UsageError, match="is no public key"):
            notes.verifier(vkey)

    def test_a_letter_that_was_copied_wrongly(self) -> None:
        """The id tells that the key beside it is another one."""
        name, _, key = LOG.verifier.vkey.split("+", 2)
        with pytest.raises(UsageError, match="copied wrongly"):
            notes.verifier(f"{name}+00000000+{key}")

    def test_a_private_key_is_not_shown(self) -> None:
        """The signer's repr has no seed."""
        assert "seed" not in repr(LOG)


class TestPolicies:
    """tlog-policy: who has to have signed."""

    def test_a_log_without_witnesses(self) -> None:
        """`quorum none` asks for the log's signature only."""
        assert policy("quorum none").check(NOTE) == HEAD
        with pytest.raises(Tampered, match="not signed by a trusted key"):
            policy("quorum none", logs=(OTHER.verifier.vkey,)).check(NOTE)

    def test_another_log_of_the_same_keeper(self) -> None:
        """The key's name has to be the origin: a key of one log signs for no other."""
        foreign = notes.sign(Checkpoint(origin="else", size=5, root=bytes(32)).text, [LOG])
        with pytest.raises(Tampered, match="of else of size 5 is not signed"):
            policy("quorum none").check(foreign)

    @pytest.mark.parametrize(
        ("who", "enough"), [((), False), ((ONE,), False), ((ONE, TWO), False), ((ONE, THREE), True)]
    )
    def test_groups(self, who: tuple[tuple[Verifier, Ed25519PrivateKey], ...], enough: bool) -> None:  # noqa: FBT001 - what the case expects
        """Any of two, and a third one: as the groups say, and not otherwise."""
        names = zip("ABC", (ONE, TWO, THREE), strict=True)
        lines = [f"witness {name} {key[0].vkey} https://w.example" for name, key in names]
        rules = policy(*lines, "group ab any A B", "group all 2 ab C", "quorum all")
        note = NOTE
        for one in who:
            note = cosign(note, one)
        assert rules.witnessed(note) is enough
        if enough:
            assert rules.check(note) == HEAD
        else:
            with pytest.raises(Tampered, match="lacks the cosignatures of the quorum 'all'"):
                rules.check(note)
        assert trust.parse(str(rules)) == rules

    def test_a_cosignature_of_another_time(self) -> None:
        """The time is signed too: with another one the cosignature is a forgery."""
        note = cosign(NOTE, ONE)
        line = note.signatures[-1]
        moved = Signature(name=line.name, key_id=line.key_id, signature=bytes(8) + line.signature[8:])
        with pytest.raises(Tampered, match=r"w1\.example"):
            NOTE.with_signatures([moved]).signers([ONE[0]])

    def test_a_retired_key_without_its_last_size(self) -> None:
        """A line that does not say up to where its key is trusted is refused, and named."""
        both = f"{OTHER.verifier.vkey} 4\n{LOG.verifier.vkey}\n"
        with pytest.raises(UsageError, match="line 2 of the retired keys"):
            policy("quorum none", logs=(), retired=both)

    def test_retired_keys_are_bounded(self) -> None:
        """What a retired key signed stays good up to its last size, and nothing beyond."""
        retired = f"{LOG.verifier.vkey} 5\n"
        assert policy("quorum none", logs=(), retired=retired).check(NOTE) == HEAD
        later = notes.sign(Checkpoint(origin=HEAD.origin, size=6, root=bytes(32)).text, [LOG])
        with pytest.raises(Tampered, match=r"keys only that were retired: .* at size 5"):
            policy("quorum none", logs=(), retired=retired).check(later)

    @pytest.mark.parametrize(
        ("lines", "fault"),
        [
            ("", "no line `quorum`"),
            ("quorum none\nquorum none", "line 2"),
            ("quorum nobody", "no witness and no group"),
            ("log x", "line 1 of the policy: .*no public key"),
            (f"log {LOG.verifier.vkey}\nlog {LOG.verifier.vkey}\nquorum none", "stands there twice"),
            (f"witness a {LOG.verifier.vkey}\nquorum a", "is that of a log"),
            (f"witness none {ONE[0].vkey}\nquorum none", "is taken"),
            (f"witness a {ONE[0].vkey}\ngroup g 2 a\nquorum g", "from 1 to 1"),
            (f"witness a {ONE[0].vkey}\ngroup g 0 a\nquorum g", "from 1 to 1"),
            (f"witness a {ONE[0].vkey}\ngroup g any a\ngroup h any a\nquorum g", "member of a group already"),
            ("group g any\nquorum g", "expected `log`"),
            ("nonsense", "expected `log`"),
        ],
    )
    def test_what_is_no_policy(self, lines: str, fault: str) -> None:
        """Each fault is told with its line."""
        with pytest.raises(UsageError, match=fault):
            trust.parse(lines)

    def test_comments_and_blanks(self) -> None:
        """They are passed over, as the specification says."""
        text = f"# whom we trust\n\n\t log   {LOG.verifier.vkey}\thttps://logs.example.com \n quorum none \n"
        assert trust.parse(text).logs == (LOG.verifier,)
