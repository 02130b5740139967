"""Archives: the rows that went come back byte for byte, and nobody else reads them."""

import datetime as dt
import json
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.audit.events import Event
from aegis.db.engines import reading, writing
from aegis.db.journal import Journal
from aegis.db.tables import Archive
from aegis.errors import (
    Busy,
    Fenced,
    InvalidPolicy,
    NotPrepared,
    Passing,
    Refused,
    SettingsError,
    Tampered,
    UnknownName,
    Unreachable,
)
from aegis.operations import archives, claims, holds, manifests, parts, runs, stops
from aegis.operations.batches import Change, Shard
from aegis.operations.scopes import Scope
from aegis.operations.stores import FolderStore, open_store
from aegis.retention import archiving, inspecting, policies, work
from aegis.retention.archiving import Archived
from aegis.retention.changes import Changed, Delete
from aegis.retention.definition import Definition
from aegis.retention.restoring import Restore
from aegis.retention.target import Target
from aegis.settings import ArchiveSettings, load_settings
from api import archives as doors
from api import audit, privacy
from tests import nasty
from tests.integration.test_ranges import ROWS, filled, race
from tests.workerkit import wait_until
from tests.worlds import ACTOR, CANARY, DAY, EACH_DATABASE, World, on


def nasty_table(world: World) -> None:
    """Create the table of this database, with four old rows."""
    columns = nasty.COLUMNS[world.dialect]
    quote = world.app.dialect.identifier_preparer.quote_identifier
    names = ", ".join(["created_at", *(quote(column[0]) for column in columns)])
    declared = ", ".join(f"{quote(name)} {kind}" for name, kind, *_ in columns)
    with world.app.begin() as connection:
        for statement in nasty.BEFORE[world.dialect]:
            connection.exec_driver_sql(statement)
        if world.dialect == "mariadb":
            connection.exec_driver_sql("SET sql_mode = ''")
        connection.exec_driver_sql(f"CREATE TABLE nasty ({declared}, {nasty.AROUND[world.dialect]})")
        for row in range(2, 6):
            values = ", ".join([f"'{age(60)}'", *(column[row] for column in columns)])
            connection.exec_driver_sql(f"INSERT INTO nasty ({names}) VALUES ({values})")  # noqa: S608
        # MariaDB would give this row a new key when it comes back, unless it is told not to.
        if world.dialect == "mariadb":
            connection.exec_driver_sql("UPDATE nasty SET id = 0 WHERE id = 1")
    world.watch("nasty")
    world._born["nasty"] += 4  # noqa: SLF001 - inserted in its own way


def long_ago() -> dt.datetime:
    """Return an instant that is past every time of a policy here."""
    return dt.datetime.now(dt.UTC) - 90 * DAY


def age(days: float) -> str:
    """Return the instant so many days ago, as every database reads it."""
    return f"{dt.datetime.now(dt.UTC) - days * DAY:%Y-%m-%d %H:%M:%S.%f}"


def seen(world: World) -> list[tuple[str, ...]]:
    """Return every bit of every row of the nasty table."""
    quote = world.app.dialect.identifier_preparer.quote_identifier
    names = [quote(column["name"]) for column in sa.inspect(world.app).get_columns("nasty")]
    shown = ", ".join(nasty.seen(world.dialect, name) for name in names)
    with world.app.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT {shown} FROM nasty ORDER BY id")  # noqa: S608
        return [tuple(row) for row in rows]


def folder(world: World, run: str) -> Path:
    """Return the folder of a run's archive."""
    return world.settings.home / "archives" / run


def archived(world: World, **words: Any) -> str:
    """Delete 130 rows in small batches with an archive; return the archive's id."""
    world.safety_events()
    world.events(range(130), 60)
    world.events(range(500, 505), 1)
    world.policy(archive={"keep_days": 14}, **words)
    world.batches_of(20)
    report = world.enforce()
    assert (report["applied"], report["rows"]) == (True, 130)
    return str(report["run"])


def bring_back(world: World, archive: str, table: str = "safety_events") -> dict[str, Any]:
    """Disable the policy, restore for real, see it told to the end, and account for it."""
    privacy.disable_retention_policy("p", ACTOR)
    told: list[tuple[int, int]] = []
    done = doors.restore_archive(
        archive, actor=ACTOR, dry_run=False, on_progress=lambda *counts: told.append(counts)
    )
    assert told == sorted(told)
    assert {total for _, total in told} <= {told[-1][0] if told else 0}
    world.came_back(table, done["rows"])
    return done


class TestByteForByte:
    """What comes back is what went."""

    def test_every_row_of_every_batch(self, world: World) -> None:
        """The table is the same as before, in every layout; the log says what came back."""
        world.safety_events()
        world.events(range(130), 60)
        world.events(range(500, 505), 1)
        before = world.content("safety_events")
        world.policy(archive={"keep_days": 14})
        world.batches_of(20)
        run = str(world.enforce()["run"])
        assert world.count("safety_events") == 5
        assert bring_back(world, run)["rows"] == 130
        assert world.content("safety_events") == before
        audit.relay_journals()
        (event,) = audit.get_audit_events(action="retention:restore")
        assert (event["details"]["rows"], event["details"]["archive"]) == (130, run)

    # SQLAlchemy does not know every type; Aegis need not.
    @pytest.mark.filterwarnings("ignore:Did not recognize type")
    @on(*EACH_DATABASE)
    def test_types_in_which_something_gets_lost(self, world: World) -> None:
        """Bytes, NaN, infinities, arrays, zero dates, single floats, blanks, NUL: each is the same again."""
        nasty_table(world)
        before = seen(world)
        world.policy("p", "nasty", archive={"keep_days": 14})
        report = world.enforce()
        assert report["rows"] == len(before) == 4
        assert world.count("nasty") == 0
        bring_back(world, report["run"], "nasty")
        assert seen(world) == before

    @on("sqlite+postgresql")
    def test_a_table_with_a_rule(self, world: World) -> None:
        """PostgreSQL copies out no deletion that a rule adds to: its rows are read first."""
        world.safety_events()
        world.events(range(30), 60)
        world.execute("CREATE TABLE told (id BIGINT)")
        also = "DO ALSO INSERT INTO told VALUES (OLD.id)"
        world.execute(f"CREATE RULE tell AS ON DELETE TO safety_events {also}")
        before = world.content("safety_events")
        world.policy(archive={"keep_days": 14})
        run = str(world.enforce()["run"])
        assert (world.count("safety_events"), world.count("told")) == (0, 30)
        assert bring_back(world, run)["rows"] == 30
        assert world.content("safety_events") == before


class TestAnonymized:
    """Masked rows stay, and their old values are in the archive."""

    @on(*EACH_DATABASE)
    def test_old_values_come_back_and_nothing_else_is_touched(self, world: World) -> None:
        """Only masked columns are written; a row that went meanwhile is counted and stays away."""
        world.safety_events()
        world.events(range(50), 60)
        before = world.content("safety_events", "id <> 7 AND id <> 8")
        world.policy(
            action="anonymize", masks={"email": "surrogate", "kind": "null"}, archive={"keep_days": 1}
        )
        world.batches_of(20)
        run = str(world.enforce()["run"])
        world.masked["safety_events"] += 50
        assert world.count("safety_events", "kind IS NULL") == 50
        world.remove("safety_events", "id = 7")
        world.execute("UPDATE safety_events SET tenant = 'moved' WHERE id = 8")
        privacy.disable_retention_policy("p", ACTOR)
        done = doors.restore_archive(run, actor=ACTOR, dry_run=False)
        world.came_back("safety_events", done["rows"], inserted=False)
        assert (done["rows"], done["missing"]) == (49, 1)
        assert world.content("safety_events", "id <> 7 AND id <> 8") == before
        assert world.count("safety_events", "id = 8 AND tenant = 'moved' AND kind = 'low'") == 1

    @on(*EACH_DATABASE)
    def test_two_stages_of_one_run(self, world: World) -> None:
        """Rows that are masked in one stage and rows that go in the other come back from one archive."""
        world.safety_events()
        world.events(range(20), 40)
        words: dict[str, Any] = {"action": "anonymize", "masks": {"kind": "null"}, "delete_after_days": 30}
        world.policy(**words, archive={"keep_days": 1})
        first = str(world.enforce()["run"])
        world.masked["safety_events"] += 20
        world.execute("UPDATE safety_events SET created_at = :old WHERE id < 5", old=world.value(long_ago()))
        world.events(range(100, 110), 40)
        second = str(world.enforce()["run"])
        world.masked["safety_events"] += 10
        assert world.count("safety_events") == 25
        privacy.disable_retention_policy("p", ACTOR)
        done = doors.restore_archive(second, actor=ACTOR, dry_run=False)
        world.came_back("safety_events", 5)
        world.came_back("safety_events", 10, inserted=False)
        assert done["rows"] == 15
        assert world.count("safety_events", "kind = 'low' AND id >= 100") == 10
        done = doors.restore_archive(first, actor=ACTOR, dry_run=False)
        world.came_back("safety_events", done["rows"], inserted=False)
        assert world.count("safety_events", "kind = 'low'") == 30


class TestKilled:
    """A worker may die between any two steps: neither a gap nor a double, and nothing left over."""

    @on(*EACH_DATABASE)
    def test_after_a_part_was_written_and_before_its_commit(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The file is left over: it counts nowhere, and completing the archive removes it."""
        run = started(world)
        privacy.advance_run(run, seconds=0)
        (first,) = files(world, run)
        with monkeypatch.context() as broken:
            broken.setattr(Journal, "append", die)
            with pytest.raises(KeyboardInterrupt):
                privacy.advance_run(run)
        (left_over,) = files(world, run) - {first}
        assert world.finish(run)["outcome"] == "done"
        assert left_over not in files(world, run)
        assert archived_rows(world, run) == 60
        assert bring_back(world, run)["rows"] == 60

    @on(*EACH_DATABASE)
    def test_before_the_manifest(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """The rows are gone and the archive is open: whoever goes on writes the manifest."""
        run = started(world)
        with monkeypatch.context() as broken:
            broken.setattr(manifests, "write", die)
            with pytest.raises(KeyboardInterrupt):
                world.finish(run)
        assert (world.count("safety_events"), state_of(world, run)) == (0, "open")
        assert world.finish(run)["outcome"] == "done"
        assert state_of(world, run) == "complete"
        assert archived_rows(world, run) == 60

    @on(*EACH_DATABASE)
    def test_a_run_that_is_cancelled_in_the_middle(self, world: World) -> None:
        """What went until then is in a complete archive."""
        run = started(world)
        gone = privacy.advance_run(run, seconds=0)["rows"]
        privacy.disable_retention_policy("p", ACTOR)
        assert world.finish(run)["outcome"] == "cancelled"
        assert (state_of(world, run), archived_rows(world, run)) == ("complete", gone)
        done = doors.restore_archive(run, actor=ACTOR, dry_run=False)
        world.came_back("safety_events", done["rows"])
        assert world.count("safety_events") == 60

    @on(*EACH_DATABASE)
    def test_a_run_that_a_person_cancels(self, world: World) -> None:
        """What went until then is in a complete archive at once, and comes back without beat."""
        run = started(world)
        gone = privacy.advance_run(run, seconds=0)["rows"]
        assert privacy.cancel_run(run, ACTOR) == gone
        assert (state_of(world, run), archived_rows(world, run)) == ("complete", gone)
        assert bring_back(world, run)["rows"] == gone

    @on(*EACH_DATABASE)
    def test_nobody_is_left_to_complete_it(self, world: World) -> None:
        """Beat completes the archive of a run that ended without one."""
        run = started(world)
        world.finish(run)
        change(world, "UPDATE aegis_archives SET state = 'open', manifest_digest = NULL")
        (folder(world, run) / manifests.NAME).unlink()
        assert doors.tend_archives() == {run: "completed"}
        assert state_of(world, run) == "complete"
        assert archived_rows(world, run) == 60

    @on(*EACH_DATABASE)
    def test_a_zombie_writes_no_part(self, world: World) -> None:
        """A worker that was replaced is stopped before it reads a row for its archive."""
        run = started(world)
        policy = policies.find(world.system, "p")
        parts = archiving.begin(world.system, policy, runs.fetch(world.system, run))
        assert parts is not None
        zombie = Shard(world.system, datasource=world.datasource, run=run, epoch=1)
        zombie.take_over()
        Shard(world.system, datasource=world.datasource, run=run, epoch=2).take_over()
        with world.app.connect() as connection:
            target = inspecting.read_policy_target(connection, policy)
        action = Archived(Delete(target), target, parts)

        def act(connection: sa.Connection, _holds: object) -> Change:
            return Change(rows=action.apply(connection, sa.true()).rows, mark={})

        with pytest.raises(Fenced):
            zombie.batch(act, unexpected)
        assert files(world, run) == set()
        change(world, "UPDATE aegis_runs SET epoch = 2")
        assert world.finish(run)["outcome"] == "done"

    @on(*EACH_DATABASE)
    def test_a_run_without_a_row_keeps_no_archive(self, world: World) -> None:
        """Nothing went, so there is nothing to keep: no row, no folder, no key."""
        world.safety_events()
        world.policy(archive={"keep_days": 14})
        run = str(world.enforce()["run"])
        assert doors.list_archives() == []
        assert not folder(world, run).exists()
        assert world.system.keystore.kept("archive", run) is None


class TestRanges:
    """Several workers write to one archive."""

    @on(*EACH_DATABASE)
    def test_every_range_has_its_parts(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Four workers, one manifest: every row is in it once, and comes back."""
        monkeypatch.setattr(work, "LEAST_ROWS", 20)
        filled(world)
        before = world.content("safety_events")
        world.policy(parallel=4, archive={"keep_days": 14})
        world.batches_of(10)
        run = world.start()
        race(run, [world.another() for _ in range(4)])
        assert world.finish(run)["outcome"] == "done"
        assert archived_rows(world, run) == ROWS
        manifest, _ = archives.opened(world.system, archives.find(world.system, run))
        assert len({part["shard"] for part in manifest["parts"]}) > 1
        assert bring_back(world, run)["rows"] == ROWS
        assert world.content("safety_events") == before


class TestRace:
    """What the archive holds is what goes."""

    @on(*EACH_DATABASE)
    @pytest.mark.parametrize("extra", [-1, 1])
    def test_rows_that_differ_roll_the_batch_back(self, world: World, extra: int) -> None:
        """One row more or less than was read: nothing goes, and it is tried again."""
        run = started(world)
        policy = policies.find(world.system, "p")
        parts = archiving.begin(world.system, policy, runs.fetch(world.system, run))
        assert parts is not None
        engine = world.system.databases.source(world.datasource)
        with reading(engine, "data source") as connection:
            target = inspecting.read_policy_target(connection, policy)
        with pytest.raises(Passing), writing(engine, "data source") as connection:
            Archived(Other(target, extra), target, parts).apply(connection, target.layout.key[0] < 10)
        assert world.count("safety_events") == 60
        assert world.finish(run)["rows"] == 60

    @on(*EACH_DATABASE)
    def test_a_new_column_in_mid_run(self, world: World) -> None:
        """Its values would not be in the archive: the batch is rolled back, and the table read again."""
        run = started(world)
        policy = policies.find(world.system, "p")
        parts = archiving.begin(world.system, policy, runs.fetch(world.system, run))
        assert parts is not None
        engine = world.system.databases.source(world.datasource)
        with reading(engine, "data source") as connection:
            target = inspecting.read_policy_target(connection, policy)
        world.execute("ALTER TABLE safety_events ADD COLUMN more VARCHAR(9) DEFAULT 'x'")
        with pytest.raises(Passing, match="new column"), writing(engine, "data source") as connection:
            Archived(Delete(target), target, parts).apply(connection, sa.true())
        assert world.finish(run)["rows"] == 60
        assert bring_back(world, run)["rows"] == 60
        assert world.count("safety_events", "more = 'x'") == 60


class TestRefused:
    """A restore that is not certain changes nothing."""

    def test_a_dry_run_changes_nothing(self, world: World) -> None:
        """It reads every part, counts, and names the policy that would take the rows again."""
        run = archived(world)
        audit.relay_journals()
        before = world.everything()
        done = doors.restore_archive(run)
        assert (done["rows"], done["executed"], done["takers"]) == (130, False, ["p"])
        assert world.everything() == before

    @on(*EACH_DATABASE)
    def test_rows_that_are_there(self, world: World) -> None:
        """It says how many rows of the same key there are, and inserts none."""
        run = archived(world)
        privacy.disable_retention_policy("p", ACTOR)
        world.events([3, 77], 1)
        for dry_run in (True, False):
            with pytest.raises(Refused, match="2 of its rows are in safety_events already"):
                doors.restore_archive(run, dry_run=dry_run)
        assert world.count("safety_events") == 7

    @on(*EACH_DATABASE)
    def test_twice(self, world: World) -> None:
        """The second time all rows are there."""
        run = archived(world)
        bring_back(world, run)
        with pytest.raises(Refused, match="130 of its rows"):
            doors.restore_archive(run, dry_run=False)

    @on(*EACH_DATABASE)
    def test_a_table_that_changed(self, world: World) -> None:
        """It names the columns."""
        run = archived(world)
        privacy.disable_retention_policy("p", ACTOR)
        world.execute("ALTER TABLE safety_events ADD COLUMN more INT")
        with pytest.raises(Refused, match=r"changed since it was archived \(more\)"):
            doors.restore_archive(run, dry_run=False)
        world.execute("ALTER TABLE safety_events DROP COLUMN more")
        assert doors.restore_archive(run)["rows"] == 130

    @on(*EACH_DATABASE)
    def test_a_policy_that_would_take_them_again(self, world: World) -> None:
        """An approved policy must be disabled, or a hold cover the table: then they come back and stay."""
        run = archived(world)
        with pytest.raises(Refused, match="policy p would take the rows again"):
            doors.restore_archive(run, dry_run=False)
        hold(world, table="safety_events")
        done = doors.restore_archive(run, actor=ACTOR, dry_run=False)
        world.came_back("safety_events", done["rows"])
        assert world.count("safety_events") == 135

    @on("sqlite+postgresql", "sqlite-one", "mariadb-one")
    def test_rows_whose_parents_are_gone(self, world: World) -> None:
        """The database refuses them; nothing of the archive comes back."""
        world.create("people", "id INT PRIMARY KEY")
        world.create(
            "visits",
            "id INT PRIMARY KEY, person INT, created_at {instant}, "
            "FOREIGN KEY (person) REFERENCES people (id)",
        )
        world.insert("people", [{"id": 1}])
        old = dt.datetime.now(dt.UTC) - 60 * DAY
        world.insert("visits", [{"id": n, "person": 1, "created_at": old} for n in range(5)])
        world.policy("p", "visits", archive={"keep_days": 14})
        run = str(world.enforce()["run"])
        privacy.disable_retention_policy("p", ACTOR)
        world.remove("people")
        with pytest.raises(Refused, match="restore them first"):
            doors.restore_archive(run, dry_run=False)
        assert world.count("visits") == 0

    @on(*EACH_DATABASE)
    def test_while_everything_is_stopped(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """A stop refuses it, also one that comes when the restore has begun; a dry run is no change."""
        run = archived(world)
        privacy.disable_retention_policy("p", ACTOR)
        privacy.stop_operations("the wrong archive", ACTOR)
        with pytest.raises(Refused, match="is stopped"):
            doors.restore_archive(run, dry_run=False)
        with monkeypatch.context() as begun:
            begun.setattr(stops, "refuse_if_stopped", lambda *_: None)
            with pytest.raises(Refused, match="is stopped"):
                doors.restore_archive(run, dry_run=False)
        assert (doors.restore_archive(run)["rows"], world.count("safety_events")) == (130, 5)
        privacy.start_operations(ACTOR)
        assert bring_back(world, run)["rows"] == 130

    @on("sqlite+postgresql", "mariadb-one")
    def test_a_stop_waits_for_it(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """A stop is in force only after the rows of a restore at work are there, or are not."""
        run = archived(world)
        privacy.disable_retention_policy("p", ACTOR)
        loaded, told = threading.Event(), threading.Event()
        record = Restore.record

        def pause(self: Restore, connection: sa.Connection) -> None:
            loaded.set()
            assert told.wait(30)
            record(self, connection)

        monkeypatch.setattr(Restore, "record", pause)
        with ThreadPoolExecutor(2) as pool:
            restore = pool.submit(doors.restore_archive, run, actor=ACTOR, dry_run=False)
            assert loaded.wait(30)
            stop = pool.submit(privacy.stop_operations, "now", ACTOR)
            wait_until(world.lock_waits, "somebody waits")
            assert not stop.done()
            told.set()
            (done,) = stop.result()
            # It came back before the stop was in force.
            assert (restore.result()["rows"], done.in_force) == (130, True)
        world.came_back("safety_events", 130)

    @on(*EACH_DATABASE)
    def test_while_a_range_is_worked_on(self, world: World) -> None:
        """A run that is cut into ranges is at work although its own row has no lease."""
        run = archived(world)
        privacy.disable_retention_policy("p", ACTOR)
        world.policy("q")
        world.events(range(600, 610), 60)
        cut = world.start("q")
        claimed = claims.claim(world.system, cut)
        claims.cut(world.system, claimed, [{}])
        part = claims.claim(world.system, cut)
        assert part.range_row
        privacy.disable_retention_policy("q", ACTOR)
        with pytest.raises(Busy, match="policy q is working"):
            doors.restore_archive(run, dry_run=False)
        claims.finish_range(world.system, part, part.range_row)
        assert doors.restore_archive(run, dry_run=False)["rows"] == 130
        world.came_back("safety_events", 130)

    @on("sqlite-one")
    def test_an_archive_that_nobody_knows(self, world: World) -> None:
        """It says how to list those there are."""
        del world
        with pytest.raises(UnknownName, match="aegis retention archives"):
            doors.restore_archive("0190-none")


class TestTampered:
    """Files that are not what was written are refused, whoever changed them."""

    @on("sqlite-one", "sqlite+postgresql")
    def test_a_part(self, world: World) -> None:
        """One flipped bit, a part of another name, a missing part: nothing comes back."""
        run = archived(world)
        privacy.disable_retention_policy("p", ACTOR)
        names = sorted(files(world, run))
        place, other = folder(world, run) / names[0], folder(world, run) / names[1]
        good = place.read_bytes()
        for bad in (good[:-1] + bytes([good[-1] ^ 1]), other.read_bytes()):
            place.write_bytes(bad)
            with pytest.raises(Tampered, match="SHA-256"):
                doors.restore_archive(run, dry_run=False)
        place.unlink()
        with pytest.raises(Tampered, match="missing"):
            doors.restore_archive(run, dry_run=False)
        assert world.count("safety_events") == 5

    @on("sqlite-one", "sqlite+postgresql")
    def test_a_part_in_mid_run(self, world: World) -> None:
        """Nothing comes back while its run is at work; a part that was cut off is missed until mended."""
        world.safety_events()
        world.events(range(60), 60)
        world.policy(archive={"keep_days": 14})
        world.batches_of(20)
        run = world.start()
        assert privacy.advance_run(run, seconds=0)["outcome"] == "more"
        with pytest.raises(Refused, match="its run has not ended"):
            doors.restore_archive(run, dry_run=False)
        (name, *_) = sorted(files(world, run))
        place = folder(world, run) / name
        good = place.read_bytes()
        place.write_bytes(good[:-1])
        said = "part 1 of shard 0 should have"
        with pytest.raises(Tampered, match=said):
            world.finish(run)
        assert said in world.run_row(run)["reason"]
        assert said in doors.tend_archives()[run]
        assert state_of(world, run) == "open"
        place.write_bytes(good)
        assert doors.tend_archives() == {run: "completed"}
        assert archived_rows(world, run) == 60

    @on("sqlite-one")
    def test_the_manifest(self, world: World) -> None:
        """Edited, cut off, of another archive, or missing: refused."""
        run = archived(world)
        privacy.disable_retention_policy("p", ACTOR)
        place = folder(world, run) / manifests.NAME
        good = place.read_bytes()
        edited = {**json.loads(good), "rows": 1}
        for bad in (json.dumps(edited).encode(), good[:-9], b"{}", b"[]", b""):
            place.write_bytes(bad)
            with pytest.raises(Tampered, match="manifest"):
                doors.restore_archive(run, dry_run=False)
        place.unlink()
        with pytest.raises(Tampered, match="missing"):
            doors.restore_archive(run, dry_run=False)

    @on("sqlite-one")
    def test_a_manifest_that_the_log_does_not_know(self, world: World) -> None:
        """Even one under the right key is refused when it leaves a part out that the log has."""
        run = archived(world)
        privacy.disable_retention_policy("p", ACTOR)
        place = folder(world, run) / manifests.NAME
        body = json.loads(place.read_bytes())
        del body["mac"]
        body["parts"] = body["parts"][1:]
        forged = manifests.write(body, world.system.worker_key.subkey("archive-mac"))
        place.write_bytes(forged)
        with world.control.begin() as connection:
            connection.execute(sa.update(Archive).values(manifest_digest=manifests.digest_of(forged)))
        with pytest.raises(Tampered, match="audit log"):
            doors.restore_archive(run, dry_run=False)

    @on(*EACH_DATABASE)
    def test_nobody_reads_it_without_the_key(self, world: World) -> None:
        """No file holds a byte of a person; with the key destroyed it is refused as expired."""
        run = archived(world)
        for file in folder(world, run).iterdir():
            assert CANARY.encode() not in file.read_bytes()
        world.system.keystore.destroy("archive", run)
        with pytest.raises(Refused, match="its key is destroyed"):
            doors.restore_archive(run)


class TestExpiry:
    """An archive ends at its time, unless somebody must keep it."""

    @on(*EACH_DATABASE)
    def test_key_and_files_are_destroyed(self, world: World) -> None:
        """Not a moment before its time; then key, files and the right to read it are gone, with an event."""
        run = archived(world)
        assert doors.tend_archives() == {}
        expire(world)
        with pytest.raises(Refused, match="expired at"):
            doors.restore_archive(run)
        assert doors.tend_archives() == {run: "expired"}
        assert doors.tend_archives() == {}
        assert not folder(world, run).exists()
        assert world.system.keystore.kept("archive", run) is None
        with pytest.raises(Refused, match="expired"):
            doors.restore_archive(run)
        (event,) = audit.get_audit_events(action="archive:expire")
        assert event["details"]["rows"] == 130

    @on("sqlite-one")
    def test_killed_after_the_key(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """The next look goes on where it was stopped, and records it once."""
        run = archived(world)
        expire(world)
        with monkeypatch.context() as broken:
            broken.setattr(FolderStore, "destroy", die)
            with pytest.raises(KeyboardInterrupt):
                doors.tend_archives()
        assert doors.tend_archives() == {run: "expired"}
        assert len(audit.get_audit_events(action="archive:expire")) == 1

    @on(*EACH_DATABASE)
    @pytest.mark.parametrize("scope", [{}, {"table": "safety_events"}, {"policy": "p"}, {"tenant": "acme"}])
    def test_a_hold_keeps_it(self, world: World, scope: dict[str, str]) -> None:
        """A hold on the source, the table, the policy or a tenant: it is kept until the hold is released."""
        run = archived(world, tenant_column="tenant")
        placed = hold(world, **scope)
        expire(world)
        assert doors.tend_archives() == {run: f"kept: legal hold {placed}"}
        assert len(files(world, run)) > 1
        holds.release(world.system, placed, actor=ACTOR)
        assert doors.tend_archives() == {run: "expired"}

    @on("sqlite+postgresql")
    def test_nothing_expires_while_its_source_is_stopped(self, world: World) -> None:
        """The kill switch keeps archives too, until somebody starts the source again."""
        run = archived(world)
        expire(world)
        privacy.stop_operations("a wrong policy", ACTOR, datasource=world.datasource)
        kept = doors.tend_archives()[run]
        assert kept.startswith("kept: data source")
        assert "aegis start" in kept
        assert len(files(world, run)) > 1
        privacy.start_operations(ACTOR, datasource=world.datasource)
        assert doors.tend_archives() == {run: "expired"}

    @on("sqlite+postgresql")
    def test_a_hold_on_something_else_does_not(self, world: World) -> None:
        """Another policy's hold keeps nothing."""
        run = archived(world)
        world.policy("other", approve=False)
        hold(world, policy="other")
        expire(world)
        assert doors.tend_archives() == {run: "expired"}

    @on("sqlite+postgresql")
    def test_what_cannot_be_told_is_kept(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """The holds of the source cannot be read: the archive stays."""
        run = archived(world)
        expire(world)

        def away(*_: object) -> None:
            message = "the source is away"
            raise Unreachable(message)

        with monkeypatch.context() as broken:
            broken.setattr(holds, "read", away)
            told = doors.tend_archives()
        assert told[run].startswith("kept: cannot tell")
        assert doors.tend_archives() == {run: "expired"}

    @on("sqlite-one")
    def test_a_run_that_is_resumed_too_late(self, world: World) -> None:
        """Its archive has expired: it does not go on and mix what is left with what is destroyed."""
        run = started(world)
        privacy.advance_run(run, seconds=0)
        change(world, "UPDATE aegis_runs SET state = 'blocked'")
        assert doors.tend_archives() == {run: "completed"}
        expire(world)
        assert doors.tend_archives() == {run: "expired"}
        change(world, "UPDATE aegis_runs SET state = 'accepted'")
        report = world.finish(run)
        assert report["outcome"] == "blocked"
        assert "expired" in report["reason"]
        assert world.count("safety_events") > 0


class TestStores:
    """Where the files lie."""

    @on(*EACH_DATABASE)
    def test_a_folder_that_cannot_be_written(self, world: World, tmp_path: Path) -> None:
        """The run is blocked before its first row, with the cure."""
        (tmp_path / "file").touch()
        world.configure(archives=ArchiveSettings(url=str(tmp_path / "file" / "archives")))
        world.safety_events()
        world.events(range(5), 60)
        world.policy(archive={"keep_days": 14})
        report = world.enforce()
        assert (report["status"], world.count("safety_events")) == ("blocked", 5)
        assert "cannot be written" in report["reason"]

    @on("sqlite-one", "sqlite+postgresql")
    def test_a_store_that_fails_in_the_middle(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """The batch whose part was not written is rolled back; the run goes on when the store is back."""
        run = started(world)
        gone = privacy.advance_run(run, seconds=0)["rows"]

        def full(*_: object) -> None:
            message = "no room"
            raise Unreachable(message)

        with monkeypatch.context() as broken:
            broken.setattr(FolderStore, "put", full)
            assert privacy.advance_run(run)["outcome"] == "retry"
        assert world.count("safety_events") == 60 - gone
        change(world, "UPDATE aegis_runs SET not_before = NULL")
        assert world.finish(run)["outcome"] == "done"
        assert archived_rows(world, run) == 60

    @on("sqlite-one", "sqlite+postgresql")
    def test_a_part_that_cannot_be_made(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Not all rows of the batch were read: it is rolled back on a connection that goes on serving."""
        run = started(world)

        def full(_head: bytes, lines: Iterator[bytes]) -> None:
            next(lines)
            message = "no room"
            raise Unreachable(message)

        with monkeypatch.context() as broken:
            broken.setattr(parts, "_pack", full)
            assert privacy.advance_run(run)["outcome"] == "retry"
        assert not caplog.records
        assert world.count("safety_events") == 60
        change(world, "UPDATE aegis_runs SET not_before = NULL")
        assert world.finish(run)["outcome"] == "done"
        assert archived_rows(world, run) == 60

    @on("sqlite-one", "sqlite+postgresql")
    def test_a_store_of_fsspec(self, world: World) -> None:
        """Written, listed, read and destroyed through fsspec as in a folder."""
        world.configure(archives=ArchiveSettings(url=f"memory://bucket/{uuid.uuid4()}"))
        run = archived(world)
        bring_back(world, run)
        location = archives.find(world.system, run)["location"]
        assert len(open_store(location).sizes(run)) == archives.find(world.system, run)["parts"] + 1
        expire(world)
        assert doors.tend_archives() == {run: "expired"}
        assert open_store(location).sizes(run) == {}

    def test_a_store_whose_package_is_missing(self) -> None:
        """It says what to install."""
        with pytest.raises(NotPrepared, match="archive-s3"):
            open_store("nosuchscheme://bucket")

    def test_a_secret_in_the_url(self, tmp_path: Path) -> None:
        """It would be kept with every archive, so it is refused."""
        with pytest.raises(SettingsError, match=r"archives\.url holds a secret"):
            load_settings({"AEGIS_ARCHIVES__URL": "ftp://me:hunter2@host/path"}, tmp_path)


class TestBackups:
    """A policy may require that somebody attested a young backup."""

    @on(*EACH_DATABASE)
    def test_none_old_and_young(self, world: World) -> None:
        """Without one, or with one too old, the run is blocked with the command; with a young one it runs."""
        world.safety_events()
        world.events(range(5), 60)
        world.policy(archive={"backup_hours": 24})
        assert "aegis retention attest-backup" in world.enforce()["reason"]
        now = dt.datetime.now(dt.UTC)
        doors.attest_backup("default", now - dt.timedelta(hours=25), actor=ACTOR)
        report = world.enforce()
        assert (report["status"], world.count("safety_events")) == ("blocked", 5)
        doors.attest_backup("default", now - dt.timedelta(hours=23), actor=ACTOR)
        assert world.enforce()["rows"] == 5
        assert doors.list_archives() == []

    @on("sqlite-one")
    def test_a_time_that_cannot_be_meant(self, world: World) -> None:
        """The future, and a time without a zone."""
        del world
        now = dt.datetime.now(dt.UTC)
        for moment in (now + DAY, now.replace(tzinfo=None)):
            with pytest.raises(ValueError, match="time of a backup"):
                doors.attest_backup("default", moment, actor=ACTOR)


@pytest.mark.parametrize(
    "words",
    [
        {"archive": {"keep": True}},
        {"archive": {"keep_days": 0}},
        {"archive": {"keep_days": True}},
        {"archive": {"keep_days": "14"}},
        {"archive": {"keep_days": 4_000}},
        {"archive": {"backup_hours": 0.5}},
        {"archive": {"keep_days": 14}, "cascades": ("t",)},
    ],
)
def test_archives_that_cannot_be_meant(words: dict[str, Any]) -> None:
    """Unknown keys, numbers that are none, and rows that the archive would miss are refused."""
    with pytest.raises(InvalidPolicy, match="archive"):
        Definition(name="p", table="t", **words).check()


def test_an_archive_that_names_no_days() -> None:
    """It is kept for fourteen, and is the same policy as one that says so."""
    said = Definition(name="p", table="t", archive={"keep_days": 14})
    assert Definition(name="p", table="t", archive={}) == said
    said.check()
    with pytest.raises(InvalidPolicy, match="cascade"):
        Definition(name="p", table="t", archive={}, cascades=("t",)).check()


class Other:
    """An action that changes another number of rows than fit."""

    name = "delete"

    def __init__(self, target: Target, extra: int) -> None:
        self._inner = Delete(target)
        self._key = target.layout.key[0]
        self._extra = extra

    def apply(self, connection: sa.Connection, where: sa.ColumnElement[bool]) -> Changed:
        """Delete one row more, or one less."""
        del where
        return self._inner.apply(connection, self._key < 10 + self._extra)


def started(world: World) -> str:
    """Make sixty old rows and a policy with an archive; return a run of small batches."""
    world.safety_events()
    world.events(range(60), 60)
    world.policy(archive={"keep_days": 14})
    world.batches_of(20)
    return world.start()


def files(world: World, run: str) -> set[str]:
    """Return the names of the parts in an archive's folder."""
    place = folder(world, run)
    return {file.name for file in place.iterdir() if file.suffix == ".part"} if place.exists() else set()


def archived_rows(world: World, run: str) -> int:
    """Count the rows of an archive, each once, from its files."""
    manifest, parts = archives.opened(world.system, archives.find(world.system, run))
    lines = [line for part in manifest["parts"] for line in parts.read(part["digest"])[1]]
    assert files(world, run) == {f"{part['digest']}.part" for part in manifest["parts"]}
    assert len(lines) == len(set(lines)) == manifest["rows"]
    return len(lines)


def state_of(world: World, run: str) -> str:
    """Return an archive's state."""
    return str(archives.find(world.system, run)["state"])


def change(world: World, statement: str) -> None:
    """Change the control database behind Aegis's back."""
    with world.control.begin() as connection:
        connection.execute(sa.text(statement))


def expire(world: World) -> None:
    """Let the time of every archive be over."""
    past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=5)
    with world.control.begin() as connection:
        connection.execute(sa.update(Archive).values(expires_at=past))


def hold(world: World, **scope: Any) -> str:
    """Place a hold in the world's data source."""
    return holds.place(
        world.system,
        Scope(**scope),
        datasource=world.datasource,
        matter="Doe v. Example",
        owner=ACTOR,
        review_by=dt.date(2099, 1, 1),
    )


def die(*_: object, **__: object) -> None:
    """Stop as a signal would."""
    raise KeyboardInterrupt


def unexpected(*_: object) -> Event:
    """Nothing of this batch may be told."""
    raise AssertionError
