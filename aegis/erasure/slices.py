"""What one call of work on an erasure did."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Slice:
    """What one call did; a worker counts it, a caller shows it."""

    run: str
    request: str
    outcome: str = "more"
    reason: str | None = None
    #: `action:table` → rows changed in this call, each committed.
    changed: dict[str, int] = field(default_factory=dict)
    #: The same for the whole erasure; known when it ends or waits for a person.
    total: dict[str, int] | None = None
    #: Where something of the people is left, when that is why it is blocked: never a value.
    residual: list[dict[str, Any]] = field(default_factory=list)
    #: Runs of others that were searched for in the same pass, and can go on at once.
    freed: list[str] = field(default_factory=list)
    batch_seconds: list[float] = field(default_factory=list)

    @property
    def more(self) -> bool:
        """Whether the erasure can go on at once."""
        return self.outcome == "more"

    def report(self) -> dict[str, Any]:
        """Return plain data."""
        return {"operation": "erasure.run", **vars(self), "more": self.more}


#: Called after each batch with what it changed.
OnProgress = Callable[[dict[str, int]], None]
