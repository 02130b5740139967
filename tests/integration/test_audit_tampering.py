"""Each way to change a log is found, and named for what it is: by leaf, event and column."""

import datetime as dt
import hashlib
import itertools
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.audit import events, head
from aegis.audit.actions import Action
from aegis.audit.tlog import merkle, notes
from aegis.audit.tlog.notes import Checkpoint, FileSigner
from aegis.audit.tlog.trust import Policy
from aegis.audit.verification import projection
from aegis.audit.verification.findings import Finding
from aegis.db.columns import table_of
from aegis.db.tables import (
    AuditCheckpoint,
    AuditKey,
    AuditLeaf,
    AuditLog,
    AuditPending,
    AuditPruned,
    AuditState,
    AuditTile,
)
from aegis.operations.system import System
from aegis.settings import Settings
from tests import sealedlog, worlds
from tests.sealedlog import Log
from tests.worlds import Builder

#: A leaf in a full tile, and one in the tile that is not full.
FULL, PARTIAL = 310, 590
#: The column of the model → another value.
OTHERS: dict[str, Any] = {
    "time": dt.datetime(2001, 1, 1, tzinfo=dt.UTC),
    "correlation_id": "00000000-0000-7000-8000-000000000000",
}
PROJECTED = sorted(set(table_of(AuditLog).columns.keys()) - set(projection.UNPROJECTED) - {"id"})
#: What a leaf's hash that is not the one of its event entails.
_HASHES = {"leaf hash", "root", "published"}
_NAMES = itertools.count(1)


@pytest.fixture(scope="module", params=worlds.EACH_DATABASE)
def kept(
    request: pytest.FixtureRequest, home_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Log, Callable[[], None]]]:
    """One sealed log for all these tests, and what puts it back after each."""
    made: list[tuple[worlds.Server, str]] = []

    def clone(kind: str, _content: str) -> str:
        name = f"tampering_{next(_NAMES)}"
        server: Any = request.getfixturevalue(f"{'postgres' if kind == 'postgresql' else kind}_server")
        made.append((server, name))
        if kind == "postgresql":
            templates = request.getfixturevalue("postgres_templates")
            return str(server.create_database(name, templates["one"]))
        url = str(server.create_database(name))
        system = System(Settings(home=home_template, database_url=url))
        system.migrate()
        system.close()
        return url

    folder = tmp_path_factory.mktemp("tampering")
    world = Builder(home_template=home_template, clone=clone).build(request.param, folder)
    log = sealedlog.build(world)
    yield log, log.saved()
    world.close()
    for server, name in made:
        server.drop_database(name)


@pytest.fixture
def log(kept: tuple[Log, Callable[[], None]]) -> Iterator[Log]:
    """The log, which a test may change."""
    made, put_back = kept
    yield made
    put_back()


def only(found: dict[str, list[Finding]], kind: str) -> Finding:
    """Return the only finding, which has to be of this kind."""
    ((name, (finding,)),) = found.items()
    assert name == kind
    return finding


def named(finding: Finding) -> tuple[int | None, str | None, str | None]:
    """Return what a finding names."""
    return finding.leaf, finding.event, finding.column


def waiting(log: Log) -> str:
    """Return the first event that has no leaf yet."""
    ((event,),) = log.rows(sa.select(AuditPending.id).order_by(AuditPending.id).limit(1))
    return str(event)


def test_nothing_was_changed(log: Log) -> None:
    """The clean control: with the same eyes nothing is found."""
    assert log.found() == {}


class TestEntries:
    """Somebody changes what an event says."""

    @pytest.mark.parametrize("leaf", [1, FULL, PARTIAL])
    @pytest.mark.parametrize("columns", [True, False])
    def test_an_entry(self, log: Log, leaf: int, *, columns: bool) -> None:
        """One byte of an entry: its leaf has another hash than it makes."""
        event = log.event_at(leaf)
        before = log.value(AuditLog, "entry", id=event)
        log.put(AuditLog, "entry", before.replace(b'"v":1}', b'"v":2}'), id=event)
        finding = only(log.found(columns=columns), "entry")
        assert named(finding) == (leaf, event, None)
        assert finding.expected == merkle.leaf_hash(before).hex()
        assert finding.got == merkle.leaf_hash(before.replace(b'"v":1}', b'"v":2}')).hex()

    def test_an_entry_that_is_no_text(self, log: Log) -> None:
        """Bytes that are no event at all are told in words."""
        event = log.event_at(FULL)
        log.put(AuditLog, "entry", b"\xff\x00", id=event)
        found = log.found()
        assert found.keys() == {"entry"}
        assert {named(finding) for finding in found["entry"]} == {(FULL, event, None)}

    def test_a_waiting_entry_that_is_no_text(self, log: Log) -> None:
        """No leaf holds it yet; it is told in words, too."""
        event = waiting(log)
        log.put(AuditLog, "entry", b"\xff\x00", id=event)
        finding = only(log.found(), "entry")
        assert (named(finding), finding.expected) == ((None, event, None), "an event's fields")

    def test_a_waiting_entry_without_its_time(self, log: Log) -> None:
        """What stands for the time and is none is not repeated."""
        event = waiting(log)
        before = log.value(AuditLog, "entry", id=event)
        log.put(AuditLog, "entry", before.replace(b'"time":"2', b'"time":"x'), id=event)
        finding = only(log.found(), "column")
        assert named(finding) == (None, event, "time")
        assert finding.expected is not None
        assert finding.expected.startswith("sha256:")

    def test_a_waiting_event_whose_column_calls_it_a_key(self, log: Log) -> None:
        """Its entry says something else, so that it adds none."""
        event = waiting(log)
        log.put(AuditLog, "action", Action.KEY_ADD, id=event)
        finding = only(log.found(), "column")
        assert (named(finding), finding.got) == ((None, event, "action"), Action.KEY_ADD)

    def test_sealed_details(self, log: Log) -> None:
        """One bit of sealed details: the entry commits to others."""
        leaf = sealedlog.leaf_of(log, 301)
        event = log.event_at(leaf)
        log.flip(AuditLog, "sealed", 3, id=event)
        assert named(only(log.found(), "sealed")) == (leaf, event, "sealed")

    @pytest.mark.parametrize(("number", "sealed"), [(301, None), (304, b"something")])
    def test_sealed_details_come_and_go(self, log: Log, number: int, sealed: bytes | None) -> None:
        """Sealed details that were removed, or added, are found."""
        leaf = sealedlog.leaf_of(log, number)
        event = log.event_at(leaf)
        log.put(AuditLog, "sealed", sealed, id=event)
        finding = only(log.found(), "sealed")
        assert named(finding) == (leaf, event, "sealed")
        assert (finding.got == "none") == (sealed is None)

    @pytest.mark.parametrize("name", PROJECTED)
    def test_a_column(self, log: Log, name: str) -> None:
        """A column that repeats the entry says something else; a new column is tried by itself."""
        leaf = sealedlog.leaf_of(log, 301)
        event = log.event_at(leaf)
        log.put(AuditLog, name, OTHERS.get(name, "other"), id=event)
        assert named(only(log.found(), "column")) == (leaf, event, name)

    @pytest.mark.parametrize("name", PROJECTED)
    def test_a_column_of_a_waiting_event(self, log: Log, name: str) -> None:
        """An event that has no leaf yet is compared with its columns too."""
        event = waiting(log)
        log.put(AuditLog, name, OTHERS.get(name, "other"), id=event)
        assert named(only(log.found(), "column")) == (None, event, name)

    def test_a_time_by_a_microsecond(self, log: Log) -> None:
        """The least that an instant can differ by is found; both are shown."""
        leaf = sealedlog.leaf_of(log, 301)
        event = log.event_at(leaf)
        later = log.value(AuditLog, "time", id=event) + dt.timedelta(microseconds=1)
        log.put(AuditLog, "time", later, id=event)
        finding = only(log.found(), "column")
        assert named(finding) == (leaf, event, "time")
        assert finding.got == events.stamp(later)

    @pytest.mark.parametrize(
        "name", [column.name for column in table_of(AuditLog).columns if column.nullable]
    )
    def test_a_column_is_emptied(self, log: Log, name: str) -> None:
        """Nothing where there was something is found, like something where there was nothing."""
        full, empty = log.event_at(sealedlog.leaf_of(log, 301)), log.event_at(sealedlog.leaf_of(log, 300))
        assert log.value(AuditLog, name, id=full) is not None
        assert log.value(AuditLog, name, id=empty) is None
        log.put(AuditLog, name, None, id=full)
        log.put(AuditLog, name, OTHERS.get(name, b"other" if name == "sealed" else "other"), id=empty)
        found = log.found()
        assert found.keys() == {"sealed" if name == "sealed" else "column"}
        assert {finding.event for finding in next(iter(found.values()))} == {full, empty}

    def test_an_id(self, log: Log) -> None:
        """An event under another id leaves its leaf without one, and has no place of its own."""
        event, other = log.event_at(FULL), events.uuid7()
        log.put(AuditLog, "id", other, id=event)
        found = log.found()
        assert found.keys() == {"missing", "stray"}
        assert named(found["missing"][0]) == (FULL, event, None)
        assert named(found["stray"][0]) == (None, other, None)

    def test_an_id_with_its_leaf(self, log: Log) -> None:
        """Where the leaf follows, the entry still says which id it had."""
        event, other = log.event_at(FULL), events.uuid7()
        log.put(AuditLog, "id", other, id=event)
        log.put(AuditLeaf, "id", other, leaf=FULL)
        finding = only(log.found(), "column")
        assert named(finding) == (FULL, other, "id")
        assert (finding.expected, finding.got) == (event, other)

    def test_what_somebody_wrote_is_not_repeated(self, log: Log) -> None:
        """A text that is evidently none of ours may be anybody's name: it is shown as a digest."""
        event = log.event_at(FULL)
        log.put(AuditLog, "target_ref", worlds.ACTOR, id=event)
        finding = only(log.found(), "column")
        assert finding.got.startswith("sha256:")
        assert worlds.CANARY not in str(finding)
        assert finding.expected.startswith("s1_")


class TestTree:
    """Somebody changes the tree over the events."""

    def test_the_hash_of_a_leaf(self, log: Log) -> None:
        """One bit of a leaf's hash in a full tile: the leaf is named, and its tile, and the roots over it."""
        log.flip(AuditTile, "hashes", (FULL - 256) * 32 + 5, level=0, number=1)
        found = log.found()
        assert found.keys() == {"tile", "leaf hash", "root", "published"}
        assert [named(finding)[2] for finding in found["tile"]] == ["tile/0/001"]
        (finding,) = found["leaf hash"]
        assert named(finding) == (FULL, log.event_at(FULL), None)
        assert finding.expected == merkle.leaf_hash(log.value(AuditLog, "entry", id=finding.event)).hex()
        # The checkpoint of the first hour is of a tree that lay before that leaf, but not of one tile.
        assert [finding.leaf for finding in found["root"]] == [log.bound, log.size]

    def test_the_hash_of_a_late_leaf(self, log: Log) -> None:
        """No tile above speaks for the last one: there the signed root does."""
        log.flip(AuditTile, "hashes", (PARTIAL - 512) * 32, level=0, number=2)
        found = log.found()
        assert found.keys() == {"leaf hash", "root", "published"}
        assert named(found["leaf hash"][0]) == (PARTIAL, log.event_at(PARTIAL), None)
        assert [finding.leaf for finding in found["root"]] == [log.size]

    def test_an_upper_tile(self, log: Log) -> None:
        """One bit of a tile above: nothing else is at fault."""
        log.flip(AuditTile, "hashes", 40, level=1, number=0)
        finding = only(log.found(), "tile")
        assert (finding.leaf, finding.column) == (0, "tile/1/000")

    @pytest.mark.parametrize(
        ("place", "others"),
        [
            ((0, 1), {"leaf hash", "root", "published"}),
            ((0, 2), {"leaf hash", "root", "published"}),
            ((1, 0), ()),
        ],
    )
    def test_a_tile_is_gone(self, log: Log, place: tuple[int, int], others: Collection[str]) -> None:
        """A tile that is not there is named, and every leaf whose hash is gone with it."""
        level, number = place
        log.do(sa.delete(AuditTile).where(AuditTile.level == level, AuditTile.number == number), rows=1)
        found = log.found()
        assert found.keys() - {"key"} == {"tile", *others}
        assert f"tile/{level}/{number:03d}" in {finding.column for finding in found["tile"]}

    def test_a_tile_is_wider(self, log: Log) -> None:
        """Hashes behind the last leaf belong to no tree."""
        wide = log.value(AuditTile, "hashes", level=0, number=2) + bytes(32)
        log.put(AuditTile, "hashes", wide, level=0, number=2)
        assert only(log.found(), "tile").column == "tile/0/002"

    @pytest.mark.parametrize("place", [(0, 3), (1, 1), (2, 0), (9, 0)])
    def test_a_tile_too_many(self, log: Log, place: tuple[int, int]) -> None:
        """A tile that the tree does not have is named."""
        row = {"level": place[0], "number": place[1], "hashes": bytes(32)}
        log.do(sa.insert(AuditTile).values(**row), rows=1)
        assert only(log.found(), "tile").column == f"tile/{place[0]}/{place[1]:03d}"

    def test_a_tree_that_is_recomputed_but_not_signed(self, log: Log) -> None:
        """An entry, its leaf and all tiles above fit each other: then the signed roots do not fit them."""
        event = log.event_at(FULL)
        log.put(
            AuditLog,
            "entry",
            log.value(AuditLog, "entry", id=event).replace(b'"rows":', b'"bows":'),
            id=event,
        )
        query = sa.select(AuditLog.entry).join(AuditLeaf, AuditLeaf.id == AuditLog.id)
        entries = [row.entry for row in log.rows(query.order_by(AuditLeaf.leaf))]

        def work(connection: sa.Connection) -> None:
            for table in (AuditTile, AuditLeaf):
                connection.execute(sa.delete(table))
            head.append(connection, 0, list(zip(ids, entries, strict=True)))

        ids = [row.id for row in log.rows(sa.select(AuditLeaf.id).order_by(AuditLeaf.leaf))]
        log.within(work)
        found = log.found()
        assert found.keys() == {"root", "published"}
        assert [finding.leaf for finding in found["root"]] == [log.bound, log.size]


class TestCheckpoints:
    """Somebody changes what was signed."""

    @pytest.mark.parametrize("which", ["first", "newest"])
    @pytest.mark.parametrize("part", ["root", "signature"])
    def test_a_note(self, log: Log, which: str, part: str) -> None:
        """One character of a checkpoint's root, or of its signature: it does not fit any more."""
        sizes = [row.size for row in log.rows(sa.select(AuditCheckpoint.size).order_by(AuditCheckpoint.size))]
        size = sizes[0 if which == "first" else -1]
        note = log.value(AuditCheckpoint, "note", size=size)
        line = 2 if part == "root" else 4
        lines = note.split(b"\n")
        lines[line] = lines[line][:-9] + (b"B" if lines[line][-9:-8] == b"A" else b"A") + lines[line][-8:]
        log.put(AuditCheckpoint, "note", b"\n".join(lines), size=size)
        finding = only(log.found(), "checkpoint")
        assert named(finding) == (size, None, "signature")
        assert "does not fit" in finding.got

    def test_a_note_that_is_none(self, log: Log) -> None:
        """Bytes that are no signed note are told in words."""
        log.put(AuditCheckpoint, "note", b"nothing", size=log.size)
        assert named(only(log.found(), "checkpoint")) == (log.size, None, "note")

    def test_a_checkpoint_in_another_place(self, log: Log) -> None:
        """A checkpoint that is stored under another size is named."""
        log.put(AuditCheckpoint, "size", log.bound - 1, size=log.bound)
        finding = only(log.found(), "checkpoint")
        assert named(finding) == (log.bound - 1, None, "size")
        assert finding.got == str(log.bound)

    def test_the_newest_is_gone(self, log: Log) -> None:
        """The state tells of more leaves than the newest checkpoint."""
        log.do(sa.delete(AuditCheckpoint).where(AuditCheckpoint.size == log.size), rows=1)
        found = log.found()
        assert "state" in found
        assert {named(finding)[2] for finding in found["state"]} == {"size"}

    def test_all_are_gone(self, log: Log) -> None:
        """Without any checkpoint nothing is signed: the state says how many leaves there should be."""
        log.do(sa.delete(AuditCheckpoint))
        assert named(only(log.found(), "state")) == (None, None, "size")

    def test_a_root_that_was_signed(self, log: Log) -> None:
        """Signed by the right key over another tree: the root is not that of the tree."""
        log.within(lambda connection: sealedlog.put_head(connection, bytes(32), log.signer))
        found = log.found()
        assert found.keys() == {"root"}
        assert [(finding.leaf, finding.expected) for finding in found["root"]] == [(log.size, "00" * 32)]

    def test_an_old_key_signs_beyond_its_size(self, log: Log) -> None:
        """A retired key's checkpoint of a larger tree is no longer good, however right its root."""
        size = log.bound + 1

        def work(connection: sa.Connection) -> None:
            root = merkle.root(size, head.node_of(connection))
            old = FileSigner(name=log.stolen.name, seed=log.stolen.seed)
            note = notes.sign(Checkpoint(origin=old.name, size=size, root=root).text, [old])
            row = {"size": size, "time": sealedlog.NOW - dt.timedelta(minutes=90), "note": str(note).encode()}
            connection.execute(sa.insert(AuditCheckpoint).values(**row))

        log.within(work)
        finding = only(log.found(), "checkpoint")
        assert named(finding) == (size, None, "signature")
        assert f"retired at {log.bound}" in finding.got

    def test_everything_is_recomputed_with_an_old_key(self, log: Log) -> None:
        """A stolen key that was retired signs a new history: the head needs a key that signs now."""
        log.rewrite(FULL, b'"rows":', b'"bows":', signer=log.stolen)
        finding = only(log.found(published=None), "checkpoint")
        assert named(finding) == (log.size, None, "signature")
        assert f"retired at {log.bound}" in finding.got

    def test_the_old_key_is_taken_back(self, log: Log) -> None:
        """Who makes the old key one that signs, in the table too, is found by the log's own leaf."""
        log.rewrite(FULL, b'"rows":', b'"bows":', signer=log.stolen)
        log.put(AuditKey, "retired_size", None, vkey=log.stolen.verifier.vkey)
        assert log.found(published=None).keys() == {"checkpoint", "key"}

    def test_everything_is_recomputed_with_the_current_key(self, log: Log) -> None:
        """Who has the key that signs now can write another history; only what left the machine objects."""
        log.rewrite(FULL, b'"rows":', b'"bows":', signer=log.signer)
        assert log.found(published=None) == {}
        assert named(only(log.found(), "published")) == (log.size, None, "root")

    def test_nobody_is_trusted(self, log: Log) -> None:
        """A verifier who trusts another key finds that no checkpoint is signed by it."""
        other = FileSigner(name=log.stolen.name, seed=bytes(32)).verifier
        found = log.found(policy=Policy(logs=(other,)), published=None)
        assert found.keys() == {"checkpoint"}
        assert found["checkpoint"][0].got == "none that is trusted"


class TestRows:
    """Somebody removes, adds or moves rows."""

    def test_two_leaves_swapped(self, log: Log) -> None:
        """Two events in each other's place are both named."""
        one, two = log.event_at(FULL), log.event_at(FULL + 1)
        log.put(AuditLeaf, "id", events.uuid7(), leaf=FULL)
        log.put(AuditLeaf, "id", one, leaf=FULL + 1)
        log.put(AuditLeaf, "id", two, leaf=FULL)
        found = log.found()
        assert found.keys() == {"entry"}
        assert [named(finding) for finding in found["entry"]] == [(FULL, two, None), (FULL + 1, one, None)]

    def test_two_rows_swapped(self, log: Log) -> None:
        """Two rows whose contents were exchanged, but for their ids, do not say what their leaves say."""
        ids = [log.event_at(FULL), log.event_at(PARTIAL)]
        names = [column.name for column in table_of(AuditLog).columns if column.name != "id"]
        rows = [{name: log.value(AuditLog, name, id=event) for name in names} for event in ids]
        for event, values in zip(ids, reversed(rows), strict=True):
            log.do(sa.update(AuditLog).where(AuditLog.id == event).values(**values), rows=1)
        found = log.found()
        assert found.keys() == {"entry", "column"}
        assert [finding.leaf for finding in found["entry"]] == [FULL, PARTIAL]

    def test_a_row_by_hand(self, log: Log) -> None:
        """An event that went past the sequencer has no place."""
        (made,) = sealedlog.make(1, first=9000)
        log.do(sa.insert(AuditLog).values(**vars(made)), rows=1)
        assert named(only(log.found(), "stray")) == (None, made.id, None)

    @pytest.mark.parametrize("leaf", [1, FULL, -1])
    @pytest.mark.parametrize("columns", [True, False])
    def test_an_event_is_gone(self, log: Log, leaf: int, *, columns: bool) -> None:
        """The first, one in the middle, the last: its leaf remains and names it."""
        leaf = leaf % log.size
        event = log.drop(leaf)
        assert named(only(log.found(columns=columns), "missing")) == (leaf, event, None)

    @pytest.mark.parametrize("leaf", [1, FULL, -1])
    def test_an_event_is_gone_with_its_leaf(self, log: Log, leaf: int) -> None:
        """Its hash remains in the tree, so the gap is found."""
        leaf = leaf % log.size
        log.drop(leaf)
        log.do(sa.delete(AuditLeaf).where(AuditLeaf.leaf == leaf), rows=1)
        finding = only(log.found(), "leaf")
        assert (finding.leaf, finding.got) == (leaf, "0")

    def test_a_gap(self, log: Log) -> None:
        """A leaf without an event is found, and the event without a leaf."""
        event = log.event_at(FULL)
        log.do(sa.delete(AuditLeaf).where(AuditLeaf.leaf == FULL), rows=1)
        found = log.found()
        assert found.keys() == {"leaf", "stray"}
        assert named(found["leaf"][0]) == (FULL, None, None)
        assert named(found["stray"][0]) == (None, event, None)

    def test_one_out_and_one_in(self, log: Log) -> None:
        """A row by hand does not make up for one that is gone."""
        gone = log.drop(FULL)
        (made,) = sealedlog.make(1, first=9000)
        log.do(sa.insert(AuditLog).values(**vars(made)), rows=1)
        found = log.found()
        assert found.keys() == {"missing", "stray"}
        assert (found["missing"][0].event, found["stray"][0].event) == (gone, made.id)

    def test_a_leaf_beyond(self, log: Log) -> None:
        """An event that was given the next leaf by hand lies in no tree."""
        (made,) = sealedlog.make(1, first=9000)
        log.do(sa.insert(AuditLog).values(**vars(made)), rows=1)
        log.do(sa.insert(AuditLeaf).values(leaf=log.size, id=made.id), rows=1)
        assert named(only(log.found(), "leaf")) == (log.size, made.id, None)

    def test_a_mark_without_an_event(self, log: Log) -> None:
        """A pending mark of nothing is named."""
        event = events.uuid7()
        log.do(sa.insert(AuditPending).values(id=event), rows=1)
        assert named(only(log.found(), "missing")) == (None, event, None)

    def test_a_mark_of_a_sealed_event(self, log: Log) -> None:
        """An event that would be sealed once more is named."""
        event = log.event_at(FULL)
        log.do(sa.insert(AuditPending).values(id=event), rows=1)
        assert named(only(log.found(), "pending")) == (FULL, event, None)

    def test_the_tail_is_cut_off(self, log: Log) -> None:
        """Tail, tiles, state and checkpoints together: only what was published tells of it."""
        size = log.bound
        lost = sa.select(AuditLeaf.id).where(AuditLeaf.leaf >= size)
        ids = [row.id for row in log.rows(lost)]
        pending = [row.id for row in log.rows(sa.select(AuditPending.id))]
        hashes = log.value(AuditTile, "hashes", level=0, number=size // 256)
        roots = log.value(AuditTile, "hashes", level=1, number=0)
        retired = log.rows(sa.select(AuditLog.id).where(AuditLog.action == Action.KEY_RETIRE))
        assert set(retired[0]) <= {*ids, *pending}
        log.do(
            sa.delete(AuditLog).where(AuditLog.id.in_([*ids, *pending])),
            sa.delete(AuditPending),
            sa.delete(AuditLeaf).where(AuditLeaf.leaf >= size),
            sa.delete(AuditTile).where(AuditTile.number > size // 256),
            sa.delete(AuditCheckpoint).where(AuditCheckpoint.size > size),
            sa.update(AuditState).values(size=size),
            sa.update(AuditKey).values(retired_size=None),
        )
        log.put(AuditTile, "hashes", hashes[: size % 256 * 32], level=0, number=size // 256)
        log.put(AuditTile, "hashes", roots[: size // 256 * 32], level=1, number=0)
        # Both keys signed then. Whoever has not been told of the retirement sees an intact log.
        then = Policy(logs=(*log.policy.logs, *log.policy.retired))
        assert log.found(policy=then, published=None) == {}
        finding = only(log.found(policy=then), "published")
        assert named(finding) == (size, None, "size")
        assert f"{log.size} leaves" in finding.expected


class TestTables:
    """Somebody changes what the log keeps beside its events."""

    @pytest.mark.parametrize("change", [1, -1])
    def test_the_size(self, log: Log, change: int) -> None:
        """A state of another size is not that of the newest checkpoint."""
        log.do(sa.update(AuditState).values(size=log.size + change), rows=1)
        finding = only(log.found(), "state")
        assert named(finding) == (None, None, "size")
        assert finding.got == str(log.size)

    @pytest.mark.parametrize(("column", "value"), [("origin", "elsewhere"), ("incarnation", 2)])
    def test_the_state(self, log: Log, column: str, value: object) -> None:
        """Another name, or another count of incarnations, is not what was signed."""
        log.do(sa.update(AuditState).values({column: value}), rows=1)
        found = log.found(published=None)
        assert named(only(found, "state")) == (None, None, column)

    def test_no_state(self, log: Log) -> None:
        """A log without its state is not taken for none."""
        log.do(sa.delete(AuditState))
        found = log.found()
        assert found.keys() == {"state", "published"}

    @pytest.mark.parametrize("size", [None, 1])
    def test_a_key_is_retired_otherwise(self, log: Log, size: int | None) -> None:
        """The table of keys has to say what the leaf says."""
        log.put(AuditKey, "retired_size", size, vkey=log.stolen.verifier.vkey)
        finding = only(log.found(), "key")
        assert finding.column is not None
        assert finding.column.startswith(log.stolen.verifier.key_id.hex())
        assert finding.expected == f"retired at {log.bound}"

    def test_the_policy_says_otherwise(self, log: Log) -> None:
        """A policy that bounds a retired key by another size is not what the log says."""
        policy = log.policy
        later = dict.fromkeys(policy.retired, log.bound + 100)
        finding = only(log.found(policy=Policy(logs=policy.logs, retired=later)), "key")
        assert finding.got == f"retired at {log.bound + 100}"

    def test_a_key_too_many(self, log: Log) -> None:
        """A key that no leaf has added is named."""
        key = FileSigner(name=log.stolen.name, seed=bytes(32)).verifier
        row = {"vkey": key.vkey, "number": 9, "added_at": sealedlog.NOW, "retired_size": None}
        log.do(sa.insert(AuditKey).values(**row), rows=1)
        finding = only(log.found(), "key")
        assert (finding.column, finding.got) == (key.key_id.hex(), "none")

    def test_a_key_that_is_none(self, log: Log) -> None:
        """What stands in the table and is no key is named by its hash."""
        row = {"vkey": "a key", "number": 9, "added_at": sealedlog.NOW, "retired_size": None}
        log.do(sa.insert(AuditKey).values(**row), rows=1)
        finding = only(log.found(), "key")
        assert (finding.column, finding.got) == (
            f"sha256:{hashlib.sha256(b'a key').hexdigest()[:16]}",
            "none",
        )

    def test_a_key_is_gone(self, log: Log) -> None:
        """A key that a leaf has added, and that the table lacks, is named with its leaf."""
        log.do(sa.delete(AuditKey).where(AuditKey.vkey == log.stolen.verifier.vkey), rows=1)
        finding = only(log.found(), "key")
        assert (finding.leaf, finding.column) == (0, log.stolen.verifier.key_id.hex())

    def test_the_leaf_of_a_key(self, log: Log) -> None:
        """An entry that was changed tells nothing: the key has no leaf then; below `since` too."""
        event = log.event_at(0)
        log.put(
            AuditLog, "entry", log.value(AuditLog, "entry", id=event).replace(b'"v":1', b'"v":2'), id=event
        )
        for since in (0, 100):
            found = log.found(since=since)
            assert found.keys() == {"entry", "key"}
            assert [named(finding) for finding in found["entry"]] == [(0, event, None)]

    def test_pruned_sums(self, log: Log) -> None:
        """Sums of events that nobody pruned are found."""
        row = {"policy": "p", "table_name": "t", "action": "delete", "rows": 5}
        log.do(sa.insert(AuditPruned).values(**row), rows=1)
        finding = only(log.found(), "sums")
        assert (finding.expected, finding.got) == ("0", "5")

    def test_an_overlong_minimum(self, log: Log) -> None:
        """Entries that are missing below a minimum which no leaf has told are missing."""
        event = log.drop(5)
        log.do(sa.update(AuditState).values(minimum=10), rows=1)
        found = log.found()
        assert found.keys() == {"missing", "prune"}
        assert named(found["missing"][0]) == (5, event, None)
        assert named(found["prune"][0]) == (None, None, "minimum")


class TestSince:
    """Only entries from a leaf on."""

    def test_entries_before_are_taken_as_they_are(self, log: Log) -> None:
        """A change before is not looked for, one behind is found; the rest is looked at all the same."""
        log.put(AuditLog, "outcome", "denied", id=log.event_at(FULL - 1))
        report = log.verify(since=FULL)
        assert (report.findings, report.checked) == ((), log.size - FULL)
        log.put(AuditLog, "outcome", "denied", id=log.event_at(FULL))
        assert named(only(log.found(since=FULL), "column"))[0] == FULL

    def test_the_tree_is_whole(self, log: Log) -> None:
        """A leaf's hash before is found by the roots over it; so is a row by hand."""
        log.flip(AuditTile, "hashes", 32, level=0, number=0)
        (made,) = sealedlog.make(1, first=9000)
        log.do(sa.insert(AuditLog).values(**vars(made)), rows=1)
        assert {"tile", "root", "stray"} <= log.found(since=FULL).keys()


@pytest.mark.parametrize("kept", ["sqlite-one", "postgresql-one"], indirect=True)
class TestDuplicates:
    """A leaf, or an event, twice; somebody had to remove the table's own keys for it."""

    @pytest.fixture(autouse=True)
    def _without_keys(self, log: Log) -> Iterator[None]:
        """The table of leaves as a plain one."""
        make = "CREATE TABLE aegis_audit_leaves AS SELECT * FROM kept_leaves"
        log.do(
            *map(sa.text, ("ALTER TABLE aegis_audit_leaves RENAME TO kept_leaves", make)),
        )
        yield
        log.do(
            *map(
                sa.text,
                ("DROP TABLE aegis_audit_leaves", "ALTER TABLE kept_leaves RENAME TO aegis_audit_leaves"),
            )
        )

    def test_without_change(self, log: Log) -> None:
        """Without the keys, but without a duplicate either, nothing is found."""
        assert log.found() == {}

    def test_a_leaf_twice(self, log: Log) -> None:
        """Two events in one place."""
        log.do(sa.insert(AuditLeaf).values(leaf=FULL, id=log.event_at(FULL)), rows=1)
        found = log.found()
        assert found.keys() == {"leaf"}
        assert {(finding.leaf, finding.got) for finding in found["leaf"]} == {(FULL, "2")}

    def test_an_event_twice(self, log: Log) -> None:
        """One event in two places, in place of another."""
        event, other = log.event_at(FULL), log.event_at(FULL + 1)
        log.put(AuditLeaf, "id", event, leaf=FULL + 1)
        found = log.found()
        assert found.keys() == {"entry", "leaf", "stray"}
        assert [named(finding)[:2] for finding in found["leaf"]] == [(FULL, event)]
        assert found["stray"][0].event == other
