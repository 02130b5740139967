"""SIGKILL of a relay at every step, and a Redis that forgets: whatever was committed is done once."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aegis.client import Relayed
from tests import worlds
from tests.clientkit import Shop, shop
from tests.forks import forking
from tests.outboxkit import Service, service, work
from tests.workerkit import DEADLINE, client, wait_until


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Shop]:
    """A shop without a worker."""
    with shop(tmp_path) as made:
        yield made


@pytest.fixture
def asking(at: Shop, new_database: Callable[[str, str], str]) -> Iterator[Service]:
    """A service of it, on PostgreSQL."""
    engine = worlds.engine(new_database("postgresql", "empty"))
    yield service(engine, at.client, at.redis.url)
    engine.dispose()


def killed(at: Shop, asking: Service, fatal: int) -> bool:
    """Let another process work until it dies; return whether it did."""
    database = asking.engine.url.render_as_string(hide_password=False)
    child = forking().Process(target=work, args=(asking.broker, database, at.key_file, fatal))
    child.start()
    child.join(DEADLINE)
    assert child.exitcode in {0, -signal.SIGKILL}
    return child.exitcode != 0


@pytest.mark.timeout(300)
def test_a_relay_killed_at_every_step(at: Shop, asking: Service) -> None:
    """Before it is sent, between that and the note of it, after it was accepted: it is done once."""
    step, dies = 0, True
    with at.at_work():
        while dies:
            step += 1
            request = f"step-{step}"
            asking.ask(request)
            dies = killed(at, asking, step)

            def through() -> bool:
                asking.later()
                return not asking.rows()

            wait_until(through, "the outbox is empty")
            assert at.events(f"custom:{request}") == 1
    assert step > 8, f"only {step - 1} steps were found to die at"


def test_a_redis_that_forgets(at: Shop, asking: Service) -> None:
    """What no worker had accepted is sent again; what one had, too, and is not done again."""
    asking.ask("lost")
    assert asking.outbox.relay(asking.engine) == Relayed(sent=1)
    with client(at.redis.url) as redis:
        redis.flushall()
        assert asking.queued() == 0
        assert asking.later() == Relayed(sent=1)
        with at.at_work():
            asking.answered("lost")
            redis.delete("aegis:status:lost")
            assert asking.later() == Relayed(sent=1)
            asking.answered("lost")
    assert asking.later() == Relayed(accepted=1)
    assert at.events("custom:lost") == 1
