"""What a real worker and a real beat export: what is documented, and nothing that a message made up."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from aegis.operations import system
from aegis.operations.deadletters import Reason
from aegis.operations.states import State
from aegis.operations.table import ROUTES
from aegis.settings import load_settings
from api import privacy
from cli.stack import Stack
from tests.workerkit import ROOT, parse, wait_until
from worker import metrics

ACTOR = "legal@example.com"
#: A row of the table: the names in its first cell, and who exports them.
_ROW = re.compile(r"^\| (`aegis_[^|]+`) \| (beat|worker) \|", re.MULTILINE)
_NAME = re.compile(r"`(aegis_\w+)(?:\{([\w,]+)\})?`")

Labels = dict[str, frozenset[str]]


def documented() -> dict[str, Labels]:
    """Return process → metric → labels, as docs/running.md has them."""
    found: dict[str, Labels] = {"beat": {}, "worker": {}}
    for cell, process in _ROW.findall((ROOT / "docs" / "running.md").read_text("utf-8")):
        for name, labels in _NAME.findall(cell):
            assert name not in found[process], f"{name} is documented twice"
            found[process][name] = frozenset(filter(None, labels.split(",")))
    return found


@dataclass(frozen=True, kw_only=True)
class Scrape:
    """One answer of an endpoint."""

    #: Metric → the labels of its series; of one without series, none.
    names: Labels
    #: Each series: the name of its metric and its labels.
    series: list[tuple[str, dict[str, str]]]


def scrape(stack: Stack, process: str) -> Scrape:
    """Ask a process what it exports."""
    names: Labels = {}
    series: list[tuple[str, dict[str, str]]] = []
    for family in text_string_to_metric_families(stack.metrics(process)):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        told = [{key: text for key, text in one.labels.items() if key != "le"} for one in family.samples]
        names[name] = frozenset(key for labels in told for key in labels)
        series += [(name, labels) for labels in told]
    return Scrape(names=names, series=series)


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """Redis, worker and beat on a fresh home and on any free port, with one policy."""
    config = tmp_path / "aegis.toml"
    config.write_text(
        f'home = "{tmp_path / "home"}"\n[retention]\nsoft_landing_hours = 0\n'
        "[worker]\nmetrics_port = 0\nbeat_metrics_port = 0\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("AEGIS_CONFIG", str(config))
    aegis = system.use(load_settings())
    with aegis.databases.control.begin() as connection:
        connection.execute(sa.text("CREATE TABLE things (id INTEGER PRIMARY KEY, created_at TIMESTAMP)"))
        connection.execute(sa.text("INSERT INTO things (created_at) VALUES ('2020-01-01 00:00:00')"))
    privacy.register_retention_policy("old_things", "things", retention_days=30)
    privacy.approve_retention_policy("old_things", actor=ACTOR)
    with Stack(aegis.settings, log=tmp_path / "log", environment=os.environ) as running:
        yield running
    aegis.close()


def send(stack: Stack, task: str, queue: str, **kwargs: Any) -> None:
    """Send a task as a service does."""
    with Celery("sender", broker=stack.redis.url, set_as_current=False) as sender:
        sender.send_task(task, kwargs=kwargs, queue=queue)


def test_the_documentation_lists_what_the_worker_can_count() -> None:
    """Each counter of the worker is in the table with its labels, and no other."""
    counters = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
    shown = {
        f"{one._name}_total" if one._type == "counter" else one._name: frozenset(one._labelnames)  # noqa: SLF001
        for one in counters
    }
    assert shown == documented()["worker"]


def test_processes_export_what_is_documented_and_messages_make_no_series(stack: Stack) -> None:
    """Beat's families are those of the table; every label's value is of the configuration or a fixed word."""
    send(
        stack,
        "aegis.retention.enforce",
        "retention",
        dry_run=False,
        request_id="one",
        policies=["old_things"],
    )

    def deleted() -> bool:
        return ("aegis_rows_deleted_total", {"policy": "old_things", "table": "things"}) in scrape(
            stack, "worker"
        ).series

    wait_until(deleted, "the run is done")
    for name in ("mallory", "eve"):
        send(stack, "aegis.retention.enforce", "retention", dry_run=False, policies=[name], request_id=name)
        send(stack, f"aegis.{name}", "audit")
        send(stack, "aegis.tenancy.check", "audit", requesting_tenant=name, resource_tenant="b")
        send(stack, "aegis.federated.protect", "federated", **{name: name})
        send(stack, "aegis.retention.register", "retention", name="p", table=name, retention_days=1)
        send(stack, "aegis.users.anonymize", "erasure", user_id=name, datasource=name, request_id=f"u{name}")
    refused = "aegis_operations_total{operation=users.anonymize,outcome=refused}"
    aside = "aegis_messages_refused_total{reason=unknown-task}"

    def looked_at() -> bool:
        seen = parse(stack.metrics("worker"))
        return seen.get(refused) == seen.get(aside) == 2

    wait_until(looked_at, "each was looked at")

    beat, worker, table = scrape(stack, "beat"), scrape(stack, "worker"), documented()
    assert set(beat.names) == set(table["beat"])
    assert set(worker.names) <= set(table["worker"])
    for process, seen in (("beat", beat), ("worker", worker)):
        for name, labels in seen.names.items():
            assert labels in ({}, frozenset(), table[process][name])
    allowed = {
        "policy": {"old_things", "erasure"},
        "table": {"things"},
        "datasource": {"default"},
        "queue": set(ROUTES.values()),
        "task": set(ROUTES),
        "operation": {name.removeprefix("aegis.") for name in ROUTES},
        "state": {state.value for state in State},
        "action": {"delete"},
        "outcome": {"done", "more", "refused", "failed", "accepted", "interrupted", "denied"},
        "reason": {reason.value for reason in Reason},
        "account": {"default"},
        "period": {"window", "lifetime"},
    }
    strange = [
        (name, key, value)
        for name, labels in (*beat.series, *worker.series)
        for key, value in labels.items()
        if value not in allowed[key]
    ]
    assert not strange
