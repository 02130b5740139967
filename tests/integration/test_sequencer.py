"""Sealing: every committed event becomes exactly one leaf, and all checkpoints are one history."""

import contextlib
import datetime as dt
import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Self

import pytest
import sqlalchemy as sa

from aegis.audit import head, recovery, sequencer
from aegis.audit.recorder import Note, Recorder, store
from aegis.audit.tlog import merkle, notes
from aegis.audit.tlog.notes import Checkpoint
from aegis.db.engines import reading, writing
from aegis.db.tables import AuditCheckpoint, AuditKey, AuditLeaf, AuditLog, AuditPending, AuditTile
from aegis.errors import Conflict, NotPrepared, Refused, Tampered, UsageError
from api import log
from api.audit import get_audit_events, record_audit, seal_audit_log
from tests import worlds
from tests.forks import forking, run_script
from tests.sealedlog import make
from tests.workerkit import wait_until
from tests.worlds import World, on

EACH = on(*worlds.EACH_DATABASE)


@pytest.fixture(autouse=True)
def _log(world: World) -> None:
    """A log with a key in every layout; the default control database has one already."""
    with reading(world.system.databases.control, "control database") as connection:
        begun = head.begun(connection)
    if begun is None:
        log.begin_log("logs.example.com/test", actor="tests")


def note(number: int) -> str:
    """Record one event."""
    return record_audit("custom:note", worlds.ACTOR, "user", f"person-{number}", {"n": number})


def rows(world: World, query: sa.Select[*tuple[Any, ...]]) -> Sequence[Any]:
    """Read from the control database."""
    with reading(world.system.databases.control, "control database") as connection:
        return connection.execute(query).all()


def newest(world: World) -> notes.Note:
    """Return the newest checkpoint's note."""
    with reading(world.system.databases.control, "control database") as connection:
        found = head.newest(connection)
    assert found is not None
    return found


def seen(known: Checkpoint) -> notes.Note:
    """Return a checkpoint as a note of somebody; what was published is compared, not trusted."""
    return notes.sign(known.text, [notes.FileSigner(name=known.origin, seed=bytes(32))])


def check_tree(world: World) -> Checkpoint:
    """Leaves are contiguous, each of one event, and hash to the signed root; return the head."""
    leaves = rows(
        world,
        sa.select(AuditLeaf.leaf, AuditLog.entry)
        .join(AuditLog, AuditLog.id == AuditLeaf.id)
        .order_by(AuditLeaf.leaf),
    )
    assert [row.leaf for row in leaves] == list(range(len(leaves)))
    known = world.system.published.policy().check(newest(world))
    assert known.size == len(leaves)
    assert known.root == merkle.root_of([merkle.leaf_hash(row.entry) for row in leaves])
    return known


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every node of a plan."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def entries_read(node: dict[str, Any]) -> int:
    """Return the entries that a node of a plan read."""
    kept = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return round(kept * node["Actual Loops"]) if node.get("Relation Name") == "audit_logs" else 0


@on("postgresql-one")
def test_a_seal_reads_only_what_waits(world: World) -> None:
    """However long the log is, a seal reads the entries that wait for it and no other (PostgreSQL)."""
    control = world.system.databases.control
    for first in range(0, 20_000, 5_000):
        with writing(control, "control database") as connection:
            store(connection, *make(5_000, first=first, age=dt.timedelta(days=30)))
        size = seal_audit_log().size
    for number in range(10):
        note(number)
    # Statistics of before and of now: the plan must not depend on them.
    for statistics in ("SELECT 1", "ANALYZE"):
        with writing(control, "control database") as connection:
            connection.exec_driver_sql(statistics)
            take = head.TAKE.params(size=size, most=sequencer.PORTION)
            words = take.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
            (plan,) = connection.scalar(sa.text(f"EXPLAIN (ANALYZE, FORMAT JSON) {words}"))
            connection.rollback()
        assert sum(map(entries_read, nodes(plan["Plan"]))) == 10


@EACH
class TestSealing:
    """One seal."""

    def test_every_event_becomes_a_leaf(self, world: World) -> None:
        """Events get leaves in the order of their ids, and the head over them is signed and published."""
        ids = [note(number) for number in range(5)]
        sealed = seal_audit_log()
        assert sealed.size == sealed.leaves
        assert [event["id"] for event in get_audit_events(5)] == ids[::-1]
        assert [event["id"] for event in get_audit_events(100, after=sealed.size - 6)] == ids
        assert check_tree(world).size == sealed.size
        published = world.system.published.checkpoint()
        assert published is not None
        assert str(published) == str(newest(world))
        assert rows(world, sa.select(AuditPending.id)) == []

    def test_the_events_of_a_run(self, world: World) -> None:
        """A reader can ask for one run's events alone, the newest first or in the order of the log."""
        world.safety_events()
        world.events(range(3), 60)
        world.policy()
        run = world.enforce()["run"]
        note(1)
        seal_audit_log()
        newest_first = get_audit_events(run=run)
        assert {event["correlation_id"] for event in newest_first} == {run}
        assert {"retention:batch", "retention:run"} <= {event["action"] for event in newest_first}
        assert get_audit_events(after=-1, run=run) == newest_first[::-1]
        assert get_audit_events(action="custom:note", run=run) == []

    def test_nothing_waits(self, world: World) -> None:
        """A seal of nothing signs nothing."""
        seal_audit_log()
        before = newest(world)
        assert seal_audit_log().leaves == 0
        assert newest(world) == before

    def test_marks_without_an_event_hinder_nothing(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """More of them than a portion has, before all others, by another hand: what is there is sealed."""
        world.unbalanced = "marks without an event stand in the queue"
        seal_audit_log()
        monkeypatch.setattr(sequencer, "PORTION", 3)
        with world.control.begin() as connection:
            marks = [{"id": f"0190a0b0-0000-7000-8000-{number:012}"} for number in range(7)]
            connection.execute(sa.insert(AuditPending), marks)
        for number in range(5):
            note(number)
        assert seal_audit_log().leaves == 5
        check_tree(world)

    def test_portions(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """More than one portion is sealed in several transactions, and is one tree."""
        seal_audit_log()
        for number in range(280):
            note(number)
        monkeypatch.setattr(sequencer, "PORTION", 101)
        assert seal_audit_log().leaves == 280
        check_tree(world)

    def test_of_each_hour_the_last_checkpoint_stays(self, world: World) -> None:
        """The newest replaces that of the same hour; those of earlier hours stay."""
        seal_audit_log()
        hours_ago = dt.datetime.now(dt.UTC) - dt.timedelta(hours=3)
        first = newest(world)
        with writing(world.system.databases.control, "control database") as connection:
            connection.execute(sa.update(AuditCheckpoint).values(time=hours_ago))
        for number in range(3):
            note(number)
            seal_audit_log()
        kept = [notes.parse(row.note) for row in rows(world, sa.select(AuditCheckpoint.note))]
        assert first in kept
        assert newest(world) in kept
        # The hour may have ended in between.
        assert len(kept) in {2, 3}

    def test_an_event_without_its_row_stops_no_other(self, world: World) -> None:
        """A mark whose event is gone stays where it is, to be found; the others are sealed."""
        ids = [note(number) for number in range(3)]
        with writing(world.system.databases.control, "control database") as connection:
            connection.execute(sa.delete(AuditLog).where(AuditLog.id == ids[1]))
        seal_audit_log()
        assert [row.id for row in rows(world, sa.select(AuditPending.id))] == [ids[1]]
        world.unbalanced = "an event was deleted by hand"

    def test_a_tile_that_was_changed_is_not_built_upon(self, world: World) -> None:
        """A tile of another width than the tree's stops the sealing."""
        note(1)
        seal_audit_log()
        with writing(world.system.databases.control, "control database") as connection:
            connection.execute(sa.update(AuditTile).values(hashes=b"x" * 32 * 200))
        note(2)
        with pytest.raises(Refused, match=r"lacks hashes|rewritten"):
            seal_audit_log()
        world.unbalanced = "the log was tampered with"


@EACH
class TestReading:
    """A reader's cursor is the leaf."""

    def test_a_cursor_misses_nothing(self, world: World) -> None:
        """Reading on from the last leaf gives each event once, in order, whatever their times are."""
        for number in range(7):
            note(number)
        seal_audit_log()
        seen: list[int] = []
        while more := get_audit_events(3, after=seen[-1] if seen else -1):
            seen += [event["leaf"] for event in more]
        assert seen == list(range(check_tree(world).size))

    def test_unsealed_events_follow_nothing(self, world: World) -> None:
        """Without a leaf an event is shown newest first only."""
        seal_audit_log()
        event = note(1)
        assert get_audit_events(1)[0] | {"leaf": None} == get_audit_events(1)[0]
        assert get_audit_events(1)[0]["id"] == event
        assert get_audit_events(10, after=check_tree(world).size - 1) == []

    @pytest.mark.parametrize("after", [True, -2, "0", 1.5])
    def test_what_is_no_cursor(self, world: World, after: Any) -> None:
        """Only a leaf's number, or -1."""
        del world
        with pytest.raises(UsageError, match="number of a leaf"):
            get_audit_events(1, after=after)


@EACH
class TestBehind:
    """A log that is behind what was seen of it is not signed."""

    def test_a_database_that_was_restored(self, world: World) -> None:
        """Behind its published checkpoint nothing is sealed; recording goes on, and says so once."""
        seal_audit_log()
        before = newest(world)
        ahead = Checkpoint(origin=notes.checkpoint(before).origin, size=10_000, root=bytes(32))
        world.system.published.put_checkpoint(seen(ahead))
        event = note(1)
        for _ in range(2):
            with pytest.raises(Refused, match="restored from a backup or cut off"):
                seal_audit_log()
        assert newest(world) == before
        halts = [one for one in get_audit_events(10) if one["action"] == "audit:halt"]
        assert len(halts) == 1
        assert event in {one["id"] for one in get_audit_events(10)}

    def test_a_database_that_was_rewritten(self, world: World) -> None:
        """Another tree of the same size is as bad."""
        seal_audit_log()
        out = notes.checkpoint(newest(world))
        other = Checkpoint(origin=out.origin, size=out.size, root=bytes(32))
        world.system.published.put_checkpoint(seen(other))
        with pytest.raises(Refused, match="the log was rewritten"):
            seal_audit_log()

    def test_it_goes_on_when_that_is_settled(self, world: World) -> None:
        """With the right database back, the next seal works and takes what waited."""
        seal_audit_log()
        right = newest(world)
        ahead = Checkpoint(origin=notes.checkpoint(right).origin, size=10_000, root=bytes(32))
        path = world.system.published.folder / "checkpoint"
        path.write_text(str(seen(ahead)))
        with pytest.raises(Refused):
            seal_audit_log()
        path.write_text(str(right))
        assert seal_audit_log().leaves == 1, "the halt itself"
        check_tree(world)


@EACH
class TestRecovery:
    """A database that was restored on purpose goes on under a new name."""

    def test_a_new_incarnation(self, world: World) -> None:
        """The first leaf cites the last checkpoint seen; the new key signs, the old one is retired."""
        note(1)
        seal_audit_log()
        old = check_tree(world)
        ahead = Checkpoint(origin=old.origin, size=10_000, root=bytes(range(32)))
        world.system.published.put_checkpoint(seen(ahead))
        waits = note(2)
        done = log.recover_log(worlds.ACTOR)
        assert (done.origin, done.incarnation, done.size) == (f"{old.origin}/2", 2, old.size)
        first = get_audit_events(1, after=old.size - 1)[0]
        assert first["action"] == "audit:recover"
        assert first["details"]["seen_root"] == ahead.root.hex()
        assert first["details"]["seen_size"] == 10_000
        seal_audit_log()
        assert check_tree(world).origin == done.origin
        assert waits in {event["id"] for event in get_audit_events(10, after=old.size - 1)}
        keys = log.signing_keys()
        assert [key.retired_size for key in keys] == [10_000, None]
        assert world.system.key_files.numbers("audit") == [2]

    def test_the_next_one(self, world: World) -> None:
        """A second recovery counts on from the first name."""
        base = check_origin(world)
        for number in (2, 3):
            seal_audit_log()
            ahead = Checkpoint(origin=check_origin(world), size=10_000 * number, root=bytes(32))
            world.system.published.put_checkpoint(seen(ahead))
            assert log.recover_log(worlds.ACTOR).origin == f"{base}/{number}"

    def test_two_at_once(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of two who recover the same log one does; the other is told, and leaves no key behind."""
        seal_audit_log()
        old = check_origin(world)
        world.system.published.put_checkpoint(seen(Checkpoint(origin=old, size=10_000, root=bytes(32))))
        told = recovery._told  # noqa: SLF001 - between the look and the change

        def late(*arguments: Any) -> Note:
            monkeypatch.setattr(recovery, "_told", told)
            log.recover_log(worlds.ACTOR)
            return told(*arguments)

        monkeypatch.setattr(recovery, "_told", late)
        with pytest.raises(Refused, match="the log changed meanwhile"):
            log.recover_log(worlds.ACTOR)
        seal_audit_log()
        assert check_tree(world).origin == check_origin(world) == f"{old}/2"
        (signs,) = [key.number for key in log.signing_keys() if key.retired_size is None]
        assert world.system.key_files.numbers("audit") == [signs]

    def test_not_without_need(self, world: World) -> None:
        """A log that lacks nothing keeps its name."""
        seal_audit_log()
        with pytest.raises(Refused, match="nothing of the log is missing"):
            log.recover_log(worlds.ACTOR)
        other = Checkpoint(origin="else", size=10_000, root=bytes(32))
        with pytest.raises(Refused, match="the checkpoint is of else"):
            log.recover_log(worlds.ACTOR, seen=other)
        check_tree(world)


def check_origin(world: World) -> str:
    """Return the log's name."""
    with reading(world.system.databases.control, "control database") as connection:
        return head.state(connection).origin


@EACH
class TestKeys:
    """Rotation by overlap."""

    def test_overlap(self, world: World) -> None:
        """While two keys sign, each alone vouches for the head; after retiring, the new one only."""
        seal_audit_log()
        old = log.signing_keys()[0]
        new = log.rotate_signing_key(worlds.ACTOR)
        seal_audit_log()
        for key in (old, new):
            assert newest(world).signers([key.verifier]) == [key.verifier]
        size = check_tree(world).size
        ended = log.retire_signing_key(old.verifier.key_id.hex(), worlds.ACTOR)
        assert ended.retired_size == size
        note(1)
        seal_audit_log()
        assert newest(world).signers([old.verifier]) == []
        check_tree(world)
        assert world.system.key_files.numbers("audit") == [new.number]
        policy = world.system.published.policy()
        assert policy.logs == (new.verifier,)
        assert policy.retired == {old.verifier: size}
        told = [event["action"] for event in get_audit_events(100, after=-1) if event["target_type"] == "key"]
        assert told == ["key:add", "key:add", "key:retire"]

    def test_two_rotate_at_once(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both make the same key; it is added once, and the second person is told to look."""

        def late(**words: Any) -> notes.FileSigner:
            monkeypatch.setattr("aegis.audit.signing.FileSigner", notes.FileSigner)
            log.rotate_signing_key(worlds.ACTOR)
            return notes.FileSigner(**words)

        monkeypatch.setattr("aegis.audit.signing.FileSigner", late)
        with pytest.raises(Conflict, match="somebody else is adding the key 2"):
            log.rotate_signing_key(worlds.ACTOR)
        assert [key.number for key in log.signing_keys()] == [1, 2]
        seal_audit_log()
        check_tree(world)

    def test_the_only_key_stays(self, world: World) -> None:
        """Without another one nothing could be sealed; an unknown one is told."""
        del world
        only = log.signing_keys()[0].verifier.key_id.hex()
        with pytest.raises(Refused, match="aegis audit keys rotate"):
            log.retire_signing_key(only, worlds.ACTOR)
        log.rotate_signing_key(worlds.ACTOR)
        with pytest.raises(UsageError, match="no key that signs has the id 'zz'"):
            log.retire_signing_key("zz", worlds.ACTOR)

    def test_sealed_while_a_key_is_retired(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its last size is that of the last tree which it signed, also when that grew meanwhile."""
        seal_audit_log()
        old = log.signing_keys()[0]
        log.rotate_signing_key(worlds.ACTOR)
        prepare = Recorder.prepare

        def late(*arguments: Any) -> Any:
            monkeypatch.setattr(Recorder, "prepare", prepare)
            note(1)
            seal_audit_log()
            return prepare(*arguments)

        monkeypatch.setattr(Recorder, "prepare", late)
        ended = log.retire_signing_key(old.verifier.key_id.hex(), worlds.ACTOR)
        assert newest(world).signers([old.verifier]) == [old.verifier]
        assert ended.retired_size == check_tree(world).size
        (event,) = get_audit_events(action="key:retire")
        assert event["details"]["last_size"] == ended.retired_size

    def test_no_key_signs(self, world: World) -> None:
        """A log whose every key somebody retired by SQL is not sealed; another key lets it go on."""
        seal_audit_log()
        size = check_tree(world).size
        with world.control.begin() as connection:
            connection.execute(sa.update(AuditKey).values(retired_size=size))
        note(1)
        with pytest.raises(NotPrepared, match="no key signs this log; run `aegis audit keys rotate`"):
            seal_audit_log()
        log.rotate_signing_key(worlds.ACTOR)
        assert seal_audit_log().leaves > 0
        check_tree(world)

    def test_a_key_that_is_not_here(self, world: World) -> None:
        """Its file is named; recording goes on and is sealed when the key is back."""
        path = world.settings.home / "keys" / "audit-1.key"
        seal_audit_log()
        kept = path.read_text()
        path.unlink()
        note(1)
        with pytest.raises(NotPrepared, match=r"audit-1\.key"):
            seal_audit_log()
        path.write_text(kept)
        path.chmod(0o600)
        assert seal_audit_log().leaves == 1

    def test_a_key_of_another_log(self, world: World) -> None:
        """A file that is not the key that the log knows signs nothing."""
        seal_audit_log()
        files = world.system.key_files
        files.remove("audit", 1)
        files.make("audit", 1)
        note(1)
        with pytest.raises(Tampered, match="is not the key"):
            seal_audit_log()

    def test_a_lost_key_is_replaced(self, world: World) -> None:
        """Add another, retire the lost one without it: the log goes on, and says that it was lost."""
        seal_audit_log()
        lost = log.signing_keys()[0].verifier.key_id.hex()
        world.system.key_files.remove("audit", 1)
        log.rotate_signing_key(worlds.ACTOR)
        log.retire_signing_key(lost, worlds.ACTOR, lost=True)
        seal_audit_log()
        check_tree(world)
        ended = next(event for event in get_audit_events(10) if event["action"] == "key:retire")
        assert ended["details"]["lost"] == 1


WRITER: str = """
import os, random, sys
from aegis.audit.recorder import Note, store
from aegis.db.engines import writing
from aegis.operations.system import current
system = current()
random.seed(int(sys.argv[1]))
print("ready", flush=True)
for number in range(int(sys.argv[2])):
    name = f"{sys.argv[1]}-{number}"
    note = Note(action="custom:note", actor="writer", target_type="policy", target_id=name)
    event = system.recorder.prepare(note)
    try:
        with writing(system.databases.control, "control database") as connection:
            store(connection, event)
            if random.random() < 0.1:
                raise KeyError
    except KeyError:
        continue
    print(event.id, flush=True)
"""
SEALER: str = """
from aegis.operations.system import current
from aegis.audit.tlog import notes
system = current()
print("ready", flush=True)
while True:
    if system.sequencer.seal().leaves:
        head = notes.checkpoint(system.published.checkpoint())
        print(head.size, head.root.hex(), flush=True)
"""


class Program:
    """A process of Aegis's own code, on a world's databases."""

    def __init__(self, world: World, script: str, *words: str) -> None:
        """Start it; its lines go to a file, which survives its death."""
        self.lines_path = world.settings.home / f"lines-{os.urandom(4).hex()}"
        self._errors_path = self.lines_path.with_suffix(".errors")
        environ = {"AEGIS_HOME": str(world.settings.home), "PATH": os.defpath}
        if world.settings.database_url:
            environ["AEGIS_DATABASE_URL"] = world.settings.database_url
        given = (script, words, environ, self.lines_path, self._errors_path)
        self.process = forking().Process(target=run_script, args=given)
        self.lines_path.touch()
        self.process.start()

    @property
    def lines(self) -> list[str]:
        """What it has printed, whole lines only."""
        return self.lines_path.read_text().split("\n")[:-1]

    def __enter__(self) -> Self:
        """Return it; at the end of the block it is killed if it still runs."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it, so that a test that fails leaves nobody at work."""
        if self.running:
            self.kill()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.join()

    def wait(self) -> None:
        """Wait for its own end."""
        self.process.join()
        assert self.process.exitcode == 0, self.errors

    @property
    def errors(self) -> str:
        """What it has complained of."""
        return self._errors_path.read_text()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.is_alive()


def _seal_and_kill(world: World, running: contextlib.ExitStack, writers: Sequence[Program]) -> list[Program]:
    """Keep two sequencers at work and kill the older one again and again; return all there were."""
    sealers = [running.enter_context(Program(world, SEALER)) for _ in range(2)]
    while any(writer.running for writer in writers):
        victim = sealers[-2]
        wanted = len(sealers) % 3 + 2
        wait_until(partial(_sealed_or_over, victim, wanted, writers), "it sealed", 300)
        victim.kill()
        sealers.append(running.enter_context(Program(world, SEALER)))
        if len(sealers) == 4:
            writers[0].kill()
    return sealers


def _sealed_or_over(sealer: Program, wanted: int, writers: Sequence[Program]) -> bool:
    assert sealer.running, sealer.errors
    return len(sealer.lines) >= wanted or not any(writer.running for writer in writers)


@on("sqlite-one", "postgresql-one")
@pytest.mark.timeout(900)
def test_many_writers_two_sequencers_and_kills(world: World) -> None:
    """Eight writers with rollbacks, two sequencers that are killed again and again, a writer too.

    Afterwards every committed event is exactly one leaf, nothing that was rolled back is there, leaves are
    contiguous, and every checkpoint that was ever published is on the one history.
    """
    events = 10_000 if os.environ.get("LONG_TESTS") else 2_400
    world.system.databases.close()
    with contextlib.ExitStack() as running:
        writers = [
            running.enter_context(Program(world, WRITER, str(seed), str(events // 8))) for seed in range(8)
        ]
        sealers = _seal_and_kill(world, running, writers)
        for writer in writers[1:]:
            writer.wait()
    seal_audit_log()
    known = check_tree(world)
    committed = {line for writer in writers for line in writer.lines if line != "ready"}
    sealed = rows(
        world,
        sa.select(AuditLog.id)
        .where(AuditLog.action == "custom:note")
        .join(AuditLeaf, AuditLeaf.id == AuditLog.id),
    )
    extra = {row.id for row in sealed} - committed
    assert committed <= {row.id for row in sealed}
    # The writer that was killed may have committed one event that it could not print any more.
    assert len(extra) <= 1
    assert len(sealers) > 2 + 1
    with reading(world.system.databases.control, "control database") as connection:
        node = head.node_of(connection)
        for sealer in sealers:
            for line in sealer.lines[1:]:
                size, _, root = line.partition(" ")
                assert int(size) <= known.size
                assert merkle.root(int(size), node).hex() == root, "two histories were published"


@EACH
def test_the_clock_goes_backwards(world: World) -> None:
    """An event with an older id gets the next leaf all the same."""
    late = note(1)
    seal_audit_log()
    event = world.system.recorder.prepare(
        Note(action="custom:note", actor="x", target_type="policy", target_id="p")
    )
    old = "00000000-0000-7000-8000-000000000000"
    fields = vars(event) | {"id": old, "entry": event.entry.replace(event.id.encode(), old.encode())}
    with writing(world.system.databases.control, "control database") as connection:
        store(connection, type(event)(**fields))
    seal_audit_log()
    leaves = {event["id"]: event["leaf"] for event in get_audit_events(10)}
    assert leaves[old] == leaves[late] + 1
    check_tree(world)
