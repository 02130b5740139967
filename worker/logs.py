"""Logs: one line per event, for people or as JSON, with the task that it belongs to.

Every record of every library passes the same formatter. It prints where an error happened and
of which type it was; the text of a foreign error stays out, for it may quote a row.
"""

import logging
import sys
import traceback
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import structlog
from celery import signals
from celery.app.log import Logging
from structlog.contextvars import bind_contextvars, clear_contextvars, merge_contextvars
from structlog.types import EventDict, Processor, WrappedLogger

from aegis.operations.slices import WORKING
from aegis.operations.table import RECONCILE, RELAY
from worker.redaction import describe_error

#: The fields of a task's report that stand beside its log lines: configuration, no data.
REPORTED = ("policy", "run")
#: Tasks that beat sends all the time; only what goes wrong with them is logged.
ROUTINE = frozenset({RELAY, RECONCILE})

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class AegisLogging(Logging):
    """Celery's logging set-up, replaced by ours."""

    app: Any
    loglevel: int

    def setup_logging_subsystem(self, loglevel: int | str | None = None, *_: Any, **__: Any) -> bool | None:
        """Configure the root logger once per process."""
        if self.already_setup:
            return None
        self.already_setup = True  # type: ignore[misc] # a class property with a setter
        configure(self.app.settings.worker.log_format, loglevel or self.loglevel)
        return True


def configure(log_format: str, level: int | str) -> None:
    """Send every log record of this process to stderr, in one form."""
    common: list[Processor] = [
        merge_contextvars,
        _name_work,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _locate_error,
    ]
    form: Processor = structlog.processors.JSONRenderer() if log_format == "json" else _as_text
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, form],
        ),
    )
    handler.addFilter(_is_worth_a_line)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # At debug it says all headers of every task, with their signature, and the beginning of its arguments.
    logging.getLogger("celery.pool").setLevel(max(root.level, logging.INFO))
    structlog.configure(
        processors=[*common, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Leave out the routine of every second: its receipt, and its success."""
    about = getattr(record, "data", None)
    name = about.get("name") if isinstance(about, Mapping) else None
    return name not in ROUTINE or record.levelno > logging.INFO


@signals.task_prerun.connect
def _bind_task(sender: Any, task_id: str, kwargs: Mapping[str, Any] | None = None, **_: Any) -> None:
    clear_contextvars()
    bind_contextvars(task=sender.name, task_id=task_id)
    named = {"run": (kwargs or {}).get("run_id"), "request": (kwargs or {}).get("request_id")}
    bind_contextvars(**{name: text for name, text in named.items() if _is_id(text)})


@signals.task_success.connect
def _bind_report(result: object, **_: Any) -> None:
    if isinstance(result, Mapping):
        bind_contextvars(**{name: result[name] for name in REPORTED if result.get(name) is not None})


@signals.task_postrun.connect
def _clear_task(**_: Any) -> None:
    clear_contextvars()


def _name_work(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add what is worked on; a request has the id that its producer gave it, which may be any text."""
    for name, text in (WORKING.get() or {}).items():
        if text is not None and (name != "request" or _is_id(text)):
            event.setdefault(name, text)
    return event


def _is_id(text: object) -> bool:
    try:
        return isinstance(text, str) and bool(uuid.UUID(text))
    except ValueError:
        return False


def _locate_error(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    found = _exception(event.pop("exc_info", None))
    if found is None:
        return event
    _, error, trace = found
    event["error"] = describe_error(error)
    event["at"] = [
        f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(trace)
    ]
    return event


def _exception(found: object) -> ExceptionInfo | None:
    if isinstance(found, BaseException):
        return type(found), found, found.__traceback__
    if found is True:
        found = sys.exc_info()
    if isinstance(found, tuple) and isinstance(found[1], BaseException):
        return found
    return None


def _as_text(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    places = event.pop("at", [])
    head = f"{event.pop('timestamp')} {event.pop('level'):<8} {event.pop('event')}"
    event.pop("logger", None)
    fields = "".join(f" {name}={value}" for name, value in sorted(event.items()))
    return "\n    at ".join([head + fields, *places])
