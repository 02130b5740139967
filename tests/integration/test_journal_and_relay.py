"""The relay: every event exactly once, and what does not fit stops it. And the account checker itself."""

import datetime as dt
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.audit.transfer import Transfer
from aegis.errors import Busy, Refused, Tampered
from aegis.operations import claims, identity
from aegis.operations.system import use
from aegis.retention import returning, work
from aegis.retention.runs import advance
from aegis.settings import SourceSettings
from api import privacy
from api.audit import account_of, get_audit_events, ledger, relay_journals
from tests import worlds
from tests.conftest import balance
from tests.sourcecopies import copy_source, database_of
from tests.worlds import EACH_DATABASE, SQLITE_TWO, World, on

TWO_DATABASES = ("sqlite+postgresql", SQLITE_TWO, "sqlite+mariadb")


def done_but_not_relayed(world: World, rows: int = 40, first: int = 0) -> str:
    """Delete rows in batches of 10, without a relay; return the run."""
    if first == 0:
        world.safety_events()
        world.policy()
        world.batches_of(10)
    world.events(range(first, first + rows), 60)
    run = world.start()
    while advance(world.system, run, 5).more:
        pass
    return run


def logged(world: World) -> int:
    """Return how many batches stand in the log."""
    with world.control.connect() as connection:
        return int(
            connection.scalar(sa.text("SELECT count(*) FROM audit_logs WHERE action = 'retention:batch'"))
            or 0
        )


def state_of(world: World) -> str:
    """Return the source's state in the control database."""
    with world.control.connect() as connection:
        return str(connection.scalar(sa.text("SELECT state FROM aegis_sources")))


def transfer_of(world: World) -> Transfer:
    """Return the relay's own parts, to stop it between them."""
    system = world.another()
    key = system.worker_key.subkey("journal-mac")
    return Transfer(name=world.datasource, databases=system.databases, mac_key=key)


def test_a_second_relay_finds_nothing(world: World) -> None:
    """Everything is moved once; again, nothing is."""
    done_but_not_relayed(world)
    (first,) = relay_journals()
    assert first.rows >= 4
    before = world.everything()
    (second,) = relay_journals()
    assert second.rows == 0
    assert world.everything() == before
    assert ledger() == [("p", "safety_events", "delete", 40)]


def test_killed_between_its_two_commits(world: World) -> None:
    """The log has the rows, the journal does not know: the next relay repeats only the note."""
    done_but_not_relayed(world)
    transfer = transfer_of(world)
    transfer.register()
    assert transfer.to_log(transfer.waiting()) >= 4
    in_log = logged(world)
    # That the log is ahead for the moment is no restored backup: the source may be used.
    world.system.relay.register(world.datasource)
    assert state_of(world) == "ok"
    (again,) = relay_journals()
    assert again.rows == 0
    assert logged(world) == in_log


@on(*EACH_DATABASE, "sqlite+postgresql")
def test_two_relays_at_once(world: World) -> None:
    """Threads that relay the same source move each event once."""
    done_but_not_relayed(world, rows=100)
    systems = [world.another() for _ in range(3)]
    start = threading.Barrier(3)
    moved: list[int] = []

    def work(position: int) -> None:
        start.wait()
        moved.append(systems[position].relay.relay(world.datasource).rows)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moved) == 3
    assert sum(moved) == world.count(world.journal, "number > 0 AND event_id IS NOT NULL")
    assert logged(world) == 10


@on("sqlite-one", "sqlite+postgresql", "sqlite+mariadb")
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {journal} SET mac = entry WHERE number = 2",
        "UPDATE {journal} SET rows = rows + 1 WHERE number = 2",
        "UPDATE {journal} SET entry = NULL, event_id = NULL WHERE number = 2",
        "DELETE FROM {journal} WHERE number = 2",
        "UPDATE {journal} SET number = 77 WHERE number = 2",
    ],
    ids=["mac", "rows", "no event", "gap", "renumbered"],
)
def test_a_changed_journal_stops_everything(world: World, change: str) -> None:
    """A row that does not fit is an alarm: nothing of it is taken, and nothing runs on this source."""
    run = done_but_not_relayed(world)
    column = "`rows`" if world.dialect == "mariadb" else "rows"
    assert (
        world.execute(change.format(journal=world.journal).replace("rows = rows", f"{column} = {column}"))
        == 1
    )
    world.unbalanced = "the journal was tampered with"
    with pytest.raises(Tampered, match=run):
        relay_journals()
    assert (logged(world), state_of(world)) == (0, "tampered")
    with pytest.raises(Refused):
        relay_journals()
    world.events(range(900, 905), 60)
    report = world.enforce()
    assert (report["applied"], report["status"]) == (False, "failed")
    assert world.count("safety_events") == 5


@on("sqlite-one", "sqlite+postgresql")
def test_a_forged_hold_stops_the_run(world: World) -> None:
    """A hold that Aegis did not write is not obeyed and not ignored: nothing is changed."""
    world.safety_events()
    world.events(range(5), 60)
    world.policy()
    nil = "00000000-0000-0000-0000-000000000000"
    world.execute(
        f"INSERT INTO {world.journal} (run, shard, number, rows, counts, entry, mac) "  # noqa: S608
        "VALUES (:nil, 1, 1, 0, '{}', :entry, :entry)",
        nil=nil,
        entry=b'{"id":"x"}',
    )
    report = world.enforce()
    assert report["applied"] is False
    assert "hold" in report["reason"]
    assert world.count("safety_events") == 5


@on(*TWO_DATABASES)
def test_a_source_restored_from_an_older_copy(
    world: World, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The journal is behind the log: an alarm stands in the log, and the source's runs are held."""
    done_but_not_relayed(world)
    relay_journals()
    name = database_of(world)
    copy_source(world, request, name, f"{name}_older", tmp_path)
    done_but_not_relayed(world, first=100)
    relay_journals()
    world.unbalanced = "the source was restored"
    copy_source(world, request, f"{name}_older", name, tmp_path)
    with pytest.raises(Refused, match="behind the log"):
        relay_journals()
    assert state_of(world) == "reverted"
    (event,) = get_audit_events(action="retention:reverted")
    assert event["details"]["expected"] > event["details"]["found"]
    world.events(range(900, 905), 60)
    assert world.enforce()["applied"] is False
    assert world.count("safety_events", "id >= 900") == 5


@on(*TWO_DATABASES)
def test_a_promoted_replica_that_misses_three_batches(
    world: World, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The alarm names the run, its shard and the three numbers; the run changes nothing any more."""
    world.safety_events()
    world.policy()
    world.batches_of(10)
    world.events(range(60), 60)
    run = world.start()
    advance(world.system, run, 0)
    relay_journals()
    name = database_of(world)
    copy_source(world, request, name, f"{name}_older", tmp_path)
    for _ in range(3):
        assert advance(world.system, run, 0).rows == 10
    relay_journals()
    world.unbalanced = "the source lost batches that the log has"
    copy_source(world, request, f"{name}_older", name, tmp_path)
    with pytest.raises(Refused, match=f"lacks {run}/0 batches 2 to 4"):
        relay_journals()
    (event,) = get_audit_events(action="retention:reverted")
    assert event["details"]["first_missing"] == {f"{run}/0": 2}
    assert event["details"]["last_missing"] == {f"{run}/0": 4}
    before = world.count("safety_events")
    assert advance(world.system, run, 5).outcome == "blocked"
    assert world.count("safety_events") == before == 50


@on(*TWO_DATABASES)
def test_a_restored_source_goes_on(
    world: World, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came back is accounted for once, also after a kill between the sides; the policy runs again."""
    world.safety_events()
    world.policy()
    world.batches_of(10)
    world.events(range(60), 60)
    world.events(range(900, 905), 1)
    done = world.start()
    run = _lose_batches(world, request, tmp_path, done)
    with pytest.raises(Refused, match=f"retention resume --datasource {world.datasource}"):
        relay_journals()
    with monkeypatch.context() as killed:
        killed.setattr(returning, "_align_control", _killed)
        with pytest.raises(KeyboardInterrupt):
            privacy.resume_source(world.datasource, worlds.ACTOR)
    assert state_of(world) == "reverted"
    with pytest.raises(Refused):
        relay_journals()

    resumed = privacy.resume_source(world.datasource, worlds.ACTOR)

    assert resumed.returned == {("p", "safety_events", "delete"): 30}
    assert resumed.cancelled == [run]
    assert (state_of(world), world.run_row(run)["state"]) == ("ok", "cancelled")
    assert world.run_row(run)["rows"] == 40
    assert ("p", "safety_events", "reverted_delete", 30) in ledger()
    (event,) = get_audit_events(action="retention:returned")
    assert (event["actor"], event["details"]["rows"]) == (worlds.ACTOR, 30)
    assert (event["details"]["first"], event["details"]["last"]) == (2, 4)
    assert world.system.source_row(world.datasource).incarnation == 2
    balance(world)
    world.system.close()
    assert world.enforce()["rows"] == 50
    assert world.count("safety_events") == 5
    assert ledger() == [
        ("p", "safety_events", "delete", 90),
        ("p", "safety_events", "reverted_delete", 30),
    ]
    assert account_of("p").balances
    with pytest.raises(Refused, match="nothing to resume"):
        privacy.resume_source(world.datasource, worlds.ACTOR)


@on(*TWO_DATABASES)
def test_a_source_is_restored_twice(world: World, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Restored once more from the same copy, nothing of the first restore is counted again."""
    world.safety_events()
    world.policy()
    world.batches_of(10)
    world.events(range(60), 60)
    _lose_batches(world, request, tmp_path, world.start())
    name = database_of(world)
    with pytest.raises(Refused):
        relay_journals()
    privacy.resume_source(world.datasource, worlds.ACTOR)
    assert world.enforce()["rows"] == 50
    copy_source(world, request, f"{name}_older", name, tmp_path)
    with pytest.raises(Refused, match="behind the log"):
        relay_journals()
    again = privacy.resume_source(world.datasource, worlds.ACTOR)
    assert again.returned == {("p", "safety_events", "delete"): 50}
    assert again.incarnation == 3
    assert world.enforce()["rows"] == 50
    assert account_of("p").balances


@on(*TWO_DATABASES)
def test_two_people_resume_a_restored_source(
    world: World, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes second is told, also when it went on meanwhile; what came back is counted once."""
    world.safety_events()
    world.policy()
    world.batches_of(10)
    world.events(range(60), 60)
    _lose_batches(world, request, tmp_path, world.start())
    with pytest.raises(Refused, match="behind the log"):
        relay_journals()

    def first() -> None:
        assert privacy.resume_source(world.datasource, worlds.ACTOR).incarnation == 2
        assert world.enforce()["rows"] == 50

    _meanwhile(monkeypatch, first)
    with pytest.raises(Busy, match="somebody else resumed"):
        privacy.resume_source(world.datasource, worlds.ACTOR)
    assert state_of(world) == "ok"
    world.events(range(100, 110), 60)
    assert world.enforce()["rows"] == 10
    reverted = ("p", "safety_events", "reverted_delete", 30)
    assert ledger() == [("p", "safety_events", "delete", 100), reverted]
    assert account_of("p").balances


@on(SQLITE_TWO)
def test_a_run_that_is_claimed_while_its_source_is_resumed(
    world: World, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is cancelled on what was read before; repeated, the command ends the run for good."""
    world.safety_events()
    world.policy()
    world.batches_of(10)
    world.events(range(60), 60)
    run = _lose_batches(world, request, tmp_path, world.start())
    with pytest.raises(Refused, match="behind the log"):
        relay_journals()
    _meanwhile(monkeypatch, lambda: claims.claim(world.another(), run))
    with pytest.raises(Busy, match=f"run {run} changed just now; repeat the command"):
        privacy.resume_source(world.datasource, worlds.ACTOR)
    assert (state_of(world), world.run_row(run)["state"]) == ("reverted", "running")
    resumed = privacy.resume_source(world.datasource, worlds.ACTOR)
    assert (resumed.cancelled, world.run_row(run)["state"]) == ([run], "cancelled")
    assert world.enforce()["rows"] == 50
    assert account_of("p").balances


def _meanwhile(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Let something happen once, between what a resumption reads and what it writes."""
    align = returning._align_journal  # noqa: SLF001 - that is between them

    def late(*arguments: Any) -> None:
        monkeypatch.setattr(returning, "_align_journal", align)
        work()
        align(*arguments)

    monkeypatch.setattr(returning, "_align_journal", late)


@on(*TWO_DATABASES)
def test_nothing_runs_on_a_restored_source(
    world: World, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The first to use it notices, without any relay before: no row goes, and the alarm is in the log."""
    world.safety_events()
    world.policy()
    world.batches_of(10)
    world.events(range(60), 60)
    run = _lose_batches(world, request, tmp_path, world.start())
    assert advance(world.system, run, 5).outcome == "blocked"
    report = world.enforce()
    assert (report["applied"], report["status"]) == (False, "failed")
    assert "behind the log" in report["reason"]
    assert (world.count("safety_events"), state_of(world)) == (50, "reverted")
    (event,) = get_audit_events(action="retention:reverted")
    assert event["details"]["first_missing"] == {f"{run}/0": 2}
    assert privacy.resume_source(world.datasource, worlds.ACTOR).cancelled == [run]
    assert world.enforce()["rows"] == 50


@on(*TWO_DATABASES)
@pytest.mark.parametrize("batches", [2, 3, 5], ids=["fewer", "equal", "more"])
def test_new_batches_do_not_hide_the_lost_ones(
    world: World,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    batches: int,
) -> None:
    """Whatever was written to a restored source unnoticed, the relay takes none of it before its alarm."""
    world.safety_events()
    world.policy()
    world.batches_of(10)
    world.events(range(60), 60)
    _lose_batches(world, request, tmp_path, world.start())
    before = logged(world)
    with monkeypatch.context() as unnoticed:
        unnoticed.setattr(work, "before_slice", lambda *_: None)
        later = world.start()
        assert [advance(world.system, later, 0).rows for _ in range(batches)] == [10] * batches
    with pytest.raises(Refused, match="behind the log"):
        relay_journals()
    assert (logged(world), state_of(world)) == (before, "reverted")
    resumed = privacy.resume_source(world.datasource, worlds.ACTOR)
    assert sum(resumed.returned.values()) == 30
    world.enforce()
    assert world.count("safety_events") == 0


@on(*TWO_DATABASES)
def test_a_worker_went_on_after_the_restore(
    world: World, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch of the same number as a lost one, of a slice that had begun before, counts as well."""
    world.safety_events()
    world.policy()
    world.batches_of(10)
    world.events(range(60), 60)
    run = _lose_batches(world, request, tmp_path, world.start())
    with monkeypatch.context() as unnoticed:
        unnoticed.setattr(work, "before_slice", lambda *_: None)
        assert advance(world.system, run, 0).rows == 10
    with pytest.raises(Refused, match="behind the log"):
        relay_journals()
    resumed = privacy.resume_source(world.datasource, worlds.ACTOR)
    assert resumed.returned == {("p", "safety_events", "delete"): 30}
    assert world.run_row(run)["rows"] == 50
    assert world.enforce()["rows"] == 40
    assert account_of("p").balances


@on(*TWO_DATABASES)
def test_holds_of_a_restored_source_are_those_of_now(
    world: World, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A hold that is younger than the copy is in force again; one that was released since is over."""
    world.safety_events()
    world.policy()
    world.batches_of(10)
    world.events(range(60), 60)
    words: dict[str, Any] = {
        "datasource": world.datasource,
        "owner": worlds.ACTOR,
        "review_by": dt.date(2099, 1, 1),
    }
    old = privacy.place_hold(matter="old", tenant="acme", **words)
    run = world.start()
    relay_journals()
    name = database_of(world)
    copy_source(world, request, name, f"{name}_older", tmp_path)
    privacy.release_hold(old, worlds.ACTOR)
    assert world.finish(run)["total"] == 60
    relay_journals()
    privacy.place_hold(matter="new", table="safety_events", **words)
    copy_source(world, request, f"{name}_older", name, tmp_path)
    with pytest.raises(Refused, match="behind the log"):
        relay_journals()
    resumed = privacy.resume_source(world.datasource, worlds.ACTOR)
    assert (sum(resumed.returned.values()), resumed.cancelled) == (60, [])
    assert world.enforce()["status"] == "waiting"
    assert world.count("safety_events") == 60
    assert world.count(world.journal, "shard = 1") == 1


@on("sqlite-one")
def test_only_a_restored_source_is_resumed(world: World) -> None:
    """A source in order, and one whose journal is still not what was written, is refused."""
    done_but_not_relayed(world)
    with pytest.raises(Refused, match="in order"):
        privacy.resume_source("default", worlds.ACTOR)
    world.execute("UPDATE aegis_journal SET mac = entry WHERE number = 2")
    world.unbalanced = "the journal was tampered with"
    with pytest.raises(Tampered):
        relay_journals()
    with pytest.raises(Tampered):
        privacy.resume_source("default", worlds.ACTOR)
    assert state_of(world) == "tampered"


@on("sqlite-one", "postgresql-one")
def test_a_journal_that_was_mended_goes_on(world: World) -> None:
    """Tampering leaves an event that says where; with the bytes as they were the source may go on."""
    done_but_not_relayed(world)
    change = f"UPDATE {world.journal} SET mac = "  # noqa: S608 - a name of the tests' own
    (mac,) = world.all(f"SELECT mac FROM {world.journal} WHERE number = 2")  # noqa: S608 - the same
    world.execute(change + "entry WHERE number = 2")
    for _ in range(2):
        with pytest.raises((Tampered, Refused), match=r"was changed|Somebody changed"):
            relay_journals()
    told = [event for event in get_audit_events() if event["action"] == "retention:tampered"]
    assert len(told) == 1
    assert told[0]["details"]["datasource"] == world.datasource
    world.execute(change + ":mac WHERE number = 2", mac=mac)
    privacy.resume_source(world.datasource, worlds.ACTOR)
    assert state_of(world) == "ok"


@on(*TWO_DATABASES)
def test_a_physical_copy_becomes_a_database_of_its_own(
    world: World, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """No batch of the original is offered again and no approval of it fires; the original is refused."""
    done_but_not_relayed(world)
    words: dict[str, Any] = {"datasource": world.datasource, "owner": worlds.ACTOR}
    privacy.place_hold(matter="m", tenant="nobody", review_by=dt.date(2099, 1, 1), **words)
    url = world.settings.datasources["app"].url
    name = database_of(world)
    copy_source(world, request, name, f"{name}_older", tmp_path)
    with pytest.raises(Refused, match="name of its own"):
        identity.renew(world.system, "app")
    copied = SourceSettings(url=url.replace(name, f"{name}_older"))
    system = world.another(datasources={"app": world.settings.datasources["app"], "staging": copied})
    made = identity.renew(system, "staging")
    assert (made.batches > 0, made.holds) == (True, 1)
    assert made.identity != system.source_row("app").identity
    assert system.relay.relay("staging").rows == 0
    assert system.relay.relay("app").rows == made.batches
    with pytest.raises(Refused, match="name of its own"):
        identity.renew(system, "staging")
    swapped = world.another(datasources={"app": copied})
    with pytest.raises(Refused, match="another database than before"):
        swapped.relay.register("app")
    system.close()
    swapped.close()


def _lose_batches(world: World, request: pytest.FixtureRequest, folder: Path, run: str) -> str:
    """Let a run do four batches, and restore its source to the moment after the first."""
    advance(world.system, run, 0)
    relay_journals()
    name = database_of(world)
    copy_source(world, request, name, f"{name}_older", folder)
    for _ in range(3):
        assert advance(world.system, run, 0).rows == 10
    relay_journals()
    copy_source(world, request, f"{name}_older", name, folder)
    return run


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


@on(*TWO_DATABASES)
def test_a_control_database_restored_from_an_older_copy(world: World, tmp_path: Path) -> None:
    """The log is behind the journal: what it lacks is relayed again, and the account is exact."""
    done_but_not_relayed(world)
    relay_journals()
    older = _back_up_control(world, tmp_path)
    run = done_but_not_relayed(world, first=100)
    relay_journals()
    before, gone = logged(world), world.run_row(run)
    assert gone["rows"] == 40
    _restore_control(world, older)
    assert logged(world) == before // 2
    lacking = world.count(world.journal, "number > 0 AND run = :run", run=run)
    assert [moved.rows for moved in relay_journals()] == [lacking]
    assert logged(world) == before
    assert ledger() == [("p", "safety_events", "delete", 80)]


@on(*TWO_DATABASES)
def test_a_run_goes_on_after_its_control_database_was_restored(world: World, tmp_path: Path) -> None:
    """What its log lacks is offered again before anything newer, so no number is taken for a gap."""
    world.safety_events()
    world.policy()
    world.batches_of(10)
    world.events(range(60), 60)
    run = world.start()
    advance(world.system, run, 0)
    relay_journals()
    older = _back_up_control(world, tmp_path)
    advance(world.system, run, 0)
    relay_journals()
    _restore_control(world, older)
    # The journal knows the epoch of the claim that the control database forgot.
    while advance(world.system, run, 0).outcome == "fenced":
        pass
    assert [moved.rows for moved in relay_journals()] == [2]
    assert (logged(world), state_of(world)) == (3, "ok")
    assert world.finish(run)["total"] == 60


def _back_up_control(world: World, folder: Path) -> Path:
    """Copy the control database's file."""
    world.system.close()
    file, older = world.settings.home / "aegis.db", folder / "older.db"
    with sa.create_engine(f"sqlite:///{file}", poolclass=sa.NullPool).connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copyfile(file, older)
    return older


def _restore_control(world: World, older: Path) -> None:
    world.system.close()
    for left in world.settings.home.glob("aegis.db-*"):
        left.unlink()
    shutil.copyfile(older, world.settings.home / "aegis.db")
    world.system = use(world.settings)


@on("sqlite-one", "postgresql-one")
def test_nothing_old_is_removed_before_its_time(world: World) -> None:
    """Journal rows stay for the backup horizon; afterwards a finished, relayed run's rows go."""
    from api.audit import prune_journals  # noqa: PLC0415 - only here

    run = done_but_not_relayed(world)
    relay_journals()
    assert prune_journals() == 0
    balance(world)
    with world.control.begin() as connection:
        long_ago = sa.text("UPDATE aegis_runs SET finished_at = '2001-01-01 00:00:00.000000'")
        connection.execute(long_ago)
    assert prune_journals() >= 5
    assert world.count(world.journal, "run = :run", run=run) == 0
    assert [moved.rows for moved in relay_journals()] == [0]
    assert state_of(world) == "ok"
    world.unbalanced = "the journal is pruned; it balanced before"


CHANGES = {
    "a row lost": "DELETE FROM safety_events WHERE id = 900",
    "a column of the log": "UPDATE audit_logs SET target_ref = 'q' WHERE action = 'retention:batch'",
    "the time": "UPDATE audit_logs SET time = '2001-01-01 00:00:00.000000'",
    "the ledger": "UPDATE aegis_ledger SET rows = rows + 1",
    "the report": "UPDATE aegis_runs SET rows = rows + 1",
    "an event deleted": "DELETE FROM audit_logs WHERE action = 'retention:batch'",
    "an event not pending": "DELETE FROM audit_pending",
    "a batch lost": "DELETE FROM aegis_journal WHERE number = 2",
    "a batch changed": "UPDATE aegis_journal SET rows = rows + 1 WHERE number = 2",
    "sealed bytes": "UPDATE audit_logs SET sealed = entry",
    "a person": "UPDATE aegis_journal SET mark = CAST('canary-7f3a' AS BLOB) WHERE number = 1",
}


@on("sqlite-one")
@pytest.mark.parametrize("change", CHANGES)
def test_the_account_checker_finds_it(world: World, change: str) -> None:
    """Every single disagreement between rows, journal, log, report and ledger is found."""
    done_but_not_relayed(world)
    world.events([900], 1)
    balance(world)
    assert world.execute(CHANGES[change]) >= 1
    world.unbalanced = change
    with pytest.raises((AssertionError, Refused, Tampered)):
        balance(world)


@on("sqlite-one")
def test_the_person_behind_an_event_is_shown_by_the_door_only(world: World) -> None:
    """The log keeps a keyed reference; the door resolves it, newest first."""
    world.safety_events()
    world.policy()
    newest, *_ = get_audit_events(limit=100)
    assert (newest["action"], newest["actor"]) == ("policy:approve", worlds.ACTOR)
    assert newest["actor_ref"].startswith("a1_")
    assert privacy.list_retention_policies()[0].state == "approved"
