"""Beat's gauges of everything that waits, is late or holds, read through the doors of each database."""

import datetime as dt
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client.registry import Collector

from aegis.db import dialects
from aegis.db.tables import AuditWitness, ErasureCopy, Purge, Request, Run
from aegis.operations import holds
from aegis.operations.scopes import Scope
from aegis.operations.states import State, Wait
from aegis.operations.unfinished import Ended
from api import audit, log, privacy, standing
from tests.worlds import ACTOR, DAY, EACH_DATABASE, World, on
from worker.gauges.remnants import RemnantCollector
from worker.gauges.requests import AgeCollector, RequestCollector
from worker.gauges.runs import RunCollector
from worker.gauges.schedules import ScheduleCollector
from worker.gauges.sources import SourceCollector
from worker.gauges.witnesses import WitnessCollector

TODAY = dt.datetime.now(dt.UTC).date()


def series(collector: Collector) -> dict[tuple[str, ...], float]:
    """Return what a scrape says: name and labels → value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in collector.collect()
        for sample in metric.samples
    }


@pytest.fixture
def moment(world: World) -> Iterator[dt.datetime]:
    """The control database's clock."""
    with world.control.connect() as connection:
        yield dialects.now(connection)


def ask(world: World, request: str, received: dt.datetime, due: dt.datetime, **more: Any) -> None:
    """Write a request for an erasure, with its run."""
    state, waits = more.pop("state", State.ACCEPTED), more.pop("waits_for", None)
    counts = {"epoch": 0, "attempts": 0}
    row: dict[str, Any] = {
        "request_id": request,
        "operation": "users.anonymize",
        "payload_digest": "x",
        "state": state,
    }
    row |= {"received_at": received, "due_at": due, **counts, **more}
    # It did nothing: a run that is done would have to say so in the log.
    ended = State.CANCELLED if state == State.DONE else state
    run: dict[str, Any] = {
        "id": request,
        "policy": "erasure",
        "request_id": request,
        "datasource": world.datasource,
    }
    run |= {"table_name": "t", "action": "delete", "origin": "call", "actor_ref": "x", "state": ended}
    run |= {"shards": 1, "created_at": received, "waits_for": waits, **counts}
    with world.control.begin() as connection:
        connection.execute(sa.insert(Request).values(**row))
        connection.execute(sa.insert(Run).values(**run))


@on(*EACH_DATABASE)
def test_unfinished_runs_by_state_and_by_what_they_wait_for(world: World) -> None:
    """Every open state has a number, 0 as well; a paused run waits for a person; done ones are no more."""
    world.safety_events()
    world.events(range(5), 60)
    world.policy()
    collector = RunCollector(standing.unfinished_runs)
    assert {value for name, value in series(collector).items() if name[0] == "aegis_runs"} == {0}
    first, second = (privacy.create_retention_runs(name, policies=["p"], actor=ACTOR)[0] for name in "ab")
    privacy.pause_run(first, ACTOR)
    seen = series(collector)
    assert (seen["aegis_runs", "waiting"], seen["aegis_runs", "accepted"]) == (1, 1)
    assert seen["aegis_runs_waiting", "p", "paused"] == 1
    privacy.resume_run(first, ACTOR)
    for run in (first, second):
        while privacy.advance_run(run)["more"]:
            pass
    assert set(series(collector).values()) == {0}


@on(*EACH_DATABASE)
def test_open_requests_by_the_legal_clock(world: World, moment: dt.datetime) -> None:
    """How many, how old, how many are late; what a law retains for now, and what is over, does not count."""
    collector = RequestCollector(standing.open_requests)
    assert not series(collector)
    ask(world, "late", moment - 40 * DAY, moment - 10 * DAY)
    ask(world, "in-time", moment - 2 * DAY, moment + 28 * DAY, state=State.BLOCKED)
    retained = {"state": State.WAITING, "waits_for": Wait.REST}
    ask(world, "retained", moment - 400 * DAY, moment - DAY, **retained)
    ask(world, "over", moment - 90 * DAY, moment - 60 * DAY, state=State.DONE, finished_at=moment - DAY)
    seen = series(collector)
    assert seen.pop(("aegis_oldest_open_request_age_seconds", "users.anonymize")) == pytest.approx(
        40 * DAY.total_seconds(), abs=600
    )
    assert seen == {
        ("aegis_requests_open", "users.anonymize"): 2,
        ("aegis_requests_overdue", "users.anonymize"): 1,
    }


@on(*EACH_DATABASE)
def test_ages_of_ended_requests_are_read_once_each(world: World, moment: dt.datetime) -> None:
    """Those of before beat's start, and each later one once: the counts of a second beat are the same."""
    collector = AgeCollector(standing.ended_requests)
    long = moment - dt.timedelta(minutes=10)
    ask(world, "one", long - 3 * DAY, moment, state=State.DONE, finished_at=long)
    ask(world, "young", moment, moment, state=State.DONE, finished_at=moment)
    for _ in range(2):
        seen = series(collector)
        assert seen["aegis_request_age_seconds_count", "users.anonymize"] == 1
        assert seen["aegis_request_age_seconds_sum", "users.anonymize"] == 3 * DAY.total_seconds()
        below = {name[2]: value for name, value in seen.items() if name[0].endswith("_bucket")}
        assert (below["172800.0"], below["259200.0"], below["+Inf"]) == (0, 1, 1)
    with world.control.begin() as connection:
        settled = moment - dt.timedelta(seconds=90)
        connection.execute(
            sa.update(Request).where(Request.request_id == "young").values(finished_at=settled)
        )
    later = AgeCollector(standing.ended_requests)
    assert series(later)["aegis_request_age_seconds_count", "users.anonymize"] == 2


def test_a_request_is_asked_for_from_where_the_last_reading_ended() -> None:
    """What was counted is not asked for again."""
    asked: list[dt.datetime | None] = []
    until = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

    def ended(after: dt.datetime | None) -> tuple[dt.datetime, list[Ended]]:
        asked.append(after)
        return until, [Ended(operation="o", seconds=1.0)]

    collector = AgeCollector(ended)
    series(collector)
    assert series(collector)["aegis_request_age_seconds_count", "o"] == 2
    assert asked == [None, until]


@on(*EACH_DATABASE)
def test_policies_by_the_clock(world: World, moment: dt.datetime) -> None:
    """The next instant, late ones included; whether a window is open; each missed instant once."""
    world.safety_events()
    day = f"{moment - DAY:%a}"
    world.policy("daily", cron="0 2 * * *")
    world.policy("shut", cron="0 3 * * *", windows=[f"{day} 00:00-00:01"])
    collector = ScheduleCollector(standing.policy_agenda)
    seen = series(collector)
    assert seen["aegis_policy_window_open", "daily"] == 1
    assert seen["aegis_policy_window_open", "shut"] == 0
    assert seen["aegis_policy_instants_missed_total", "daily"] == 0
    assert 0 < seen["aegis_policy_next_instant_timestamp_seconds", "daily"] - moment.timestamp() < 86_401

    (policy,) = (one for one in privacy.scheduled_policies() if one.policy == "daily")
    instants = [moment.replace(microsecond=0) + number * DAY for number in range(3)]
    for _ in range(2):
        privacy.note_missed_runs(policy.policy_id, instants[0], instants[2], 3)
    seen = series(collector)
    assert seen["aegis_policy_instants_missed_total", "daily"] == 3
    assert seen["aegis_policy_next_instant_timestamp_seconds", "daily"] > instants[2].timestamp()


@on(*EACH_DATABASE)
def test_what_holds_a_data_source(world: World) -> None:
    """Stops, holds, holds past their review, and how long ago all of the journal was in the log."""
    world.safety_events()
    world.policy()
    collector, name = SourceCollector(standing.source_standings), world.datasource
    place = partial(holds.place, world.system, datasource=name, matter="m", owner="o")
    place(Scope(tenant="acme"), review_by=TODAY + DAY)
    place(Scope(tenant="beta"), review_by=TODAY - 2 * DAY)
    audit.relay_journals()
    seen = series(collector)
    assert seen["aegis_holds", name] == 2
    assert seen["aegis_holds_review_overdue", name] == 1
    assert seen["aegis_stop_active", name] == seen["aegis_datasource_refused", name] == 0
    world.enforce()
    audit.relay_journals()
    assert 0 <= series(collector)["aegis_relay_lag_seconds", name] < 600
    privacy.stop_operations("why", ACTOR, everywhere=True)
    assert series(collector)["aegis_stop_active", name] == 1
    privacy.start_operations(ACTOR, everywhere=True)
    assert series(collector)["aegis_stop_active", name] == 0


@on(*EACH_DATABASE)
def test_what_is_not_gone_elsewhere(world: World, moment: dt.datetime) -> None:
    """Copies past their date and unconfirmed by name, and purges that are overdue by policy."""
    collector = RemnantCollector(standing.overdue_copies, standing.overdue_purges)
    ask(world, "r", moment - DAY, moment, state=State.DONE, finished_at=moment)
    with world.control.begin() as connection:
        for name, due, confirmed in (("lake", -1, None), ("crm", 1, None), ("mail", -1, moment)):
            values = {"request_id": "r", "name": name, "kind": "manual", "told": 0, "tries": 0}
            values |= {"due_at": moment + due * DAY, "confirmed_at": confirmed}
            connection.execute(sa.insert(ErasureCopy).values(**values))
        values = {"run": "r", "policy": "p", "datasource": world.datasource, "table_name": "t"}
        values |= {"state": "overdue", "changed_at": moment, "due_at": moment}
        connection.execute(sa.insert(Purge).values(**values))
    assert series(collector) == {
        ("aegis_erasure_copies_overdue", "lake"): 1,
        ("aegis_purges_overdue", "p"): 1,
    }


@on("sqlite-one")
def test_the_slice_that_ends_a_run_tells_what_it_leaves(world: World) -> None:
    """Rows past their time that stay, by the reason; the slices before it tell nothing of it."""
    world.safety_events()
    world.events(range(3), 60)
    world.events(range(10, 14), 60, tenant="beta")
    world.policy(tenant_column="tenant")
    place = partial(holds.place, world.system, datasource=world.datasource, matter="m", owner="o")
    place(Scope(tenant="beta"), review_by=TODAY + DAY)
    run = world.start()
    told: list[dict[str, Any]] = []
    while not told or told[-1]["more"]:
        told.append(privacy.advance_run(run))
    assert [report["held"] for report in told] == [*[{}] * (len(told) - 1), {"held": 4}]


@on("sqlite-one")
def test_witnesses(world: World, moment: dt.datetime) -> None:
    """What each has cosigned, and whether it does."""
    with world.control.begin() as connection:
        for name, failed in (("good", None), ("away", moment)):
            values = {"name": name, "vkey": "k", "url": "https://w", "size": 7, "failed_at": failed}
            connection.execute(sa.insert(AuditWitness).values(**values))
    assert series(WitnessCollector(log.witnesses)) == {
        ("aegis_audit_witness_size", "good"): 7,
        ("aegis_audit_witness_size", "away"): 7,
        ("aegis_audit_witness_failing", "good"): 0,
        ("aegis_audit_witness_failing", "away"): 1,
    }
