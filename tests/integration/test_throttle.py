"""The throttle: a run holds back while the database is busy, says why, and still gets through."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from aegis.db.load import Gauge
from aegis.embedded.postgres import EmbeddedPostgres
from aegis.embedded.server import free_port
from aegis.operations.throttle import FIGURES
from aegis.retention.slices import Slice  # noqa: TC001 - lists are made of it
from tests import worlds
from tests.conftest import balance
from tests.workerkit import wait_until
from tests.worlds import UNTHROTTLED, Builder, World, on

POSTGRESQL = ("postgresql-one", "sqlite+postgresql")
EVERYTHING = list(FIGURES)


def rows(world: World, **thresholds: float) -> None:
    """Fill the usual table with old rows and one that stays, and set thresholds."""
    world.safety_events()
    world.events(range(40), 60)
    world.events([900], 1)
    world.policy()
    limits = replace(world.settings.retention, first_batch_rows=10, largest_batch_rows=10)
    world.configure(retention=limits, throttle=replace(UNTHROTTLED, **thresholds))


@contextmanager
def beside(world: World, statement: str) -> Iterator[None]:
    """Let another session of the application do a statement while the block runs."""
    thread = threading.Thread(target=world.execute, args=(statement,))
    thread.start()
    try:
        yield
    finally:
        thread.join()


@contextmanager
def a_blocked_session(world: World) -> Iterator[None]:
    """Let a session of the application wait for a lock of another one while the block runs."""
    world.create("elsewhere", "id INT PRIMARY KEY, n INT")
    world.insert("elsewhere", [{"id": 1, "n": 1}])
    touch = "UPDATE elsewhere SET n = 2 WHERE id = 1"
    with world.app.connect() as first:
        first.execute(sa.text(touch))
        with beside(world, touch):
            try:
                wait_until(world.lock_waits, "somebody waits")
                yield
            finally:
                first.rollback()


def held_back(world: World, **words: Any) -> tuple[dict[str, Any], set[str | None]]:
    """Run the policy; return its report, and the reasons that were shown while it ran."""
    seen: list[Slice] = []
    report = world.enforce(on_progress=seen.append, **words)
    assert (report["status"], report["rows"], world.ids()) == ("done", 40, [900])
    return report, {piece.throttle for piece in seen}


@on(*POSTGRESQL, "mariadb-one", "sqlite+mariadb")
def test_sessions_that_wait_for_a_lock(world: World) -> None:
    """While a session of the application waits for a lock the run pauses, shows it, and reports it."""
    rows(world, lock_waits=1)
    with a_blocked_session(world):
        report, shown = held_back(world)
    assert list(report["throttled"]) == ["lock_waits"]
    assert "lock_waits" in shown


@on("postgresql-one", "mariadb-one")
def test_full_speed_holds_nothing_back(world: World) -> None:
    """In a maintenance window somebody asks for full speed: no look, no pause."""
    rows(world, lock_waits=1)
    with a_blocked_session(world):
        report, shown = held_back(world, full_speed=True)
    assert (report["throttled"], shown) == ({}, {None})


@on(*POSTGRESQL)
def test_many_sessions_at_work(world: World) -> None:
    """Sessions of the application that are at work count, those of Aegis do not."""
    rows(world, active_sessions=1)
    sleeps = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
    stop = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
    thread = threading.Thread(target=_sleep, args=(world,))
    thread.start()
    try:
        wait_until(lambda: world.all(sleeps)[0] > 0, "somebody sleeps")
        report, shown = held_back(world)
    finally:
        world.all(f"{stop} AND datname = current_database()")
        thread.join()
    assert list(report["throttled"]) == ["active_sessions"]
    assert "active_sessions" in shown


def _sleep(world: World) -> None:
    with pytest.raises(sa.exc.DBAPIError):
        world.all("SELECT pg_sleep(600)")


@on("postgresql-one", "mariadb-one")
def test_much_written_to_the_log(world: World) -> None:
    """The server's log is measured as a rate; any at all is too much here."""
    rows(world, wal_megabytes_per_second=0.000_000_1)
    report, _ = held_back(world)
    assert list(report["throttled"]) == ["wal_megabytes_per_second"]


@on("postgresql-one")
def test_a_slot_that_keeps_the_log(world: World) -> None:
    """Log that a forgotten replication slot keeps holds a run back."""
    rows(world, slot_megabytes=0.000_000_1)
    world.all("SELECT pg_create_physical_replication_slot('throttle_test', true)")
    try:
        report, _ = held_back(world)
    finally:
        world.all("SELECT pg_drop_replication_slot('throttle_test')")
    assert list(report["throttled"]) == ["slot_megabytes"]


@on("postgresql-one")
def test_an_old_transaction(world: World) -> None:
    """A transaction that keeps dead rows from being removed holds a run back where that is asked for."""
    rows(world, snapshot_seconds=0.000_001)
    with world.app.connect() as reader:
        reader.execution_options(isolation_level="REPEATABLE READ")
        reader.execute(sa.text("SELECT count(*) FROM safety_events"))
        report, _ = held_back(world)
    assert list(report["throttled"]) == ["snapshot_seconds"]


@on("sqlite-one", "postgresql-one", "mariadb-one")
def test_nothing_over_a_threshold(world: World) -> None:
    """With thresholds that are never reached there is no reason; what cannot be seen is named."""
    most = dict.fromkeys(set(FIGURES.values()), 1000000000000.0)
    rows(world, **most)
    report, shown = held_back(world)
    assert (report["throttled"], shown) == ({}, {None})
    unmeasured = json.loads(world.run_row(report["run"])["report"])["unmeasured"]
    assert unmeasured == ("replica_lag_seconds" if world.dialect == "mariadb" else "")


@on("sqlite+postgresql")
def test_what_a_role_does_not_see_is_not_zero(world: World) -> None:
    """A role that sees only its own sessions gets what it may; the rest is named, and nothing fails."""
    world.safety_events()
    world.execute("CREATE ROLE sees_little LOGIN PASSWORD 'sees-little'")
    engine = worlds.engine(
        sa.make_url(world.settings.sources["app"].url)
        .set(username="sees_little", password="sees-little")
        .render_as_string(hide_password=False)
    )
    table = sa.Table("safety_events", sa.MetaData())
    try:
        with world.app.connect() as other:
            other.execute(sa.text("SELECT 1"))
            gauge = Gauge(engine, "data source app", table, EVERYTHING)
            figures = gauge.read()
        assert {"wal_megabytes", "slot_megabytes", "lock_waits"} <= set(figures)
        assert {"lock_waits", "active_sessions"} <= gauge.unmeasured
        world.execute("REVOKE EXECUTE ON FUNCTION pg_current_wal_lsn() FROM PUBLIC")
        gauge = Gauge(engine, "data source app", table, EVERYTHING)
        figures = gauge.read()
        assert "wal_megabytes" not in figures
        assert {"wal_megabytes", "slot_megabytes"} <= gauge.unmeasured
        assert "lock_waits" in gauge.read()
    finally:
        world.execute("GRANT EXECUTE ON FUNCTION pg_current_wal_lsn() TO PUBLIC")
        engine.dispose()
        world.execute("DROP ROLE sees_little")


class Standby(EmbeddedPostgres):
    """A server that follows another one, and answers who only reads."""

    ready_words = "database system is ready to accept read-only connections"


@pytest.fixture
def followed(home_template: Path, tmp_path: Path) -> Iterator[tuple[World, Standby]]:
    """A world whose application database has a standby."""
    port = free_port()
    with EmbeddedPostgres(tmp_path / "primary", port=port) as primary:
        pass
    # A cold copy is the simplest base backup.
    shutil.copytree(primary.folder, tmp_path / "standby")
    (tmp_path / "standby/data/standby.signal").touch()
    from_there = f"host=127.0.0.1 port={port} user=aegis password={primary.password}"
    (tmp_path / "world").mkdir()
    with (
        EmbeddedPostgres(tmp_path / "primary", port=port) as primary,
        Standby(tmp_path / "standby", settings={"primary_conninfo": from_there}) as standby,
    ):
        builder = Builder(home_template=home_template, clone=lambda *_: primary.create_database("app"))
        world = builder.build("sqlite+postgresql", tmp_path / "world")
        try:
            yield world, standby
            balance(world)
        finally:
            world.close()


def test_a_standby_that_is_behind(followed: tuple[World, Standby]) -> None:
    """A run holds back while a real standby lags behind, and no more once it has caught up."""
    world, standby = followed
    lag = "SELECT coalesce(extract(epoch FROM max(replay_lag)), 0) FROM pg_stat_replication"
    wait_until(lambda: world.count("pg_stat_replication", "state = 'streaming'"), "the standby follows")
    rows(world, replica_lag_seconds=0.5)
    with psycopg.connect(standby.url(), autocommit=True) as follower:
        follower.execute("SELECT pg_wal_replay_pause()")
        world.execute("CREATE TABLE something_to_replay (id INT)")
        wait_until(lambda: world.all(lag)[0] > 0.5, "the standby is behind")
        report, shown = held_back(world)
        assert list(report["throttled"]) == ["replica_lag_seconds"]
        assert "replica_lag_seconds" in shown
        follower.execute("SELECT pg_wal_replay_resume()")
    world.events(range(100, 140), 60)
    wait_until(
        lambda: world.execute("UPDATE safety_events SET kind = kind") and world.all(lag)[0] < 0.2,
        "it has caught up",
    )
    report, shown = held_back(world)
    assert (report["throttled"], shown) == ({}, {None})
