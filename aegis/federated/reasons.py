"""Why a request for a protected aggregate was not done: a word for programs, and a sentence without values.

The sentence stands in the request's row, where whoever reads the control database sees it. What more
there is to say, such as which argument was wrong, is sealed to the service that asked.
"""

import enum
from collections.abc import Mapping
from typing import Final

from aegis.errors import AegisError, BudgetSpent, Conflict, TooFew, UsageError


class Reason(enum.StrEnum):
    """Why nothing was released."""

    IN_CLEAR = "in_clear"
    ENVELOPE = "envelope"
    MESSAGE = "message"
    REFERENCE = "reference"
    NO_REPLY_KEY = "no_reply_key"
    TOO_FEW = "too_few"
    BUDGET_SPENT = "budget_spent"
    ARGUMENT = "argument"
    CONFLICT = "conflict"
    REFUSED = "refused"
    GAVE_UP = "gave_up"
    LOST = "lost"


#: The message itself was not fit: the same id may be sent again, put right.
UNREAD: Final = frozenset(
    {Reason.IN_CLEAR, Reason.ENVELOPE, Reason.MESSAGE, Reason.REFERENCE, Reason.NO_REPLY_KEY}
)

SENTENCES: Final[Mapping[Reason, str]] = {
    Reason.TOO_FEW: "too few took part; nothing was released",
    Reason.BUDGET_SPENT: "the privacy budget does not reach; nothing was released",
    Reason.ARGUMENT: "an argument is wrong; nothing was released",
    Reason.CONFLICT: "the request id was used for something else",
    Reason.REFUSED: "the release was refused",
    Reason.GAVE_UP: "no attempt came to its end: a worker died of it, or broke; see the workers' log",
    Reason.LOST: "its message is lost, and the workers keep no aggregate: send it under a new id",
}


class NotAccepted(UsageError):
    """A message that nothing was done with; its text quotes no value."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def reason_of(error: AegisError) -> Reason:
    """Return why a release was not done."""
    if isinstance(error, NotAccepted):
        return error.reason
    for kind, reason in _KINDS.items():
        if isinstance(error, kind):
            return reason
    return Reason.REFUSED


def sentence_of(error: AegisError) -> str:
    """Return what may stand in the row."""
    return str(error) if isinstance(error, NotAccepted) else SENTENCES[reason_of(error)]


_KINDS: Final[Mapping[type[AegisError], Reason]] = {
    TooFew: Reason.TOO_FEW,
    BudgetSpent: Reason.BUDGET_SPENT,
    Conflict: Reason.CONFLICT,
    UsageError: Reason.ARGUMENT,
}
