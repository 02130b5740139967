"""Soft landing: what beat runs of a new policy waits, takes a first portion, and waits to be confirmed."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.errors import Refused
from aegis.retention import policies
from api import archives, audit, privacy
from tests.worlds import ACTOR, DAY, EACH_DATABASE, World, on

HOUR = dt.timedelta(hours=1)


def prepare(world: World, *, rows: int = 60, archive: dict[str, int] | None = None, **limits: Any) -> None:
    """Old rows, an approved policy, a day of soft landing with a first portion of ten rows."""
    words = {"soft_landing_hours": 24.0, "canary_rows": 10, **limits}
    world.configure(retention=replace(world.settings.retention, **words))
    world.safety_events()
    world.events(range(rows), 60)
    world.policy(archive=archive)


def scheduled(world: World, minutes: int = 0) -> str:
    """Create the run of an instant, as beat does."""
    policy = policies.find(world.system, "p")
    instant = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=minutes)
    run = privacy.create_scheduled_run(policy.id, instant)
    assert run
    return run


def shift(world: World, column: str, ago: dt.timedelta) -> None:
    """Say that something happened earlier than it did."""
    table = {"approved_at": "data_retention_policies", "canary_at": "aegis_runs"}[column]
    moment = dt.datetime.now(dt.UTC) - ago
    stored = moment if world.control.dialect.name == "postgresql" else moment.replace(tzinfo=None)
    value = f"{stored:%Y-%m-%d %H:%M:%S.%f}" if world.control.dialect.name == "sqlite" else stored
    with world.control.begin() as connection:
        done = connection.execute(
            sa.text(f"UPDATE {table} SET {column} = :t WHERE {column} IS NOT NULL"),  # noqa: S608
            {"t": value},
        )
    assert done.rowcount == 1


def canary(world: World) -> str:
    """Bring a scheduled run to the end of its first portion."""
    run = scheduled(world)
    shift(world, "approved_at", 25 * HOUR)
    assert world.finish(run)["outcome"] == "waiting"
    assert world.count("safety_events") == 50
    return run


@on(*EACH_DATABASE, "sqlite+postgresql")
def test_waits_takes_a_portion_waits_and_is_confirmed(world: World) -> None:
    """Nothing at first, then ten rows, then nothing until somebody confirms it, then the rest."""
    prepare(world)
    run = scheduled(world)
    report = privacy.advance_run(run)
    assert (report["outcome"], report["rows"]) == ("waiting", 0)
    assert "soft landing: policy p is new: a first portion of 10 rows goes at" in report["reason"]
    shift(world, "approved_at", 25 * HOUR)
    report = world.finish(run)
    assert (report["outcome"], report["rows"]) == ("waiting", 10)
    assert "canary done: 10 rows; confirm with `aegis policy confirm p --actor NAME`" in report["reason"]
    row = world.run_row(run)
    assert (row["state"], row["waits_for"]) == ("waiting", "soft landing")
    assert privacy.advance_run(run)["outcome"] == "waiting"
    assert world.count("safety_events") == 50
    confirmed = privacy.confirm_retention_policy("p", ACTOR)
    assert confirmed.confirmed_at is not None
    assert privacy.confirm_retention_policy("p", ACTOR).confirmed_at == confirmed.confirmed_at
    assert [event["action"] for event in audit.get_audit_events(2)].count("policy:confirm") == 1
    assert privacy.due_runs() == [run]
    assert world.finish(run)["total"] == 60


@on(*EACH_DATABASE)
def test_goes_on_by_itself_when_the_time_is_over(world: World) -> None:
    """Nobody confirmed it and nobody stopped it for a day: the rest goes; later runs do not wait."""
    prepare(world)
    run = canary(world)
    shift(world, "canary_at", 23 * HOUR)
    assert privacy.advance_run(run)["outcome"] == "waiting"
    shift(world, "canary_at", 24 * HOUR)
    assert world.finish(run)["total"] == 60
    world.events(range(100, 130), 60)
    assert world.finish(scheduled(world, 1))["total"] == 30


@on("sqlite-one")
def test_a_second_instant_waits_as_well(world: World) -> None:
    """While the first portion is not confirmed, no other scheduled run takes one."""
    prepare(world)
    canary(world)
    second = scheduled(world, 1)
    assert world.finish(second)["outcome"] == "waiting"
    assert world.count("safety_events") == 50


@on("sqlite-one", "postgresql-one")
def test_a_portion_that_was_everything_counts(world: World) -> None:
    """Eight rows were due and went: the next run waits until the time is over or somebody confirms."""
    prepare(world, rows=8)
    shift(world, "approved_at", 25 * HOUR)
    assert world.finish(scheduled(world))["total"] == 8
    world.events(range(100, 150), 60)
    second = scheduled(world, 1)
    assert world.finish(second)["outcome"] == "waiting"
    privacy.confirm_retention_policy("p", ACTOR)
    assert world.finish(second)["total"] == 50


@on("sqlite-one")
def test_a_run_that_found_nothing_is_no_portion(world: World) -> None:
    """It says nothing about the policy: the first run that finds rows takes a portion only."""
    prepare(world, rows=0)
    shift(world, "approved_at", 25 * HOUR)
    assert world.finish(scheduled(world))["total"] == 0
    with pytest.raises(Refused, match="no first portion"):
        privacy.confirm_retention_policy("p", ACTOR)
    world.events(range(60), 60)
    assert world.finish(scheduled(world, 1))["outcome"] == "waiting"
    assert world.count("safety_events") == 50


@on("sqlite-one")
def test_a_worker_that_died_in_the_portion_takes_no_second(world: World) -> None:
    """What the journal has of the portion counts, whoever goes on."""
    prepare(world)
    world.batches_of(4)
    run = scheduled(world)
    shift(world, "approved_at", 25 * HOUR)
    privacy.advance_run(run, seconds=0)
    assert world.count("safety_events") == 56
    assert world.finish(run)["outcome"] == "waiting"
    assert world.count("safety_events") == 50


@on("sqlite-one", "mariadb-one")
def test_a_person_does_not_wait(world: World) -> None:
    """What somebody runs, or asks a worker to run, goes at once."""
    prepare(world)
    assert world.enforce()["rows"] == 60
    world.events(range(100, 120), 60)
    assert world.finish(world.start())["total"] == 20


@on("sqlite-one")
def test_a_changed_policy_lands_softly_again(world: World) -> None:
    """A confirmation is for one version."""
    prepare(world)
    run = canary(world)
    privacy.confirm_retention_policy("p", ACTOR)
    world.finish(run)
    world.policy(retention_days=40)
    world.events(range(100, 120), 60)
    assert world.finish(scheduled(world, 1))["outcome"] == "waiting"
    assert world.count("safety_events") == 20


@on("sqlite-one")
def test_switched_off(world: World) -> None:
    """With 0 hours the first scheduled run takes everything."""
    prepare(world, soft_landing_hours=0.0)
    assert world.finish(scheduled(world))["total"] == 60


@on("sqlite-one")
def test_a_disabled_policy_does_not_go_on(world: World) -> None:
    """Who sees in the first portion that the policy is wrong disables it; the rest stays."""
    prepare(world)
    run = canary(world)
    privacy.disable_retention_policy("p", ACTOR)
    assert world.finish(run)["outcome"] == "cancelled"
    assert world.count("safety_events") == 50
    with pytest.raises(Refused, match="disabled"):
        privacy.confirm_retention_policy("p", ACTOR)


@on("sqlite-one", "postgresql-one")
def test_what_is_unfinished_is_carried_out_in_process(world: World) -> None:
    """As a CronJob does: every unfinished run goes on until it ends or waits."""
    prepare(world)
    run = scheduled(world)
    (report,) = privacy.carry_out_unfinished()
    assert (report["run"], report["status"], report["rows"]) == (run, "waiting", 0)
    shift(world, "approved_at", 2 * DAY)
    assert privacy.carry_out_unfinished()[0]["rows"] == 10
    privacy.confirm_retention_policy("p", ACTOR)
    (report,) = privacy.carry_out_unfinished()
    assert (report["applied"], report["rows"]) == (True, 60)
    assert privacy.carry_out_unfinished() == []


@on("sqlite-one")
def test_a_paused_run_is_left_to_the_person_who_paused_it(world: World) -> None:
    """A CronJob does not take up what somebody stopped by hand."""
    prepare(world, soft_landing_hours=0.0)
    run = scheduled(world)
    privacy.pause_run(run, ACTOR)
    assert privacy.carry_out_unfinished() == []
    privacy.resume_run(run, ACTOR)
    assert privacy.carry_out_unfinished()[0]["rows"] == 60


@on("postgresql-one")
def test_the_first_portion_is_not_shared_by_workers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that asks for ranges takes its first portion, and the rest of that run, in one."""
    monkeypatch.setattr("aegis.retention.work.LEAST_ROWS", 5)
    prepare(world)
    world.policy(parallel=4)
    run = canary(world)
    assert world.run_row(run)["shards"] == 1
    privacy.confirm_retention_policy("p", ACTOR)
    assert world.finish(run)["total"] == 60


@on("sqlite-one", "postgresql-one")
def test_the_runbook_of_a_wrong_policy(world: World) -> None:
    """Disabled after its first portion: the log names what went and by whose word, and no more goes."""
    prepare(world)
    run = canary(world)
    privacy.disable_retention_policy("p", ACTOR)
    assert world.finish(run)["outcome"] == "cancelled"
    audit.relay_journals()
    batches = [
        event["details"]
        for event in audit.get_audit_events(10_000, action="retention:batch")
        if event["target_id"] == "p"
    ]
    assert sum(batch["rows"] for batch in batches) == 10
    assert {batch["run"] for batch in batches} == {run}
    assert all(batch["cutoff"] for batch in batches)
    (approval,) = audit.get_audit_events(10, action="policy:approve")
    assert (approval["actor"], approval["details"]["digest"]) == (ACTOR, batches[0]["digest"])
    again = scheduled(world, 1)
    assert world.finish(again)["outcome"] == "cancelled"
    assert world.enforce()["status"] == "unapproved"
    assert world.count("safety_events") == 50


@on("sqlite-one", "postgresql-one")
def test_the_first_portion_of_an_archived_policy_comes_back(world: World) -> None:
    """Seen to be wrong and disabled: its archive is completed, and every row is there again."""
    prepare(world, archive={"keep_days": 14})
    before = world.content("safety_events")
    run = canary(world)
    privacy.disable_retention_policy("p", ACTOR)
    assert world.finish(run)["outcome"] == "cancelled"
    done = archives.restore_archive(run, actor=ACTOR, dry_run=False)
    world.came_back("safety_events", done["rows"])
    assert done["rows"] == 10
    assert world.content("safety_events") == before
