r"""ArcSight's Common Event Format: a head of seven fields between bars, then names and values.

In the head `\` and `|` are escaped, in a value `\`, `=` and the ends of lines.
"""

from collections.abc import Mapping
from typing import Final

from aegis.audit.exports.batches import Leaf
from aegis.audit.exports.formats import text
from aegis.audit.exports.formats.kinds import CRITICAL, HIGH, INFORMATIONAL, MEDIUM, kind_of

BEGINS: Final = b"CEF:0|"

#: From 0 to 10.
_SEVERITIES: Final[Mapping[int, int]] = {INFORMATIONAL: 3, MEDIUM: 6, HIGH: 8, CRITICAL: 10}
_IN_HEAD: Final = str.maketrans({"\\": "\\\\", "|": "\\|"})
_IN_VALUE: Final = str.maketrans({"\\": "\\\\", "=": "\\=", "\n": "\\n", "\r": "\\r"})


def render(leaf: Leaf) -> bytes:
    """Return an event as a line."""
    fields, kind = leaf.fields, kind_of(leaf.fields)
    action, severity = fields["action"], str(_SEVERITIES[kind.severity])
    head = ["CEF:0", "Aegis", "aegis", str(fields["v"]), action, f"{action} {fields['outcome']}", severity]
    pairs = " ".join(f"{name}={_value(value)}" for name, value in _extension(leaf).items())
    return "|".join([*map(_head, head), pairs]).encode()


def _extension(leaf: Leaf) -> dict[str, str]:
    fields = leaf.fields
    labelled = [
        ("target", fields["target"]),
        ("targetType", fields["target_type"]),
        ("tenant", fields["tenant"]),
        ("correlation", fields["correlation"]),
        ("details", text.detail(fields["details"]) if fields["details"] else None),
        ("leafHash", leaf.hash.hex()),
    ]
    found = {
        # What a receiver recognizes a repetition by.
        "externalId": fields["id"],
        "rt": str(text.milliseconds(fields)),
        "dvchost": leaf.origin.partition("/")[0],
        "cat": fields["action"].partition(":")[0],
        "act": fields["action"],
        "outcome": fields["outcome"],
        "suid": fields["actor"],
        "cn1Label": "leaf",
        "cn1": str(leaf.index),
    }
    rows = fields["details"].get("rows")
    if isinstance(rows, int):
        found |= {"cn2Label": "rows", "cn2": str(rows)}
    for number, (label, value) in enumerate(labelled, 1):
        if value is not None:
            found |= {f"cs{number}Label": label, f"cs{number}": value}
    return found


def _head(value: str) -> str:
    return text.printable(value).translate(_IN_HEAD)


def _value(value: str) -> str:
    # The format has a spelling for the ends of lines; every other control character is depicted.
    return text.printable(value.translate(_IN_VALUE))
