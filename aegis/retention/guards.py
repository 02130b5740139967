"""What stops a run before its first row, however well it was approved: more rows than anybody expects.

A run that was stopped keeps its instant. Somebody may approve exactly that run for exactly the rows
that were counted; it then counts again, at the same instant, and more rows than those stop it again.
"""

import hashlib
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.events import canonical
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import DataRetentionPolicy, Run
from aegis.errors import GuardStopped, InvalidPolicy, Refused
from aegis.operations import approvals
from aegis.operations.approvals import Subject
from aegis.operations.states import State
from aegis.operations.system import System

MAX_ROWS: Final = "max_rows"
MAX_SHARE: Final = "max_share"
USUAL_TIMES: Final = "usual_times"
GUARDS: Final = (MAX_ROWS, MAX_SHARE, USUAL_TIMES)
#: Runs that have to be done before anybody knows what is usual, and most that are looked at.
FEWEST_RUNS: Final = 3
MOST_RUNS: Final = 10


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A guard, and what it says of the rows that would go."""

    guard: str
    #: As the policy, or the settings, write it.
    limit: str
    #: The rows that would go; None: not known.
    expected: int | None
    #: What may go at most, in rows; None: not known, or no run tells yet what is usual.
    most: int | None

    @property
    def broken(self) -> bool:
        """Whether more would go than may."""
        return self.expected is not None and self.most is not None and self.expected > self.most


def spelled(guards: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return guards in their one spelling, without floating point numbers: `0.50` is `"0.5"`."""
    if not isinstance(guards, Mapping):
        return guards
    return {name: value if name == MAX_ROWS else _text(value) for name, value in guards.items()} or None


def check_guards(policy: str, guards: Mapping[str, Any] | None) -> None:
    """Refuse guards that cannot be meant.

    Raises:
        InvalidPolicy: an unknown guard, or a limit out of its range.

    """
    if guards is None:
        return
    unknown = sorted(set(guards) - set(GUARDS)) if isinstance(guards, Mapping) else ["?"]
    if unknown:
        message = f"policy {policy}: guards are {', '.join(GUARDS)}; there is none called {unknown[0]}"
        raise InvalidPolicy(message)
    rows = guards.get(MAX_ROWS, 1)
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        message = f"policy {policy}: guard max_rows is a whole number of rows, at least 1"
        raise InvalidPolicy(message)
    share, times = _number(guards.get(MAX_SHARE, 1)), _number(guards.get(USUAL_TIMES, 1))
    if share is None or not 0 < share <= 1:
        message = f"policy {policy}: guard max_share is a share of the table above 0 and up to 1, such as 0.5"
        raise InvalidPolicy(message)
    if times is None or times < 1:
        message = f"policy {policy}: guard usual_times is a number of at least 1, such as 3"
        raise InvalidPolicy(message)


def refuse_too_many(
    system: System,
    policy: DataRetentionPolicy,
    run: Mapping[str, Any],
    *,
    expected: int | None,
    total: Callable[[], int | None],
) -> None:
    """Let a run begin only when no guard is broken, or when it was approved for so many rows.

    Args:
        system: this process's Aegis.
        policy: the policy.
        run: its run.
        expected: the rows that would go; None: counting them took too long.
        total: counts the rows that the run looks at, when somebody asks for their share.

    Raises:
        GuardStopped: names the guard, its limit, what was counted, and what to do.
        Refused: there is a guard, and what it measures could not be counted in time.

    """
    broken = _broken(system, policy, run, expected, total)
    if broken is None or expected is None or _allowed(system, policy, run) >= expected:
        return
    message = (
        f"guard {broken.guard} = {broken.limit} of policy {policy.name} stopped the run before its first "
        f"row: {expected:,} rows would go, at most {broken.most:,} may. If that is right: "
        f"{_command(policy.name, run['id'])}"
    )
    raise GuardStopped(message, guard=broken.guard, limit=broken.limit, counted=expected)


def subject_of(run: Mapping[str, Any], policy: DataRetentionPolicy) -> Subject:
    """Return what an approval of a stopped run is for: this run, this policy, so many rows."""
    counted = (run["report"] or {}).get("counted")
    text = canonical({"version": 1, "run": run["id"], "policy": policy.digest, "counted": counted})
    return Subject(
        type="run",
        id=run["id"],
        digest=hashlib.sha256(text).hexdigest(),
        digest_version=1,
        command=_command(policy.name, run["id"]),
    )


def verdicts(
    system: System,
    policy: DataRetentionPolicy,
    run: Mapping[str, Any],
    *,
    expected: int | None,
    total: Callable[[], int | None],
) -> Iterator[Verdict]:
    """Yield what each guard of a policy says; `run` names the policy and the tenant, the rest as above."""
    guards = {MAX_SHARE: _text(system.settings.retention.max_share), **(policy.guards or {})}
    for guard in GUARDS:
        limit = guards.get(guard)
        if limit is not None:
            measure = _measure(system, guard, run, total)
            most = None if measure is None else int(Decimal(limit) * measure)
            yield Verdict(guard=guard, limit=str(limit), expected=expected, most=most)


def _broken(
    system: System,
    policy: DataRetentionPolicy,
    run: Mapping[str, Any],
    expected: int | None,
    total: Callable[[], int | None],
) -> Verdict | None:
    if expected == 0:
        return None
    for verdict in verdicts(system, policy, run, expected=expected, total=total):
        if verdict.guard == USUAL_TIMES and verdict.most is None:
            continue
        if expected is None or verdict.most is None:
            raise _uncounted(system, policy, run, verdict.guard)
        if verdict.broken:
            return verdict
    return None


def _measure(
    system: System, guard: str, run: Mapping[str, Any], total: Callable[[], int | None]
) -> Decimal | int | None:
    """Return what a guard's limit is a multiple of; None when it is not known."""
    if guard == MAX_ROWS:
        return 1
    return total() if guard == MAX_SHARE else _usual(system, run)


def _uncounted(system: System, policy: DataRetentionPolicy, run: Mapping[str, Any], guard: str) -> Refused:
    message = (
        f"policy {policy.name} has the guard {guard}, and counting its rows took too long: whether it holds "
        f"is not known, and nothing was changed. Raise retention.count_seconds "
        f"({system.settings.retention.count_seconds:g}), or create an index that begins with "
        f"{policy.timestamp_column}; then `aegis retention resume {run['id']}`"
    )
    return Refused(message)


def _usual(system: System, run: Mapping[str, Any]) -> Decimal | None:
    """Return the median of what the policy's last runs took; those that found nothing tell nothing."""
    query = sa.select(Run.rows).where(
        Run.policy == run["policy"],
        Run.tenant.is_(None) if run["tenant"] is None else Run.tenant == run["tenant"],
        Run.state == State.DONE,
        Run.rows > 0,
    )
    with reading(system.databases.control, CONTROL) as connection:
        rows = connection.scalars(query.order_by(Run.finished_at.desc()).limit(MOST_RUNS)).all()
    return statistics.median(Decimal(int(count or 0)) for count in rows) if len(rows) >= FEWEST_RUNS else None


def _allowed(system: System, policy: DataRetentionPolicy, run: Mapping[str, Any]) -> int:
    """Return the rows for which the run was approved after a guard had stopped it."""
    counted = (run["report"] or {}).get("counted")
    if counted is None or not approvals.stands(system, subject_of(run, policy)).enough:
        return 0
    return int(counted)


def _command(policy: str, run: str) -> str:
    return f"aegis policy approve {policy} --run {run} --actor NAME"


def _number(value: Any) -> Decimal | None:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and not isinstance(value, bool) else None


def _text(value: Any) -> Any:
    number = _number(value)
    return value if number is None else format(number.normalize(), "f")
