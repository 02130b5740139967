"""Gone, physically: when the bytes of deleted rows have left the files, and what is said before."""

import datetime as dt
from pathlib import Path

import pytest
import sqlalchemy as sa

from aegis.audit.actions import Action
from aegis.doctor.backlogs import check_purges
from aegis.doctor.findings import Verdict
from aegis.doctor.patient import Patient
from aegis.errors import Refused, UnknownName
from aegis.retention import purges
from api import audit, privacy
from tests import worlds
from tests.worlds import CANARY, EACH_DATABASE, World, on


def plain(world: World, statement: str) -> None:
    """Do a statement outside any transaction, as the application's owner."""
    with world.app.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(sa.text(statement))


def still_table(world: World) -> None:
    """Create the usual table; the server does not vacuum it by itself while a test looks."""
    world.safety_events()
    if world.dialect == "postgresql":
        world.execute("ALTER TABLE safety_events SET (autovacuum_enabled = false)")


def run_of(world: World, rows: int = 200) -> str:
    """Let rows go and return the run."""
    still_table(world)
    world.events(range(rows), 60)
    world.events([1000], 1)
    world.policy()
    run: str = world.enforce()["run"]
    return run


def in_files(path: Path, needle: str) -> int:
    """Count a text in an SQLite file and in what stands beside it."""
    files = [file for file in path.parent.glob(f"{path.name}*") if file.is_file()]
    return sum(file.read_bytes().count(needle.encode()) for file in files)


class TestOnSQLite:
    """Pages are overwritten at once; the write-ahead log is emptied by us."""

    @on("sqlite-one", worlds.SQLITE_TWO)
    def test_no_byte_of_a_deleted_row_is_in_the_files(self, world: World) -> None:
        """The person's address is in the files before, and in none of them afterwards."""
        world.safety_events()
        world.events(range(200), 60)
        path = Path(str(world.app.url.database))
        assert in_files(path, f"{CANARY}.150@") > 0
        world.policy()
        run = world.enforce()["run"]
        found = privacy.purge_run(run)
        assert (found["state"], found["report"]["how"]) == ("done", "overwritten")
        assert in_files(path, f"{CANARY}.150@") == 0

    @on("sqlite-one")
    def test_waits_while_somebody_reads(self, world: World) -> None:
        """A reader keeps the log of the time before; the purge says so, and is done when it has gone."""
        world.safety_events()
        world.events(range(50), 60)
        world.policy()
        with world.app.connect() as reader:
            reader.exec_driver_sql("BEGIN")
            reader.execute(sa.text("SELECT count(*) FROM safety_events")).all()
            run = world.enforce()["run"]
            found = privacy.purge_run(run)
            assert found["state"] == "waiting"
            assert "reads the database" in found["report"]["why"]
        assert privacy.purge_run(run)["state"] == "done"


class TestOnPostgreSQL:
    """A vacuum that began after the rows went, or other files."""

    @on("sqlite+postgresql", "postgresql-one")
    def test_is_done_when_the_table_was_vacuumed_since(self, world: World) -> None:
        """Waiting before, done after somebody's vacuum, with an event and what stays readable."""
        run = run_of(world)
        before = privacy.purge_run(run)
        assert (before["state"], before["report"]["why"]) == (
            "waiting",
            "public.safety_events was not vacuumed since",
        )
        plain(world, "VACUUM safety_events")
        found = privacy.purge_run(run)
        assert (found["state"], found["report"]["how"]) == ("done", "vacuumed")
        assert any("backup_horizon_days" in text for text in found["report"]["remains"])
        (event,) = audit.get_audit_events(action=Action.RETENTION_PURGE)
        assert (event["details"]["rows"], event["details"]["how"]) == (200, "vacuumed")
        assert privacy.purge_run(run)["state"] == "done"
        assert len(audit.get_audit_events(action=Action.RETENTION_PURGE)) == 1

    @on("sqlite+postgresql")
    def test_execute_vacuums(self, world: World) -> None:
        """The server's own statistics show the vacuum that Aegis reports, and no dead row is left."""
        run = run_of(world)
        assert privacy.purge_run(run, execute=True)["state"] == "done"
        counted = "SELECT vacuum_count FROM pg_stat_user_tables WHERE relname = 'safety_events'"
        assert world.all(counted) == [1]
        dead = counted.replace("vacuum_count", "n_dead_tup")
        assert world.all(dead) == [0]

    @on("sqlite+postgresql")
    def test_an_old_transaction_keeps_the_rows(self, world: World) -> None:
        """Vacuumed while somebody still sees them: not done; done by the vacuum after that."""
        still_table(world)
        world.events(range(200), 60)
        world.policy()
        with world.app.connect() as reader:
            reader.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            reader.execute(sa.text("SELECT count(*) FROM safety_events"))
            run = world.enforce()["run"]
            found = privacy.purge_run(run, execute=True)
            assert found["state"] == "waiting"
            assert "200 dead rows are left" in found["report"]["why"]
        assert privacy.purge_run(run)["state"] == "waiting"
        plain(world, "VACUUM safety_events")
        assert privacy.purge_run(run)["state"] == "done"

    @on("sqlite+postgresql")
    def test_a_vacuum_that_the_server_skipped_is_never_done(self, world: World) -> None:
        """A role that may not vacuum gets a warning from the server; Aegis refuses and says what to do."""
        run = run_of(world)
        plain(world, "DROP ROLE IF EXISTS no_owner")
        plain(world, "CREATE ROLE no_owner")
        plain(world, "GRANT USAGE ON SCHEMA public TO no_owner")
        plain(world, "GRANT SELECT ON safety_events TO no_owner")
        engine = world.system.databases.source("app")

        def become(connection: sa.Connection) -> None:
            connection.exec_driver_sql("SET ROLE no_owner")

        sa.event.listen(engine, "engine_connect", become)
        try:
            with pytest.raises(Refused, match=r"did not vacuum safety_events .*permission denied"):
                privacy.purge_run(run, execute=True)
        finally:
            sa.event.remove(engine, "engine_connect", become)
            engine.dispose()
        assert purges.fetch(world.system, run)["state"] == "waiting"
        plain(world, "DROP OWNED BY no_owner")
        plain(world, "DROP ROLE no_owner")

    @on("sqlite+postgresql")
    def test_a_rewrite_is_done_and_leaves_no_free_space(self, world: World) -> None:
        """After VACUUM FULL the files are others."""
        run = run_of(world)
        plain(world, "VACUUM FULL safety_events")
        found = privacy.purge_run(run)
        assert (found["state"], found["report"]["how"]) == ("done", "rewritten")
        assert not any("free space" in text for text in found["report"]["remains"])


class TestOnMariaDB:
    """Only a rebuild takes the bytes out."""

    @on("sqlite+mariadb")
    def test_is_done_when_the_table_was_rebuilt(self, world: World) -> None:
        """Aegis rebuilds nothing by itself; it names the command, and sees when somebody did."""
        run = run_of(world)
        with pytest.raises(Refused, match="OPTIMIZE TABLE safety_events"):
            privacy.purge_run(run, execute=True)
        assert privacy.purge_run(run)["state"] == "waiting"
        created = "SELECT create_time FROM information_schema.tables WHERE table_name = 'safety_events'"
        (before,) = world.all(created)
        while world.all(created) == [before]:
            # The server keeps whole seconds: the one of the table's making has to be over.
            plain(world, "OPTIMIZE TABLE safety_events")
        found = privacy.purge_run(run)
        assert (found["state"], found["report"]["how"]) == ("done", "rewritten")


class TestDeadline:
    """What beat looks after."""

    @on("sqlite-one", "sqlite+postgresql")
    def test_nothing_is_rewritten_while_everything_is_stopped(self, world: World) -> None:
        """A person's purge is refused until the source is started again."""
        run = run_of(world)
        privacy.stop_operations("r", worlds.ACTOR)
        with pytest.raises(Refused, match="is stopped"):
            privacy.purge_run(run, execute=True)
        privacy.start_operations(worlds.ACTOR)
        assert privacy.purge_run(run, execute=True)["state"] == "done"

    @on(*EACH_DATABASE)
    def test_beat_looks_and_doctor_tells_what_is_late(self, world: World) -> None:
        """Past its day it is overdue, an alarm; SQLite's is done by the look itself."""
        run = run_of(world)
        assert purges.fetch(world.system, run)["state"] == "waiting"
        late = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        with world.control.begin() as connection:
            connection.execute(sa.text("UPDATE aegis_purges SET due_at = :late"), {"late": world.value(late)})
        done = privacy.look_after_purges()
        sqlite = world.dialect == "sqlite"
        assert done == int(sqlite)
        assert purges.fetch(world.system, run)["state"] == ("done" if sqlite else "overdue")
        found = list(check_purges(Patient(system=world.system, control_ready=True)))
        assert [item.verdict for item in found] == [Verdict.OK if sqlite else Verdict.FAULT]
        assert privacy.look_after_purges() == 0

    @on("sqlite-one")
    def test_a_run_that_changed_nothing_has_none(self, world: World) -> None:
        """There is nothing to purge, and that is said."""
        world.safety_events()
        world.policy()
        run = world.enforce()["run"]
        with pytest.raises(UnknownName, match="nothing to purge"):
            privacy.purge_run(run)
