"""What one call of work on a run did."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Slice:
    """What one call did; a worker counts it, a caller shows it."""

    run: str
    policy: str
    table: str
    action: str
    outcome: str = "more"
    reason: str | None = None
    #: Rows gone in this call, each committed.
    rows: int = 0
    #: The same by action.
    actions: dict[str, int] = field(default_factory=dict)
    #: Rows gone in the whole run; known when it is done.
    total: int | None = None
    expected: int | None = None
    #: How many workers should go on: the ranges into which this call has cut the run.
    ranges: int = 1
    #: What a guard found that stopped the run: guard, limit, counted.
    guard: dict[str, Any] | None = None
    #: Rows that are due and could not be had, when the run ends blocked for it.
    skipped: int = 0
    #: Rows past their time that the run left at its end, by why they stay.
    held: dict[str, int] = field(default_factory=dict)
    batch_seconds: list[float] = field(default_factory=list)
    #: The setting whose threshold holds the run back at the moment.
    throttle: str | None = None
    #: Seconds of pauses in this call, by such a reason.
    throttled: dict[str, float] = field(default_factory=dict)

    @property
    def more(self) -> bool:
        """Whether the run can go on at once."""
        return self.outcome == "more"

    def report(self) -> dict[str, Any]:
        """Return plain data."""
        return {"operation": "retention.run", **vars(self), "more": self.more}


#: Called after each batch with a slice that holds this batch alone.
OnProgress = Callable[[Slice], None]
