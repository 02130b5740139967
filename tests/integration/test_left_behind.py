"""Runs whose process died, whose database was away, or whose control database is an older one."""

import datetime as dt
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.errors import Unreachable
from aegis.operations.batches import Shard
from aegis.operations.runs import abandoned
from aegis.operations.system import use
from aegis.retention import work
from aegis.settings import SourceSettings
from api import privacy
from api.audit import account_of, get_audit_events, record_audit
from tests import worlds
from tests.starter import starter
from tests.worlds import World, on

EACH = on(*worlds.EACH_DATABASE)
KILLED = """
import os, signal
from api.privacy import enforce_retention_policies
enforce_retention_policies(dry_run=False, on_progress=lambda _: os.kill(os.getpid(), signal.SIGKILL))
"""


class Died(BaseException):
    """What a worker does that is killed: nothing after it runs."""


def killed_in_mid_run(world: World) -> None:
    """Enforce in a process that kills itself after its first batch."""
    home = world.settings.home
    environ = {"AEGIS_HOME": str(home), "PATH": os.defpath}
    environ["AEGIS_RETENTION__FIRST_BATCH_ROWS"] = environ["AEGIS_RETENTION__LARGEST_BATCH_ROWS"] = "10"
    if world.settings.database_url:
        environ["AEGIS_DATABASE_URL"] = world.settings.database_url
    code, _, errors = starter().run([], folder=home, environment=environ, script=KILLED)
    assert code == -signal.SIGKILL, errors


def end_leases(world: World) -> None:
    """Let the time of every lease and every wait be over."""
    with world.control.begin() as connection:
        connection.execute(sa.text("UPDATE aegis_runs SET lease_until = NULL, not_before = NULL"))


def run_rows(world: World) -> list[Any]:
    """Return every run, the oldest first."""
    with world.control.connect() as connection:
        return list(connection.execute(sa.text("SELECT * FROM aegis_runs ORDER BY created_at")).mappings())


class TestKilledCalls:
    """A call whose process was killed."""

    @EACH
    def test_the_next_call_goes_on_with_it(self, world: World) -> None:
        """It is the same run, from its mark; afterwards the account balances and nothing is open."""
        world.safety_events()
        world.events(range(60), 60)
        world.policy()
        killed_in_mid_run(world)
        assert 0 < world.count("safety_events") < 60
        end_leases(world)
        report = world.enforce()
        assert (report["applied"], report["rows"], report["status"]) == (True, 60, "done")
        assert [row["state"] for row in run_rows(world)] == ["done"]
        assert account_of("p").balances

    @EACH
    def test_while_its_lease_lasts_a_call_is_busy_and_leaves_nothing(self, world: World) -> None:
        """A caller that was told no finds no run of its own later."""
        world.safety_events()
        world.events(range(60), 60)
        world.policy()
        killed_in_mid_run(world)
        left = world.count("safety_events")
        report = world.enforce()
        assert (report["applied"], report["status"], report.get("run")) == (False, "busy", None)
        assert len(run_rows(world)) == 1
        assert world.count("safety_events") == left
        end_leases(world)
        assert world.enforce()["rows"] == 60

    @EACH
    def test_a_run_of_an_earlier_version_is_ended(self, world: World) -> None:
        """When the policy was changed since, the old run ends as its gates say, and the new one runs."""
        world.safety_events()
        world.events(range(60), 60)
        world.policy()
        killed_in_mid_run(world)
        end_leases(world)
        privacy.register_retention_policy("p", "safety_events", retention_days=40, tenant_column="tenant")
        privacy.approve_retention_policy("p", actor=worlds.ACTOR)
        report = world.enforce()
        assert (report["applied"], world.ids()) == (True, [])
        assert [row["state"] for row in run_rows(world)] == ["cancelled", "done"]

    @EACH
    def test_the_doctor_finds_what_nobody_works_on(self, world: World) -> None:
        """A run that was left for long is named, with the cure."""
        world.safety_events()
        world.events(range(60), 60)
        world.policy()
        killed_in_mid_run(world)
        long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
        with world.control.begin() as connection:
            update = sa.text("UPDATE aegis_runs SET lease_until = :then, sent_at = :then")
            connection.execute(update, {"then": world.value(long_ago)})
        left = abandoned(world.system)
        assert [row["policy"] for row in left] == ["p"]
        world.enforce()
        assert abandoned(world.system) == []


class TestAttempts:
    """What counts as a try in vain."""

    # Where a small table is walked in several steps.
    @on("sqlite-one", "mariadb-one")
    def test_a_death_behind_empty_batches_counts(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Batches that find nothing and leave no journal row are no progress."""
        world.safety_events(index=False)
        world.events(range(400), 1)
        world.events([9_000], 60)
        world.policy()
        world.batches_of(3)
        run = world.start()
        batch = Shard.batch

        def deadly(shard: Shard, *words: Any) -> Any:
            change = batch(shard, *words)
            if len(calls) == 3:
                raise Died
            calls.append(change)
            return change

        calls: list[Any] = []
        with monkeypatch.context() as patch:
            patch.setattr(Shard, "batch", deadly)
            for attempts in (1, 2):
                calls.clear()
                with pytest.raises(Died):
                    privacy.advance_run(run)
                assert world.run_row(run)["attempts"] == attempts
                end_leases(world)
        assert world.finish(run)["outcome"] == "done"

    @EACH
    def test_a_batch_in_the_journal_is_progress_at_once(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Killed right behind its first batch, a run has not tried in vain."""
        world.safety_events()
        world.events(range(40), 60)
        world.policy()
        world.batches_of(10)
        run = world.start()
        rest = work.Work._rest  # noqa: SLF001 - the moment after a batch was noted

        def deadly(*_: Any) -> None:
            raise Died

        monkeypatch.setattr(work.Work, "_rest", deadly)
        with pytest.raises(Died):
            privacy.advance_run(run)
        assert world.run_row(run)["attempts"] == 0
        monkeypatch.setattr(work.Work, "_rest", rest)
        end_leases(world)
        assert world.finish(run)["outcome"] == "done"

    @EACH
    def test_an_outage_quarantines_nobody(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """However long a database is away: a run that was given back in order goes on by itself."""
        world.safety_events()
        world.events(range(5), 60)
        world.policy()
        run = world.start()

        def away(*_: Any) -> None:
            message = "the data source is away"
            raise Unreachable(message)

        with monkeypatch.context() as patch:
            patch.setattr(work, "before_slice", away)
            for _ in range(15):
                assert privacy.advance_run(run)["outcome"] == "retry"
                end_leases(world)
        assert world.finish(run)["outcome"] == "done"

    @EACH
    def test_a_control_database_of_before(self, world: World) -> None:
        """Its epoch is behind the data source's: the run counts on from there, and loses no try."""
        world.safety_events()
        world.events(range(60), 60)
        world.policy()
        world.batches_of(5)
        run = world.start()
        for _ in range(4):
            assert privacy.advance_run(run, seconds=0)["outcome"] == "more"
        with world.control.begin() as connection:
            connection.execute(sa.text("UPDATE aegis_runs SET epoch = 1, attempts = 1"))
        first = privacy.advance_run(run, seconds=0)
        assert (first["outcome"], first["more"]) == ("more", True)
        assert world.run_row(run)["attempts"] == 1
        assert world.finish(run)["outcome"] == "done"
        assert world.run_row(run)["rows"] == 60

    @EACH
    def test_a_control_database_of_before_with_ranges(self, world: World) -> None:
        """The same for a range that several workers share."""
        world.safety_events()
        world.events(range(2_400), 60)
        world.policy(parallel=2)
        world.batches_of(100)
        run = world.start()
        for _ in range(6):
            privacy.advance_run(run, seconds=0)
        with world.control.begin() as connection:
            changed = connection.execute(
                sa.text("UPDATE aegis_run_shards SET epoch = 0 WHERE finished_at IS NULL AND epoch > 1")
            )
        assert changed.rowcount
        assert world.finish(run)["outcome"] == "done"
        assert world.run_row(run)["rows"] == 2_400


@on(worlds.SQLITE_TWO)
class TestSources:
    """Data sources that are away, or called otherwise than before."""

    def test_an_instant_while_the_source_is_away(self, world: World) -> None:
        """It becomes a run all the same, which works when the source is back."""
        world.safety_events()
        world.events(range(4), 60)
        policy = world.policy()
        file = Path(str(world.app.url.database))
        away = file.with_suffix(".away")
        world.system.databases.close()
        file.rename(away)
        instant = dt.datetime.now(dt.UTC).replace(microsecond=0)
        run = privacy.create_scheduled_run(policy.id, instant)
        assert run is not None
        assert privacy.advance_run(run)["outcome"] == "retry"
        away.rename(file)
        end_leases(world)
        assert world.finish(run)["total"] == 4

    def test_another_name_for_the_only_source(self, world: World) -> None:
        """A policy is not looked for in another database: the name that it was registered with is gone."""
        world.safety_events()
        world.events(range(4), 60)
        world.policy()
        source = next(iter(world.settings.sources.values()))
        use(replace(world.settings, datasources={"elsewhere": source}))
        for dry_run in (True, False):
            (report,) = privacy.enforce_retention_policies(dry_run=dry_run)
            assert report["applied"] is False
            assert "there is no data source 'app' any more" in report["reason"]
        assert world.count("safety_events") == 4
        use(world.settings)

    def test_the_control_database_is_no_data_source_any_more(self, world: World) -> None:
        """A policy of `default` does not slip into the first source that gets a name."""
        plain = use(replace(world.settings, datasources={}))
        plain.migrate_source("default")
        with worlds.engine(plain.settings.control.url).begin() as connection:
            connection.execute(sa.text("CREATE TABLE own (id INTEGER PRIMARY KEY, created_at TIMESTAMP)"))
        privacy.register_retention_policy("own", "own")
        privacy.approve_retention_policy("own", actor=worlds.ACTOR)
        use(replace(world.settings, datasources={"app": SourceSettings(url=str(world.app.url))}))
        (report,) = privacy.enforce_retention_policies(policies=["own"])
        assert "there is no data source 'default' any more" in report["reason"]
        use(world.settings)


@EACH
def test_a_new_actor_in_the_callers_transaction(world: World) -> None:
    """An actor that was never seen joins the transaction too, and goes with it."""
    for commit in (False, True):
        with world.system.databases.control.connect() as connection:
            transaction = connection.begin()
            connection.execute(sa.text("UPDATE aegis_sources SET reason = NULL"))
            record_audit("mine", "somebody new", "policy", "p", connection=connection)
            transaction.commit() if commit else transaction.rollback()
    mine = [event for event in get_audit_events() if event["action"] == "custom:mine"]
    assert [event["actor"] for event in mine] == ["somebody new"]
