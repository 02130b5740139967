"""What a legal hold or a stop covers, and the bytes that say so in a data source's journal."""

import datetime as dt
import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from aegis.audit import events

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
        return self.tenant is None and self.since is None and self.until is None

    def write(self) -> bytes:
        """Return the bytes that stand in the journal."""
        values = asdict(self) | {name: _text(getattr(self, name)) for name in _MOMENTS}
        # Left out where it says nothing, so that a worker of the version before reads plain holds.
        return events.canonical({name: value for name, value in values.items() if not _silent(name, value)})

    @classmethod
    def read(cls, body: bytes) -> "Scope":
        """Return the scope that these bytes say."""
        values: dict[str, Any] = json.loads(body)
        moments = {name: values[name] and dt.datetime.fromisoformat(values[name]) for name in _MOMENTS}
        return cls(**values | moments)


_MOMENTS: Final = ("since", "until")
#: Fields that the first version of the journal did not have.
_LATER: Final = {item.name: item.default for item in fields(Scope) if item.name == "kind"}


def _silent(name: str, value: Any) -> bool:
    return name in _LATER and value == _LATER[name]


def _text(moment: dt.datetime | None) -> str | None:
    return events.stamp(moment) if moment else None


def _same_table(one: str, other: str) -> bool:
    """Whether two labels can name the same table; one without a schema fits any schema."""
    (schema, _, name), (other_schema, _, other_name) = one.rpartition("."), other.rpartition(".")
    return name == other_name and (not schema or not other_schema or schema == other_schema)
