"""What a legal hold or a stop covers, and the bytes that say so in a data source's journal."""

import base64
import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from aegis.audit import events
from aegis.keys import Secret
from aegis.operations.marks import Box

HOLD: Final = "hold"
#: The kill switch: nothing is changed in the whole source.
STOP: Final = "stop"


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a hold covers; each part that is given narrows it, none at all is the whole source."""

    id: str = field(default_factory=events.uuid7)
    kind: str = HOLD
    policy: str | None = None
    table: str | None = None
    tenant: str | None = None
    #: Rows whose clock is at or after this instant.
    since: dt.datetime | None = None
    #: Rows whose clock is before this instant.
    until: dt.datetime | None = None
    #: One row: column of the table's primary key → its value as text. It may be personal data.
    key: Mapping[str, str] | None = field(default=None, repr=False)

    def touches(self, *, policy: str, table: str) -> bool:
        """Whether the hold can cover rows of this policy on this table."""
        return self.policy in {None, policy} and (self.table is None or _same_table(self.table, table))

    @property
    def stops(self) -> bool:
        """Whether this is the kill switch."""
        return self.kind == STOP

    @property
    def whole_table(self) -> bool:
        """Whether every row that it touches is held."""
        return self.key is None and self._undivided

    @property
    def one_row(self) -> Mapping[str, str] | None:
        """The key, when nothing but the key tells what is held."""
        return self.key if self._undivided else None

    @property
    def _undivided(self) -> bool:
        return self.tenant is None and self.since is None and self.until is None

    def write(self, secret: Secret) -> bytes:
        """Return the bytes that stand in the journal."""
        values = asdict(self) | {name: _text(getattr(self, name)) for name in _MOMENTS}
        if self.key is not None:
            values["key"] = base64.b64encode(seal_key(secret, self) or b"").decode("ascii")
        # Left out where it says nothing, so that a worker of the version before reads plain holds.
        return events.canonical({name: value for name, value in values.items() if not _silent(name, value)})

    @classmethod
    def read(cls, body: bytes, secret: Secret) -> "Scope":
        """Return the scope that these bytes say.

        Raises:
            Tampered: its key was sealed by another worker key, or for another hold.

        """
        values: dict[str, Any] = json.loads(body)
        if "key" in values:
            values["key"] = open_key(secret, values["id"], base64.b64decode(values["key"]))
        moments = {name: values[name] and dt.datetime.fromisoformat(values[name]) for name in _MOMENTS}
        return cls(**values | moments)


def seal_key(secret: Secret, scope: Scope) -> bytes | None:
    """Return the key of a scope as it is kept; None when it has none."""
    return None if scope.key is None else _box(secret, scope.id).seal(scope.key)


def open_key(secret: Secret, hold_id: str, sealed: bytes | None) -> dict[str, str] | None:
    """Return the key that `seal_key` sealed for a hold.

    Raises:
        Tampered: by another worker key, or for another hold.

    """
    return None if sealed is None else _box(secret, hold_id).open(sealed)


def _box(secret: Secret, hold_id: str) -> Box:
    return Box(secret.subkey("hold-key"), hold_id, f"key of hold {hold_id}")


_MOMENTS: Final = ("since", "until")
#: Fields that the first version of the journal did not have.
_LATER: Final = {item.name: item.default for item in fields(Scope) if item.name in {"kind", "key"}}


def _silent(name: str, value: Any) -> bool:
    return name in _LATER and value == _LATER[name]


def _text(moment: dt.datetime | None) -> str | None:
    return events.stamp(moment) if moment else None


def _same_table(one: str, other: str) -> bool:
    """Whether two labels can name the same table; one without a schema fits any schema."""
    (schema, _, name), (other_schema, _, other_name) = one.rpartition("."), other.rpartition(".")
    return name == other_name and (not schema or not other_schema or schema == other_schema)
