"""Partitions that are wholly past are dropped whole, and never with a row that has a reason to stay."""

import datetime as dt
import os
import signal
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.db import partitions
from aegis.errors import Passing, Refused
from aegis.operations import holds
from aegis.operations.scopes import Scope
from aegis.retention import attaching, work
from aegis.retention import partitions as retention_partitions
from aegis.retention.runs import advance
from aegis.settings import SourceSettings
from api import privacy
from api.audit import relay_journals
from tests.sourcecopies import copy_source, database_of
from tests.worlds import ACTOR, DAY, World, on

NOW = dt.datetime.now(dt.UTC)
#: Days before now at which the partitions of the usual table begin and end.
SPANS = {"t_old": (120, 90), "t_older": (90, 60), "t_edge": (60, 20), "t_new": (20, -30)}


def day(age: float) -> str:
    """Return a bound so many days ago, at midnight UTC."""
    return f"{NOW - age * DAY:%Y-%m-%d 00:00:00+00}"


def partitioned(
    world: World, *, clock: str = "TIMESTAMPTZ", default: bool = False, more: str = ", hold INT DEFAULT 0"
) -> None:
    """Create a table with a month to each partition, two of them wholly past, and ten rows in each."""
    columns = f"id INT, created_at {clock}, kind TEXT DEFAULT 'low', tenant TEXT DEFAULT 'acme'{more}"
    world.create("t", f"{columns}, PRIMARY KEY (id, created_at)", "PARTITION BY RANGE (created_at)")
    for name, (begin, end) in SPANS.items():
        span = f"FROM ('{day(begin)}') TO ('{day(end)}')"
        world.execute(f"CREATE TABLE {name} PARTITION OF t FOR VALUES {span}")
    if default:
        world.execute("CREATE TABLE t_default PARTITION OF t DEFAULT")
    ages = {"t_old": 100, "t_older": 70, "t_edge": 40, "t_new": 5}
    for place, age in enumerate(ages.values()):
        fill(world, range(10 * place, 10 * place + 10), age)


def fill(world: World, ids: range, age: float) -> None:
    """Insert rows of one age."""
    world.insert("t", [{"id": number, "created_at": NOW - age * DAY} for number in ids])


def tables(world: World) -> set[str]:
    """Return the partitions that the application sees."""
    return set(
        world.all(
            "SELECT c.relname FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid "
            "WHERE c.relkind IN ('r', 'p') AND NOT i.inhdetachpending"
        )
    )


def left(world: World) -> list[Any]:
    """Return the ids that the application sees."""
    return world.all("SELECT id FROM t ORDER BY 1")


ALL = {*SPANS}
YOUNG = {"t_edge", "t_new"}


@on("sqlite+postgresql")
@pytest.mark.parametrize(
    ("clock", "default"),
    [("TIMESTAMPTZ", False), ("TIMESTAMP", True), ("DATE", False)],
    ids=["instants", "wall clocks, beside a default", "dates"],
)
def test_what_is_wholly_past_is_dropped(world: World, clock: str, default: bool) -> None:  # noqa: FBT001
    """Partitions before the cutoff go whole, the one that it divides in batches; the account is exact."""
    partitioned(world, clock=clock, default=default)
    world.policy("p", "t")
    report = world.enforce()
    assert (report["applied"], report["rows"]) == (True, 30)
    assert report["partitions"] == {"dropped": 2, "rows": 20}
    assert left(world) == list(range(30, 40))
    assert tables(world) == YOUNG | ({"t_default"} if default else set())
    assert world.all("SELECT count(*) FROM pg_class WHERE relname LIKE 't\\_old%' AND relkind = 'r'") == [0]


@on("sqlite+postgresql")
def test_a_bound_is_read_in_the_zone_of_the_policy(world: World) -> None:
    """A wall clock's partition is past only when the last wall clock in it is, in the policy's zone."""
    world.create("t", "id INT, created_at TIMESTAMP", "PARTITION BY RANGE (created_at)")
    world.execute("ALTER TABLE t ADD PRIMARY KEY (id, created_at)")
    cutoff = (NOW - 30 * DAY).replace(tzinfo=None)
    # Read as UTC its last moment is an hour past; in New York it is four or five hours later.
    end = cutoff - dt.timedelta(hours=1)
    world.execute(f"CREATE TABLE t_a PARTITION OF t FOR VALUES FROM ('2000-01-01') TO ('{end}')")
    world.insert("t", [{"id": 1, "created_at": NOW - 90 * DAY}])
    world.policy("p", "t", zone="America/New_York")
    report = world.enforce()
    assert (report["rows"], report["partitions"], tables(world)) == (1, {}, {"t_a"})
    world.insert("t", [{"id": 2, "created_at": NOW - 90 * DAY}])
    world.policy("q", "t", zone="UTC")
    assert world.enforce("q")["partitions"] == {"dropped": 1, "rows": 1}


@on("sqlite+postgresql")
def test_epochs(world: World) -> None:
    """Whole numbers of milliseconds, with a second column in the partition key."""
    world.create("t", "id BIGINT, at BIGINT", "PARTITION BY RANGE (at, id)")
    world.execute("ALTER TABLE t ADD PRIMARY KEY (id, at)")
    past, young = (int((NOW - age * DAY).timestamp() * 1000) for age in (60, 5))
    world.execute(f"CREATE TABLE t_a PARTITION OF t FOR VALUES FROM (0, 0) TO ({past}, 5)")
    world.execute(f"CREATE TABLE t_b PARTITION OF t FOR VALUES FROM ({past}, 5) TO ({young}, 0)")
    world.insert("t", [{"id": 1, "at": past - 1}, {"id": 2, "at": past}, {"id": 9, "at": past}])
    world.policy("p", "t", timestamp_column="at", timestamp_unit="ms")
    report = world.enforce()
    assert (report["rows"], report["partitions"]) == (3, {"dropped": 1, "rows": 2})
    assert tables(world) == {"t_b"}


@on("sqlite+postgresql")
def test_lists_and_partitions_of_partitions(world: World) -> None:
    """A list goes when each of its days is past; leaves go, never a default, never where NULL can be."""
    days = [f"{NOW - age * DAY:%Y-%m-%d}" for age in (90, 80, 2)]
    columns = "id INT, created_at DATE, kind TEXT, PRIMARY KEY (id, created_at, kind)"
    world.create("t", columns, "PARTITION BY LIST (created_at)")
    world.execute(f"CREATE TABLE t_past PARTITION OF t FOR VALUES IN ('{days[0]}') PARTITION BY LIST (kind)")
    world.execute("CREATE TABLE t_past_a PARTITION OF t_past FOR VALUES IN ('a')")
    world.execute("CREATE TABLE t_past_rest PARTITION OF t_past DEFAULT")
    world.execute(f"CREATE TABLE t_mixed PARTITION OF t FOR VALUES IN ('{days[1]}', '{days[2]}')")
    world.execute("CREATE TABLE t_default PARTITION OF t DEFAULT")
    rows = [
        (1, days[0], "a"),
        (2, days[0], "b"),
        (3, days[1], "a"),
        (4, days[2], "a"),
        (5, "2000-01-01", "a"),
    ]
    world.insert("t", [{"id": i, "created_at": day, "kind": kind} for i, day, kind in rows])
    world.policy("p", "t")
    report = world.enforce()
    assert (report["rows"], report["partitions"]) == (4, {"dropped": 1, "rows": 1})
    assert (left(world), tables(world)) == ([4], {"t_past", "t_past_rest", "t_mixed", "t_default"})


def ordinary(world: World, reason: str) -> None:
    """Enforce a policy that must take the rows in batches and leave every partition, and say why."""
    seen = privacy.preview_retention_policy("p")
    assert reason in str(seen.partitions), seen.partitions
    report = world.enforce()
    assert (report["applied"], report["partitions"]) == (True, {})
    assert tables(world) == ALL


BLESSED = "CREATE FUNCTION bless() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'"


@on("sqlite+postgresql")
@pytest.mark.parametrize(
    ("statements", "words", "reason"),
    [
        (
            [BLESSED, "CREATE TRIGGER w BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION bless()"],
            {},
            "trigger",
        ),
        (
            ["CREATE VIEW shown AS SELECT * FROM t_old", "CREATE VIEW more AS SELECT * FROM t_older"],
            {},
            "view",
        ),
        (["CREATE PUBLICATION {name} FOR TABLE t"], {}, "subscribers"),
        (["CREATE TABLE c (id INT, at TIMESTAMPTZ, FOREIGN KEY (id, at) REFERENCES t)"], {}, "c refers"),
        ([], {"archive": {"keep_days": 14}}, "archived"),
        ([], {"tenant_column": "tenant", "tenant_days": {"other": 200}}, "None"),
    ],
    ids=["a trigger", "a view", "published", "referred to", "archived", "a tenant keeps longer"],
)
def test_batches_where_a_drop_would_do_otherwise(
    world: World, statements: list[str], words: dict[str, Any], reason: str
) -> None:
    """What fires, depends, subscribes, refers or is archived gets its rows deleted one by one."""
    partitioned(world)
    for statement in statements:
        world.execute(statement.replace("{name}", "told"))
    world.policy("p", "t", **words)
    ordinary(world, reason)
    assert left(world) == list(range(30, 40))


@on("sqlite+postgresql")
def test_a_run_for_one_tenant(world: World) -> None:
    """Its rows go out of partitions that stay."""
    partitioned(world)
    world.policy("p", "t", tenant_column="tenant")
    report = world.enforce(tenant_id="acme")
    assert (report["rows"], report["partitions"], tables(world)) == (30, {}, ALL)


@on("sqlite+postgresql")
def test_a_missing_right_is_named(world: World) -> None:
    """A role that does not own the table deletes rows; the preview says what it lacks."""
    role = f"clerk_{uuid.uuid4().hex[:8]}"
    partitioned(world)
    owner = world.settings
    for statement in (
        f"CREATE ROLE {role} LOGIN PASSWORD 'clerk'",
        f"GRANT USAGE ON SCHEMA aegis TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON aegis.aegis_journal TO {role}",
        f"GRANT SELECT, DELETE ON t, t_old, t_older, t_edge, t_new TO {role}",
    ):
        world.execute(statement)
    url = sa.make_url(owner.datasources["app"].url).set(username=role, password="clerk")
    clerk = url.render_as_string(hide_password=False)
    world.configure(datasources={"app": SourceSettings(url=clerk)})
    world.policy("p", "t")
    ordinary(world, "does not own")
    world.configure(datasources=owner.datasources)
    world.execute(f"DROP OWNED BY {role}")
    world.execute(f"DROP ROLE {role}")


@on("sqlite+postgresql")
def test_the_preview_says_which(world: World) -> None:
    """What would be dropped stands in the preview, and nothing is changed by looking."""
    partitioned(world)
    world.policy("p", "t")
    seen = privacy.preview_retention_policy("p")
    assert seen.partitions == "dropped whole: public.t_old, public.t_older"
    assert tables(world) == ALL


@on("sqlite+postgresql")
def test_a_budget_is_never_exceeded(world: World) -> None:
    """A partition with more rows than are left of the budget stays; batches spend the rest."""
    partitioned(world)
    world.policy("p", "t", budget={"rows": 15})
    report = world.enforce()
    assert (report["rows"], report["partitions"]) == (15, {"dropped": 1, "rows": 10})


@on("sqlite+postgresql")
def test_guards_come_first(world: World) -> None:
    """A guard that is exceeded by the rows of partitions stops the run before the first of them."""
    partitioned(world)
    world.policy("p", "t", guards={"max_rows": 29})
    report = world.enforce()
    assert (report["status"], tables(world), left(world)) == ("blocked", ALL, list(range(40)))


@on("sqlite+postgresql")
def test_a_transaction_that_goes_on_reading(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is detached while a transaction that knows the table does not end; the rows go in batches."""
    monkeypatch.setattr(retention_partitions, "GRACE_SECONDS", 0)
    partitioned(world)
    world.policy("p", "t")
    with world.app.connect() as other:
        other.execute(sa.text("SELECT count(*) FROM t"))
        report = world.enforce()
    assert (report["rows"], report["partitions"], tables(world)) == (30, {}, ALL)


@on("sqlite+postgresql")
def test_an_application_behind_a_brief_lock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a default partition the lock is given up soon and often; in vain, the rows go in batches."""
    monkeypatch.setattr(attaching, "TRIES", 2)
    partitioned(world, default=True)
    world.policy("p", "t")
    with world.app.connect() as other:
        other.execute(sa.text("SELECT count(*) FROM t"))
        report = world.enforce()
    assert (report["rows"], report["partitions"]) == (30, {})
    assert tables(world) == ALL | {"t_default"}


def before_the_drop(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> None:
    """Do something once between the detach and the lock on the detached table."""
    lock, todo = partitions.lock, [act]

    def late(connection: sa.Connection, leaf: partitions.Leaf) -> None:
        if todo:
            todo.pop()()
        lock(connection, leaf)

    monkeypatch.setattr(partitions, "lock", late)


@on("sqlite+postgresql")
@pytest.mark.parametrize("default", [False, True], ids=["concurrently", "beside a default"])
def test_a_row_that_does_not_fit_any_more(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    default: bool,  # noqa: FBT001
) -> None:
    """A row that changes between detach and drop saves its partition, which is attached as it was."""
    partitioned(world, default=default)
    world.policy("p", "t", filter_sql="kind = 'low'")
    statement = "UPDATE t_old SET kind = 'high' WHERE id = 3"
    before_the_drop(monkeypatch, lambda: world.execute(statement))
    bounds = "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 't_old'"
    was = world.all(bounds)
    report = world.enforce()
    assert (report["rows"], report["partitions"]) == (29, {"dropped": 1, "rows": 10})
    assert left(world) == [3, *range(30, 40)]
    assert tables(world) == YOUNG | {"t_old"} | ({"t_default"} if default else set())
    assert world.all(bounds) == was
    checks = "SELECT conname FROM pg_constraint WHERE conrelid = 't_old'::regclass AND contype = 'c'"
    assert world.all(checks) == []


@on("sqlite+postgresql")
def test_a_young_row_cannot_come_in(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into a detached partition the database lets no row that could not be attached again."""
    partitioned(world, default=True)
    world.policy("p", "t")

    def insert() -> None:
        with pytest.raises(sa.exc.IntegrityError, match="aegis_detached"):
            world.execute("INSERT INTO t_old VALUES (99, now())")

    before_the_drop(monkeypatch, insert)
    assert world.enforce()["partitions"] == {"dropped": 2, "rows": 20}


@on("sqlite+postgresql")
def test_a_hold_that_comes_in_between(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hold that is placed between detach and drop is obeyed: the partition is attached again."""
    partitioned(world)
    world.policy("p", "t", tenant_column="tenant")
    review = dt.date(2040, 1, 1)

    def hold() -> None:
        words: dict[str, Any] = {"matter": "m", "owner": ACTOR, "review_by": review}
        holds.place(world.system, Scope(tenant="acme"), datasource=world.datasource, **words)

    before_the_drop(monkeypatch, hold)
    report = world.enforce()
    assert (report["rows"], report["partitions"], tables(world)) == (0, {}, ALL)
    assert left(world) == list(range(40))


@on("sqlite+postgresql")
def test_the_kill_switch_in_between(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop is obeyed before the drop, and does not keep the partition detached."""
    partitioned(world)
    world.policy("p", "t")
    before_the_drop(monkeypatch, lambda: privacy.stop_operations(actor=ACTOR, reason="r"))
    report = world.enforce()
    assert (report["status"], tables(world), left(world)) == ("waiting", ALL, list(range(40)))
    privacy.start_operations(actor=ACTOR)
    assert world.finish(report["run"])["total"] == 30
    assert tables(world) == YOUNG


@on("sqlite+postgresql")
def test_held_and_kept_rows_keep_their_partition(world: World, tmp_path: Path) -> None:
    """A hold that is a column, and a minimum period, are seen before anything is detached."""
    path = tmp_path / "map.yaml"
    path.write_text(
        "tables:\n  t: {hold: hold = 1, keep_at_least: {period: P60D, from: issued_at, basis: a law}}\n"
    )
    source = world.settings.datasources["app"]
    world.configure(datasources={"app": replace(source, datamap=path)})
    partitioned(world, more=", hold INT DEFAULT 0, issued_at TIMESTAMPTZ DEFAULT '2000-01-01'")
    world.execute("UPDATE t SET hold = 1 WHERE id = 3")
    world.execute("UPDATE t SET issued_at = now() WHERE id = 13")
    world.policy("p", "t")
    report = world.enforce()
    assert (report["rows"], report["partitions"], tables(world)) == (28, {}, ALL)
    assert left(world) == [3, 13, *range(30, 40)]


def forget_lease(world: World) -> None:
    """Let another worker have the run at once."""
    with world.control.begin() as connection:
        connection.execute(sa.text("UPDATE aegis_runs SET lease_until = NULL"))


def killed(work: Callable[[], Any]) -> None:
    """Do it in a process of its own, which must die of SIGKILL in the middle."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it lived to its end"


def die(*_: Any, **__: Any) -> None:
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)


def half_detached(
    engine: sa.Engine, source: str, leaf: partitions.Leaf, *, permitted: Callable[[sa.Connection], None]
) -> None:
    """Detach concurrently beside a transaction that does not end, and be killed in the middle."""
    with engine.connect() as other:
        other.execute(sa.text("SELECT count(*) FROM t"))
        with pytest.raises(Passing):
            DETACH(engine, source, leaf, permitted=permitted)
        die()


DETACH = partitions.detach_concurrently


def dropped_and_killed(connection: sa.Connection, leaf: partitions.Leaf) -> None:
    """Be killed before the commit of the drop."""
    DROP(connection, leaf)
    die()


DROP = partitions.drop


@on("sqlite+postgresql")
@pytest.mark.parametrize(
    ("place", "name", "act", "default", "attached"),
    [
        (partitions, "detach_concurrently", die, False, True),
        (partitions, "detach_concurrently", half_detached, False, False),
        (partitions, "lock", die, False, False),
        (partitions, "drop", dropped_and_killed, False, False),
        (partitions, "lock", die, True, False),
        (partitions, "attach", die, False, False),
        (work.Work, "_worked", die, False, False),
    ],
    ids=["intent", "half detached", "detached", "dropped", "beside a default", "attaching", "committed"],
)
def test_killed_at_each_step(  # noqa: PLR0917
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    place: Any,
    name: str,
    act: Callable[..., None],
    default: bool,  # noqa: FBT001
    attached: bool,  # noqa: FBT001
) -> None:
    """Killed anywhere, the next worker attaches what was detached, and drops it; nothing counts twice."""
    partitioned(world, default=default)
    world.policy("p", "t")
    run = world.start()
    with monkeypatch.context() as patch:
        patch.setattr(partitions, "PATIENT_MS", 200)
        patch.setattr(place, name, act)
        if name == "attach":
            patch.setattr(partitions, "drop", refused)
        killed(lambda: advance(world.another(), run, 30))
    assert ("t_old" in tables(world)) is attached
    forget_lease(world)
    assert world.finish(run)["outcome"] == "done"
    assert left(world) == list(range(30, 40))
    assert tables(world) == YOUNG | ({"t_default"} if default else set())


def refused(_connection: sa.Connection, _leaf: partitions.Leaf) -> None:
    """Find that the partition cannot be dropped."""
    message = "a test says no"
    raise Refused(message)


@on("sqlite+postgresql")
def test_cancelled_after_a_kill(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was killed with its partition detached leaves none so when a person ends it."""
    partitioned(world)
    world.policy("p", "t")
    run = world.start()
    with monkeypatch.context() as patch:
        patch.setattr(partitions, "lock", die)
        killed(lambda: advance(world.another(), run, 30))
    assert "t_old" not in tables(world)
    assert privacy.cancel_run(run, actor=ACTOR) == 0
    assert (tables(world), left(world)) == (ALL, list(range(40)))


@on("sqlite+postgresql")
def test_a_policy_that_was_disabled_after_a_kill(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker that finds the policy gone attaches the partition before it ends the run."""
    partitioned(world)
    world.policy("p", "t")
    run = world.start()
    with monkeypatch.context() as patch:
        patch.setattr(partitions, "lock", die)
        killed(lambda: advance(world.another(), run, 30))
    privacy.disable_retention_policy("p", actor=ACTOR)
    forget_lease(world)
    assert world.finish(run)["outcome"] == "cancelled"
    assert (tables(world), left(world)) == (ALL, list(range(40)))


@on("sqlite+postgresql")
@pytest.mark.parametrize("goes_on", [True, False], ids=["its run is done", "its run is at work"])
def test_a_source_restored_to_a_moment_in_between(
    world: World,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    goes_on: bool,  # noqa: FBT001
) -> None:
    """A backup from while a partition stood detached: it is attached before the source goes on."""
    partitioned(world)
    world.policy("p", "t")
    run = world.start()
    with monkeypatch.context() as patch:
        patch.setattr(partitions, "lock", die)
        killed(lambda: advance(world.another(), run, 30))
    name = database_of(world)
    copy_source(world, request, name, f"{name}_older", tmp_path)
    forget_lease(world)
    if goes_on:
        assert world.finish(run)["outcome"] == "done"
    else:
        with monkeypatch.context() as patch:
            patch.setattr(work.Work, "_worked", die)
            killed(lambda: advance(world.another(), run, 30))
    relay_journals()
    copy_source(world, request, f"{name}_older", name, tmp_path)
    world.watch("t")
    with pytest.raises(Refused, match="behind the log"):
        relay_journals()
    assert "t_old" not in tables(world)
    resumed = privacy.resume_source("app", actor=ACTOR)
    assert resumed.cancelled == ([] if goes_on else [run])
    assert sum(resumed.returned.values()) == (30 if goes_on else 10)
    assert (tables(world), left(world)) == (ALL, list(range(40)))
    assert world.enforce()["rows"] == 30
    assert tables(world) == YOUNG
    world.unbalanced = "the source was restored"


@on("sqlite+postgresql")
def test_a_worker_that_was_overtaken_detaches_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its intent and its detach a worker is taken over: it must not detach any more."""
    partitioned(world)
    world.policy("p", "t")
    run = world.start()

    def overtaken(*args: Any, **words: Any) -> None:
        privacy.pause_run(run, actor=ACTOR)
        DETACH(*args, **words)

    with monkeypatch.context() as patch:
        patch.setattr(partitions, "detach_concurrently", overtaken)
        assert advance(world.system, run, 30).outcome == "waiting"
    assert (tables(world), left(world)) == (ALL, list(range(40)))
    privacy.resume_run(run, actor=ACTOR)
    assert world.finish(run)["outcome"] == "done"
    assert tables(world) == YOUNG
