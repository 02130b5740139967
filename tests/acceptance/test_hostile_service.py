"""A producer with its ACL user tries everything else: refused, counted, audited."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from aegis.auditing import get_audit_events
from aegis.operations import deadletters
from aegis.operations.system import System, use
from tests.brokerlife import SHOP, STATUS, TASK, TENANTS, Life
from tests.deployed import KINDS, Deployed, Kind
from tests.hostile import entry

OWN: Final = "audit"
#: What a service may do, and what is there before anybody has a name.
ALLOWED: Final = {"ping", "lpush", "get", "auth", "hello", "quit", "reset"}
#: The three commands that it has, where it may not use them.
ELSEWHERE: Final = (
    *(("lpush", queue, "x") for queue in ("retention", "federated", "seal", "maintenance")),
    *(("lpush", f"{OWN}\x06\x163", "x"), ("lpush", f"{OWN}2", "x"), ("lpush", "unacked", "x")),
    *(("lpush", STATUS, "x"), ("lpush", deadletters.LIST, "x"), ("lpush", "_kombu.binding.audit", "x")),
    *(("get", OWN), ("get", "retention"), ("get", "unacked_mutex"), ("get", deadletters.LIST)),
)


@pytest.fixture(params=KINDS)
def life(request: pytest.FixtureRequest, home_template: Path, tmp_path: Path) -> Iterator[Life]:
    """The deployed broker, of both kinds, with a home for worker and beat."""
    kind: Kind = request.param
    shutil.copytree(home_template, tmp_path / "home")
    with Deployed(tmp_path / "broker", kind, producers=SHOP) as broker:
        yield Life(broker, tmp_path)


def test_a_producer_with_its_acl_user_tries_everything_else(life: Life) -> None:
    """Every command of the server, every other key and channel; and everything in its own queue."""
    with life.broker.client("producer-shop") as shop, life.broker.client("admin") as admin:
        admin.config_set("acllog-max-len", 2000)
        commands = list(everything(admin))
        assert len(commands) > 300
        said = [refusal(shop, words) for words in (*commands, *ELSEWHERE)]
        # These are nobody's, not even an administrator's, unless the server's configuration says so.
        nobodys = [words[0] for words in commands if words[0] in {"debug", "module"}]
        counted = sum(one["count"] for one in admin.acl_log(2000) if one["username"] == "producer-shop")
        assert sum("permission" in text for text in said) == counted
        assert sum("not allowed" in text for text in said) <= len(nobodys)
        assert sum("permission" in text or "not allowed" in text for text in said) == len(said)
        assert admin.keys() == []
    nobody = redis.Redis.from_url(
        life.broker.bare_url("x:y").replace("x:y@", ""), protocol=2, driver_info=None
    )
    with nobody, pytest.raises(redis.AuthenticationError):
        nobody.lpush(OWN, "x")
    life.broker.refusals()
    in_its_own_queue(life)


def refusal(client: Any, words: Sequence[str]) -> str:
    """Return what the server says to a command that it refuses."""
    with pytest.raises(redis.ResponseError) as refused:
        client.execute_command(*words)
    return str(refused.value)


def everything(admin: Any) -> Iterator[list[str]]:
    """Yield each command and subcommand of the server, with as many words as it wants."""
    for command in admin.execute_command("COMMAND INFO"):
        name, arity, subcommands = command[0], command[1], command[-1]
        for sub in subcommands:
            yield [*sub[0].split("|"), *[OWN] * (abs(sub[1]) - 2)]
        if not subcommands and name not in ALLOWED:
            yield [name, *[OWN] * (abs(arity) - 1)]


def in_its_own_queue(life: Life) -> None:
    """Send what Redis lets through: the worker refuses it, counts it, tells the log, and goes on."""
    with life.process("worker") as worker, life.process("beat"):
        with life.broker.client("producer-shop") as shop:
            for sent in HOSTILE:
                shop.lpush(OWN, sent if isinstance(sent, bytes) else json.dumps(sent))
            shop.lpush(OWN, json.dumps(message()))
        with life.broker.client("admin") as admin:
            life.until(lambda: admin.llen(deadletters.LIST) == len(HOSTILE), "all are put aside")
            life.until(lambda: admin.llen(OWN) == admin.hlen("unacked") == 0, "the good one is done")
            life.until(lambda: admin.exists(deadletters.COUNTS, deadletters.TAKEN) == 0, "the log has them")
        scraped = worker.scrape()
        assert "aegis.tenancy.check" in worker.log
    assert {
        reason: int(scraped[f"aegis_messages_refused_total{{reason={reason}}}"]) for reason in REASONS
    } == REASONS
    system = System(life.settings("worker"))
    use(system.settings).close()
    told: Counter[str] = Counter()
    for event in get_audit_events(100, action="message:refuse"):
        assert (event["target_id"], event["outcome"]) == (f"queue {OWN}", "denied")
        told[event["details"]["reason"]] += event["details"]["count"]
    assert told == REASONS


def message(body: Any = None, **headers: Any) -> dict[str, Any]:
    """Return a message that lies in the service's own queue; a good one, but for what is said."""
    return entry(
        body=[[], TENANTS, {}] if body is None else body,
        headers={"task": TASK, **headers},
        properties={"delivery_info": {"exchange": "", "routing_key": OWN}},
    )


#: What it sends into its own queue.
HOSTILE: Final = (
    b"no message",
    {"body": 1},
    message(task="os.system"),
    message(task="aegis.retention.run", body=[[], {"run_id": "x"}, {}]),
    message(task="aegis.users.anonymize", body=[[], {"user_id": 1}, {}]),
    message(body=[["a", "a"], {}, {}]),
    message(body=[[], TENANTS, {"callbacks": [{"task": "aegis.users.anonymize", "kwargs": {"user_id": 1}}]}]),
    message(body=[[], TENANTS, {"chain": [{"task": "aegis.retention.run"}]}]),
    message(eta="2030-01-01T00:00:00"),
    message(retries=3),
    message(timelimit=[None, 1e9]),
    message(group="g"),
    message() | {"content-type": "application/x-python-serialize"},
    entry(body=[[], TENANTS, {}], headers={"task": TASK}),
)
#: Why each of them is refused → how many.
REASONS: Final[Mapping[str, int]] = {
    "unreadable": 1,
    "malformed": 2,
    "unknown-task": 1,
    "wrong-queue": 2,
    "forbidden": 8,
}
