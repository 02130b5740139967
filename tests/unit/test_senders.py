"""Who may send which task, as the settings say it, and until when a signed message is taken."""

import base64
import json
from pathlib import Path
from typing import Any, Final

import pytest
from celery import Celery

from aegis.client import Client, Signer
from aegis.envelopes import workers_public_key
from aegis.errors import SettingsError, UsageError
from aegis.keys import Secret, new_client_key
from aegis.operations.deadletters import Reason
from aegis.operations.senders import AHEAD_SECONDS, MOST_SECONDS, Senders, producers, senders
from aegis.operations.table import FOR_SERVICES, RELAY, ROUTES, RUN, TABLE
from aegis.producers import OURSELVES, Message, producer_public_key, sign
from aegis.settings import ProducerSettings, Settings, describe, load_settings
from worker.intake import admit

NOW: Final = 1_790_000_000.0
SHOP: Final = Secret(key_id="0" * 8, material=bytes(range(32)))
OLD: Final = Secret(key_id="1" * 8, material=bytes(32))
WORKER: Final = Secret(key_id="2" * 8, material=bytes(range(1, 33)))
KEY: Final = producer_public_key(SHOP)
#: What `aegis.toml` may say.
FILE: Final = f"""
[producers.shop]
key = "{KEY}"
[producers.billing]
key = ["{producer_public_key(OLD)}"]
tasks = ["aegis.users.anonymize", "aegis.audit.record"]
"""


def known(**tasks: Any) -> Senders:
    """Return the senders of settings with a shop."""
    shop = ProducerSettings(key=(KEY,), **tasks)
    return senders(Settings(producers={"shop": shop}), WORKER)


def objection(
    found: Senders, task: str, *, key: Secret = SHOP, producer: str = "shop", time: float = NOW
) -> Reason | None:
    """Return why a message that was signed so is not taken."""
    message = Message(task=task, id="1", body=b"[[], {}, {}]")
    return found.objection(sign(message, key, producer=producer, time=int(time)), message, NOW)


def test_from_the_file_and_the_environment(tmp_path: Path) -> None:
    """A key is one text or several, tasks are those for services unless some are named; it is all shown."""
    (tmp_path / "aegis.toml").write_text(FILE)
    settings = load_settings({"AEGIS_PRODUCERS__CRM__KEY": producer_public_key(WORKER)}, tmp_path)
    found = producers(settings)
    assert {name: sender.keys for name, sender in found.items()} == {
        "shop": (KEY,),
        "billing": (producer_public_key(OLD),),
        "crm": (producer_public_key(WORKER),),
    }
    assert found["shop"].tasks == FOR_SERVICES
    assert sorted(found["billing"].tasks or ()) == ["aegis.audit.record", "aegis.users.anonymize"]
    assert KEY in json.dumps(describe(settings), default=str)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"[producers.aegis]\nkey = '{KEY}'", "producers.aegis: .*another name"),
        (f"[producers.'a shop']\nkey = '{KEY}'", "1 to 64 letters"),
        ("[producers.shop]\nkey = 'x'", r"producers.shop: .*aegis-producer-1:<base64>"),
        (f"[producers.shop]\nkey = '{KEY.replace('producer', 'client')}'", "aegis-producer-1:<base64>"),
        ("[producers.shop]\nkey = []", "producers.shop: key is an empty list"),
        (f"[producers.shop]\nkey = '{KEY}'\ntasks = []", "tasks is an empty list"),
        (
            f"[producers.shop]\nkey = '{KEY}'\ntasks = ['aegis.users.anonymise']",
            "no task 'aegis.users.anonymise'",
        ),
        (f"[producers.shop]\nkey = '{KEY}'\ntasks = ['{RUN}']", f"{RUN} is sent by Aegis itself"),
        (
            f"[producers.shop]\nkey = '{KEY}'\n[producers.two]\nkey = '{KEY}'",
            "shop and two have the same key",
        ),
        ("[producers.shop]\ntasks = []", "producers.shop.key is missing"),
        (f"[producers.shop]\nkey = '{KEY}'\ntask = []", "producers.shop.task"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Each with the producer that it is about, and what to do."""
    (tmp_path / "aegis.toml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        producers(load_settings({}, tmp_path))


def test_internal_tasks() -> None:
    """Aegis itself may send everything, a service never what only Aegis sends."""
    for entry in TABLE:
        assert objection(known(), entry.name, key=WORKER, producer=OURSELVES) is None
        expected = None if entry.for_services else Reason.NOT_ALLOWED
        assert objection(known(), entry.name) == expected


def test_named_tasks() -> None:
    """A producer with a list may send what stands there."""
    found = known(tasks=("aegis.audit.record",))
    assert objection(found, "aegis.audit.record") is None
    assert objection(found, "aegis.users.anonymize") is Reason.NOT_ALLOWED


def test_forged() -> None:
    """A service cannot sign as another one, nor as Aegis itself; and Aegis not as a service."""
    for producer, key in (("billing", SHOP), (OURSELVES, SHOP), ("shop", WORKER), ("shop", OLD)):
        assert objection(known(), "aegis.audit.record", key=key, producer=producer) is Reason.FORGED


def test_time() -> None:
    """A message waits for a week; a clock that is ahead by some minutes does no harm."""
    task = "aegis.audit.record"
    for age, expected in (
        (0, None),
        (MOST_SECONDS, None),
        (MOST_SECONDS + 1, Reason.STALE),
        (-AHEAD_SECONDS, None),
        (-AHEAD_SECONDS - 1, Reason.STALE),
    ):
        assert objection(known(), task, time=NOW - age) == expected
    assert objection(known(), task, key=OLD, time=0) is Reason.FORGED, "only a true time is told"


def test_while_keys_change() -> None:
    """Messages that were signed before the change are taken until the old key is taken out."""
    both = senders(
        Settings(producers={"shop": ProducerSettings(key=(KEY, producer_public_key(OLD)))}), WORKER
    )
    task = "aegis.audit.record"
    assert objection(both, task) is objection(both, task, key=OLD) is None
    assert objection(known(), task, key=OLD) is Reason.FORGED


@pytest.mark.parametrize("task", sorted(FOR_SERVICES))
def test_as_celery_sends_it(task: str, tmp_path: Path) -> None:
    """What a service signs is what its Celery writes, whatever characters and numbers are in it."""
    key = new_client_key(tmp_path / "service.key")
    found = senders(Settings(producers={"shop": ProducerSettings(key=(producer_public_key(key),))}), WORKER)
    kwargs: dict[str, Any] = {
        "text": "caf\u00e9 \U0001f600 \u2028 </",
        "number": 1.0,
        "deep": [{"b": 1, "a": None}],
    }
    with Celery("service", broker="memory://", set_as_current=False) as app:
        signed = Signer("shop", tmp_path / "service.key").options(app, task, kwargs)
        with app.connection_for_write() as connection, connection.channel() as plain:
            channel: Any = plain
            app.send_task(task, kwargs=kwargs, queue=ROUTES[task], connection=connection, **signed)
            sent = channel.basic_get(ROUTES[task]).serializable()
    assert json.loads(base64.b64decode(sent["body"]))[1] == kwargs
    now = float(sent["headers"]["aegis"]["time"])
    admit(ROUTES[task], json.dumps(sent).encode(), ROUTES, found, now)
    assert RELAY not in FOR_SERVICES


def test_a_client_that_signs(tmp_path: Path) -> None:
    """Needs a key and the name of a service."""
    workers = workers_public_key(WORKER)
    with pytest.raises(UsageError, match="give key_file= with producer="):
        Client("memory://", workers_key=workers, producer="shop")
    with pytest.raises(UsageError, match="another name"):
        Client("memory://", workers_key=workers, producer="aegis", key_file=tmp_path / "service.key")
