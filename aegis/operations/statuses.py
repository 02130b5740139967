"""Where a request stands, for who asked for it: from its rows, or as a worker last told it in Redis.

What workers put into Redis, at `aegis:status:<request id>` for a day, is a state and at most a fixed word
or sentence of why: no argument, no name, no error's own text, for whoever may read one may read them all.
The rows are the truth and stay; Redis may be emptied at any time.
"""

import json
import re
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from aegis.db.tables import Request, Run
from aegis.errors import AegisError
from aegis.operations.states import FINAL, STUCK, State

#: How long Redis keeps it after the last word.
KEPT_SECONDS: Final = 24 * 3600
#: How long that a message of this id was refused, which may have been anybody's.
REFUSED_SECONDS: Final = 3600
#: No worker has seen it, as far as anybody knows.
UNKNOWN: Final = "unknown"
_PREFIX: Final = "aegis:status:"
_ID: Final = re.compile(r"[!-~]{1,64}")
#: What is carried out by runs, which have the request's id; of several the first of these counts.
_BY_RUNS: Final = frozenset({"erasure", "retention.enforce"})
_FIRST: Final = (
    State.QUARANTINED,
    State.BLOCKED,
    State.RUNNING,
    State.VERIFYING,
    State.WAITING,
    State.ACCEPTED,
    State.FAILED,
    State.CANCELLED,
    State.EXPIRED,
    State.DONE,
)


@dataclass(frozen=True, kw_only=True)
class Status:
    """How far a request has come."""

    #: `unknown` (no worker has seen it yet), or one of `aegis.operations.states.State`
    state: str
    #: Why it is so, without any value.
    reason: str | None = None
    #: What it waits for, while it is `waiting`: one of `aegis.operations.states.Wait`
    waits_for: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it is over, or goes on only when a person lets it."""
        return self.state in FINAL | STUCK


def is_id(request_id: object) -> bool:
    """Say whether this can be the id of a request."""
    return isinstance(request_id, str) and _ID.fullmatch(request_id) is not None


def key_of(request_id: str) -> str:
    """Return where Redis has the status of a request."""
    return f"{_PREFIX}{request_id}"


def refusal_key_of(request_id: str) -> str:
    """Return where Redis has why a message of a request was refused; no request can have this key."""
    return f"{key_of(request_id)} refused"


def refused(error: AegisError) -> Status:
    """Return what a sender is told of a message that was refused: the kind of error, and what that means."""
    kind = type(error)
    meaning = (kind.__doc__ or "").partition("\n")[0]
    return Status(state=State.FAILED, reason=f"{kind.__name__}: {meaning}")


def turned_away(reason: str) -> Status:
    """Return what a sender is told of a message that no worker took.

    Nobody knows who sent it: the request of that id is as unknown as before, and may still come.
    """
    return Status(state=UNKNOWN, reason=f"a message of this id was refused: {reason}")


def written(status: Status) -> str:
    """Return a status as Redis has it (JSON)."""
    told = {"state": str(status.state), "reason": status.reason, "waits_for": status.waits_for}
    return json.dumps({name: word for name, word in told.items() if word is not None})


def read(text: str | bytes | None) -> Status:
    """Return what Redis has; what is not there, or nothing of ours, is unknown."""
    try:
        found = json.loads(text or "{}")
        state = str(found.get("state", UNKNOWN))
        return Status(state=state, reason=found.get("reason"), waits_for=found.get("waits_for"))
    except (ValueError, AttributeError):
        return Status(state=UNKNOWN)


def standing(connection: sa.Connection, request_id: str) -> Status | None:
    """Return where a request stands as its rows in the control database have it; None: it has none."""
    query = sa.select(Request.state, Request.reason, Request.operation)
    row = connection.execute(query.where(Request.request_id == request_id)).one_or_none()
    if row is None:
        return None
    if row.operation in _BY_RUNS and (runs := _runs(connection, request_id)):
        return min(runs, key=lambda run: _FIRST.index(State(run.state)))
    return Status(state=row.state, reason=row.reason)


def request_of(connection: sa.Connection, run_id: object) -> str | None:
    """Return the request that a run carries out; None: it is beat's own, or a person's, or there is none."""
    found = connection.scalar(sa.select(Run.request_id).where(Run.id == str(run_id)))
    return None if found is None else str(found)


def _runs(connection: sa.Connection, request_id: str) -> list[Status]:
    query = sa.select(Run.state, Run.reason, Run.waits_for).where(Run.request_id == request_id)
    return [Status(**row) for row in connection.execute(query).mappings()]
