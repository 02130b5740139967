"""The arguments of requests: looked at before anything leaves, and as JSON has them."""

import datetime as dt
import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aegis.arguments import LONGEST, text
from aegis.errors import UsageError
from aegis.federated.messages import checked_id

#: The key of one person: a value, or one for each column of it.
PersonKey = str | int | uuid.UUID | Sequence[str | int | uuid.UUID]
Tenant = str | int | uuid.UUID | None


def new_id(request_id: str | None) -> str:
    """Return an id as it was given, once it was looked at; without one a new one."""
    return str(uuid.uuid4()) if request_id is None else checked_id(request_id)


def key(name: str, given: PersonKey) -> Any:
    """Return the key of one person: a text or a whole number, or a list of them."""
    if isinstance(given, list | tuple) and given:
        return [_value(f"each value of {name}", part) for part in given]
    return _value(name, given)


def _value(name: str, value: object) -> str | int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return text(name, spelled(value), LONGEST)


def keys(given: object) -> list[Any]:
    """Return the keys of several people."""
    if not isinstance(given, Collection) or isinstance(given, str | bytes | Mapping) or not given:
        message = "user_ids must be a list of at least one person's key"
        raise UsageError(message)
    return [key("each of user_ids", one) for one in given]


def tenant(name: str, given: Tenant) -> str | int | None:
    """Return a tenant, if there is one."""
    return None if given is None else _value(name, given)


def plain(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as JSON has them."""
    try:
        found: dict[str, Any] = json.loads(json.dumps(words, default=spelled, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        message = (
            f"{', '.join(words)}: expected plain data, that is texts, numbers, days, lists and dicts of them"
        )
        raise UsageError(message) from None
    return found


def spelled(value: Any) -> Any:
    """Return a value as text, where JSON has no other word for it."""
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value) if isinstance(value, int | uuid.UUID) and not isinstance(value, bool) else value
