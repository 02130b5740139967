"""Traces: one span for each task, for whoever has a collector; off unless OpenTelemetry's variables ask.

A span has names and ids and never an argument, an error's text or `tracestate`, which is free text. Its
parent comes in the message's header `traceparent`, from a service or from the task that sent it.
"""

import importlib
import logging
import os
from collections.abc import Mapping
from typing import Any, Final

from celery import signals

from worker.logs import REPORTED, ROUTINE

#: Variables of OpenTelemetry that name a collector.
ASKED_BY: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

_HEADER: Final = "traceparent"
_EXPORTER: Final = "opentelemetry.exporter.otlp.proto.http.trace_exporter"

log = logging.getLogger(__name__)


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether traces are asked for."""
    off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    off = off or environment.get("OTEL_TRACES_EXPORTER") == "none"
    return not off and any(environment.get(name) for name in ASKED_BY)


def connect() -> None:
    """Trace the tasks of this application's workers, if that is asked for and can be done."""
    if not wanted(os.environ):
        return
    try:
        # Before the fork: the children share it.
        importlib.import_module(_EXPORTER)
    except ImportError:
        log.warning(
            "%s is set and OpenTelemetry is not installed: no traces. Install aegis-privacy-worker[otel]",
            " or ".join(ASKED_BY),
        )
        return
    signals.worker_process_init.connect(_begin, weak=False)


def _begin(**_: Any) -> None:
    # In the child: the exporter's thread does not outlive a fork.
    tracing = Tracing()
    signals.task_prerun.connect(tracing.start, weak=False)
    signals.task_postrun.connect(tracing.end, weak=False)
    signals.before_task_publish.connect(tracing.pass_on, weak=False)
    signals.worker_process_shutdown.connect(tracing.close, weak=False)


class Tracing:
    """The spans of one process, which does one task at a time."""

    def __init__(self) -> None:
        """Make what exports them, as OpenTelemetry's variables say."""
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "aegis-worker"}
        self._provider = TracerProvider(resource=Resource.create(named))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("aegis")
        self._form = TraceContextTextMapPropagator()
        self._open: tuple[Any, Any] | None = None

    def start(self, sender: Any, task_id: str, task: Any, **_: Any) -> None:
        """Begin the span of a task."""
        from opentelemetry import context, trace  # noqa: PLC0415

        if sender.name in ROUTINE:
            return
        about = {"celery.task_id": task_id, "messaging.system": "redis"}
        about["messaging.destination.name"] = str((task.request.delivery_info or {}).get("routing_key"))
        parent = self._form.extract({_HEADER: str(getattr(task.request, _HEADER, None) or "")})
        span = self._tracer.start_span(
            sender.name, context=parent, kind=trace.SpanKind.CONSUMER, attributes=about
        )
        self._open = span, context.attach(trace.set_span_in_context(span))

    def end(self, state: str | None = None, retval: object = None, **_: Any) -> None:
        """End it with what the task's report names, or the type of its error."""
        from opentelemetry import context, trace  # noqa: PLC0415

        if self._open is None:
            return
        (span, token), self._open = self._open, None
        if isinstance(retval, Mapping):
            names = (*REPORTED, "outcome")
            span.set_attributes({f"aegis.{name}": str(retval[name]) for name in names if retval.get(name)})
        if isinstance(retval, BaseException):
            span.set_attribute("error.type", type(retval).__name__)
        if state == "FAILURE":
            span.set_status(trace.StatusCode.ERROR)
        context.detach(token)
        span.end()

    def pass_on(self, headers: dict[str, Any], **_: Any) -> None:
        """Let a task that this one sends be its child."""
        carrier: dict[str, str] = {}
        self._form.inject(carrier)
        if _HEADER in carrier:
            headers[_HEADER] = carrier[_HEADER]

    def close(self, **_: Any) -> None:
        """Send what is left."""
        self._provider.shutdown()
