"""Exporting the log: every event arrives at least once, and none beyond what was signed."""

import base64
import json
import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from pymerkle import InmemoryTree

from aegis.audit import actions, head
from aegis.audit.actions import Action
from aegis.audit.exported import checking
from aegis.audit.exported.report import Report
from aegis.audit.exports import batches, cursor, receivers, sinks
from aegis.audit.exports.cursor import Cursor
from aegis.audit.exports.export import Exported
from aegis.audit.exports.formats.table import FORMATS
from aegis.audit.recorder import Note, store
from aegis.audit.tlog import merkle, notes
from aegis.db.engines import reading, writing
from aegis.db.tables import AuditLeaf, AuditLog
from aegis.errors import (
    Busy,
    NotPrepared,
    OperationFailed,
    Refused,
    SettingsError,
    Tampered,
    UnknownName,
    Unreachable,
    UsageError,
)
from aegis.settings import AuditSettings, ExportSettings, load_settings
from api import log
from api.audit import export_as_configured, export_audit_log, get_audit_events, record_audit, seal_audit_log
from cli.audit_export import export
from tasks import audit as tasks
from tests import worlds
from tests.receivers import HttpServer, SyslogServer, certificate
from tests.starter import starter
from tests.worlds import Builder, World

CONTROL: Final = "control database"
SIEM: Final = sorted(set(FORMATS) - {"jsonl"})
#: A control database of each kind.
EACH: Final = pytest.mark.parametrize("layout", worlds.EACH_DATABASE, indirect=True)


@pytest.fixture
def layout(request: pytest.FixtureRequest) -> str:
    """The layout of a test: SQLite, unless it runs in each."""
    return str(getattr(request, "param", "sqlite-one"))


@pytest.fixture
def world(layout: str, builder: Builder, tmp_path: Path) -> Iterator[World]:
    """A log with a key and nothing sealed yet; no row of an application changes here."""
    made = builder.build(layout, tmp_path)
    with reading(made.system.databases.control, CONTROL) as connection:
        begun = head.begun(connection)
    if begun is None:
        log.begin_log("logs.example.com/test", actor="tests")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def filled(world: World) -> World:
    """The same with ten sealed events."""
    record(world, 9)
    assert seal_audit_log().size == 10
    return world


@pytest.fixture
def http() -> Iterator[HttpServer]:
    """An HTTP server."""
    with HttpServer().running() as server:
        yield server


@pytest.fixture
def syslog() -> Iterator[SyslogServer]:
    """A syslog server over TCP."""
    with SyslogServer().running() as server:
        yield server


def record(world: World, count: int) -> None:
    """Record events about persons, with sealed details."""
    recorder = world.system.recorder
    prepared = [
        recorder.prepare(
            Note(
                action=actions.public_name("note"),
                actor=worlds.ACTOR,
                target_type="user",
                target_id=f"{worlds.CANARY}-{number % 3}",
                details={"mail": worlds.ACTOR, "number": number},
            )
        )
        for number in range(count)
    ]
    with writing(world.system.databases.control, CONTROL) as connection:
        store(connection, *prepared)


def grow(world: World, count: int) -> None:
    """Record events and seal them."""
    record(world, count)
    seal_audit_log()


def leaves(world: World) -> list[tuple[str, bytes]]:
    """Return id and entry of every leaf, in order."""
    query = sa.select(AuditLog.id, AuditLog.entry).join(AuditLeaf, AuditLeaf.id == AuditLog.id)
    with reading(world.system.databases.control, CONTROL) as connection:
        return [(row.id, row.entry) for row in connection.execute(query.order_by(AuditLeaf.leaf))]


def tell(world: World, statement: str, **values: Any) -> None:
    """Change the control database by hand."""
    with world.control.begin() as connection:
        connection.execute(sa.text(statement), values)


def pruned(world: World, last: int) -> None:
    """Prune the log up to a leaf: its event first, sealed, then the entries go."""
    details = {"first": 0, "last": last, "rows": {}, "root": "", "before": ""}
    world.system.recorder.record(
        Note(action=Action.AUDIT_PRUNE, actor="system", target_type="log", target_id="l", details=details)
    )
    seal_audit_log()
    gone = sa.select(AuditLeaf.id).where(AuditLeaf.leaf <= last)
    with writing(world.system.databases.control, CONTROL) as connection:
        connection.execute(sa.delete(AuditLog).where(AuditLog.id.in_(gone)))
        head.update(connection, minimum=last + 1)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of JSON lines."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def events_of(path: Path) -> list[int]:
    """Return the leaves of the events in a file, in order."""
    return [line["leaf"] for line in lines_of(path) if "leaf" in line]


def checked(world: World, path: Path, *, start: int = 0) -> Report:
    """Check an export with what was published."""
    return checking.check(path, world.system.published.policy(), start=start)


def intact(world: World, path: Path, *, start: int = 0) -> Report:
    """Check an export, in which nothing may be found or be open."""
    report = checked(world, path, start=start)
    assert (report.findings, report.unproven) == ([], [])
    return report


def recorded() -> list[dict[str, Any]]:
    """Return the events of exports, the oldest first."""
    return get_audit_events(action=Action.AUDIT_EXPORT)[::-1]


@EACH
class TestLines:
    """An export as lines of JSON, in each database."""

    def test_every_leaf_verbatim(self, filled: World, tmp_path: Path) -> None:
        """The exact bytes of every entry, proved by the checkpoint behind them, without the database."""
        file = tmp_path / "audit.jsonl"
        done = export_audit_log("jsonl", str(file))
        assert done == Exported(format="jsonl", first=0, next=10, events=10, pruned=(), size=10)
        raw = file.read_bytes().split(b"\n")[:-1]
        for line, (_, entry) in zip(raw[:-1], leaves(filled), strict=True):
            assert b',"event":' + entry + b',"sealed":' in line
        report = intact(filled, file)
        assert (report.first, report.next, report.events) == (0, 10, 10)

    def test_it_goes_on_where_it_stopped(self, filled: World, tmp_path: Path) -> None:
        """Several exports into one file are one history, without a gap and without a repetition."""
        file = tmp_path / "audit.jsonl"
        for more in (3, 0, 7, 1):
            export_audit_log("jsonl", str(file))
            record(filled, more)
            seal_audit_log()
        done = export_audit_log("jsonl", str(file))
        report = intact(filled, file)
        assert (report.next, report.events, report.repeated) == (done.size, done.size, 0)
        assert events_of(file) == list(range(done.size))

    def test_nothing_beyond_what_was_signed(self, filled: World, tmp_path: Path) -> None:
        """Events that wait for their leaf are not exported."""
        record(filled, 5)
        file = tmp_path / "audit.jsonl"
        assert export_audit_log("jsonl", str(file)).next == 10
        assert events_of(file) == list(range(10))

    def test_pruned_leaves(self, filled: World, tmp_path: Path) -> None:
        """The export says which they are and goes on behind them, and still verifies."""
        pruned(filled, 3)
        file = tmp_path / "audit.jsonl"
        done = export_audit_log("jsonl", str(file))
        assert (done.pruned, done.first, done.next) == (((0, 3),), 0, 11)
        assert lines_of(file)[0]["pruned"] == [0, 3]
        report = intact(filled, file)
        assert (report.pruned, report.events) == ([(0, 3)], 7)

    def test_pruned_between_two_exports(self, filled: World, tmp_path: Path) -> None:
        """What was exported before stays; what was not and is gone is said."""
        file = tmp_path / "audit.jsonl"
        export_audit_log("jsonl", str(file), limit=4)
        grow(filled, 5)
        pruned(filled, 7)
        done = export_audit_log("jsonl", str(file))
        assert done.pruned == ((4, 7),)
        report = intact(filled, file)
        assert report.pruned == [(4, 7)]
        assert report.events == done.size - 4

    def test_an_entry_that_was_changed(self, filled: World, tmp_path: Path) -> None:
        """It is not exported, nor anything behind it; the leaf is named, the cursor stays."""
        file = tmp_path / "audit.jsonl"
        export_audit_log("jsonl", str(file), limit=4)
        event, entry = leaves(filled)[6]
        tell(filled, "UPDATE audit_logs SET entry = :entry WHERE id = :id", entry=entry + b" ", id=event)
        with pytest.raises(Tampered, match="leaf 6 of the log is not the event that was sealed there"):
            export_audit_log("jsonl", str(file))
        assert events_of(file) == [0, 1, 2, 3]
        tell(filled, "UPDATE audit_logs SET entry = :entry WHERE id = :id", entry=entry, id=event)
        export_audit_log("jsonl", str(file))
        assert intact(filled, file).repeated == 0


class TestTamperedLog:
    """A log that is not what was sealed is not exported."""

    def test_an_event_that_is_gone(self, filled: World, tmp_path: Path) -> None:
        """A row that was deleted, and not by pruning."""
        tell(filled, "DELETE FROM audit_logs WHERE id = :id", id=leaves(filled)[9][0])
        with pytest.raises(Tampered, match="leaf 9 of the log has no event, and was not pruned"):
            export_audit_log("jsonl", str(tmp_path / "a.jsonl"))
        with pytest.raises(Tampered, match="leaf 9 of the log has no event, and was not pruned"):
            export_audit_log("tiles", str(tmp_path / "tiles"))

    def test_a_hole_in_the_middle(self, filled: World, tmp_path: Path) -> None:
        """The first leaf that is missing is named."""
        tell(filled, "DELETE FROM audit_logs WHERE id = :id", id=leaves(filled)[4][0])
        with pytest.raises(Tampered, match="leaf 4 of the log has no event"):
            export_audit_log("jsonl", str(tmp_path / "a.jsonl"))

    def test_sealed_details_that_were_changed(self, filled: World, tmp_path: Path) -> None:
        """The entry commits to them."""
        tell(
            filled,
            "UPDATE audit_logs SET sealed = :sealed WHERE id = :id",
            sealed=b"x",
            id=leaves(filled)[5][0],
        )
        with pytest.raises(Tampered, match="sealed details of leaf 5"):
            export_audit_log("jsonl", str(tmp_path / "a.jsonl"))

    def test_an_entry_that_was_changed_is_in_no_tile(self, filled: World, tmp_path: Path) -> None:
        """The folder gets no checkpoint."""
        event, entry = leaves(filled)[6]
        tell(filled, "UPDATE audit_logs SET entry = :entry WHERE id = :id", entry=entry + b" ", id=event)
        with pytest.raises(Tampered, match="leaf 6 of the log is not the event"):
            export_audit_log("tiles", str(tmp_path / "tiles"))
        assert not (tmp_path / "tiles" / "checkpoint").exists()

    def test_tiles_that_were_changed(self, filled: World, tmp_path: Path) -> None:
        """Tiles that do not lead to what was signed: no batch, and no checkpoint."""
        event, entry = leaves(filled)[6]
        changed = entry.replace(b'"v":1', b'"v":2')
        hashes = b"".join(
            merkle.leaf_hash(changed if one == event else found) for one, found in leaves(filled)
        )
        tell(filled, "UPDATE audit_logs SET entry = :entry WHERE id = :id", entry=changed, id=event)
        tell(
            filled,
            "UPDATE aegis_audit_tiles SET hashes = :hashes WHERE level = 0 AND number = 0",
            hashes=hashes,
        )
        with pytest.raises(Tampered, match="the stored tiles from leaf 0 on do not lead to the checkpoint"):
            export_audit_log("jsonl", str(tmp_path / "a.jsonl"))
        with pytest.raises(Tampered, match="do not lead to its checkpoint of 10"):
            export_audit_log("tiles", str(tmp_path / "tiles"))
        assert not (tmp_path / "tiles" / "checkpoint").exists()


class TestForASiem:
    """The formats of a SIEM."""

    @pytest.mark.parametrize("name", SIEM)
    def test_every_event_once_and_in_order(self, filled: World, tmp_path: Path, name: str) -> None:
        """One line for each leaf, with the event's id."""
        file = tmp_path / "out"
        assert export_audit_log(name, str(file), limit=6).events == 6
        assert export_audit_log(name, str(file)).events == 4
        found = re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", file.read_text())
        assert [one for one in found if one in dict(leaves(filled))] == [one for one, _ in leaves(filled)]
        assert len(file.read_bytes().splitlines()) == 10

    @pytest.mark.parametrize("name", SIEM)
    def test_it_goes_on_behind_what_was_pruned(self, filled: World, tmp_path: Path, name: str) -> None:
        """The report says what was pruned; the event of the pruning is among those that follow."""
        pruned(filled, 3)
        file = tmp_path / "out"
        done = export_audit_log(name, str(file))
        assert (done.pruned, done.events) == (((0, 3),), 7)
        assert len(file.read_bytes().splitlines()) == 7
        assert b"audit:prune" in file.read_bytes().splitlines()[-1]

    @pytest.mark.usefixtures("filled")
    def test_no_person_in_any_export(self, tmp_path: Path) -> None:
        """Neither names nor addresses nor details go out, in no format."""
        for name in FORMATS:
            export_audit_log(name, str(tmp_path / name))
        export_audit_log("tiles", str(tmp_path / "tiles"))
        files = [file for file in tmp_path.rglob("*") if file.is_file() and "home" not in file.parts]
        assert len(files) > 2 * len(FORMATS)
        for file in files:
            data = file.read_bytes()
            assert worlds.CANARY.encode() not in data, file
            assert base64.b64encode(worlds.CANARY.encode())[:12] not in data, file


class TestCursor:
    """How far an export has come."""

    def test_it_names_the_next_leaf_and_what_is_before_it(self, filled: World, tmp_path: Path) -> None:
        """The text of a checkpoint of what was acknowledged, beside the file, or where one wishes."""
        export_audit_log("jsonl", str(tmp_path / "a.jsonl"), limit=7)
        seen = Cursor(tmp_path / "a.jsonl.cursor").read()
        assert seen is not None
        assert (seen.origin, seen.size) == (notes.checkpoint(newest(filled)).origin, 7)
        assert seen.root == merkle.root_of([merkle.leaf_hash(entry) for _, entry in leaves(filled)[:7]])
        export_audit_log("ecs", str(tmp_path / "b"), cursor=tmp_path / "mine", limit=2)
        assert (tmp_path / "mine").read_text().split("\n")[1] == "2"
        assert not (tmp_path / "b.cursor").exists()

    @pytest.mark.parametrize(
        "content", [b"", b"5", b"7\n", b"\xff\xfe", b"o\n5\nAAAA\n", b"o\n-1\n" + b"A" * 43 + b"=\n"]
    )
    @pytest.mark.usefixtures("filled")
    def test_one_that_cannot_be_read(self, tmp_path: Path, content: bytes) -> None:
        """It is refused, and nothing is exported."""
        (tmp_path / "c").write_bytes(content)
        with pytest.raises(UsageError, match=r"c is no cursor of an export"):
            export_audit_log("jsonl", str(tmp_path / "a.jsonl"), cursor=tmp_path / "c")
        assert not (tmp_path / "a.jsonl").exists()
        assert (tmp_path / "c").read_bytes() == content

    @pytest.mark.usefixtures("filled")
    def test_one_that_is_a_folder(self, tmp_path: Path) -> None:
        """Neither can a folder be one, nor can it be in a folder that is not there."""
        (tmp_path / "c").mkdir()
        with pytest.raises(UsageError, match=r"the cursor .*c cannot be read: Is a directory"):
            export_audit_log("jsonl", str(tmp_path / "a.jsonl"), cursor=tmp_path / "c")
        with pytest.raises(UsageError, match=r"c\.lock cannot be made: No such file"):
            export_audit_log("jsonl", str(tmp_path / "a.jsonl"), cursor=tmp_path / "missing" / "c")

    def test_one_that_is_ahead_of_the_log(self, filled: World, tmp_path: Path) -> None:
        """The database was restored, or is another one: refused, with an explanation."""
        now = notes.checkpoint(newest(filled))
        Cursor(tmp_path / "c").save(replace(now, size=11))
        with pytest.raises(
            Refused, match="at leaf 11, ahead of the log, which has 10 sealed leaves: its database"
        ):
            export_audit_log("jsonl", str(tmp_path / "a.jsonl"), cursor=tmp_path / "c")
        assert not (tmp_path / "a.jsonl").exists()

    def test_one_of_another_history(self, filled: World, tmp_path: Path) -> None:
        """The leaves before it are not those that were exported."""
        now = notes.checkpoint(newest(filled))
        Cursor(tmp_path / "c").save(replace(now, size=9))
        with pytest.raises(Tampered, match="the first 9 leaves of the log are not those that were exported"):
            export_audit_log("jsonl", str(tmp_path / "a.jsonl"), cursor=tmp_path / "c")

    def test_one_of_before_a_restore(self, filled: World, tmp_path: Path) -> None:
        """A log that goes on under a new name has other leaves under the same numbers: a new export."""
        now = notes.checkpoint(newest(filled))
        Cursor(tmp_path / "c").save(replace(now, origin="logs.example.com/before"))
        with pytest.raises(Refused, match=r"is of the log logs\.example\.com/before; .* Begin a new export"):
            export_audit_log("jsonl", str(tmp_path / "a.jsonl"), cursor=tmp_path / "c")

    @pytest.mark.usefixtures("world")
    def test_one_before_anything_was_sealed(self, tmp_path: Path) -> None:
        """With a cursor there must be something that it is the cursor of."""
        Cursor(tmp_path / "c").save(notes.Checkpoint(origin="o", size=3, root=bytes(32)))
        with pytest.raises(Refused, match="at leaf 3, but nothing of this log was sealed yet"):
            export_audit_log("jsonl", str(tmp_path / "a.jsonl"), cursor=tmp_path / "c")

    def test_where_to_begin(self, filled: World, tmp_path: Path) -> None:
        """From a leaf on, without a cursor; with one it is a contradiction."""
        file = tmp_path / "a.jsonl"
        done = export_audit_log("jsonl", str(file), start=4)
        assert (done.first, done.events) == (4, 6)
        intact(filled, file, start=4)
        with pytest.raises(UsageError, match="says that leaf 10 is the next: give no --from"):
            export_audit_log("jsonl", str(file), start=4)
        with pytest.raises(UsageError, match="--from 11 is ahead of the log, which has 10"):
            export_audit_log("jsonl", str(tmp_path / "b.jsonl"), start=11)

    @pytest.mark.parametrize("limit", [1, 3, 9, 10, 11])
    def test_at_most_so_many(self, filled: World, tmp_path: Path, limit: int) -> None:
        """Again and again, until nothing is left: one history all the same."""
        file, calls = tmp_path / "a.jsonl", 0
        while export_audit_log("jsonl", str(file), limit=limit).next < 10:
            calls += 1
        assert calls == (10 - 1) // limit
        assert intact(filled, file).events == 10

    @pytest.mark.parametrize(
        ("limit", "start"), [(0, None), (-1, None), (True, None), (None, -1), ("5", None)]
    )
    @pytest.mark.usefixtures("filled")
    def test_numbers_that_cannot_be_meant(self, tmp_path: Path, limit: Any, start: Any) -> None:
        """Refused before anything is touched."""
        with pytest.raises(UsageError, match="expected a whole number"):
            export_audit_log("jsonl", str(tmp_path / "a"), limit=limit, start=start)
        assert list(tmp_path.glob("a*")) == []

    @pytest.mark.usefixtures("filled")
    def test_two_exports_exclude_one_another(self, tmp_path: Path) -> None:
        """With one cursor, with one file under two cursors, and with one folder of tiles."""
        file = tmp_path / "a.jsonl"
        with (
            Cursor(tmp_path / "a.jsonl.cursor").held(),
            pytest.raises(Busy, match="another export is at work"),
        ):
            export_audit_log("jsonl", str(file))
        other = sinks.open_sink(str(file), FORMATS["jsonl"])
        with pytest.raises(Busy, match=r"another export is at work with .*a\.jsonl"):
            export_audit_log("jsonl", str(file), cursor=tmp_path / "other")
        other.close()
        export_audit_log("tiles", str(tmp_path / "tiles"))
        with cursor.lock(tmp_path / "tiles" / ".lock"), pytest.raises(Busy):
            export_audit_log("tiles", str(tmp_path / "tiles"))
        assert export_audit_log("jsonl", str(file)).events == 10

    def test_a_cursor_that_cannot_be_saved(self, filled: World, tmp_path: Path) -> None:
        """The batch comes again: a repetition, never a gap."""
        file, obstacle = tmp_path / "a.jsonl", tmp_path / ".a.jsonl.cursor.new"
        obstacle.mkdir()
        with pytest.raises(OperationFailed, match=r"a\.jsonl\.cursor cannot be written: Is a directory"):
            export_audit_log("jsonl", str(file))
        obstacle.rmdir()
        export_audit_log("jsonl", str(file))
        report = intact(filled, file)
        assert (report.events, report.repeated) == (10, 10)


def newest(world: World) -> notes.Note:
    """Return the newest checkpoint's note."""
    with reading(world.system.databases.control, CONTROL) as connection:
        found = head.newest(connection)
    assert found is not None
    return found


class TestOwnEvents:
    """An export is recorded, and does not keep the log growing."""

    @pytest.mark.usefixtures("filled")
    def test_what_is_recorded(self, tmp_path: Path) -> None:
        """Format and range, by whoever did it, once for each call that handed something over."""
        export_audit_log("jsonl", str(tmp_path / "a"), limit=4, actor=worlds.ACTOR)
        export_audit_log("ecs", str(tmp_path / "b"))
        found = [(event["details"], event["actor"]) for event in recorded()]
        assert found == [
            ({"format": "jsonl", "first": 0, "last": 3}, worlds.ACTOR),
            ({"format": "ecs", "first": 0, "last": 9}, "system"),
        ]

    @pytest.mark.usefixtures("filled")
    def test_an_export_every_minute(self, tmp_path: Path) -> None:
        """Four exports of a log in which nothing else happens: it stops growing."""
        sizes = []
        for _ in range(5):
            for name in FORMATS:
                export_audit_log(name, str(tmp_path / name))
            export_audit_log("tiles", str(tmp_path / "tiles"))
            sizes.append(seal_audit_log().size)
        assert sizes == [10 + len(FORMATS) + 1] * 5
        for name in FORMATS:
            assert export_audit_log(name, str(tmp_path / name)).events == 0

    @pytest.mark.usefixtures("filled")
    def test_what_was_handed_over_before_a_failure_is_recorded(
        self, tmp_path: Path, http: HttpServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An export that is refused in the middle says how far it came."""
        monkeypatch.setattr(batches, "PORTION", 4)
        http.statuses = [200, 200, 503]
        with pytest.raises(Unreachable, match="Leaf 8 is the next"):
            export_audit_log("ecs", http.url, cursor=tmp_path / "c")
        assert [event["details"] for event in recorded()] == [{"format": "ecs", "first": 0, "last": 7}]

    @pytest.mark.usefixtures("filled")
    def test_nothing_is_recorded_when_nothing_went_out(self, tmp_path: Path, http: HttpServer) -> None:
        """A receiver that refuses has got nothing."""
        http.statuses = [500]
        with pytest.raises(Unreachable):
            export_audit_log("ecs", http.url, cursor=tmp_path / "c")
        assert recorded() == []


class TestFile:
    """A file that is appended to."""

    @pytest.mark.parametrize("name", FORMATS)
    def test_a_torn_line_is_cut_off(self, filled: World, tmp_path: Path, name: str) -> None:
        """What a crash left of a last line goes, and nothing else."""
        file = tmp_path / "out"
        export_audit_log(name, str(file), limit=4)
        whole = file.read_bytes()
        torn = whole.splitlines(keepends=True)[2][:-30]
        file.write_bytes(whole + torn)
        export_audit_log(name, str(file))
        assert file.read_bytes().startswith(whole)
        assert torn + b"{" not in file.read_bytes()[len(whole) :]
        assert all(line.startswith(FORMATS[name].begins) for line in file.read_bytes().splitlines())
        if name == "jsonl":
            intact(filled, file)

    def test_a_line_longer_than_what_is_read_at_a_time(
        self, filled: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The last end of a line is found however far back it is."""
        monkeypatch.setattr(sinks, "_BLOCK", 7)
        file = tmp_path / "a.jsonl"
        export_audit_log("jsonl", str(file), limit=4)
        with file.open("ab") as out:
            out.write(b'{"leaf":4,"event":' + b"x" * 100)
        export_audit_log("jsonl", str(file))
        assert intact(filled, file).events == 10

    @pytest.mark.parametrize("content", [b"hello", b'{"a":1}', b"line\nno end"])
    @pytest.mark.usefixtures("filled")
    def test_a_file_of_something_else(self, tmp_path: Path, content: bytes) -> None:
        """A last line that is none of ours is not cut off: refused, unchanged."""
        file = tmp_path / "notes.txt"
        file.write_bytes(content)
        with pytest.raises(Tampered, match="ends with a line that is none of an export as jsonl"):
            export_audit_log("jsonl", str(file))
        assert file.read_bytes() == content

    @pytest.mark.usefixtures("filled")
    def test_what_cannot_be_written(self, tmp_path: Path) -> None:
        """A folder, a missing folder, no file at all, a pipe."""
        (tmp_path / "folder").mkdir()
        os.mkfifo(tmp_path / "pipe")
        for to, what in (
            (tmp_path / "folder", "cannot be written: Is a directory"),
            (tmp_path / "missing" / "a", "cannot be made: No such file or directory"),
            (Path("/"), "name a file"),
            (tmp_path / "pipe", "is no plain file"),
            (Path("/proc/nothing"), "cannot be made|cannot be written"),
        ):
            with pytest.raises(UsageError, match=what):
                export_audit_log("jsonl", str(to))

    def test_a_full_disk(self, filled: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Half a batch was written: the error says where the export stands; the next one goes on there."""
        file, write = tmp_path / "a.jsonl", os.write

        def full(handle: int, data: bytes) -> int:
            if len(data) < 3000:
                raise OSError(28, "No space left on device")
            return write(handle, data[:1000])

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(OperationFailed, match=r"No space left on device\. Leaf 0 is the next"):
                export_audit_log("jsonl", str(file))
        assert not (tmp_path / "a.jsonl.cursor").exists()
        left = file.stat().st_size
        assert left > 0
        export_audit_log("jsonl", str(file))
        assert intact(filled, file).events == 10


KILLED: Final = """
import os, signal, sys
from pathlib import Path
from aegis.audit.exports import cursor, sinks
from api.audit import export_audit_log

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

write, count = os.write, [0]

def torn(handle, data):
    # The second write of the export is cut in its middle.
    written = write(handle, bytes(data)[: len(data) // 2])
    die()
    return written

match sys.argv[1]:
    case "before the cursor":
        cursor.Cursor.save = die
    case "in the middle of a write":
        sinks.os = type("Os", (), dict(vars(os)) | {"write": staticmethod(torn)})
    case "before the rename":
        Path.replace = die
    case "before the checkpoint":
        from aegis.audit.exports.tilefolder import TileFolder
        TileFolder.publish = die
    case "in the tiles":
        from aegis.audit.exports.tilefolder import TileFolder
        put = TileFolder.put
        def some(self, name, data):
            count[0] += 1
            put(self, name, data) if count[0] < 3 else die()
        TileFolder.put = some
export_audit_log(sys.argv[2], sys.argv[3])
"""


def kill_an_export(world: World, where: str, layout: str, to: Path) -> None:
    """Run an export in another process, which kills itself where it says."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AEGIS_")}
    environment |= {"AEGIS_HOME": str(world.settings.home), "AEGIS_CONFIG": ""}
    if world.settings.database_url:
        environment["AEGIS_DATABASE_URL"] = world.settings.database_url
    words = [where, layout, str(to)]
    folder = world.settings.home
    code, _, errors = starter().run(words, folder=folder, environment=environment, script=KILLED)
    assert code == -signal.SIGKILL, errors


@pytest.mark.parametrize("layout", ["sqlite-one", "postgresql-one"], indirect=True)
class TestKilled:
    """`kill -9` of an exporter: an event can come twice, none is left out."""

    @pytest.mark.parametrize("where", ["before the cursor", "before the rename"])
    def test_before_its_cursor_is_saved(self, filled: World, tmp_path: Path, where: str) -> None:
        """What the receiver has and the cursor does not know of comes again."""
        file = tmp_path / "a.jsonl"
        export_audit_log("jsonl", str(file), limit=3)
        kill_an_export(filled, where, "jsonl", file)
        assert Cursor(tmp_path / "a.jsonl.cursor").read() == replace(first(filled, 3), size=3)
        assert events_of(file) == list(range(10))
        export_audit_log("jsonl", str(file))
        assert events_of(file) == [*range(10), *range(3, 10)]
        report = intact(filled, file)
        assert (report.events, report.repeated) == (10, 7)

    def test_in_the_middle_of_a_write(self, filled: World, tmp_path: Path) -> None:
        """A torn line is cut off, the lines before it come again."""
        file = tmp_path / "a.jsonl"
        export_audit_log("jsonl", str(file), limit=3)
        kill_an_export(filled, "in the middle of a write", "jsonl", file)
        left = file.read_bytes().rpartition(b"\n")[2]
        assert left
        assert not checked(filled, file).findings
        export_audit_log("jsonl", str(file))
        assert set(events_of(file)) == set(range(10))
        assert intact(filled, file).events == 10

    @pytest.mark.parametrize("name", SIEM)
    def test_a_siem_sees_no_gap(self, filled: World, tmp_path: Path, name: str) -> None:
        """The same ids again, byte for byte, and all of them."""
        file = tmp_path / "out"
        export_audit_log(name, str(file), limit=3)
        kill_an_export(filled, "before the cursor", name, file)
        export_audit_log(name, str(file))
        counts = Counter(file.read_bytes().splitlines())
        assert len(counts) == 10
        assert sorted(counts.values()) == [1] * 3 + [2] * 7

    @pytest.mark.parametrize("where", ["before the checkpoint", "in the tiles", "before the rename"])
    def test_a_folder_of_tiles(self, filled: World, tmp_path: Path, where: str) -> None:
        """Until the new checkpoint is there the old one holds, and the next export completes it."""
        folder = tmp_path / "tiles"
        export_audit_log("tiles", str(folder))
        before = intact(filled, folder)
        grow(filled, 600)
        kill_an_export(filled, where, "tiles", folder)
        assert intact(filled, folder) == before
        export_audit_log("tiles", str(folder))
        assert intact(filled, folder).events == len(leaves(filled))


def first(world: World, size: int) -> notes.Checkpoint:
    """Return what a cursor says after so many leaves."""
    hashes = [merkle.leaf_hash(entry) for _, entry in leaves(world)[:size]]
    return notes.Checkpoint(
        origin=notes.checkpoint(newest(world)).origin, size=size, root=merkle.root_of(hashes)
    )


class TestHttp:
    """A receiver over HTTP."""

    def test_it_gets_lines(self, filled: World, tmp_path: Path, http: HttpServer) -> None:
        """By POST, with their type, and with the authorization that a file has at that time."""
        token = tmp_path / "token"
        token.write_text("Splunk canary-token\n")
        export_audit_log("ocsf", http.url, cursor=tmp_path / "c", authorization=token, limit=4)
        token.write_text("Splunk renewed")
        export_audit_log("ocsf", http.url, cursor=tmp_path / "c", authorization=token)
        assert [headers["Authorization"] for headers in http.headers] == [
            "Splunk canary-token",
            "Splunk renewed",
        ]
        assert {headers["Content-Type"] for headers in http.headers} == {"application/x-ndjson"}
        documents = [json.loads(line) for body in http.bodies for line in body.splitlines()]
        assert [one["metadata"]["uid"] for one in documents] == [one for one, _ in leaves(filled)]

    def test_lines_of_json_verify_where_they_arrived(
        self, filled: World, tmp_path: Path, http: HttpServer
    ) -> None:
        """What an endpoint appends to a file is an export like any other."""
        export_audit_log("jsonl", http.url, cursor=tmp_path / "c", limit=4)
        export_audit_log("jsonl", http.url, cursor=tmp_path / "c")
        (tmp_path / "there.jsonl").write_bytes(b"".join(http.bodies))
        assert intact(filled, tmp_path / "there.jsonl").events == 10

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (500, Unreachable),
            (503, Unreachable),
            (429, Unreachable),
            (400, OperationFailed),
            (401, OperationFailed),
            (302, OperationFailed),
            (307, OperationFailed),
            (304, OperationFailed),
        ],
    )
    @pytest.mark.usefixtures("filled")
    def test_it_refuses(self, tmp_path: Path, http: HttpServer, status: int, kind: type[Exception]) -> None:
        """The cursor stays where it was, and the error says so, without the secrets of the URL."""
        export_audit_log("ecs", http.url, cursor=tmp_path / "c", limit=4)
        before = (tmp_path / "c").read_bytes()
        http.statuses = [status]
        with pytest.raises(
            kind, match=rf"did not take the events: HTTP {status}\. Leaf 4 is the next"
        ) as caught:
            export_audit_log("ecs", http.url, cursor=tmp_path / "c")
        assert worlds.CANARY not in str(caught.value)
        assert (tmp_path / "c").read_bytes() == before
        assert set(http.methods) == {"POST"}
        http.statuses = [204]
        assert export_audit_log("ecs", http.url, cursor=tmp_path / "c").first == 4
        assert b"".join(http.bodies).count(b"\n") == 10

    @pytest.mark.usefixtures("filled")
    def test_long_batches_are_several_requests(
        self, tmp_path: Path, http: HttpServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """None longer than the limit, unless one line is; and one that is refused repeats the batch."""
        monkeypatch.setattr(receivers, "BODY", 2000)
        http.statuses = [200, 200, 503]
        with pytest.raises(Unreachable):
            export_audit_log("ecs", http.url, cursor=tmp_path / "c")
        assert len(http.bodies) == 2
        assert not (tmp_path / "c").exists()
        http.statuses = [200]
        export_audit_log("ecs", http.url, cursor=tmp_path / "c")
        assert all(len(body) <= 2000 for body in http.bodies)
        monkeypatch.setattr(receivers, "BODY", 1)
        http.bodies.clear()
        export_audit_log("ecs", http.url, cursor=tmp_path / "d", limit=3)
        assert [body.count(b"\n") for body in http.bodies] == [1, 1, 1]

    @pytest.mark.usefixtures("filled")
    def test_nobody_there(self, tmp_path: Path, http: HttpServer) -> None:
        """A port on which nobody listens, and a server that answers no HTTP."""
        gone = HttpServer()
        url = gone.url
        gone._server.server_close()  # noqa: SLF001 - the port, and nobody on it
        with pytest.raises(Unreachable, match="did not take the events: Connection refused"):
            export_audit_log("ecs", url, cursor=tmp_path / "c")
        assert http.methods == []

    @pytest.mark.usefixtures("filled")
    def test_a_server_that_breaks_off(self, tmp_path: Path, syslog: SyslogServer) -> None:
        """A connection that is reset before there is an answer."""
        syslog.break_off = 64
        with pytest.raises(Unreachable, match="did not take the events"):
            export_audit_log("ecs", f"http://{syslog.address}/", cursor=tmp_path / "c")
        assert not (tmp_path / "c").exists()

    @pytest.mark.usefixtures("filled")
    def test_an_authorization_that_cannot_be_used(self, tmp_path: Path, http: HttpServer) -> None:
        """A file that is missing, or has more than one line; and one for a receiver that takes none."""
        token = tmp_path / "token"
        with pytest.raises(SettingsError, match="token cannot be read: No such file"):
            export_audit_log("ecs", http.url, cursor=tmp_path / "c", authorization=token)
        for content in ("a\nb", "é"):
            token.write_text(content)
            with pytest.raises(SettingsError, match="expected one line"):
                export_audit_log("ecs", http.url, cursor=tmp_path / "c", authorization=token)
        with pytest.raises(UsageError, match="only a receiver over HTTP"):
            export_audit_log("ecs", str(tmp_path / "out"), authorization=token)
        assert http.methods == []


class TestSyslog:
    """A syslog server over TCP and TLS."""

    @pytest.mark.parametrize("name", SIEM)
    def test_it_gets_messages(self, filled: World, tmp_path: Path, syslog: SyslogServer, name: str) -> None:
        """One message for each event, counted in octets; other formats than its own in its envelope."""
        to = f"syslog://{syslog.address}"
        export_audit_log(name, to, cursor=tmp_path / "c", limit=4)
        export_audit_log(name, to, cursor=tmp_path / "c")
        ids = [one.encode() for one, _ in leaves(filled)]
        assert len(syslog.messages) == 10
        assert all(one in message for one, message in zip(ids, syslog.messages, strict=True))
        assert all(message.startswith(b"<110>1 20") for message in syslog.messages)

    @pytest.mark.usefixtures("filled")
    def test_a_connection_that_is_reset(self, tmp_path: Path, syslog: SyslogServer) -> None:
        """The cursor stays where it was, and the error says so; later everything arrives."""
        to = f"syslog://{syslog.address}"
        export_audit_log("cef", to, cursor=tmp_path / "c", limit=4)
        before = (tmp_path / "c").read_bytes()
        syslog.break_off = 64
        with pytest.raises(Unreachable, match=r"did not take the events: .*\. Leaf 4 is the next"):
            export_audit_log("cef", to, cursor=tmp_path / "c")
        assert (tmp_path / "c").read_bytes() == before
        syslog.break_off = None
        export_audit_log("cef", to, cursor=tmp_path / "c")
        assert len(syslog.messages) == 10

    @pytest.mark.usefixtures("filled")
    def test_a_server_that_resets_after_it_has_read_everything(
        self, tmp_path: Path, syslog: SyslogServer
    ) -> None:
        """What it has read it may not have kept: that is no acknowledgement."""
        syslog.break_off = self._length(tmp_path)
        with pytest.raises(Unreachable, match="did not take the events"):
            export_audit_log("rfc5424", f"syslog://{syslog.address}", cursor=tmp_path / "c")
        assert not (tmp_path / "c").exists()

    def _length(self, tmp_path: Path) -> int:
        """Return how many octets the messages of the log are."""
        export_audit_log("rfc5424", str(tmp_path / "out"))
        lines = (tmp_path / "out").read_bytes().split(b"\n")[:-1]
        return sum(len(line) + len(str(len(line))) + 1 for line in lines)

    @pytest.mark.usefixtures("filled")
    def test_a_server_that_never_answers(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that does not end its side has not acknowledged; patience has an end."""
        monkeypatch.setattr(receivers, "PATIENCE", 0.2)
        silent = SyslogServer()
        with pytest.raises(Unreachable, match="no answer within 0 seconds"):
            # It listens, and nobody accepts.
            export_audit_log("rfc5424", f"syslog://{silent.address}", cursor=tmp_path / "c")
        silent._listener.close()  # noqa: SLF001 - it never ran
        with pytest.raises(Unreachable, match="Connection refused"):
            export_audit_log("rfc5424", f"syslog://127.0.0.1:{free_port()}", cursor=tmp_path / "c")

    @pytest.mark.parametrize("goodbye", [True, False])
    @pytest.mark.usefixtures("filled")
    def test_over_tls(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, goodbye: bool) -> None:
        """With a certificate that is trusted, whether the server says goodbye or only closes."""
        context, public = certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        with SyslogServer(context, goodbye=goodbye).running() as server:
            export_audit_log("rfc5424", f"syslog+tls://{server.address}", cursor=tmp_path / "c")
        assert len(server.messages) == 10

    @pytest.mark.usefixtures("filled")
    def test_a_certificate_that_is_not_trusted(self, tmp_path: Path) -> None:
        """Nothing is sent."""
        context, _ = certificate(tmp_path)
        with (
            SyslogServer(context).running() as server,
            pytest.raises(Unreachable, match="its certificate is not trusted"),
        ):
            export_audit_log("rfc5424", f"syslog+tls://{server.address}", cursor=tmp_path / "c")
        assert server.messages == []
        assert not (tmp_path / "c").exists()

    @pytest.mark.usefixtures("filled")
    def test_a_certificate_of_another_host(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A trusted certificate counts for the host that it names."""
        context, public = certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        with SyslogServer(context).running() as server:
            to = f"syslog+tls://localhost:{server.address.partition(':')[2]}"
            with pytest.raises(Unreachable, match="its certificate is not trusted"):
                export_audit_log("rfc5424", to, cursor=tmp_path / "c")

    @pytest.mark.usefixtures("filled")
    def test_tls_that_is_reset(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As without TLS."""
        context, public = certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        with SyslogServer(context).running() as server:
            server.break_off = 64
            with pytest.raises(Unreachable, match="did not take the events"):
                export_audit_log("rfc5424", f"syslog+tls://{server.address}", cursor=tmp_path / "c")
        assert not (tmp_path / "c").exists()


def free_port() -> int:
    """Return a port on which nobody listens."""
    server = SyslogServer()
    port = int(server.address.partition(":")[2])
    server._listener.close()  # noqa: SLF001 - it never ran
    return port


class TestWrongTargets:
    """What cannot be meant is refused before anything is touched."""

    @pytest.mark.parametrize(
        ("name", "to", "what"),
        [
            ("xml", "out", "there is no format 'xml'"),
            ("", "out", "layout must be text"),
            ("jsonl", "", "to must be text"),
            ("jsonl", "syslog://h:1", "syslog does not take jsonl"),
            ("cef", "ftp://h/x", "an export does not go to ftp://"),
            ("cef", "syslog://h:1/path", "expected syslog://host:port and nothing behind it"),
            ("cef", "syslog://", "expected syslog://host:port"),
            ("cef", "syslog://h:99999", "the port of syslog:// must be a number"),
            ("cef", "syslog://u:canary-7f3a@h:1", "no user and password in the URL"),
            ("cef", "https://u:canary-7f3a@h/", "no user and password in the URL"),
            ("cef", "https:///path", "expected https://host/path"),
            ("tiles", "-", "tiles go to a folder"),
            ("tiles", "https://h/", "tiles go to a folder"),
        ],
    )
    @pytest.mark.usefixtures("filled")
    def test_a_target(self, tmp_path: Path, name: str, to: str, what: str) -> None:
        """Formats, schemes and URLs."""
        place = None if name == "tiles" or not to else tmp_path / "c"
        with pytest.raises(UsageError, match=re.escape(what)) as caught:
            export_audit_log(name, to if "://" in to or to in {"", "-"} else str(tmp_path / to), cursor=place)
        assert worlds.CANARY not in str(caught.value)
        assert not (tmp_path / "c").exists()

    @pytest.mark.usefixtures("filled")
    def test_a_receiver_needs_a_cursor(
        self,
    ) -> None:
        """Or every export would send the whole log again."""
        with pytest.raises(UsageError, match="name a cursor file"):
            export_audit_log("ecs", "https://siem.example.com/")

    @pytest.mark.usefixtures("filled")
    def test_tiles_take_no_cursor(self, tmp_path: Path) -> None:
        """The folder's own checkpoint is theirs."""
        for more in (
            {"cursor": tmp_path / "c"},
            {"limit": 1},
            {"start": 0},
            {"authorization": tmp_path / "t"},
        ):
            with pytest.raises(UsageError, match="give no --cursor, --from, --limit or authorization"):
                export_audit_log("tiles", str(tmp_path / "tiles"), **more)
        assert not (tmp_path / "tiles").exists()


class TestTiles:
    """A folder of tiles."""

    @EACH
    def test_any_server_can_serve_it(self, filled: World, tmp_path: Path) -> None:
        """Checkpoint, tiles and entries as C2SP has them; foreign software gets the same root."""
        grow(filled, 700)
        folder = tmp_path / "tiles"
        done = export_audit_log("tiles", str(folder))
        entries = [entry for _, entry in leaves(filled)]
        assert (done.first, done.next, done.events) == (0, 710, 710)
        names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert names == {
            ".lock",
            "checkpoint",
            *("tile/0/000", "tile/0/001", "tile/0/002.p/198", "tile/1/000.p/2"),
            *("tile/entries/000", "tile/entries/001", "tile/entries/002.p/198"),
        }
        tree = InmemoryTree(algorithm="sha256")
        for entry in entries:
            tree.append_entry(entry)
        known = notes.checkpoint(notes.parse((folder / "checkpoint").read_bytes()))
        assert (known.size, known.root) == (710, tree.get_root())
        assert (folder / "tile/0/000").read_bytes() == b"".join(map(merkle.leaf_hash, entries[:256]))
        assert intact(filled, folder).events == 710

    def test_it_grows(self, filled: World, tmp_path: Path) -> None:
        """Step by step it becomes what one export would have made; partial tiles that are full go."""
        folder, whole = tmp_path / "tiles", tmp_path / "whole"
        for more in (0, 200, 46, 1, 300, 0):
            grow(filled, more)
            done = export_audit_log("tiles", str(folder))
            assert intact(filled, folder).events == done.size
        seal_audit_log()
        export_audit_log("tiles", str(folder))
        export_audit_log("tiles", str(whole))
        files = {path.relative_to(whole): path.read_bytes() for path in whole.rglob("*") if path.is_file()}
        grown = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert files.items() <= grown.items()
        assert not (folder / "tile/0/000.p").exists()
        assert not (folder / "tile/entries/001.p").exists()

    def test_pruned_leaves(self, filled: World, tmp_path: Path) -> None:
        """Their bundles are missing, their hashes are there; what was exported before stays."""
        folder, later = tmp_path / "tiles", tmp_path / "later"
        grow(filled, 500)
        export_audit_log("tiles", str(folder))
        pruned(filled, 255)
        assert export_audit_log("tiles", str(folder)).pruned == ()
        assert intact(filled, folder).pruned == []
        assert (folder / "tile/entries/000").exists()
        done = export_audit_log("tiles", str(later))
        assert done.pruned == ((0, 255),)
        assert done.events == done.size - 256
        report = intact(filled, later)
        assert (report.pruned, report.events) == ([(0, 255)], done.events)
        assert not (later / "tile/entries/000").exists()

    def test_pruned_in_the_middle_of_a_bundle(self, filled: World, tmp_path: Path) -> None:
        """What the folder has of a bundle completes it; a new folder says what it cannot have."""
        folder, later = tmp_path / "tiles", tmp_path / "later"
        export_audit_log("tiles", str(folder))
        grow(filled, 300)
        pruned(filled, 5)
        done = export_audit_log("tiles", str(folder))
        assert (done.events, done.pruned) == (done.size - 10, ())
        assert intact(filled, folder).events == done.size
        export_audit_log("tiles", str(later))
        report = checked(filled, later)
        assert report.intact
        assert "leaves 6 to 255 belong into a bundle with others that were pruned" in report.unproven[0]

    def test_the_same_size_with_more_signatures(self, filled: World, tmp_path: Path) -> None:
        """A checkpoint that a witness has cosigned since replaces the one without."""
        folder = tmp_path / "tiles"
        export_audit_log("tiles", str(folder))
        note = newest(filled)
        extra = notes.Signature(name="w.example.com", key_id=b"\x01\x02\x03\x04", signature=bytes(72))
        cosigned = str(note.with_signatures([extra]))
        tell(filled, "UPDATE aegis_audit_checkpoints SET note = :note", note=cosigned.encode())
        assert export_audit_log("tiles", str(folder)).events == 0
        assert (folder / "checkpoint").read_text() == cosigned

    @pytest.mark.usefixtures("filled")
    def test_a_folder_of_something_else(self, tmp_path: Path) -> None:
        """A folder with other files, a file, and a folder in one that is not there."""
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "a.txt").write_text("x")
        for to, what in (
            (tmp_path / "other", "is not empty, and holds no tiles"),
            (tmp_path / "other" / "a.txt", "cannot be used as a folder of tiles: File exists"),
            (tmp_path / "missing" / "t", "cannot be used as a folder of tiles: No such file"),
        ):
            with pytest.raises(UsageError, match=what):
                export_audit_log("tiles", str(to))

    def test_a_folder_of_another_log(self, filled: World, tmp_path: Path) -> None:
        """Another name, more leaves than there are, another history, and no checkpoint at all."""
        folder = tmp_path / "tiles"
        export_audit_log("tiles", str(folder))
        now = notes.checkpoint(newest(filled))
        for changed, what, kind in (
            (replace(now, origin="logs.example.com/other"), "is of the log logs.example.com/other", Refused),
            (replace(now, size=11), "at leaf 11, ahead of the log", Refused),
            (replace(now, root=bytes(32)), "the log was rewritten", Tampered),
        ):
            note = notes.Note(text=changed.text, signatures=newest(filled).signatures)
            (folder / "checkpoint").write_text(str(note))
            with pytest.raises(kind, match=what):
                export_audit_log("tiles", str(folder))
        (folder / "checkpoint").write_text("x")
        with pytest.raises(Tampered, match="expected a signed note"):
            export_audit_log("tiles", str(folder))


class TestAsConfigured:
    """Exports that `aegis.toml` names."""

    def test_by_name(self, filled: World, tmp_path: Path) -> None:
        """It goes where the settings say; its cursor is under the home."""
        self._configure(filled, siem=ExportSettings(format="ecs", to=str(tmp_path / "out")))
        assert export_as_configured("siem", limit=4).next == 4
        done = {"operation": "audit.export", "outcome": "done", "events": 6, "next": 10}
        assert tasks.export(name="siem") == done
        assert (filled.settings.home / "audit" / "siem.cursor").exists()

    def test_tiles_by_name(self, filled: World, tmp_path: Path) -> None:
        """A folder needs no cursor."""
        self._configure(filled, web=ExportSettings(format="tiles", to=str(tmp_path / "tiles")))
        assert export_as_configured("web").next == 10
        assert not (filled.settings.home / "audit" / "web.cursor").exists()

    def test_a_name_that_there_is_not(self, filled: World, tmp_path: Path) -> None:
        """It is refused with those that there are."""
        with pytest.raises(UnknownName, match=r"no export 'x'; aegis\.toml names: none"):
            export_as_configured("x")
        self._configure(filled, siem=ExportSettings(format="ecs", to=str(tmp_path / "out")))
        with pytest.raises(UnknownName, match=r"no export 'x'; aegis\.toml names: siem"):
            tasks.export(name="x")

    def _configure(self, world: World, **exports: ExportSettings) -> None:
        world.configure(audit=AuditSettings(exports=exports))

    def test_the_settings(self, tmp_path: Path) -> None:
        """Files are found from the folder of `aegis.toml`; URLs stay as they are."""
        (tmp_path / "aegis.toml").write_text(
            '[audit.exports.a]\nformat = "ecs"\nto = "out"\ncursor = "c"\n'
            '[audit.exports.b]\nformat = "ocsf"\nto = "https://h/"\nauthorization_file = "/run/t"\n'
        )
        found = load_settings({}, tmp_path).audit.exports
        assert (found["a"].to, found["a"].cursor) == (str(tmp_path / "out"), tmp_path / "c")
        assert (found["b"].to, found["b"].authorization_file) == ("https://h/", Path("/run/t"))

    @pytest.mark.parametrize(
        ("text", "what"),
        [
            ('[audit.exports.a]\nformat = "ecs"', "audit.exports.a.to is missing"),
            ('[audit.exports.a]\nformat = "xml"\nto = "x"', "expected one of jsonl, ocsf"),
            ('[audit.exports.a]\nformat = "ecs"\nto = "-"', "stdout is no receiver"),
            ('[audit.exports.a]\nformat = "ecs"\nto = "x"\nmore = 1', "unknown setting audit.exports.a.more"),
            ("[audit]\nexports = 5", "expected tables like"),
        ],
    )
    def test_settings_that_cannot_be_meant(self, tmp_path: Path, text: str, what: str) -> None:
        """They are refused with the name of the setting."""
        (tmp_path / "aegis.toml").write_text(text)
        with pytest.raises(SettingsError, match=re.escape(what)):
            load_settings({}, tmp_path)


class TestCommand:
    """`aegis audit export`."""

    def run(self, *words: str) -> Result:
        """Run the command."""
        return CliRunner().invoke(export, words)

    @pytest.mark.usefixtures("filled")
    def test_for_people(self, tmp_path: Path) -> None:
        """A sentence of what was exported, and of what is left."""
        file = str(tmp_path / "a.jsonl")
        said = self.run("--format", "jsonl", "--to", file, "--limit", "4")
        assert said.output == "4 events exported as jsonl, up to leaf 3 of 10.\n"
        assert (
            self.run("--format", "jsonl", "--to", file).output
            == "6 events exported as jsonl, up to leaf 9.\n"
        )
        assert (
            self.run("--format", "jsonl", "--to", file).output
            == "Nothing new: the log has 10 sealed leaves.\n"
        )

    def test_what_was_pruned(self, filled: World, tmp_path: Path) -> None:
        """The sentence names the leaves that are gone."""
        pruned(filled, 3)
        said = self.run("--format", "ecs", "--to", str(tmp_path / "out"))
        assert said.output == "7 events exported as ecs, up to leaf 10; leaves 0 to 3 were pruned.\n"

    @pytest.mark.usefixtures("filled")
    def test_for_programs(self, tmp_path: Path) -> None:
        """One JSON document."""
        said = self.run("--format", "tiles", "--to", str(tmp_path / "tiles"), "--json")
        assert json.loads(said.output) == {
            "format": "tiles",
            "first": 0,
            "next": 10,
            "events": 10,
            "pruned": [],
            "size": 10,
        }

    def test_stdout(self, filled: World, tmp_path: Path) -> None:
        """Lines on stdout, the sentence on stderr; without a cursor it is the whole log each time."""
        for _ in range(2):
            said = self.run("--format", "jsonl", "--to", "-")
            assert said.stderr == "10 events exported as jsonl, up to leaf 9.\n"
            (tmp_path / "a.jsonl").write_bytes(said.stdout_bytes)
            assert intact(filled, tmp_path / "a.jsonl").events == 10
        place = str(tmp_path / "c")
        first_part = self.run("--format", "ecs", "--to", "-", "--cursor", place, "--limit", "4")
        second = self.run("--format", "ecs", "--to", "-", "--cursor", place)
        assert (first_part.stdout.count("\n"), second.stdout.count("\n")) == (4, 6)

    def test_by_name(self, filled: World, tmp_path: Path) -> None:
        """As aegis.toml has it; the target cannot be given as well."""
        filled.configure(
            audit=AuditSettings(exports={"siem": ExportSettings(format="cef", to=str(tmp_path / "out"))})
        )
        assert self.run("siem", "--limit", "4").output == "4 events exported as cef, up to leaf 3 of 10.\n"
        for more in (["--to", "x"], ["--format", "cef"], ["--from", "1"], ["--cursor", "c"]):
            assert isinstance(self.run("siem", *more).exception, UsageError)

    @pytest.mark.usefixtures("filled")
    @pytest.mark.parametrize(
        "words",
        [
            [],
            ["--format", "jsonl"],
            ["--to", "x"],
            ["--format", "jsonl", "--to", "-", "--json"],
            ["--format", "ecs", "--to", "https://h/"],
        ],
    )
    def test_wrong_use(self, words: list[str]) -> None:
        """An error of the caller's: exit code 2."""
        caught = self.run(*words).exception
        assert isinstance(caught, UsageError)
        assert caught.exit_code == 2

    @pytest.mark.parametrize(
        "words", [["--format", "xml"], ["--limit", "0"], ["--from", "-1"], ["--limit", "x"]]
    )
    def test_options_that_cannot_be_meant(self, words: list[str]) -> None:
        """The command line refuses them itself."""
        assert self.run(*words).exit_code == 2


def test_before_anything_was_sealed(world: World, tmp_path: Path) -> None:
    """Nothing new, in every format, and nothing is recorded."""
    for name in (*FORMATS, "tiles"):
        done = export_audit_log(name, str(tmp_path / name))
        assert (done.events, done.next, done.size) == (0, 0, 0)
    assert recorded() == []
    tell(world, "DELETE FROM aegis_audit_state")
    with pytest.raises(NotPrepared, match="no signing key yet"):
        export_audit_log("jsonl", str(tmp_path / "out"))


def test_an_export_goes_on_while_the_log_grows(
    filled: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call leads to the checkpoint that it began with; the log may be sealed further meanwhile."""
    file, save = tmp_path / "a.jsonl", Cursor.save

    def growing(self: Cursor, seen: notes.Checkpoint) -> None:
        save(self, seen)
        grow(filled, 3)

    with monkeypatch.context() as patch:
        patch.setattr(batches, "PORTION", 4)
        patch.setattr(Cursor, "save", growing)
        done = export_audit_log("jsonl", str(file))
    assert (done.next, done.size) == (10, 10)
    seal_audit_log()
    done = export_audit_log("jsonl", str(file))
    assert done.next == len(leaves(filled)) > 10
    assert intact(filled, file).events == done.next


def test_memory_of_an_export_is_that_of_a_batch(filled: World, tmp_path: Path) -> None:
    """A batch has at most a thousand events; a file has one checkpoint line for each."""
    grow(filled, 2_500)
    file = tmp_path / "a.jsonl"
    export_audit_log("jsonl", str(file))
    ends = [line for line in lines_of(file) if "checkpoint" in line]
    assert [line["next"] - line["first"] for line in ends] == [1000, 1000, 510]
    assert len({line["checkpoint"] for line in ends}) == 1
    assert intact(filled, file).events == 2510


def test_an_event_of_ones_own_is_exported(filled: World, tmp_path: Path) -> None:
    """A target in clear that somebody chose cannot break a line of any format."""
    hostile = 'p\n{"leaf":0}\n<110>1 |=\\]"'
    record_audit("own\naction", worlds.ACTOR, "policy", hostile, {"a": 1})
    seal_audit_log()
    for name in FORMATS:
        file = tmp_path / name
        done = export_audit_log(name, str(file))
        ends = 1 if name == "jsonl" else 0
        assert len(file.read_bytes().splitlines()) == done.events + ends == done.size + ends
    intact(filled, tmp_path / "jsonl")
