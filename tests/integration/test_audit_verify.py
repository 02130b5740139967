"""Verification of logs that nobody tampered with: restored, recovered, at work, shown to witnesses."""

import base64
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from aegis.audit import events, recovery
from aegis.audit.actions import Outcome
from aegis.audit.tlog import merkle, notes
from aegis.audit.tlog.notes import COSIGNATURE, Checkpoint, FileSigner, Signature, Verifier
from aegis.audit.tlog.trust import Group, Policy, Witness
from aegis.audit.verification import comparing, findings, projection
from aegis.audit.verification.verify import verify, verify_witnessed
from aegis.audit.witness import Answer
from aegis.db.columns import table_of
from aegis.db.tables import AuditCheckpoint, AuditLog, AuditState
from aegis.errors import NotPrepared, OperationFailed, Tampered, Unreachable, UsageError
from tests import sealedlog, worlds
from tests.receivers import HttpServer
from tests.sealedlog import Log
from tests.worlds import World, on

EACH = on(*worlds.EACH_DATABASE)
URL = "https://witness.example/prefix"


@pytest.fixture
def log(world: World) -> Log:
    """A sealed log of a few events."""
    return sealedlog.build(world, 40)


def test_every_column_is_accounted_for() -> None:
    """A column repeats a field of the entry, or it is said why that is not needed."""
    columns = set(table_of(AuditLog).columns.keys())
    assert set(projection.PROJECTED) | set(projection.UNPROJECTED) == columns
    assert not set(projection.PROJECTED) & set(projection.UNPROJECTED)


@EACH
class TestIntact:
    """Nothing is found."""

    def test_after_rotation_and_retirement(self, log: Log) -> None:
        """Checkpoints of three hours and two keys; every entry was looked at."""
        report = log.verify()
        assert (report.findings, report.found, report.intact) == ((), 0, True)
        assert (report.size, report.checked) == (log.size, log.size)
        assert (report.intents, report.unwitnessed) == ((), 0)

    def test_hashes_only(self, log: Log) -> None:
        """Without columns as well; a column that says something else is not looked at."""
        log.put(AuditLog, "outcome", "denied", id=log.event_at(3))
        log.world.unbalanced = "a column was changed"
        assert log.verify(columns=False).intact
        assert not log.verify().intact

    def test_without_what_was_published(self, log: Log) -> None:
        """Nothing is known from elsewhere: the log speaks for itself."""
        assert log.verify(published=None).intact

    def test_more_portions(self, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is read at once makes no difference, nor where it begins."""
        log.store(*sealedlog.make(600, first=100))
        log.size = log.system.sequencer.seal().size
        monkeypatch.setattr(comparing, "PORTION", 256)
        told: list[findings.Progress] = []
        for since in (0, 1, 255, 256, 257, log.size - 1, log.size, log.size + 5):
            report = log.verify(since=since, on_progress=told.append)
            assert report.intact
            assert report.checked == max(0, log.size - since)
        assert {step.phase for step in told} == {"tree", "entries"}
        assert all(step.done <= step.total == log.size for step in told)
        with pytest.raises(UsageError, match="leaf"):
            log.verify(since=-1)

    def test_odd_texts(self, log: Log) -> None:
        """Texts that are spelled otherwise in an entry, and other alphabets, are no difference."""
        odd = ['quoted "tenant"', "back\\slash", "tab\there", "café", "日本", "line\nfeed", "%s %(a)s"]
        made = [sealedlog.make(1, first=900 + place, tenant=text)[0] for place, text in enumerate(odd)]
        log.store(*made)
        log.system.sequencer.seal()
        assert log.verify().findings == ()
        log.put(AuditLog, "tenant", 'quoted "other"', id=made[0].id)
        log.world.unbalanced = "a column was changed"
        assert [finding.column for finding in log.verify().findings] == ["tenant"]

    def test_while_it_grows(self, log: Log) -> None:
        """Whoever seals meanwhile raises no alarm."""
        ended = threading.Event()

        def grow() -> None:
            number = 1000
            while not ended.is_set():
                log.store(*sealedlog.make(20, first=number))
                log.system.sequencer.seal()
                number += 20

        published = log.system.published.checkpoint()
        writer = threading.Thread(target=grow)
        writer.start()
        try:
            reports = [log.verify(published=published) for _ in range(5)]
        finally:
            ended.set()
            writer.join()
        assert [report.findings for report in reports] == [()] * 5
        assert log.verify().intact

    def test_the_newest_key_did_not_sign_yet(self, log: Log) -> None:
        """A key was added, and nothing was sealed since: the other still signs."""
        log.system.signing_keys.rotate(actor="tests")
        assert log.verify().intact

    def test_no_key_that_signs_has_signed(self, log: Log) -> None:
        """The only key that signed was retired, and nothing was sealed since: found until the next seal."""
        (old,) = [key for key in log.system.signing_keys.listed() if key.retired_size is None]
        log.system.sequencer.seal()
        log.system.signing_keys.rotate(actor="tests")
        log.system.signing_keys.retire(old.verifier.key_id.hex(), actor="tests")
        assert log.found().keys() == {"checkpoint"}
        log.system.sequencer.seal()
        assert log.verify().intact


@on("sqlite-one", "postgresql-one")
class TestRestored:
    """The database goes back to an older state, as a whole."""

    def test_a_backup(self, log: Log, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        """A dump that was restored is intact in itself; what was published tells of more leaves."""
        older = log.size
        restore = sealedlog.back_up(log, request, tmp_path)
        log.store(*sealedlog.make(5, first=500))
        log.size = log.system.sequencer.seal().size
        assert log.verify().intact
        restore()
        (finding,) = log.verify().findings
        assert (finding.kind, finding.leaf, finding.column) == ("published", older, "size")
        assert log.verify(published=None).intact
        log.world.unbalanced = "what was sealed since the backup is gone"

    def test_a_new_incarnation(self, log: Log, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        """After a restore that was meant, the log goes on: its first leaf says from where."""
        restore = sealedlog.back_up(log, request, tmp_path)
        log.store(*sealedlog.make(5, first=500))
        log.system.sequencer.seal()
        restore()
        system, seen = log.system, log.system.published.checkpoint()
        assert seen is not None
        recovery.recover(
            *(system.databases, system.key_files, system.signing_keys, system.recorder),
            notes.checkpoint(seen),
            actor="tests",
        )
        # The file still has the checkpoint of the old name: the new log accounts for it.
        assert log.verify().findings == ()
        system.sequencer.seal()
        report = log.verify()
        assert report.findings == ()
        assert report.checked == report.size > log.size
        log.do(sa.update(AuditState).values(incarnation=1), rows=1)
        assert log.found().keys() == {"state"}

    def test_another_log(self, log: Log) -> None:
        """A checkpoint of another log that a trusted key signed is not the one of this log."""
        other = FileSigner(name="logs.example.com/other", seed=bytes(32))
        note = notes.sign(Checkpoint(origin=other.name, size=3, root=bytes(32)).text, [other])
        policy = replace(log.policy, logs=(*log.policy.logs, other.verifier))
        (finding,) = log.verify(policy=policy, published=note).findings
        assert (finding.kind, finding.column) == ("published", "origin")
        (finding,) = log.verify(published=note).findings
        assert (finding.kind, finding.column) == ("published", "signature")


@EACH
class TestReport:
    """What is told besides findings."""

    def test_intents(self, log: Log) -> None:
        """An act that was announced, and of which nothing more was recorded, is listed."""
        done, left, alone = (str(events.uuid7()) for _ in range(3))
        intents = [
            *sealedlog.make(1, first=801, outcome=Outcome.INTENT, correlation_id=done),
            *sealedlog.make(1, first=802, outcome=Outcome.INTENT, correlation_id=left),
            *sealedlog.make(1, first=803, outcome=Outcome.INTENT, correlation_id=None),
        ]
        log.store(*intents, *sealedlog.make(1, first=804, correlation_id=done))
        log.store(*sealedlog.make(1, first=805, correlation_id=alone))
        report = log.verify()
        assert report.intact
        assert set(report.intents) == {intents[1].id, intents[2].id}

    def test_unwitnessed(self, log: Log) -> None:
        """Leaves since the newest checkpoint that the quorum cosigned are counted."""
        policy = witnessed(log.policy)
        report = log.verify(policy=policy)
        assert (report.intact, report.unwitnessed) == (True, log.size)
        cosign(log, log.size)
        assert log.verify(policy=policy).unwitnessed == 0
        sealedlog.earlier(log, hours=1)
        log.store(*sealedlog.make(7, first=700))
        now = log.system.sequencer.seal().size
        report = log.verify(policy=policy)
        assert (report.intact, report.unwitnessed) == (True, now - log.size)

    def test_a_cosignature_that_is_none(self, log: Log) -> None:
        """A line that names a witness and is not of it is found."""
        cosign(log, log.size, forged=True)
        (finding,) = log.verify(policy=witnessed(log.policy)).findings
        assert (finding.kind, finding.column) == ("checkpoint", "cosignature")

    def test_many_findings(self, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of each kind so many are named, and all are counted."""
        monkeypatch.setattr(findings, "MOST", 5)
        log.do(sa.update(AuditLog).values(actor_ref="other"))
        log.world.unbalanced = "a column was changed"
        report = log.verify()
        assert len(report.findings) == 5
        assert report.found == len(log.rows(sa.select(AuditLog.id))) == log.size + 3


@on("postgresql-one")
def test_a_session_in_another_time_zone(log: Log) -> None:
    """Where the server's clock face is elsewhere, the instants are the same."""
    with log.world.control.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        name = connection.scalar(sa.text("SELECT current_database()"))
        connection.execute(sa.text(f"ALTER DATABASE {name} SET timezone = 'America/St_Johns'"))
    log.world.configure()
    ((zone,),) = log.rows(sa.select(sa.func.current_setting("timezone")))
    assert zone == "America/St_Johns"
    assert log.verify().findings == ()


@on("postgresql-one")
def test_before_there_is_a_log(world: World) -> None:
    """A database without a key has no log: that is no finding, and no intact log either."""
    databases, policy = world.system.databases, world.system.published.policy()
    with pytest.raises(NotPrepared, match="no signing key"):
        verify(databases, policy, published=None)
    with pytest.raises(NotPrepared, match="nothing was sealed"):
        verify_witnessed(databases, witnessed(policy), url=URL)


class Seer:
    """A witness as C2SP tlog-witness has it, in memory."""

    key = FileSigner(name="witness.example", seed=b"w" * 32)

    def __init__(self, seen: Checkpoint | None = None) -> None:
        self.seen = seen or Checkpoint(origin="", size=0, root=merkle.EMPTY)

    def __call__(self, url: str, body: bytes) -> Answer:
        """Take a checkpoint."""
        assert url == f"{URL}/add-checkpoint"
        above, _, note = body.decode().partition("\n\n")
        old, *proof = above.split("\n")
        shown = notes.checkpoint(notes.parse(note))
        if int(old.removeprefix("old ")) != self.seen.size:
            return Answer(status=409, body=f"{self.seen.size}\n")
        path = [base64.b64decode(line) for line in proof]
        try:
            merkle.check_consistency(self.seen.size, self.seen.root, shown.size, shown.root, path)
        except Tampered:
            return Answer(status=422, body="")
        self.seen = shown
        return Answer(status=200, body=cosignature(shown.text).line)


@EACH
class TestWitness:
    """Somebody elsewhere has seen the log before."""

    def test_it_agrees(self, log: Log) -> None:
        """The log has grown out of what it has seen."""
        seer = Seer()
        policy = witnessed(log.policy)
        assert verify_witnessed(log.system.databases, policy, url=URL, send=seer) == ()
        assert seer.seen.size == log.size
        log.store(*sealedlog.make(5, first=500))
        log.system.sequencer.seal()
        assert verify_witnessed(log.system.databases, policy, url=f"{URL}/", send=seer) == ()

    def test_everything_was_recomputed_with_the_current_key(self, log: Log) -> None:
        """The log alone is intact; who has seen it before objects."""
        seer = Seer()
        verify_witnessed(log.system.databases, witnessed(log.policy), url=URL, send=seer)
        log.rewrite(9, b'"rows":', b'"bows":', signer=log.signer)
        assert log.verify(published=None).intact
        log.world.unbalanced = "an event was changed"
        (finding,) = verify_witnessed(log.system.databases, witnessed(log.policy), url=URL, send=seer)
        assert (finding.kind, finding.leaf, finding.column) == ("witness", log.size, Seer.key.name)
        assert "rewritten" in finding.got

    def test_it_has_seen_more(self, log: Log) -> None:
        """A log that was cut off is behind it."""
        seer = Seer(Checkpoint(origin=log.stolen.name, size=log.size + 9, root=bytes(32)))
        (finding,) = verify_witnessed(log.system.databases, witnessed(log.policy), url=URL, send=seer)
        assert finding.kind == "witness"
        assert f"{log.size + 9} leaves" in finding.got

    def test_nobody_answers(self, log: Log) -> None:
        """Then it cannot be told."""

        def away(*_: object) -> Answer:
            raise Unreachable

        with pytest.raises(Unreachable):
            verify_witnessed(log.system.databases, witnessed(log.policy), url=URL, send=away)

    @pytest.mark.parametrize("status", [200, 404, 500])
    def test_it_answers_what_it_may_not(self, log: Log, status: int) -> None:
        """An answer that is no cosignature says nothing of the log."""
        answers = ["", "rubbish", cosignature("another text").line]
        for body in answers:
            answer = Answer(status=status, body=body)
            with pytest.raises(OperationFailed):
                verify_witnessed(
                    log.system.databases, witnessed(log.policy), url=URL, send=lambda *_, a=answer: a
                )

    def test_nobody_knows_its_key(self, log: Log) -> None:
        """Without the witness's key its answer would prove nothing; a key can be named."""
        with pytest.raises(UsageError, match=r"no witness of the policy has the URL"):
            verify_witnessed(log.system.databases, log.policy, url=URL, send=Seer())
        key = witness_key()
        assert verify_witnessed(log.system.databases, log.policy, url=URL, key=key, send=Seer()) == ()

    def test_nothing_is_shown_that_nobody_signed(self, log: Log) -> None:
        """A checkpoint that no trusted key signed is a finding by itself."""
        log.within(lambda connection: sealedlog.put_head(connection, bytes(32), log.stolen))
        log.world.unbalanced = "not sealed"
        (finding,) = verify_witnessed(log.system.databases, witnessed(log.policy), url=URL, send=Seer())
        assert (finding.kind, finding.column) == ("checkpoint", "signature")


def witness_key() -> Verifier:
    """Return the witness's public key."""
    return Verifier(name=Seer.key.name, algorithm=COSIGNATURE, public=Seer.key.verifier.public)


def witnessed(policy: Policy) -> Policy:
    """Return a policy whose quorum is the witness."""
    known = Witness(name="w", key=witness_key(), url=URL)
    return replace(
        policy, witnesses=(known,), groups=(Group(name="all", needed=1, members=("w",)),), quorum="all"
    )


def cosignature(text: str, *, forged: bool = False) -> Signature:
    """Return the witness's signature over a checkpoint."""
    moment = 1_700_000_000
    signed = f"cosignature/v1\ntime {moment}\n{'other ' if forged else ''}{text}".encode()
    line = moment.to_bytes(8, "big") + Seer.key.sign(signed)
    return Signature(name=Seer.key.name, key_id=witness_key().key_id, signature=line)


def cosign(log: Log, size: int, *, forged: bool = False) -> None:
    """Keep the witness's signature with a checkpoint."""
    note = notes.parse(log.value(AuditCheckpoint, "note", size=size))
    line = cosignature(note.text, forged=forged)
    log.put(AuditCheckpoint, "note", str(note.with_signatures([line])).encode(), size=size)


@on("sqlite-one")
def test_a_witness_that_redirects(log: Log) -> None:
    """It is refused with what to do, and the place that it names is not asked."""
    with HttpServer().running() as server:
        server.statuses = [302]
        with pytest.raises(
            OperationFailed, match=r"HTTP 302\. It redirects, which is not followed: `aegis audit"
        ):
            verify_witnessed(
                log.system.databases, log.policy, url=server.url.partition("?")[0], key=witness_key()
            )
        assert server.methods == ["POST"]
