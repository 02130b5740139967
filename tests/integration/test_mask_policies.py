"""Policies with every kind of mask: once, never twice, and refused where a run could not hold to it."""

import datetime as dt
import hashlib
import hmac
from typing import Any, Final

import pytest

from aegis.errors import InvalidPolicy
from aegis.masking.keys import lasting_key
from api import privacy
from tests.integration.test_masks import command
from tests.worlds import ACTOR, CANARY, DAY, EACH_DATABASE, World, on

COLUMNS: Final = (
    "id BIGINT PRIMARY KEY, email {text}, name {text}, phone {text}, note TEXT, secret {text}, ip {text}, "
    "born DATE, seen {wall}, age INT, pay NUMERIC(10,2), facts JSON, masked BOOLEAN, created_at {instant}"
)
SEEN: Final[dict[str, Any]] = {
    "email": {"hmac_email": {"linkable": "join with billing"}},
    "name": "redact",
    "phone": {"partial": {"last": 2}},
    "note": "scrub_text",
    "secret": "random_token",
    "ip": "truncate_ip",
    "seen": {"truncate_date": "month"},
    "age": {"generalize": 10},
    "facts": {"json_set": {"$.email": {"hmac": {"linkable": "join with billing"}}}},
}
UNSEEN: Final[dict[str, Any]] = {
    "pay": {"noise": "9.99"},
    "born": {"shift_date": {"days": 9, "by": "age", "linkable": "research"}},
}


def people(world: World, rows: int) -> None:
    """Create people, old enough to be masked."""
    world.create("people", COLUMNS)
    moment = dt.datetime.now(dt.UTC) - 60 * DAY
    row = {
        "email": f"{CANARY}@example.com",
        "name": CANARY,
        "phone": "+49 30 1234567",
        "note": f"write to {CANARY}@example.com",
        "secret": CANARY,
        "ip": "10.20.30.40",
        "born": dt.date(1980, 5, 17),
        "seen": dt.datetime(2024, 5, 17, 11, 22, 33),  # noqa: DTZ001 - a time without a zone
        "age": 44,
        "pay": 100.5,
        "facts": f'{{"email": "{CANARY}@example.com", "plan": "free"}}',
        "created_at": moment,
    }
    world.insert("people", [{"id": number, **row} for number in range(rows)])


def policy(world: World, masks: dict[str, Any], name: str = "p", **words: Any) -> Any:
    """Register and approve a policy that masks people."""
    return world.policy(name, "people", action="anonymize", masks=masks, **words)


@on(*EACH_DATABASE)
def test_every_mask_in_a_run(world: World) -> None:
    """Masks that are recognised need nothing else, the others a marker; neither is put on twice."""
    people(world, 12)
    policy(world, SEEN)
    policy(world, UNSEEN, "q", marker_column="masked")
    world.batches_of(7)
    for name in ("p", "q"):
        report = world.enforce(name)
        assert (report["status"], report["rows"]) == ("done", 12)
        world.masked["people"] += 12
    before = world.content("people")
    assert [world.enforce(name)["rows"] for name in ("p", "q")] == [0, 0]
    assert world.content("people") == before
    world.execute("UPDATE people SET masked = NULL WHERE id = 3")
    assert [world.enforce(name)["rows"] for name in ("p", "q")] == [0, 1]
    world.masked["people"] += 1
    key = lasting_key(world.system.worker_key)
    digest = hmac.new(key.subkey("token"), f"{CANARY}@example.com".encode(), hashlib.sha256).hexdigest()
    assert world.all("SELECT DISTINCT email FROM people") == [f"k{key.id}_{digest[:32]}@masked.invalid"]
    assert (
        world.count("people", "ip = '10.20.30.0' AND age = 40 AND phone = '***67' AND name = '[redacted]'")
        == 12
    )
    assert world.all("SELECT DISTINCT note FROM people") == ["write to [email]"]


@on("sqlite-one")
def test_a_key_that_lasts_needs_a_reason(world: World) -> None:
    """A policy's key is never destroyed, so it says why tokens may stay linkable; preserving is no mask."""
    people(world, 1)
    for masks in (
        {"email": "hmac"},
        {"facts": {"json_set": {"$.email": "hmac"}}},
        {"born": {"shift_date": {"days": 3, "by": "age"}}},
    ):
        with pytest.raises(InvalidPolicy, match=r'a key that lasts.*linkable: "REASON".*use surrogate'):
            policy(world, masks, marker_column="masked")
    with pytest.raises(InvalidPolicy, match="preserve writes nothing; leave the column out"):
        policy(world, {"email": "preserve"})
    with pytest.raises(InvalidPolicy, match="reads age, which is masked as well"):
        policy(world, {**UNSEEN, "age": "null"}, marker_column="masked")
    with pytest.raises(InvalidPolicy, match=r"pay.*name a marker_column"):
        policy(world, {"pay": {"noise": 1}})


@on("sqlite-one")
def test_as_people_write_it(world: World) -> None:
    """On the command line an argument stands behind a colon, in a file as a mapping."""
    people(world, 2)
    given = [
        'email=hmac_email:{"linkable": "join with billing"}',
        "name=redact:no: name",
        "phone=partial:{last: 2}",
        "born=truncate_date:year",
        "age=generalize:[0, 18, 65]",
        "pay=generalize:0.5",
        'facts=json_delete:["$.email"]',
    ]
    masks = " ".join(f"--mask '{mask}'" for mask in given)
    command(f"policy add p --table people --days 30 --action anonymize {masks}")
    shown = command("policy show p")
    for text in ("name=redact:no: name", "phone=partial (first 0, last 2)", "facts=json_delete ($.email)"):
        assert text in shown
    exported = privacy.export_retention_policies()
    (step,) = privacy.apply_retention_policies(exported, check=True, actor=ACTOR)
    assert step["status"] == "unchanged"
    privacy.approve_retention_policy("p", ACTOR)
    assert world.enforce()["rows"] == 2
    world.masked["people"] += 2
    assert world.all("SELECT facts FROM people") == ['{"plan":"free"}'] * 2
    assert world.all("SELECT DISTINCT pay FROM people") == [100.5]
