"""An event in its final form: the canonical bytes that are stored, hashed and proved.

Canonical JSON: UTF-8, keys sorted, no white space, no floating point numbers (RFC 8785 agrees on
this subset). A float inside details becomes its shortest text before it is sealed.
"""

import datetime as dt
import hashlib
import json
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aegis.errors import UsageError

#: The format's version stands in every entry; older ones stay readable for ever.
FORMAT: Final = 1
#: Largest entry, and largest sealed details, in bytes.
LARGEST: Final = 32 * 1024


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event, ready to be stored; every field but the last two is repeated in `entry`."""

    id: str
    time: dt.datetime
    action: str
    outcome: str
    actor_ref: str
    target_type: str
    target_ref: str
    tenant: str | None
    correlation_id: str | None
    entry: bytes
    sealed: bytes | None


def compose(
    *,
    action: str,
    outcome: str,
    actor_ref: str,
    target_type: str,
    target_ref: str,
    moment: dt.datetime,
    clear: Mapping[str, Any],
    tenant: str | None = None,
    correlation_id: str | None = None,
    sealed: bytes | None = None,
    sealed_with: str | None = None,
) -> Event:
    """Build an event and its canonical entry.

    Args:
        moment: when it happened; an aware datetime.
        clear: details that may stand in clear.
        sealed: the encrypted details; the entry commits to their SHA-256.
        sealed_with: the reference of the key that opens them.

    Raises:
        UsageError: the entry would be larger than 32 KiB.

    """
    event_id = uuid7()
    fields: dict[str, Any] = {
        "v": FORMAT,
        "id": event_id,
        "time": stamp(moment),
        "action": action,
        "outcome": outcome,
        "actor": actor_ref,
        "target_type": target_type,
        "target": target_ref,
        "tenant": tenant,
        "correlation": correlation_id,
        "details": dict(clear),
        "sealed": sealed and {"sha256": hashlib.sha256(sealed).hexdigest(), "key": sealed_with},
    }
    entry = canonical(fields)
    largest = max(len(entry), len(sealed or b""))
    if largest > LARGEST:
        message = (
            f"an audit event of {action} would be {largest} bytes; at most {LARGEST} are kept. "
            "Record a reference to the details instead of the details. Nothing was changed"
        )
        raise UsageError(message)
    return Event(
        id=event_id,
        time=moment,
        action=action,
        outcome=outcome,
        actor_ref=actor_ref,
        target_type=target_type,
        target_ref=target_ref,
        tenant=tenant,
        correlation_id=correlation_id,
        entry=entry,
        sealed=sealed,
    )


def parse(entry: bytes, sealed: bytes | None) -> Event:
    """Read an entry back into its event, as the relay does."""
    fields = json.loads(entry)
    return Event(
        id=fields["id"],
        time=dt.datetime.fromisoformat(fields["time"]),
        action=fields["action"],
        outcome=fields["outcome"],
        actor_ref=fields["actor"],
        target_type=fields["target_type"],
        target_ref=fields["target"],
        tenant=fields["tenant"],
        correlation_id=fields["correlation"],
        entry=entry,
        sealed=sealed,
    )


def details_of(entry: bytes) -> dict[str, Any]:
    """Return the clear details of an entry."""
    details: dict[str, Any] = json.loads(entry)["details"]
    return details


def canonical(value: Any) -> bytes:
    """Return the one spelling of plain data: sorted keys, no white space, no floats.

    Raises:
        UsageError: the data cannot be written so.

    """
    try:
        text = json.dumps(_without_floats(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.encode("utf-8")
    except (TypeError, ValueError, RecursionError):
        message = (
            "details must be plain data: text, whole numbers, true, false, null, lists and objects of them"
        )
        raise UsageError(message) from None


def stamp(moment: dt.datetime) -> str:
    """Return an instant as RFC 3339 text in UTC with microseconds."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def uuid7() -> str:
    """Return a UUID of version 7 (RFC 9562): 48 bits of milliseconds, then random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = milliseconds << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def made(event_id: str) -> dt.datetime:
    """Return when such an id was made, to the millisecond."""
    return dt.datetime.fromtimestamp((uuid.UUID(event_id).int >> 80) / 1000, dt.UTC)


def _without_floats(value: Any) -> Any:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return {_text_key(key): _without_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_floats(item) for item in value]
    return value


def _text_key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError
    return key
