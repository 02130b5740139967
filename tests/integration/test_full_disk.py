"""A database without room is one that is away: what was begun goes on when there is room again."""

import errno
import os
from typing import Final

import pytest
import sqlalchemy as sa

from aegis.db.engines import writing
from aegis.errors import Unreachable
from aegis.operations.stores import FolderStore
from api import privacy
from tests.worlds import World, on

#: What each server says when its disk is full, from a trigger on its journal.
FULL: Final = {
    "postgresql": """
        CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN RAISE EXCEPTION USING ERRCODE = ''disk_full''; END';
        CREATE TRIGGER full_disk BEFORE INSERT ON {journal} FOR EACH ROW EXECUTE FUNCTION full_disk()
    """,
    "mariadb": """
        CREATE TRIGGER full_disk BEFORE INSERT ON {journal} FOR EACH ROW
            SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114
    """,
}
ROOM: Final = {
    "postgresql": "DROP TRIGGER full_disk ON {journal}",
    "mariadb": "DROP TRIGGER full_disk",
}


@on("postgresql-one", "mariadb-one")
def test_a_run_waits_for_room(world: World) -> None:
    """It is tried again later, and neither failed nor blocked; with room it goes on by itself."""
    world.safety_events()
    world.events(range(5), 40)
    world.policy()
    world.execute(FULL[world.dialect].format(journal=world.journal))
    run = world.start()
    report = privacy.advance_run(run)
    assert (report["outcome"], world.run_row(run)["state"]) == ("retry", "accepted")
    assert "no disk, memory or connection left" in report["reason"]
    world.execute(ROOM[world.dialect].format(journal=world.journal))
    with world.control.begin() as connection:
        connection.execute(sa.text("UPDATE aegis_runs SET not_before = NULL"))
    assert world.finish(run)["outcome"] == "done"
    assert world.count("safety_events") == 0


@on("sqlite-one")
def test_a_run_waits_for_room_for_its_archive(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its first row too, a full disk under the archives puts a run off, and asks for nobody."""
    world.safety_events()
    world.events(range(5), 40)
    world.policy(archive={"keep_days": 14})
    run = world.start()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "_write", full)
        report = privacy.advance_run(run)
    assert (report["outcome"], world.run_row(run)["state"]) == ("retry", "accepted")
    assert "No space left on device; make room" in report["reason"]
    with world.control.begin() as connection:
        connection.execute(sa.text("UPDATE aegis_runs SET not_before = NULL"))
    assert world.finish(run)["outcome"] == "done"
    assert world.count("safety_events") == 0


@on("sqlite-one")
def test_a_full_control_database_is_away(world: World) -> None:
    """SQLite without another page refuses what is written, as a database does that does not answer."""

    def fill() -> None:
        with writing(world.system.databases.control, "it") as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            connection.exec_driver_sql("CREATE TABLE large AS SELECT zeroblob(10000000)")

    with pytest.raises(Unreachable, match="make room"):
        fill()
