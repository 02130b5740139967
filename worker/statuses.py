"""What becomes of a request, told in Redis to the service that asked for it.

A service that has no access to the control database reads `aegis:status:<request id>`. It is written when
a task of a service has ended, that is after the commit, and after every slice of a run that carries a
request out. Redis is told last and is never waited for long: where it cannot be told, the service hears
nothing, and sends the same id again. Errors that pass are told nobody either, for the same reason.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final

import redis
from celery import signals

from aegis.db.engines import CONTROL, reading
from aegis.errors import AegisError, Interrupted
from aegis.operations import statuses, system
from aegis.operations.brokers import client_of
from aegis.operations.states import FINAL, State
from aegis.operations.statuses import KEPT_SECONDS, Status, is_id, key_of, written
from aegis.operations.table import ERASE, FOR_SERVICES, PROTECT, RUN
from aegis.settings import Settings

_BY_RUN: Final = frozenset({RUN, ERASE})

log = logging.getLogger(__name__)


def request_of(task: Any) -> str | None:
    """Return the request of a task that is at work: its argument, or else its message's id."""
    found = (task.request.kwargs or {}).get("request_id") or task.request.id
    return found if is_id(found) else None


def connect() -> None:
    """Tell what becomes of the requests of this process's tasks from now on."""
    signals.task_success.connect(_on_success)
    signals.task_failure.connect(_on_failure)


def _on_success(sender: Any, result: object, **_: Any) -> None:
    if sender.name in FOR_SERVICES or sender.name in _BY_RUN:
        _told(sender, result if isinstance(result, Mapping) else {})


def _on_failure(sender: Any, exception: BaseException, **_: Any) -> None:
    if sender.request.id is None:
        # A child died, and this is its parent, which opens no database: its children would inherit that.
        return
    if sender.name in _BY_RUN:
        _told(sender, {})
    elif (
        sender.name in FOR_SERVICES
        and isinstance(exception, AegisError)
        and not isinstance(exception, Interrupted)
        and (request := request_of(sender))
    ):
        tell(sender.app.settings, request, statuses.refused(exception))


def _told(task: Any, report: Mapping[str, Any]) -> None:
    told = None
    try:
        # Another worker may have ended the request meanwhile, and told it before: the last word is the rows'.
        while (found := _found(task, report)) is not None and found != told:
            tell(task.app.settings, *found)
            told = found
            if found[1].state in FINAL:
                break
    except AegisError as error:
        log.warning("What became of a request is not told in Redis: %s", type(error).__name__)


def _found(task: Any, report: Mapping[str, Any]) -> tuple[str, Status] | None:
    with reading(system.current().databases.control, CONTROL) as connection:
        if task.name in _BY_RUN:
            request = statuses.request_of(connection, (task.request.kwargs or {}).get("run_id"))
        else:
            request = request_of(task)
        if request is None:
            return None
        row = statuses.standing(connection, request)
    if task.name in _BY_RUN:
        return (request, _bare(row)) if row else None
    return request, _answered(task.name, report, row)


def _answered(task: str, report: Mapping[str, Any], row: Status | None) -> Status:
    """Return what a task of a service came to; its report's outcome and reason are fixed words."""
    outcome = report.get("outcome")
    if outcome == "refused":
        return Status(state=State.FAILED, reason=report.get("reason"))
    if row is not None:
        return _bare(row, report.get("reason") if task == PROTECT else None)
    return Status(state=State.DONE, reason=None if outcome == "done" else outcome)


def _bare(row: Status, reason: str | None = None) -> Status:
    """Return a row's status without its sentence, which names things."""
    return Status(state=row.state, reason=reason, waits_for=row.waits_for)


def tell(settings: Settings, request: str, status: Status) -> None:
    """Put a status into Redis; what cannot be told is logged and hinders nothing."""
    try:
        # A connection of its own: a password that was changed is read again, and none grows stale.
        with client_of(settings, decoded=True) as broker:
            broker.set(key_of(request), written(status), ex=KEPT_SECONDS)
    except (redis.RedisError, OSError, ValueError) as error:
        log.warning(
            "Redis does not take the status of request %s (%s); its sender does not see it",
            request,
            type(error).__name__,
        )
