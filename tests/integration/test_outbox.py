"""A service's outbox: written in its own transaction, sent after the commit, until a worker accepted it."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from aegis.client import Client, Relayed
from aegis.client.outbox import pause_after
from aegis.errors import Conflict, NotPrepared, Tampered, Unreachable, UsageError
from aegis.keys import new_client_key
from aegis.operations import system
from aegis.operations.table import FOR_SERVICES
from api import audit, erasure
from tests import worlds
from tests.clientkit import CANARY, Shop, shop
from tests.outboxkit import Service, event, service
from tests.unit.test_client import ASKED

DATABASES = ("sqlite", "postgresql", "mariadb")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with a worker."""
    with shop(tmp_path_factory.mktemp("shop")) as made, made.at_work():
        yield made


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop without a worker."""
    with shop(tmp_path_factory.mktemp("idle")) as made:
        yield made


@pytest.fixture(params=DATABASES)
def engine(
    request: pytest.FixtureRequest, new_database: Callable[[str, str], str], tmp_path: Path
) -> Iterator[sa.Engine]:
    """The database of the service."""
    url = f"sqlite:///{tmp_path / 'service.db'}"
    made = worlds.engine(url if request.param == "sqlite" else new_database(request.param, "empty"))
    yield made
    made.dispose()


def here(shop: Shop, engine: sa.Engine) -> Service:
    """Return a service of a shop on a database."""
    return service(engine, shop.client, shop.redis.url)


def on(*databases: str) -> pytest.MarkDecorator:
    """Run a test on these databases only."""
    return pytest.mark.parametrize("engine", databases, indirect=True)


def test_sent_after_the_commit_and_gone_when_accepted(
    running: Shop, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request of two committed transactions is done once; of one that was rolled back, nothing is."""
    monkeypatch.setattr(system, "_CURRENT", [running.aegis])
    asking = here(running, engine)
    names = [f"{name}-{engine.dialect.name}" for name in ("one", "two", "never")]
    asking.ask(names[0], details={"email": CANARY})
    with Session(engine) as session, session.begin():
        asking.outbox.within(session).record_audit(**event(names[1]))
    with Session(engine) as session:
        asking.outbox.within(session).record_audit(**event(names[2]))
        session.rollback()
    assert CANARY.encode() not in asking.rows()[names[0]].arguments
    assert asking.outbox.relay(engine) == Relayed(sent=2)
    assert asking.outbox.relay(engine) == Relayed(), "it is not looked at again at once"
    for name in names[:2]:
        asking.answered(name)
    assert asking.later() == Relayed(accepted=2)
    assert not asking.rows()
    assert [running.events(f"custom:{name}") for name in names] == [1, 1, 0]
    assert audit.get_audit_events(action=f"custom:{names[0]}")[0]["details"] == {"email": CANARY}


@on("sqlite")
def test_every_request_can_be_written(idle: Shop, engine: sa.Engine) -> None:
    """The outbox has the client's methods; what is wrong is refused before it is written."""
    asking = here(idle, engine)
    with engine.begin() as connection:
        within = asking.outbox.within(connection)
        ids = {getattr(within, method)(**words) for method, words in ASKED.items()}
        with pytest.raises(UsageError, match="user_id"):
            within.anonymize_user(user_id="")
    rows = asking.rows()
    assert ids == set(rows)
    assert {row.task for row in rows.values()} == FOR_SERVICES


def test_the_same_id_again(idle: Shop, engine: sa.Engine) -> None:
    """It is written once; for something else it is refused, and the transaction goes on."""
    asking = here(idle, engine)
    for _ in range(2):
        asking.ask("again", details={"email": CANARY})
    with engine.begin() as connection:
        within = asking.outbox.within(connection)
        with pytest.raises(Conflict, match="again stands in the outbox already"):
            within.record_audit(**{**event("again"), "target_id": 18})
        with pytest.raises(Conflict):
            within.export_audit(name="siem", request_id="again")
        within.record_audit(**event("after"))
    assert set(asking.rows()) == {"again", "after"}


def test_what_is_refused_stays_with_its_reason(running: Shop, engine: sa.Engine) -> None:
    """It is not sent any more, and its row says why, without data."""
    asking, request = here(running, engine), f"refused-{engine.dialect.name}"
    with engine.begin() as connection:
        asking.outbox.within(connection).export_audit(name=CANARY, request_id=request)
    asking.outbox.relay(engine)
    asking.answered(request)
    assert asking.later() == Relayed(refused=1)
    assert asking.later() == Relayed()
    assert asking.rows()[request].reason.startswith("UnknownName: ")
    assert CANARY not in asking.rows()[request].reason


@on("sqlite")
def test_a_broker_that_is_away(idle: Shop, engine: sa.Engine) -> None:
    """The relay says so, and nothing is lost; one that fails keeps no other from its turn."""
    away = service(engine, Client("redis://127.0.0.1:1/0", key_file=idle.key_file), idle.redis.url)
    for name in ("first", "second"):
        away.ask(name)
    for name in ("first", "second"):
        with pytest.raises(Unreachable, match=f"request {name} .*send the same id again"):
            away.outbox.relay(engine)
    assert away.outbox.relay(engine) == Relayed()
    assert {row.sent for row in away.rows().values()} == {0}
    assert here(idle, engine).later() == Relayed(sent=2)
    with pytest.raises(NotPrepared, match="workers_key="):
        away.ask("sealed", details={"email": CANARY})


def test_several_relays_at_once(idle: Shop, engine: sa.Engine) -> None:
    """Each request is sent by one of them."""
    asking = here(idle, engine)
    before = asking.queued()
    with engine.begin() as connection:
        for number in range(40):
            asking.outbox.within(connection).record_audit(**event(f"r{number}"))
    together, told = threading.Barrier(3), list[Any]()

    def relay() -> None:
        together.wait()
        while (found := asking.outbox.relay(engine, limit=7)) != Relayed():
            told.append(found.sent)

    threads = [threading.Thread(target=relay) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {row.sent for row in asking.rows().values()} == {1}
    assert (sum(told), asking.queued() - before) == (40, 40)


@on("sqlite")
def test_it_is_sealed_to_the_service(idle: Shop, engine: sa.Engine, tmp_path: Path) -> None:
    """Without a key there is no outbox; what cannot be opened is an error, and stops no other."""
    asking = here(idle, engine)
    for name in ("spoilt", "sound"):
        asking.ask(name)
    with pytest.raises(NotPrepared, match="key_file="):
        Client(idle.redis.url).outbox(asking.table)
    new_client_key(tmp_path / "another.key")
    another = service(engine, Client(idle.redis.url, key_file=tmp_path / "another.key"), idle.redis.url)
    with pytest.raises(Tampered, match="does not open"):
        another.later()
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE aegis_outbox SET arguments = X'00' WHERE request_id = 'spoilt'"))
    with pytest.raises(Tampered, match="does not open"):
        asking.later()
    assert asking.outbox.relay(engine) == Relayed(sent=1)


@on("sqlite")
def test_an_erasure_finds_nobody_in_it(
    idle: Shop, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a database in which people are erased it keeps no erasure from its end."""
    del engine
    monkeypatch.setattr(system, "_CURRENT", [idle.aegis])
    asking = here(idle, idle.app)
    with idle.app.begin() as connection:
        email = connection.scalar(sa.text("SELECT email FROM users WHERE id = 5"))
        words = {**event("about-5"), "actor": email, "target_id": email}
        asking.outbox.within(connection).record_audit(**words)
        asking.outbox.within(connection).anonymize_user(user_id=email)
    assert erasure.anonymize_user(5)
    assert len(asking.rows()) == 2
    assert asking.outbox.relay(idle.app) == Relayed(sent=2)


def test_the_pause_before_it_is_sent_again_grows() -> None:
    """While no worker takes it, it is sent again: less and less often, an hour apart at last."""
    assert [pause_after(sent) for sent in (1, 2, 3, 9, 10, 11, 10**6)] == [5, 10, 20, 1280, 2560, 3600, 3600]
