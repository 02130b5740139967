"""What settings must not say together: told at start, with the reason."""

import dataclasses
import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from aegis.errors import SettingsError
from aegis.settings.model import CopySettings, Settings
from aegis.settings.showing import masked

_COPY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
#: What must be above 0: a zero would repeat something without a pause, never end, or give up at once.
_POSITIVE: Final = {
    "retention": ("batch_milliseconds", "first_batch_rows", "largest_batch_rows", "slice_seconds"),
    "operations": ("lease_seconds", "max_attempts", "resend_seconds"),
    "worker": ("concurrency", "hard_time_limit_seconds", "max_tasks_per_child", "tick_seconds"),
    "federated": ("keep_hours", "max_bytes", "minimum_participants"),
}


def check(settings: Settings) -> None:
    """Do nothing for settings that one can work with.

    Raises:
        SettingsError: they contradict each other, or a value is not among those that make sense.

    """
    _check_positive(settings)
    worker = settings.worker
    if worker.hard_time_limit_seconds >= worker.visibility_timeout_seconds:
        message = (
            f"worker.hard_time_limit_seconds ({worker.hard_time_limit_seconds}) must be below "
            f"worker.visibility_timeout_seconds ({worker.visibility_timeout_seconds}): otherwise Redis "
            "delivers a task again while it still runs"
        )
        raise SettingsError(message)
    if settings.retention.slice_seconds * 2 > worker.hard_time_limit_seconds:
        message = (
            f"retention.slice_seconds ({settings.retention.slice_seconds}) must be at most half of "
            f"worker.hard_time_limit_seconds ({worker.hard_time_limit_seconds})"
        )
        raise SettingsError(message)
    counting = 2 * settings.retention.count_seconds + settings.retention.slice_seconds
    if settings.retention.count_seconds <= 0 or counting > worker.hard_time_limit_seconds:
        message = (
            f"retention.count_seconds ({settings.retention.count_seconds:g}) must be above 0, and twice it "
            f"with retention.slice_seconds ({settings.retention.slice_seconds:g}) at most "
            f"worker.hard_time_limit_seconds ({worker.hard_time_limit_seconds}): one task may count twice"
        )
        raise SettingsError(message)
    if settings.retention.max_share is not None and not 0 < settings.retention.max_share <= 1:
        message = f"retention.max_share ({settings.retention.max_share}) must be above 0 and at most 1"
        raise SettingsError(message)
    for name, url in (
        ("archives.url", settings.archives.url),
        ("erasure.tombstones", settings.erasure.tombstones),
        ("federated.outputs", settings.federated.outputs),
        ("federated.inputs", settings.federated.inputs),
    ):
        if url and masked(url) != url:
            message = (
                f"{name} holds a secret, and it is kept with what is written there: give the store its "
                "credentials by its own environment variables instead"
            )
            raise SettingsError(message)
    if settings.throttle.longest_pause_seconds * 3 > settings.operations.lease_seconds:
        message = (
            f"throttle.longest_pause_seconds ({settings.throttle.longest_pause_seconds}) must be at most a "
            f"third of operations.lease_seconds ({settings.operations.lease_seconds}): "
            "a run that rests keeps its lease"
        )
        raise SettingsError(message)
    _check_named(settings)


def _check_positive(settings: Settings) -> None:
    for section, names in _POSITIVE.items():
        for name in names:
            value = getattr(getattr(settings, section), name)
            if not value > 0:
                message = f"{section}.{name} ({value:g}) must be above 0"
                raise SettingsError(message)
    for section, found in vars(settings).items():
        for name, value in vars(found).items() if dataclasses.is_dataclass(found) else ():
            # Not a number is not below 0 either.
            if isinstance(value, int | float) and not value >= 0:
                message = f"{section}.{name} ({value:g}) must be 0 or more"
                raise SettingsError(message)


def _check_named(settings: Settings) -> None:
    for name, source in settings.datasources.items():
        for login in (source, source.verifier):
            if login.password_file and login.password_command:
                message = f"data source {name}: give password_file or password_command, not both"
                raise SettingsError(message)
        for copy, found in source.copies.items():
            if fault := _fault_of(copy, found):
                message = f"datasources.{name}.copies.{copy}: {fault}"
                raise SettingsError(message)
    for name, export in settings.audit.exports.items():
        if export.to == "-":
            message = f"audit.exports.{name}.to: stdout is no receiver of an export that a worker does"
            raise SettingsError(message)


def _fault_of(name: str, copy: CopySettings) -> str | None:
    """Return what is wrong with a copy, in words that quote no URL."""
    if not _COPY.fullmatch(name):
        return "its name is 1 to 64 letters, digits, dots, dashes and underscores"
    if copy.due_days < 1:
        return f"due_days ({copy.due_days}) must be at least 1"
    if copy.task and copy.url:
        return "give a task or a url, not both"
    if bool(copy.task) != bool(copy.queue):
        return "task and queue go together: the queue is where the task's own workers listen"
    if copy.secret_file and not copy.url:
        return "secret_file signs what is posted to a url, and there is none"
    return _fault_of_url(copy.url) if copy.url else None


def _fault_of_url(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "url is no URL"
    if "@" in parts.netloc or masked(url) != url:
        return "url holds a secret; give a secret_file instead, which signs what is posted"
    if not host or parts.fragment or parts.scheme not in {"https", "http"}:
        return "url must be https://host/path"
    if parts.scheme == "http" and not _loopback(host):
        return "url must begin with https://; http is for this machine alone (127.0.0.1, ::1, localhost)"
    return None


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
