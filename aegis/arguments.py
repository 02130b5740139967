"""What a door takes: its arguments are looked at once, before anything is done with them.

People, services and, as plain JSON, tasks call the same doors; the client for services refuses with the
same words what a worker would. So a text must be text, a day may be written as text, and one name must not
be taken for a list of letters. Numbers are left to the rooms, which know their ranges.
"""

import datetime as dt
import functools
import inspect
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import (
    Annotated,
    Any,
    Final,
    ParamSpec,
    TypeVar,
    Union,
    Unpack,
    get_args,
    get_origin,
    get_type_hints,
)

from aegis.errors import UsageError

P = ParamSpec("P")
R = TypeVar("R")
_Check = Callable[[str, Any], Any]

#: Most characters of a name, an actor, a tenant: what every database keeps and can index.
MOST: Final = 190
#: Most characters of what is kept and not looked up: what MariaDB's TEXT holds of any letters.
LONGEST: Final = 16_000
Long = Annotated[str, LONGEST]
#: A producer's id of its request.
RequestId = Annotated[str, 64]
#: Read by a parser of its own, which also says what is wrong with it.
Parsed = Annotated[str, None]


def door(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse arguments of a function that are not what its annotations say; read days and instants.

    Raises:
        UsageError: names the argument and what was expected; never what was given.

    """
    signature = inspect.signature(function)
    hints = get_type_hints(function, include_extras=True)
    checks = _checks_of({name: hints[name] for name in signature.parameters if name in hints})

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        for name, check in checks.items():
            if name in bound.arguments:
                bound.arguments[name] = check(name, bound.arguments[name])
        return function(*bound.args, **bound.kwargs)

    return checked


def text(name: str, value: Any, most: int = MOST) -> str:
    """Return a text that says something and that every database keeps as it is."""
    if isinstance(value, str) and value.strip() and len(value) <= most and _writable(value):
        return value
    raise _expected(name, f"text and not empty, of at most {most} characters")


def _checks_of(hints: Mapping[str, Any]) -> dict[str, _Check]:
    return {name: check for name, hint in hints.items() if (check := _check_of(hint)) is not None}


def _check_of(hint: Any) -> _Check | None:
    if get_origin(hint) is Unpack:
        return functools.partial(_known_words, hints=get_type_hints(get_args(hint)[0], include_extras=True))
    if get_origin(hint) in {types.UnionType, Union}:
        options = [option for option in get_args(hint) if option is not types.NoneType]
        return _or_none(_check_of(options[0])) if len(options) == 1 else None
    if get_origin(hint) is Annotated:
        most = hint.__metadata__[0]
        return _parsed if most is None else functools.partial(text, most=most)
    return _CHECKS.get(get_origin(hint) or hint)


def _or_none(check: _Check | None) -> _Check | None:
    if check is None:
        return None
    return lambda name, value: None if value is None else check(name, value)


def _known_words(name: str, value: Any, *, hints: Mapping[str, Any]) -> dict[str, Any]:
    """Return further keyword arguments, each looked at as the typed dictionary of them says."""
    del name
    if unknown := value.keys() - hints.keys():
        message = f"{min(unknown)} is no argument of this; known are: {', '.join(sorted(hints))}"
        raise UsageError(message)
    checks = _checks_of(hints)
    return {word: checks[word](word, given) if word in checks else given for word, given in value.items()}


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, Collection) or isinstance(value, str | bytes | Mapping):
        raise _expected(name, "a list of texts")
    return tuple(text(f"each of {name}", item) for item in value)


def _day(name: str, value: Any) -> dt.date:
    read = _read(dt.date.fromisoformat, value)
    if isinstance(read, dt.date) and not isinstance(read, dt.datetime):
        return read
    raise _expected(name, "a date such as 2027-01-31")


def _instant(name: str, value: Any) -> dt.datetime:
    read = _read(dt.datetime.fromisoformat, value)
    if isinstance(read, dt.datetime):
        return read
    raise _expected(name, "a time such as 2027-01-31T02:00:00+00:00")


def _read(reader: Callable[[str], Any], value: Any) -> Any:
    try:
        return reader(value) if isinstance(value, str) else value
    except ValueError:
        return None


def _mapping(name: str, value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise _expected(name, "a mapping, such as a dict")


def _truth(name: str, value: Any) -> bool:
    # `dry_run="no"` must not delete, and `dry_run=0` must not be a guess.
    if isinstance(value, bool):
        return value
    raise _expected(name, "True or False")


def _bytes(name: str, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    raise _expected(name, "bytes")


def _parsed(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _expected(name, "text")


_CHECKS: Final[Mapping[Any, _Check]] = {
    str: text,
    bool: _truth,
    bytes: _bytes,
    dt.date: _day,
    dt.datetime: _instant,
    Mapping: _mapping,
    Sequence: _texts,
}


def _writable(value: str) -> bool:
    """Whether it is Unicode text without NUL, which PostgreSQL cannot keep."""
    return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)


def _expected(name: str, what: str) -> UsageError:
    return UsageError(f"{name} must be {what}")
