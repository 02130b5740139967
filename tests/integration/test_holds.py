"""Legal holds: what is held stays, from the moment that `place` returns."""

import datetime as dt
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.errors import Refused, Tampered, UnknownName, Unreachable
from aegis.operations import holds
from aegis.operations.batches import Shard
from aegis.operations.claims import claim
from aegis.operations.scopes import Scope
from aegis.retention import inspecting, policies
from aegis.retention.cutoffs import Cutoffs
from aegis.retention.portions import Portions
from aegis.retention.walkers import choose
from aegis.settings import SourceSettings
from api import privacy
from tests.workerkit import wait_until
from tests.worlds import ACTOR, DAY, EACH_DATABASE, World, on

REVIEW = dt.date(2099, 1, 1)


def place(world: World, **scope: object) -> str:
    """Place a hold in the world's data source."""
    return holds.place(
        world.system,
        Scope(**scope),  # type: ignore[arg-type]
        datasource=world.datasource,
        matter="Doe v. Example",
        owner=ACTOR,
        review_by=REVIEW,
    )


def state(world: World, hold: str) -> str:
    """Return a hold's state."""
    with world.control.connect() as connection:
        return str(connection.scalar(sa.text("SELECT state FROM aegis_holds WHERE id = :id"), {"id": hold}))


def two_tenants(world: World) -> None:
    """Twenty old rows of each of two tenants, and a policy."""
    world.safety_events()
    world.events(range(20), 60)
    world.events(range(100, 120), 60, tenant="beta")
    world.policy(tenant_column="tenant")


def test_a_tenants_rows_stay_until_released(world: World) -> None:
    """A hold placed before the run keeps them, is counted, and is seen by the preview; then they go."""
    two_tenants(world)
    hold = place(world, tenant="beta")
    assert state(world, hold) == "in_force"
    seen = privacy.preview_retention_policy("p")
    assert (seen.rows, seen.held, seen.tenants) == (20, 20, {"acme": 20})
    report = world.enforce()
    assert (report["applied"], report["rows"]) == (True, 20)
    assert world.ids() == list(range(100, 120))
    assert '"held": 20' in world.run_row(report["run"])["report"]
    holds.release(world.system, hold, actor=ACTOR)
    assert state(world, hold) == "released"
    assert world.enforce()["rows"] == 20


def test_placed_in_mid_run(world: World) -> None:
    """The batches after it obey it."""
    two_tenants(world)
    world.batches_of(7)
    run = world.start()
    assert privacy.advance_run(run, seconds=0)["rows"] <= 7
    before = world.content("safety_events", "tenant = 'beta'")
    place(world, tenant="beta")
    assert world.finish(run)["outcome"] == "done"
    assert world.content("safety_events", "tenant = 'beta'") == before
    assert world.count("safety_events", "tenant = 'acme'") == 0


@on(*EACH_DATABASE, "sqlite+postgresql")
def test_place_waits_for_the_batch_in_flight(world: World) -> None:
    """It returns only when the batch that could not know of it is committed; the next one obeys."""
    two_tenants(world)
    run = world.start()
    claimed = claim(world.system, run)
    policy = policies.find(world.system, "p")
    shard = Shard(world.system, datasource=world.datasource, run=run, epoch=claimed.epoch)
    shard.take_over()
    with world.app.connect() as connection:
        target = inspecting.read_policy_target(connection, policy)
        walker = choose(connection, target)
    now = dt.datetime.now(dt.UTC)
    portions = Portions(policy, claimed, target, walker, Cutoffs(moment=now, base=now - 30 * DAY))
    act = portions.act({}, 1000, keep_mark=True)
    other = world.another()
    inside, order = threading.Event(), []

    def put() -> None:
        inside.wait()
        order.append("asked")
        holds.place(
            other,
            Scope(tenant="beta"),
            datasource=world.datasource,
            matter="m",
            owner=ACTOR,
            review_by=REVIEW,
        )
        order.append("in force")

    thread = threading.Thread(target=put)
    thread.start()

    def slow(connection: sa.Connection, held: object) -> object:
        change = act(connection, held)  # type: ignore[arg-type]
        inside.set()
        thread.join(0.4)  # it cannot end: the header is locked
        order.append("batch")
        return change

    changed = shard.batch(slow, portions.tell)  # type: ignore[arg-type]
    thread.join()
    assert changed.rows == 40
    assert order == ["asked", "batch", "in force"]
    world.events(range(200, 205), 60, tenant="beta")
    assert shard.batch(portions.act({}, 1000, keep_mark=False), portions.tell).rows == 0
    with world.control.begin() as connection:
        connection.execute(sa.text("UPDATE aegis_runs SET lease_until = NULL"))
    assert world.finish(run)["outcome"] == "done"
    assert world.ids() == list(range(200, 205))


@on("sqlite+postgresql", "sqlite+mariadb")
def test_two_placed_at_once(world: World) -> None:
    """Both wait for the batch in flight, one behind the other, and both are in force afterwards."""
    two_tenants(world)
    run = world.start()
    privacy.advance_run(run, seconds=0)
    words: dict[str, Any] = {
        "datasource": world.datasource,
        "matter": "m",
        "owner": ACTOR,
        "review_by": REVIEW,
    }
    places = [
        functools.partial(holds.place, world.another(), Scope(tenant="beta"), **words) for _ in range(2)
    ]
    header = sa.text(f"SELECT epoch FROM {world.journal} WHERE run = :run AND number = 0 FOR UPDATE")  # noqa: S608
    with ThreadPoolExecutor(2) as pool:
        with world.app.begin() as batch:
            batch.execute(header, {"run": run})
            both = [pool.submit(one) for one in places]
            wait_until(lambda: world.lock_waits() == 2, "both wait")
        assert [state(world, one.result()) for one in both] == ["in_force", "in_force"]


@on(*EACH_DATABASE)
def test_a_range_of_dates(world: World) -> None:
    """Rows from its start up to before its end stay, to the microsecond; others go.

    Where the clock is text, the end is taken generously.
    """
    world.safety_events()
    now = dt.datetime.now(dt.UTC)
    since, until = now - 70 * DAY, now - 60 * DAY
    step = dt.timedelta(microseconds=1)
    after = until if world.dialect != "sqlite" else until + 3 * DAY
    moments = [since - step, since, until - step, after]
    world.insert(
        "safety_events",
        [
            {"id": n, "tenant": "a", "email": "", "kind": "k", "created_at": at}
            for n, at in enumerate(moments)
        ],
    )
    world.policy()
    place(world, since=since, until=until)
    assert world.enforce()["rows"] == 2
    assert world.ids() == [1, 2]


def test_a_whole_table_makes_the_run_wait(world: World) -> None:
    """The run waits, says why, deletes nothing, and goes on after the release."""
    two_tenants(world)
    hold = place(world, table="safety_events")
    run = world.start()
    report = privacy.advance_run(run)
    assert (report["outcome"], report["rows"], report["more"]) == ("waiting", 0, False)
    assert "hold" in report["reason"]
    assert world.run_row(run)["state"] == "waiting"
    assert world.count("safety_events") == 40
    holds.release(world.system, hold, actor=ACTOR)
    assert world.finish(run)["outcome"] == "done"
    assert world.count("safety_events") == 0


@on("sqlite-one", "sqlite+postgresql")
def test_a_hold_on_something_else_holds_nothing(world: World) -> None:
    """Another table, another policy, another tenant."""
    two_tenants(world)
    world.create("other", "id INT PRIMARY KEY, created_at {instant}")
    world.policy("q", "other")
    place(world, table="other")
    place(world, policy="q")
    place(world, tenant="gamma")
    assert world.enforce()["rows"] == 40


@on(*EACH_DATABASE)
def test_what_cannot_be_told_apart_is_held(world: World) -> None:
    """A hold on a tenant keeps every row of a table without tenants, and of a similar tenant's name."""
    world.safety_events()
    world.events([1], 60, tenant="beta")
    world.policy()
    place(world, tenant="beta")
    report = world.enforce()
    assert (report["applied"], report["rows"]) == (True, 0)
    assert world.ids() == [1]


@on("sqlite+postgresql")
def test_an_unreachable_source_is_not_in_force(world: World) -> None:
    """The hold is kept and reported as not in force; once the source answers it can be put in force."""
    two_tenants(world)
    reachable = world.settings.datasources["app"]
    nowhere = SourceSettings(url="postgresql://aegis:x@127.0.0.1:1/nowhere")
    world.configure(datasources={"app": nowhere})
    with pytest.raises(Unreachable, match="NOT yet in force"):
        place(world, tenant="beta")
    with world.control.connect() as connection:
        hold, kept = connection.execute(sa.text("SELECT id, state FROM aegis_holds")).one()
    assert kept == "placed"
    world.configure(datasources={"app": replace(reachable)})
    scope = Scope(id=hold, tenant="beta")
    holds.put_in_force(world.system, scope, "app")
    holds.put_in_force(world.system, scope, "app")
    assert state(world, hold) == "in_force"
    assert world.enforce()["rows"] == 20


@on("sqlite-one")
def test_release_of_what_is_not_held(world: World) -> None:
    """An unknown hold and one that is released already are refused."""
    with pytest.raises(UnknownName):
        holds.release(world.system, "no-such-hold", actor=ACTOR)
    hold = place(world)
    holds.release(world.system, hold, actor=ACTOR)
    with pytest.raises(Refused, match="released already"):
        holds.release(world.system, hold, actor=ACTOR)


@on(*EACH_DATABASE)
def test_what_a_hold_is_about_is_kept_sealed(world: World) -> None:
    """It is shown to whoever lists the holds, stands nowhere in clear, and fits no other hold."""
    world.safety_events()
    first, second = place(world, tenant="beta"), place(world, tenant="acme")
    assert [item["matter"] for item in privacy.list_holds()] == ["Doe v. Example"] * 2
    with world.control.begin() as connection:
        rows = connection.execute(sa.text("SELECT id, matter FROM aegis_holds"))
        found: dict[str, str] = {row.id: row.matter for row in rows}
        assert not [text for text in found.values() if "Doe" in text]
        swap = sa.text("UPDATE aegis_holds SET matter = :matter WHERE id = :id")
        connection.execute(swap, {"matter": found[first], "id": second})
    with pytest.raises(Tampered):
        privacy.list_holds()
    with world.control.begin() as connection:
        connection.execute(swap, {"matter": "written by an older version", "id": second})
    assert {item["matter"] for item in privacy.list_holds()} == {
        "Doe v. Example",
        "written by an older version",
    }
    world.system.keystore.destroy("log", str(dt.datetime.now(dt.UTC).year))
    assert "(its key was destroyed)" in {item["matter"] for item in privacy.list_holds()}
