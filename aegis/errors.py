"""Every error that Aegis raises on purpose.

    AegisError                      exit 4
    ├── UsageError (ValueError)     exit 2   an argument or a name is wrong
    │   ├── UnknownName                      no such table, column, policy, data source
    │   │   └── NobodyThere                  no row stands for the person who was named
    │   │       └── NobodyInGroup            no row is in the group that was named
    │   ├── InvalidPolicy                    a policy cannot mean what it says
    │   ├── InvalidDataMap                   a data map cannot be read, or cannot be meant
    │   ├── InvalidCondition                 a condition is outside the allow-list
    │   ├── InvalidFile                      a file has faults, each named with its line
    │   └── SettingsError                    aegis.toml or the environment is wrong
    ├── Refused                     exit 4   will not be done as things stand
    │   ├── Denied (PermissionError)         the caller has no right to it
    │   │   └── TooFew                       fewer people stand behind an aggregate than have to
    │   ├── BudgetSpent                      a release costs more than its privacy budget has left
    │   ├── UnsafeTable                      changing this table could destroy too much
    │   ├── GuardStopped                     more rows would go than a guard lets
    │   ├── NotPrepared                      a key, table or migration is missing
    │   ├── Conflict                         the same id was used for something else
    │   └── Expired                          it was kept for its time, and is gone
    ├── Interrupted                 exit 3   stopped, and will resume from its mark
    │   ├── Unreachable                      a database or the broker does not answer
    │   ├── Passing                          a lock, a deadlock or a time limit of the database
    │   │   └── TooLong                      a statement took longer than its limit
    │   ├── Busy                             somebody else holds the lease or the lock
    │   ├── Pending                          it was asked for, and is not answered yet
    │   └── Fenced                           another worker took this run over
    ├── Tampered                    exit 1   stored bytes are not what was written
    └── OperationFailed             exit 4   a foreign error, named without its data

A message says what happened, with which names, and what to do. It never carries a value
from a row: names of tables, columns and policies only.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class AegisError(Exception):
    """The root; `exit_code` is what the command line returns for it."""

    exit_code: ClassVar[int] = 4
    #: What was done and committed before it, for whoever counts rows.
    report: Mapping[str, Any] | None = None


class UsageError(AegisError, ValueError):
    """An argument or a name is wrong; nothing was changed."""

    exit_code = 2


class UnknownName(UsageError):
    """A table, column, policy, run or data source of that name does not exist."""


class NobodyThere(UnknownName):
    """No row stands for the person who was named."""


class NobodyInGroup(NobodyThere):
    """Nobody is in the group that was named, who is not erased already; there is nothing to do."""


class InvalidPolicy(UsageError):
    """A retention policy cannot mean what it says."""


class InvalidDataMap(UsageError):
    """A data map cannot be read, or says what cannot be meant; the message names file and line."""


class InvalidCondition(UsageError):
    """A condition is not in the allow-list, or names what the table does not have."""


class InvalidFile(UsageError):
    """A file that a person wrote cannot mean what it says; `problems` has one line for each fault."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class SettingsError(UsageError):
    """`aegis.toml` or an environment variable is wrong."""


class Refused(AegisError):
    """It will not be done as things stand; a person decides."""


class Denied(Refused, PermissionError):
    """The caller has no right to what it asked for."""


class TooFew(Denied):
    """Fewer people stand behind an aggregate than have to; the message does not say how many."""


class BudgetSpent(Refused):
    """A release costs more than is left of its privacy budget; nothing was drawn and nothing charged."""


class UnsafeTable(Refused):
    """Changing this table could destroy more than the policy names, or less than it counts."""


class GuardStopped(Refused):
    """More rows would go than a guard of the policy lets; nothing was changed."""

    def __init__(self, message: str, *, guard: str, limit: str, counted: int) -> None:
        super().__init__(message)
        #: What the run's report, its event and a metric say.
        self.found = {"guard": guard, "limit": limit, "counted": counted}


class NotPrepared(Refused):
    """A key, a table or a migration is missing; the message names the command."""


class Conflict(Refused):
    """The same id or name was already used for something else."""


class Expired(Refused):
    """It was kept for its time, and is gone; nothing brings it back."""


class Interrupted(AegisError):
    """Stopped before the end; committed work stands and a later call resumes from its mark."""

    exit_code = 3


class Unreachable(Interrupted):
    """A database or the broker does not answer."""


class Passing(Interrupted):
    """A lock, a deadlock or a statement's time limit; fewer rows or a later try can help."""


class TooLong(Passing):
    """A statement took longer than its limit and was ended; what it asked is not known."""


class Busy(Interrupted):
    """Somebody else holds the lease, the table or a lock."""


class Pending(Interrupted):
    """It was asked for, and is not answered yet."""


class Fenced(Interrupted):
    """Another worker took this run over; this one must not write any more."""

    def __init__(self, message: str, *, epoch: int | None = None) -> None:
        super().__init__(message)
        #: The epoch that the data source's header has, where that is what objected.
        self.epoch = epoch


class Tampered(AegisError):
    """Stored bytes are not the bytes that were written."""

    exit_code = 1


class OperationFailed(AegisError):
    """A foreign error, described by its kind and code, without the data that it quotes."""
