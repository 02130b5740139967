"""The states of requests, runs and policies, and which may follow which."""

import enum
from collections.abc import Mapping
from typing import Final


class State(enum.StrEnum):
    """Where a request or a run stands."""

    ACCEPTED = "accepted"
    WAITING = "waiting"
    RUNNING = "running"
    VERIFYING = "verifying"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"
    QUARANTINED = "quarantined"
    #: It was done, and what it gave is not kept any more.
    EXPIRED = "expired"


class Wait(enum.StrEnum):
    """What a waiting request or run waits for."""

    APPROVAL = "approval"
    HOLD = "hold"
    WINDOW = "window"
    PAUSED = "paused"
    LANDING = "soft landing"
    #: Another policy that comes first.
    AFTER = "after"
    #: The same erasure in other data sources.
    PARTS = "other data sources"
    #: The end of the time for which rows must be kept.
    REST = "retained rest"
    #: An eraser of the application that was asked and is not finished.
    ERASER = "eraser"


class Waits(Exception):
    """Something cannot go on until an approval, a hold, a window or a person lets it."""

    def __init__(self, waits_for: Wait, why: str, *, seconds: float | None = None) -> None:
        super().__init__(f"{waits_for}: {why}")
        self.waits_for = waits_for
        #: How long nothing can change; None: somebody looks now and then.
        self.seconds = seconds


class PolicyState(enum.StrEnum):
    """Where a policy's version stands."""

    PENDING = "pending"
    APPROVED = "approved"
    SUPERSEDED = "superseded"
    DISABLED = "disabled"


#: No work follows these.
FINAL: Final = frozenset({State.DONE, State.FAILED, State.CANCELLED, State.EXPIRED})
#: A person resumes these.
STUCK: Final = frozenset({State.BLOCKED, State.QUARANTINED})
#: A worker may claim these.
CLAIMABLE: Final = frozenset({State.ACCEPTED, State.WAITING, State.RUNNING, State.VERIFYING})

_NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.ACCEPTED: frozenset(
        {State.WAITING, State.RUNNING, State.CANCELLED, State.QUARANTINED, State.BLOCKED}
    ),
    State.WAITING: frozenset(
        {State.ACCEPTED, State.RUNNING, State.CANCELLED, State.QUARANTINED, State.BLOCKED}
    ),
    State.RUNNING: frozenset(
        {State.ACCEPTED, State.WAITING, State.VERIFYING, State.FAILED, State.CANCELLED} | STUCK
    ),
    State.VERIFYING: frozenset(
        {State.ACCEPTED, State.RUNNING, State.WAITING, State.DONE, State.FAILED} | STUCK
    ),
    State.BLOCKED: frozenset({State.ACCEPTED, State.CANCELLED}),
    State.QUARANTINED: frozenset({State.ACCEPTED, State.CANCELLED}),
}


def may_follow(state: State, following: State) -> bool:
    """Whether `following` may come after `state`; a state may always repeat itself."""
    return following == state or following in _NEXT.get(state, frozenset())


def sources_of(following: State) -> frozenset[State]:
    """Return every state from which `following` may be entered."""
    return frozenset(state for state in State if may_follow(state, following))


def paused(state: str, waits_for: str | None) -> bool:
    """Whether a person paused a run."""
    return state == State.WAITING and waits_for == Wait.PAUSED
