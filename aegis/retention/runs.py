"""A run of a retention policy, one slice at a time: claim, batches until the time is up, settle.

Progress stands nowhere but in the journal. Whoever advances a run next goes on from its last row.
"""

from aegis.errors import AegisError, Fenced, GuardStopped, Interrupted, Refused, UsageError
from aegis.operations import claims, runs, slices
from aegis.operations.claims import Claim
from aegis.operations.states import State
from aegis.operations.system import System
from aegis.retention import ending
from aegis.retention.gates import Cancelled, Waits
from aegis.retention.slices import OnProgress, Slice
from aegis.retention.work import Work


def advance(
    system: System,
    run_id: str,
    seconds: float,
    on_progress: OnProgress | None = None,
    *,
    full_speed: bool = False,
) -> Slice:
    """Work on a run for about `seconds`, counted from the first batch, and give it back.

    At full speed it neither pauses between batches nor holds back for the application's sake.

    Returns:
        The slice; `outcome` is more, done, busy, fenced, waiting, blocked, retry, cancelled or failed.

    """
    run = runs.fetch(system, run_id)
    piece = Slice(run=run_id, policy=run["policy"], table=run["table_name"], action=run["action"])
    with slices.claimed(system, run_id, piece) as claim:
        if claim is not None:
            _carry(system, claim, piece, seconds, on_progress, full_speed=full_speed)
    return piece


def _carry(
    system: System,
    claimed: Claim,
    piece: Slice,
    seconds: float,
    on_progress: OnProgress | None,
    *,
    full_speed: bool,
) -> None:
    """Work on a claimed run and give it back, in whatever state that leaves it."""
    try:
        Work(system, claimed, piece, on_progress, full_speed=full_speed).go_on(seconds)
    except KeyboardInterrupt:
        # The batch in flight is committed or rolled back; whoever comes next goes on from its mark.
        claims.settle(system, claimed, State.RUNNING)
        raise
    except Fenced:
        raise
    except Cancelled as cancelled:
        piece.outcome, piece.reason = "cancelled", str(cancelled)
        ending.settle(system, claimed, piece, State.CANCELLED)
    except Waits as wait:
        piece.outcome, piece.reason = "waiting", str(wait)
        ending.settle(system, claimed, piece, State.WAITING, wait=wait.seconds, waits_for=wait.waits_for)
    except Interrupted as passing:
        piece.outcome, piece.reason = "retry", str(passing)
        ending.settle(system, claimed, piece, State.ACCEPTED, wait=claims.backoff(claimed.run["attempts"]))
    except (UsageError, Refused) as refused:
        piece.outcome, piece.reason = "blocked", str(refused)
        piece.guard = refused.found if isinstance(refused, GuardStopped) else None
        ending.settle(system, claimed, piece, State.BLOCKED)
    except AegisError as error:
        piece.outcome, piece.reason = "failed", str(error)
        ending.settle(system, claimed, piece, State.FAILED)
        raise
