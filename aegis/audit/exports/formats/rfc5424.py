r"""Syslog messages (RFC 5424): the event is structured data; `"`, `\` and `]` are escaped in it."""

import re
from collections.abc import Mapping
from typing import Final

from aegis.audit.exports.batches import Leaf
from aegis.audit.exports.formats import text
from aegis.audit.exports.formats.kinds import CRITICAL, HIGH, INFORMATIONAL, MEDIUM, kind_of

BEGINS: Final = b"<"

#: Facility 13: log audit.
_FACILITY: Final = 13
_SEVERITIES: Final[Mapping[int, int]] = {INFORMATIONAL: 6, MEDIUM: 4, HIGH: 3, CRITICAL: 2}
#: Aegis has no enterprise number of its own; this one is set aside for such uses (RFC 5612).
_ELEMENT: Final = "aegis@32473"
_IN_VALUE: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "]": "\\]"})
#: What may not stand in a field of the header, or in a parameter's name.
_UNFIT: Final = re.compile(r'[^!-~]|[="\]]')
#: The longest host, message id and name of a parameter.
_HOST: Final = 255
_NAME: Final = 32
_BOM: Final = b"\xef\xbb\xbf"


def render(leaf: Leaf) -> bytes:
    """Return an event as a message."""
    fields = leaf.fields
    pairs = [
        # What a receiver recognizes a repetition by, and what shows it a gap.
        ("id", fields["id"]),
        ("leaf", str(leaf.index)),
        ("log", leaf.origin),
        ("action", fields["action"]),
        ("outcome", fields["outcome"]),
        ("actor", fields["actor"]),
        ("target_type", fields["target_type"]),
        ("target", fields["target"]),
        ("tenant", fields["tenant"]),
        ("correlation", fields["correlation"]),
        ("leaf_hash", leaf.hash.hex()),
        *((f"details.{name}", value) for name, value in text.details(fields)),
    ]
    shown = "".join(f' {_name(name)}="{_value(value)}"' for name, value in pairs if value is not None)
    summary = f"{fields['action']} {fields['outcome']}"
    return f"{_header(leaf)} [{_ELEMENT}{shown}] ".encode() + _message(text.printable(summary).encode())


def wrap(leaf: Leaf, line: bytes) -> bytes:
    """Return a message whose text is an event in another format."""
    return f"{_header(leaf)} - ".encode() + _message(line)


def _header(leaf: Leaf) -> str:
    priority = _FACILITY * 8 + _SEVERITIES[kind_of(leaf.fields).severity]
    host = _UNFIT.sub("_", leaf.origin.partition("/")[0])[:_HOST]
    message_id = _name(leaf.fields["action"])
    return f"<{priority}>1 {leaf.fields['time']} {host} aegis - {message_id}"


def _message(line: bytes) -> bytes:
    # A text that is not all ASCII says that it is UTF-8.
    return line if line.isascii() else _BOM + line


def _name(name: str) -> str:
    return _UNFIT.sub("_", name)[:_NAME]


def _value(value: str) -> str:
    return text.printable(value).translate(_IN_VALUE)
