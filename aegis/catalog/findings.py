"""What the sampled values of a column were, as counts: never the values."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What validators said of the values of one column."""

    #: Rows that were looked at.
    rows: int
    #: Values that were looked at; NULL and empty ones are none.
    values: int
    #: Kind of value → how many are valid as one: `email`, `phone`, `ip`, `iban`, `card`, `national_id`, …
    valid: Mapping[str, int] = field(default_factory=dict)
    #: How many of them are different from each other.
    distinct: int = 0
