"""Traces, as a collector receives them from a real worker."""

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from celery import signals
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from aegis.embedded.redis import EmbeddedRedis
from tests.workerkit import sender, wait_until, worker
from worker import traces

SECRET = "ann.lee@example.com"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector(ThreadingHTTPServer):
    """Takes spans by OTLP over HTTP."""

    daemon_threads = True

    def __init__(self) -> None:
        """Take a free port."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []

    @property
    def spans(self) -> dict[str, Span]:
        """The spans by their names."""
        found: dict[str, Span] = {}
        for body in list(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                found |= {span.name: span for scope in resource.scope_spans for span in scope.spans}
        return found


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector on a port of its own."""
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of its own."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


def attributes(span: Span) -> dict[str, str]:
    """Return a span's attributes."""
    return {one.key: one.value.string_value for one in span.attributes}


def test_spans_join_services_and_the_tasks_that_tasks_send_and_say_nothing_of_persons(
    broker: EmbeddedRedis, tmp_path: Path, collector: Collector
) -> None:
    """Parent, ids, queue and the type of an error; no argument, no text of it, no `tracestate`."""
    variables: dict[str, Any] = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": f"x={SECRET}"}
    with (
        worker(tmp_path / "worker", broker.url, "--concurrency", "1", **variables),
        sender(broker.url) as app,
    ):
        app.send_task("test.send", kwargs={"secret": SECRET}, headers=headers)
        wait_until(lambda: {"test.send", "test.fail"} <= set(collector.spans), "both spans arrive")
    sent, failed = collector.spans["test.send"], collector.spans["test.fail"]
    assert (sent.trace_id.hex(), sent.parent_span_id.hex()) == (TRACE, PARENT)
    assert (failed.trace_id, failed.parent_span_id) == (sent.trace_id, sent.span_id)
    told = attributes(sent)
    assert told.pop("celery.task_id")
    assert told == {
        "messaging.system": "redis",
        "messaging.destination.name": "retention",
        "aegis.policy": "p",
        "aegis.run": "r-1",
        "aegis.outcome": "done",
    }
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert attributes(failed)["error.type"] == "OperationFailed"
    assert not any(SECRET.encode() in body for body in collector.bodies)


def test_a_worker_without_the_extra_says_so_and_works(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Asked for, and not installed: one line says what to install, and nothing is traced."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    before = list(signals.worker_process_init.receivers or ())
    traces.connect()
    assert "aegis-privacy-worker[otel]" in caplog.text
    assert list(signals.worker_process_init.receivers or ()) == before


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_only_the_usual_variables_turn_it_on(environment: dict[str, str], *, found: bool) -> None:
    """A collector is named, and nothing says no."""
    assert traces.wanted(environment) is found
