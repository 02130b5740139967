"""Text on its way out: what must not steer a terminal, a line or a parser becomes a visible character."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

#: U+2400 and following depict the control characters.
_PICTURES: Final = (
    {code: chr(0x2400 + code) for code in range(0x20)}
    | {0x7F: "\u2421"}
    | dict.fromkeys([*range(0x80, 0xA0), 0x2028, 0x2029], "\ufffd")
)
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def printable(text: str) -> str:
    """Return a text that stays on one line."""
    # Most texts are plain, and that is known faster.
    return text if text.isascii() and text.isprintable() else text.translate(_PICTURES)


def detail(value: Any) -> str:
    """Return a clear detail as text; counts by name as JSON.

    One spelling for all keeps an index that infers types from refusing an event: the same name is a
    number in one action and an instant in another.
    """
    if type(value) is int:
        return str(value)
    return printable(value if isinstance(value, str) else _ENCODER.encode(value))


def details(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the clear details that have a value, by name."""
    for name, value in sorted(fields["details"].items()):
        if value is not None:
            yield printable(name), detail(value)


def milliseconds(fields: Mapping[str, Any]) -> int:
    """Return when it happened, in milliseconds since 1970."""
    return (dt.datetime.fromisoformat(fields["time"]) - _EPOCH) // dt.timedelta(milliseconds=1)


def spelled(document: Mapping[str, Any]) -> bytes:
    """Return a JSON object as one line of ASCII; its first key stays first."""
    return _ENCODER.encode(document).encode()
