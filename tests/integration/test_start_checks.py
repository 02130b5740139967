"""What worker and beat refuse to start with: each says why and what to do, and ends with an exit code."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis.embedded.redis import EmbeddedRedis
from aegis.errors import SettingsError
from aegis.settings import load_settings
from tests.workerkit import DEADLINE, client, program, wait_until, worker

BOTH = pytest.mark.parametrize("what", ["worker", "beat"])


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """A Redis for all of them."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(autouse=True)
def _clean(broker: EmbeddedRedis) -> None:
    """Nobody has started on it, and it keeps what it is given."""
    with client(broker.url) as redis:
        redis.flushall()
        redis.config_set("maxmemory-policy", "noeviction")
        redis.config_set("appendonly", "yes")


@BOTH
def test_a_broker_that_drops_messages(broker: EmbeddedRedis, tmp_path: Path, what: str) -> None:
    """A sealed aggregate may stand nowhere else, so a broker that evicts queues is refused."""
    with client(broker.url) as redis:
        redis.config_set("maxmemory-policy", "allkeys-lru")
    with program(tmp_path / what, broker.url, what, "--loglevel", "INFO") as running:
        assert running.process.wait(DEADLINE) == 2
        assert "maxmemory-policy is allkeys-lru" in running.log
        assert "CONFIG SET maxmemory-policy noeviction" in running.log
        assert broker.password not in running.log


def test_a_broker_that_began_to_drop_messages_while_it_was_away(tmp_path: Path) -> None:
    """A worker that waited for its broker looks at it when it is there, and ends."""
    server = EmbeddedRedis(tmp_path / "redis").start()
    server.kill()
    with worker(tmp_path / "worker", server.url, "--concurrency", "1", ready=False) as running:
        running.wait_for("Trying again")
        with server, client(server.url) as redis:
            redis.config_set("maxmemory-policy", "allkeys-random")
            assert running.process.wait(DEADLINE) == 2
        assert "maxmemory-policy is allkeys-random" in running.log


def test_a_broker_that_is_no_reason_to_refuse(broker: EmbeddedRedis, tmp_path: Path) -> None:
    """Without an append-only file, or with a policy that spares queues, it is warned and goes on."""
    with client(broker.url) as redis:
        redis.config_set("maxmemory-policy", "volatile-lru")
        redis.config_set("appendonly", "no")
    with worker(tmp_path / "worker", broker.url, "--concurrency", "1") as running:
        running.wait_for("keeps no append-only file")
        assert "volatile" not in running.log


@BOTH
def test_a_control_database_that_is_not_prepared(broker: EmbeddedRedis, tmp_path: Path, what: str) -> None:
    """A worker without keys would fail every message: the command that makes them is named."""
    named = {"AEGIS_DATABASE_URL": f"sqlite:///{tmp_path / 'named.db'}"}
    with program(tmp_path / what, broker.url, what, application="worker.app", **named) as running:
        assert running.process.wait(DEADLINE) == 4
        assert "aegis init" in running.log


def test_a_database_that_is_away_is_waited_for(
    broker: EmbeddedRedis, home_template: Path, tmp_path: Path
) -> None:
    """It may come back at any time; the worker says so and is ready."""
    shutil.copytree(home_template, tmp_path / "home")
    away: Any = {
        "AEGIS_DATABASE_URL": "postgresql://aegis@127.0.0.1:1/away",
        "AEGIS_HOME": str(tmp_path / "home"),
    }
    options = ("--concurrency", "1")
    with worker(tmp_path / "worker", broker.url, *options, application="worker.app", **away) as running:
        assert "does not answer" in running.log


def test_another_installation_on_the_same_broker(broker: EmbeddedRedis, tmp_path: Path) -> None:
    """Two hosts with a default control database each, or staging beside production, are told apart."""
    words: Any = {"application": "worker.app"}
    with worker(tmp_path / "first", broker.url, "--concurrency", "1", **words):
        with program(tmp_path / "second", broker.url, "worker", **words) as second:
            assert second.process.wait(DEADLINE) == 2
            assert "each would take the other's messages" in second.log
        again = ("--concurrency", "1", "--hostname", "again@host")
        home: Any = {"AEGIS_HOME": str(tmp_path / "first" / "home")}
        with worker(tmp_path / "third", broker.url, *again, **words, **home) as third:
            wait_until(lambda: third.alive, "the same installation may start as often as it likes")


@pytest.mark.parametrize(
    "variable",
    [
        "OPERATIONS__LEASE_SECONDS",
        "OPERATIONS__RESEND_SECONDS",
        "WORKER__TICK_SECONDS",
        "WORKER__CONCURRENCY",
    ],
)
def test_a_zero_that_would_never_rest(variable: str) -> None:
    """The message names the setting."""
    with pytest.raises(SettingsError, match=rf"{variable.lower().replace('__', '.')} \(0\) must be above 0"):
        load_settings({f"AEGIS_{variable}": "0"})
