"""One slice of work on a run: claimed first, and what becomes of the claim is said in the slice."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Protocol

from aegis.errors import AegisError, Busy, Fenced, Passing
from aegis.operations import claims, runs
from aegis.operations.claims import Claim
from aegis.operations.states import FINAL, STUCK, paused
from aegis.operations.system import System

#: What this context works on, for whoever writes its log: run, policy, and the request of an erasure.
WORKING: Final[ContextVar[Mapping[str, str | None] | None]] = ContextVar("working", default=None)
#: Asked between two batches: whether this process was told to end, so that a slice ends too.
LEAVING: list[Callable[[], bool]] = []


def is_over(deadline: float) -> bool:
    """Whether a slice ends at its next batch: its time is up, or its process was told to end."""
    return time.monotonic() >= deadline or any(told() for told in LEAVING)


class Piece(Protocol):
    """What a slice says of itself."""

    outcome: str
    reason: str | None

    def report(self) -> dict[str, Any]: ...  # noqa: D102


@contextmanager
def claimed(system: System, run_id: str, piece: Piece) -> Iterator[Claim | None]:
    """Claim a run, or one of its ranges, for the block; none where somebody else has it: the slice says so.

    A worker that is fenced off meanwhile has changed nothing since; that is an outcome. An error has what was
    committed before it as its report.
    """
    run = runs.fetch(system, run_id)
    token = WORKING.set({"run": run_id, "policy": str(run["policy"]), "request": run["request_id"]})
    try:
        yield from _claimed(system, run, piece)
    finally:
        WORKING.reset(token)


def _claimed(system: System, run: Mapping[str, Any], piece: Piece) -> Iterator[Claim | None]:
    run_id = str(run["id"])
    try:
        claim = claims.claim(system, run_id)
    except Busy as busy:
        piece.outcome, piece.reason = _where(run, "busy"), str(busy)
        yield None
        return
    except Passing as passing:
        # Nothing is claimed: others were quicker, and whoever asks again gets what is left.
        piece.outcome, piece.reason = "retry", str(passing)
        yield None
        return
    try:
        yield claim
    except Fenced as fenced:
        if fenced.epoch is not None and claims.catch_up(system, claim, fenced.epoch):
            piece.outcome, piece.reason = "more", "the control database was restored; counting on from there"
            return
        # Taken over by another worker, or by a person.
        taken = runs.fetch(system, run_id)
        piece.outcome, piece.reason = _where(taken, "fenced"), taken["reason"] or str(fenced)
    except AegisError as error:
        error.report = piece.report()
        raise


def _where(run: Mapping[str, Any], otherwise: str) -> str:
    """Return the outcome for who does not have the run: where it stands, if that is for a person."""
    state = str(run["state"])
    return state if state in FINAL | STUCK or paused(state, run["waits_for"]) else otherwise
