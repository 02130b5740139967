"""Every panel of the dashboards shows something: a real Prometheus beside a worker, beat and Redis."""

import contextlib
import datetime as dt
import json
import math
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import redis
import sqlalchemy as sa
from celery import Celery

from aegis.audit.tlog import notes
from aegis.audit.tlog.notes import FileSigner
from api import budgets, catalog, federated, log, privacy
from deploy.grafana.generate import FOLDER, dashboards
from tests import worlds
from tests.canarysite import P, Site, running
from tests.monitoring import Prometheus, ask, prometheus
from tests.unit.test_alerts import documented, metrics_of
from tests.workerkit import wait_until
from tests.worlds import ACTOR

#: What stands in a query in place of what somebody chooses, and of what Grafana fills in.
CHOSEN: Final = {"$policy": ".*", "$source": ".*", "$__rate_interval": "2s"}
#: The public key of a witness, and where nobody listens.
WITNESS: Final = notes.Verifier(
    name="away",
    public=FileSigner(name="w", seed=bytes(32)).verifier.public,
    algorithm=notes.COSIGNATURE,
).vkey
NOWHERE: Final = "http://127.0.0.1:1/"


def panels() -> list[dict[str, Any]]:
    """Return every panel that shows something."""
    return [
        panel
        for text in dashboards().values()
        for panel in json.loads(text)["panels"]
        if panel["type"] != "row"
    ]


def test_what_is_committed_is_what_is_generated() -> None:
    """`python -m deploy.grafana.generate` changes nothing."""
    assert {file.name: file.read_text("utf-8") for file in FOLDER.iterdir()} == dashboards()


def test_a_panel_explains_itself() -> None:
    """Each has a title of its own and says what it means; every metric in it is one that is told."""
    shown = panels()
    assert len({panel["title"] for panel in shown}) == len(shown)
    for panel in shown:
        assert panel["description"].endswith("."), panel["title"]
        for target in panel["targets"]:
            assert metrics_of(target["expr"]) - {"aegis"} <= set(documented()), panel["title"]


def test_no_panel_lies_on_another() -> None:
    """The panels of a dashboard fill the grid of 24 columns, and each has its own number."""
    for text in dashboards().values():
        made = json.loads(text)["panels"]
        assert len({panel["id"] for panel in made}) == len(made)
        taken = [
            (x, y)
            for place in (panel["gridPos"] for panel in made)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(set(taken)) == len(taken)
        assert max(x for x, _ in taken) == 23


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Redis, worker and beat, and an application with people in it."""
    monkeypatch.setenv("AEGIS_CONFIG", str(tmp_path / "aegis.toml"))
    worlds.engine(f"sqlite:///{tmp_path / 'app.db'}").connect().close()
    with running(tmp_path, f"sqlite:///{tmp_path / 'app.db'}", None) as made:
        yield made


def at_work(site: Site, running: Prometheus) -> None:
    """Let everything happen that a panel shows."""
    log.add_witness("away", WITNESS, NOWHERE, ACTOR)
    budgets.create_budget("usage", epsilon=1.0, actor=ACTOR)
    words: dict[str, Any] = {"dp_epsilon": 0.25, "budget": "usage", "idempotency_key": "r1"}
    federated.federated_aggregation_protect(10.0, 20, **words, actor=ACTOR)
    catalog.look_at_catalogs()
    words = {"retention_days": 30, "actor": ACTOR, "datasource": "app"}
    masks = {"email": "surrogate", "name": "null", "phone": {"constant": "none"}}
    privacy.register_retention_policy("letters", "letters", action="anonymize", masks=masks, **words)
    privacy.register_retention_policy("members", "members", guards={"max_rows": 5}, **words)
    privacy.register_retention_policy("visits", "visits", tenant_column="tenant", **words)
    words = {"matter": "case 7", "owner": ACTOR, "review_by": dt.date(2040, 1, 1), "datasource": "app"}
    privacy.place_hold(table="visits", tenant="globex", **words)
    for number, name in enumerate(("letters", "members", "visits"), 1):
        privacy.approve_retention_policy(name, ACTOR)
        site.send("aegis.retention.enforce", dry_run=False, policies=[name], request_id=name)
        wait_until(lambda: ended(site) == number, f"the run of {name} has ended")  # noqa: B023
        # The next one's batches are then a rise.
        wait_until(lambda: running.query("aegis_batch_duration_seconds_count"), "it is counted")
    requested(site)
    hostile(site)


def ended(site: Site) -> int:
    """Count the runs that are done, or wait for a person."""
    return int(site.ask("SELECT count(*) FROM aegis_runs WHERE state IN ('done', 'blocked')"))


def requested(site: Site) -> None:
    """One person is erased, and copies and files are late; another one's request waits for a stop."""
    erase = {"actor": ACTOR, "datasource": "app"}
    site.send("aegis.users.anonymize", user_id=f"7.{P['key'].email}", request_id="person-7", **erase)
    wait_until(lambda: ended(site) == 4, "somebody is erased")
    with site.control.begin() as connection:
        connection.execute(sa.text("UPDATE aegis_erasure_copies SET due_at = '2020-01-01 00:00:00'"))
        # As beat leaves it when somebody has read the database all the time.
        connection.execute(sa.text("UPDATE aegis_purges SET state = 'overdue'"))
    privacy.stop_operations("a look", ACTOR, datasource="app")
    site.send("aegis.users.anonymize", user_id=f"8.{P['key'].email}", request_id="person-8", **erase)


def hostile(site: Site) -> None:
    """Something that is no message, and a message that Redis delivers again."""
    url, elsewhere = site.stack.redis.url, site.stack.redis.url.replace("/0", "/1")
    with (
        Celery("other", broker=elsewhere, set_as_current=False) as other,
        redis.Redis.from_url(url, protocol=2) as broker,
        redis.Redis.from_url(elsewhere, protocol=2) as sent,
    ):
        broker.lpush("audit", b"no message")
        other.send_task("aegis.audit.relay", queue="maintenance")
        (entry,) = sent.lrange("maintenance", 0, -1)
        message = json.loads(entry)
        # What kombu does to a message whose worker has died.
        message["headers"]["redelivered"] = True
        message["properties"]["delivery_info"]["redelivered"] = True
        broker.lpush("maintenance", json.dumps(message))


def cured(site: Site, running: Prometheus) -> None:
    """The alerts of all that fire, and end when somebody does what the runbook says."""
    told = ("--actor", ACTOR)
    for alert in ("AegisDeadLetters", "AegisMessagesRefused", "AegisUndecidedColumns", "AegisRequestOld"):
        running.fires(alert)
    (letter,) = site.command("worker dead-letters", "--json", code=1)
    site.command("worker dead-letters", "--drop", letter["id"], "--json")
    running.ends("AegisDeadLetters")

    running.fires("AegisCopyUnconfirmed")
    for copy in ("lake", "away", "agency"):
        site.command("erasure confirm", "person-7", copy, *told, "--json")
    running.ends("AegisCopyUnconfirmed")

    with site.control.begin() as connection:
        connection.execute(sa.text("UPDATE aegis_requests SET due_at = '2020-01-01 00:00:00'"))
    running.fires("AegisRequestOverdue")
    site.command("erasure status", "person-8", "--json")
    site.command("start", "--datasource", "app", *told, "--json")
    running.ends("AegisRequestOverdue")
    running.ends("AegisRequestOld")

    running.fires("AegisRowsInFiles")
    for purge in site.command("retention purge", "--json", code=1):
        site.command("retention purge", purge["run"], "--execute", "--json")
    running.ends("AegisRowsInFiles")

    os.kill(site.stack.pid("worker"), signal.SIGKILL)
    running.fires("AegisWorkerSilent")
    site.stack.start("worker")
    running.ends("AegisWorkerSilent")


def shown(running_: Prometheus, expr: str, begun: float) -> bool:
    """Say whether a query has had a number since then."""
    for name, value in CHOSEN.items():
        expr = expr.replace(name, value)
    words = {"query": expr, "start": f"{begun:.3f}", "end": f"{time.time():.3f}", "step": "1"}
    found = ask(running_.url, "/api/v1/query_range", **words)["data"]["result"]
    return any(not math.isnan(float(value)) for series in found for _, value in series["values"])


def test_every_panel_has_data(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each query has a number after runs, a mask, a stop, a request, a release and a refusal.

    The alerts of what is wrong among that fire, and end by what the runbook says.
    """
    begun = time.time()
    ports = site.aegis.settings.worker
    targets = {
        "aegis-worker": f"127.0.0.1:{ports.metrics_port}",
        "aegis-beat": f"127.0.0.1:{ports.beat_metrics_port}",
    }
    with prometheus(tmp_path / "prometheus", targets) as running_:
        at_work(site, running_)
        queries = {(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]}

        def empty() -> set[tuple[str, str]]:
            return {query for query in queries if not shown(running_, query[1], begun)}

        with contextlib.suppress(AssertionError):
            wait_until(lambda: not empty(), "no panel is empty", 20)
        assert not empty()
        monkeypatch.setenv("AEGIS_BROKER_URL", site.stack.redis.url)
        cured(site, running_)
