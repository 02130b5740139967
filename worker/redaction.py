"""What may leave a worker: no argument, no foreign error text.

Task arguments name people, and the text of a database error quotes the row that it fell over
("Key (email)=(…) already exists"). Celery puts both into events, logs and remote-control
answers. Here they are replaced in one place each: arguments when a message is sent and again
when it is received (its producer may be foreign), errors when they leave a task. An error of
Aegis quotes names that it was given ("there is no policy …"): what does not look like the name of
a thing is taken out of it.
"""

import re
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from celery import Task
from celery.exceptions import Ignore, Reject, Retry
from celery.utils.log import get_logger
from celery.worker import request
from celery.worker.consumer import consumer

from aegis.errors import AegisError, OperationFailed

#: What stands in the place of arguments, everywhere.
REDACTED = "(not shown)"

#: What a message must carry so that Celery shows no argument of it.
REDACTED_OPTIONS = {"argsrepr": REDACTED, "kwargsrepr": REDACTED}

_PLAIN_NAME = re.compile(r"[A-Za-z_][\w.]{0,99}")
_LETTER = re.compile(r"\w")
#: What stands between the words of a condition or a file.
_WORD = re.compile(r"[\s'\"`(),;:=<>\[\]{}]+")

# Celery 5.6 has no types in brackets.
if TYPE_CHECKING:
    _Task = Task[Any, Any]
else:
    _Task = Task

log = get_logger(__name__)


def describe_error(error: BaseException) -> str:
    """Name an error by its type and, for a database error, its code; never by its text."""
    if isinstance(error, AegisError):
        return f"{type(error).__name__}: {error}"
    driver = getattr(error, "orig", None) or error
    code = getattr(driver, "sqlstate", None) or getattr(driver, "sqlite_errorname", None)
    names = [type(error).__name__]
    if driver is not error:
        names.append(type(driver).__name__)
    return " ".join([*names, *([f"[{code}]"] if code else [])])


def named(name: object) -> str | None:
    """Return a name that came in a message, if it looks like one."""
    return name if isinstance(name, str) and _PLAIN_NAME.fullmatch(name) else None


def plain_name(name: object) -> str:
    """Return a name that came in a message, or that it does not look like one."""
    return named(name) or "(unreadable)"


def without_arguments(text: str, arguments: object) -> str:
    """Return an error's text without those of a message's texts that are no plain names."""
    for piece in sorted(set(_pieces(arguments)), key=len, reverse=True):
        # Not in the middle of another word: a tenant may be called 1.
        text = re.sub(rf"(?<!\w){re.escape(piece)}(?!\w)", REDACTED, text)
    return text


def _pieces(arguments: object) -> Iterator[str]:
    """Yield every text of a message that may name a person, and the words of it."""
    if isinstance(arguments, Mapping):
        arguments = [*arguments.keys(), *arguments.values()]
    if isinstance(arguments, list | tuple):
        for part in arguments:
            yield from _pieces(part)
    elif isinstance(arguments, str):
        # As an error quotes it, too.
        words = {arguments, repr(arguments)[1:-1], *_WORD.split(arguments)}
        yield from (word for word in words if _LETTER.search(word) and not _names_a_thing(word))


def _names_a_thing(word: str) -> bool:
    try:
        uuid.UUID(word)
    except ValueError:
        return _PLAIN_NAME.fullmatch(word) is not None
    return True


class QuietTask(_Task):
    """The base of every task: a foreign error leaves it without its text."""

    abstract = True
    #: A log line shows the beginning of a report.
    resultrepr_maxsize = 200

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task; errors of Aegis pass, others become OperationFailed.

        Raises:
            OperationFailed: any other error, by its type and code.

        """
        try:
            return super().__call__(*args, **kwargs)
        except (Ignore, Reject, Retry):
            raise
        except AegisError as error:
            # It quotes no row, but names that it was given; the foreign error behind it may quote more.
            error.args = tuple(_clean(part, args, kwargs) for part in error.args)
            raise error from None
        except Exception as error:  # noqa: BLE001 - any error may quote a row
            message = f"{self.name} failed: {describe_error(error)}"
            raise OperationFailed(message).with_traceback(error.__traceback__) from None


def _clean(part: object, *arguments: object) -> object:
    return without_arguments(part, arguments) if isinstance(part, str) else part


class QuietRequest(request.Request):
    """A received message that shows none of its arguments, whoever sent it."""

    def __init__(self, message: Any, *, headers: dict[str, Any] | None = None, **options: Any) -> None:
        """Replace the texts that the producer chose for logs and events."""
        shown = {"shadow": None, "stamps": None, "stamped_headers": None, **REDACTED_OPTIONS}
        headers = {**(message.headers if headers is None else headers), **shown}
        super().__init__(message, headers=headers, **options)

    def info(self, safe: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        """Describe the request for `celery inspect`, always without arguments."""
        return super().info(safe=True)


class QuietConsumer(consumer.Consumer):
    """Refuses a message that is no task without printing its body, and talks to no other worker."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Leave out that workers agree among themselves: the database says who works on what.

        Gossip and mingle would have each worker read what all of them tell, and need the right to.
        """
        super().__init__(*arguments, **{**options, "without_gossip": True, "without_mingle": True})

    def on_unknown_message(self, body: object, message: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Refuse a message that has another form than a task's."""
        self._refuse(message, "it is not a task message")

    def on_unknown_task(self, body: object, message: Any, exc: BaseException) -> None:  # noqa: ARG002
        """Refuse a task that this worker does not know."""
        name = (message.headers or {}).get("task")
        self._refuse(message, f"this worker knows no task {plain_name(name)}")

    def on_invalid_task(self, body: object, message: Any, exc: BaseException) -> None:  # noqa: ARG002
        """Refuse a task message with broken headers or a body in another form than JSON."""
        self._refuse(message, f"it cannot be read ({type(exc).__name__})")

    def on_decode_error(self, message: Any, exc: BaseException) -> None:
        """Refuse a message whose body is not what its headers say."""
        self._refuse(message, f"it cannot be decoded ({type(exc).__name__})")

    def _refuse(self, message: Any, reason: str) -> None:
        log.error("Refused a message and dropped it: %s", reason)
        message.reject_log_error(log, self.connection_errors)  # type: ignore[attr-defined] # not in the stubs
