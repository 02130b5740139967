"""A witness of somebody else: cosigns what grows, and objects to what was cut off or rewritten."""

import contextlib
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from aegis.audit import head, witness
from aegis.audit.tlog import merkle, notes
from aegis.audit.tlog.notes import Checkpoint
from aegis.db.engines import reading
from aegis.db.tables import AuditWitness
from aegis.errors import Conflict, Refused, Tampered, UnknownName, UsageError
from api import log
from api.audit import get_audit_events, record_audit, seal_audit_log
from tests import worlds
from tests.workerkit import listens, wait_until
from tests.worlds import World, on

ONE = on("sqlite-one")
NAME = "witness.example.org/w1"


class Foreign:
    """aics-witness, with its own key and its own database."""

    def __init__(self, programs: Path, folder: Path) -> None:
        """Make its key; it knows no log yet."""
        self._command = [str(programs / "aics-witness")]
        self._config = ["--config", str(folder / "witness.json")]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{self.address}"
        self.vkey = self._do("init", "--name", NAME, "--listen", self.address).strip()

    def knows(self, key: notes.Verifier) -> None:
        """Let it accept a log."""
        self._do("add-log", "--origin", key.name, "--vkey", key.vkey)

    @contextlib.contextmanager
    def serves(self) -> Iterator[None]:
        """Run it while the block runs."""
        process = subprocess.Popen(
            [*self._command, "serve", *self._config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until(lambda: listens(self.url), "the witness listens")
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)

    def _do(self, verb: str, *words: str) -> str:
        done = subprocess.run(
            [*self._command, verb, *self._config, *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return str(done.stdout)


@pytest.fixture
def foreign_witness(world: World, foreign: Path, tmp_path: Path) -> Foreign:
    """A witness that knows the log of the world, and is named in it."""
    made = Foreign(foreign, tmp_path)
    made.knows(log.signing_keys()[0].verifier)
    log.add_witness("w1", made.vkey, made.url, worlds.ACTOR)
    assert world.layout
    return made


def note(number: int) -> None:
    """Record one event."""
    record_audit("custom:note", worlds.ACTOR, "policy", f"p{number}")


def newest(world: World) -> notes.Note:
    """Return the newest checkpoint's note."""
    with reading(world.system.databases.control, "control database") as connection:
        found = head.newest(connection)
    assert found is not None
    return found


@ONE
def test_it_cosigns_what_grows(world: World, foreign_witness: Foreign) -> None:
    """Each seal is cosigned, the cosignature stands under the checkpoint, and the policy asks for it."""
    with foreign_witness.serves():
        for number in range(3):
            note(number)
            assert seal_audit_log().cosigned == ("w1",)
            policy = world.system.published.policy()
            assert policy.check(newest(world)).size == log.witnesses()[0].size
    assert policy.witnesses[0].key.vkey == foreign_witness.vkey


@ONE
def test_one_that_is_away_stops_nothing(world: World, foreign_witness: Foreign) -> None:
    """Sealing goes on without it; when it is back it is shown how the log grew meanwhile."""
    with foreign_witness.serves():
        note(1)
        seal_audit_log()
    note(2)
    assert seal_audit_log().cosigned == ()
    note(3)
    assert seal_audit_log().leaves == 1
    known = log.witnesses()[0]
    assert "does not answer" in str(known.reason)
    with foreign_witness.serves():
        assert list(log.push_checkpoint()) == ["w1"]
    assert log.witnesses()[0].size == notes.checkpoint(newest(world)).size
    assert log.witnesses()[0].reason is None


@ONE
def test_it_tells_what_it_has_seen(world: World, foreign_witness: Foreign) -> None:
    """A log that has forgotten how far the witness was, hears it from the witness."""
    with foreign_witness.serves():
        note(1)
        seal_audit_log()
        with world.control.begin() as connection:
            connection.execute(sa.update(AuditWitness).values(size=0))
        note(2)
        assert seal_audit_log().cosigned == ("w1",)


@ONE
def test_a_log_that_was_cut_off_is_not_signed(world: World, foreign_witness: Foreign) -> None:
    """The witness is ahead (409): nothing is sealed, the log says so, recording goes on."""
    signer = notes.FileSigner(
        name=log.signing_keys()[0].verifier.name, seed=world.system.key_files.audit(1).material
    )
    with foreign_witness.serves():
        note(1)
        seal_audit_log()
        known = notes.checkpoint(newest(world))
        leaves = [bytes([number]) * 32 for number in range(3)]
        with reading(world.system.databases.control, "control database") as connection:
            mine = [head.node_of(connection)(0, index) for index in range(known.size)]
        longer = merkle.root_of([*mine, *leaves])

        def node(level: int, index: int) -> bytes:
            return merkle.root_of([*mine, *leaves][index << level : (index + 1) << level])

        ahead = Checkpoint(origin=known.origin, size=known.size + 3, root=longer)
        witness.submit(
            notes.sign(ahead.text, [signer]),
            url=foreign_witness.url,
            key=notes.verifier(foreign_witness.vkey),
            known_size=known.size,
            node=node,
        )
        note(2)
        with pytest.raises(Refused, match=rf"has seen {known.size + 3} leaves .* restored from a backup"):
            seal_audit_log()
    assert notes.checkpoint(newest(world)) == known
    assert [event["action"] for event in get_audit_events(2)] == ["audit:halt", "custom:note"]


@ONE
def test_a_log_that_was_rewritten_is_found_out(world: World, foreign_witness: Foreign) -> None:
    """Another history with the right key: the witness refuses it (422), of the same size too (409)."""
    signer = notes.FileSigner(
        name=log.signing_keys()[0].verifier.name, seed=world.system.key_files.audit(1).material
    )
    key = notes.verifier(foreign_witness.vkey)
    with foreign_witness.serves():
        for number in range(4):
            note(number)
        seal_audit_log()
        size = notes.checkpoint(newest(world)).size
        for forged in (size, size + 2):
            leaves = [bytes([number]) * 32 for number in range(forged)]

            def node(level: int, index: int, leaves: list[bytes] = leaves) -> bytes:
                return merkle.root_of(leaves[index << level : (index + 1) << level])

            other = Checkpoint(origin=signer.name, size=forged, root=merkle.root_of(leaves))
            with pytest.raises(Tampered, match="rewritten"):
                witness.submit(
                    notes.sign(other.text, [signer]),
                    url=foreign_witness.url,
                    key=key,
                    known_size=size,
                    node=node,
                )
        assert list(log.push_checkpoint()) == ["w1"], "the true history is still taken"


@ONE
def test_a_witness_that_does_not_know_the_log(world: World, foreign: Path, tmp_path: Path) -> None:
    """Its refusal is told with the cure, and stops nothing."""
    stranger = Foreign(foreign, tmp_path)
    log.add_witness("w1", stranger.vkey, stranger.url, worlds.ACTOR)
    with stranger.serves():
        note(1)
        assert seal_audit_log().cosigned == ()
    assert "HTTP 404. It does not know this log" in str(log.witnesses()[0].reason)
    assert world.layout


@ONE
def test_a_witness_of_another_key(world: World, foreign_witness: Foreign) -> None:
    """An answer without the signature of the key that was named counts for nothing."""
    log.remove_witness("w1", worlds.ACTOR)
    other = notes.Verifier(name=NAME, public=notes.FileSigner(name="x", seed=bytes(32)).verifier.public)
    wrong = notes.Verifier(name=NAME, public=other.public, algorithm=notes.COSIGNATURE)
    log.add_witness("w1", wrong.vkey, foreign_witness.url, worlds.ACTOR)
    with foreign_witness.serves():
        note(1)
        assert seal_audit_log().cosigned == ()
    assert "without a signature of its key" in str(log.witnesses()[0].reason)
    assert world.layout


@ONE
def test_wrong_input(world: World, foreign_witness: Foreign) -> None:
    """What cannot be a witness is refused, and nothing is changed."""
    known = log.witnesses()
    vkey = foreign_witness.vkey
    with pytest.raises(Conflict, match="there is a witness w1 already"):
        log.add_witness("w1", vkey, foreign_witness.url, worlds.ACTOR)
    with pytest.raises(UsageError, match="of the kind 04"):
        log.add_witness("w2", log.signing_keys()[0].verifier.vkey, foreign_witness.url, worlds.ACTOR)
    with pytest.raises(UsageError, match="begins with https"):
        log.add_witness("w2", vkey, "ftp://witness.example.org", worlds.ACTOR)
    with pytest.raises(UsageError, match="holds no password"):
        log.add_witness("w2", vkey, "https://me:secret@witness.example.org", worlds.ACTOR)
    with pytest.raises(UnknownName, match="there is no witness w2"):
        log.remove_witness("w2", worlds.ACTOR)
    assert log.witnesses() == known
    assert world.layout
