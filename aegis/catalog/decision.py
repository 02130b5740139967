"""What was decided of a column, how sure that is, and why: one sentence for each vote."""

import enum
from dataclasses import dataclass


class Verdict(enum.StrEnum):
    """What a column is."""

    PERSONAL = "personal"
    NONE = "none"
    #: It cannot be told from what is known: a person has to look.
    UNKNOWN = "unknown"


class Role(enum.StrEnum):
    """What a column is for the structure of the schema, whatever its value is."""

    KEY = "key"
    #: Refers to a row that stands for a person.
    PERSON = "person reference"
    #: Refers to a row of another kind.
    REFERENCE = "reference"
    #: Says whose customer a row is.
    TENANT = "tenant"


@dataclass(frozen=True, kw_only=True)
class ColumnDecision:
    """The decision about one column; it holds no value of a row."""

    table: str
    column: str
    #: The type as SQL spells it.
    type: str
    verdict: Verdict
    #: The fideslang key of what it holds: of a personal column always, of an unknown one the likeliest.
    category: str | None = None
    #: How sure the verdict is, from 0 to 1.
    confidence: float
    #: Why: one sentence for each vote, the weightiest first.
    evidence: tuple[str, ...] = ()
    role: Role | None = None
