"""One pass over a source for every request whose rows are changed: to look for more people costs little.

Whoever begins a search, or goes on with one, takes along the others of the source that stand where it does.
Each of them is claimed for that long, gets what was found of its own people, and comes to its end in a slice
of its own: a search changes nothing, so what one of them meets with stops no other.
"""

import datetime as dt
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.engines import CONTROL, reading, writing
from aegis.db.tables import Request, Run
from aegis.erasure import asking, persons
from aegis.erasure.erasers import Reported
from aegis.erasure.persons import Kept, KeptPerson
from aegis.erasure.residual.hits import Standing
from aegis.erasure.residual.scanning import Mark
from aegis.erasure.rows import Known
from aegis.erasure.tracing import looking
from aegis.erasure.verifying import Ground, Judge, Searched, search
from aegis.errors import AegisError
from aegis.operations import claims
from aegis.operations.claims import Claim
from aegis.operations.states import CLAIMABLE, State, Wait
from aegis.operations.system import System

#: So long after its rows were changed a request lets others catch up, looking each few seconds.
GATHER_SECONDS: Final = 30.0
PAUSE_SECONDS: Final = 5.0
#: How many requests, and people, are looked for in one pass.
REQUESTS: Final = 100
PEOPLE: Final = 5_000


def note_executed(system: System, claimed: Claim) -> None:
    """Note in its request when all rows of an erasure were changed: from then on others may take it along."""
    with writing(system.databases.control, CONTROL) as connection:
        mine = (Request.request_id == claimed.run["request_id"]) & Request.executed_at.is_(None)
        connection.execute(sa.update(Request).where(mine).values(executed_at=dialects.now(connection)))


def should_wait(system: System, claimed: Claim) -> bool:
    """Whether a search that has not begun should let others catch up, whose rows are about to be changed."""
    with reading(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        mine = sa.select(Request.executed_at).where(Request.request_id == claimed.run["request_id"])
        executed = connection.scalar(mine)
        if executed is None or moment - executed >= dt.timedelta(seconds=GATHER_SECONDS):
            return False
        behind = _others(claimed).where(
            Run.state.in_([State.ACCEPTED, State.RUNNING]),
            Request.executed_at.is_(None),
            sa.or_(Run.not_before.is_(None), Run.not_before <= moment),
        )
        return connection.execute(behind.limit(1)).first() is not None


def sweep(
    system: System, claimed: Claim, kept: Kept, ground: Judge, *, so_far: Searched, deadline: float
) -> tuple[Searched, list[str]]:
    """Look for the people of a claimed request, and for those of the others, until the time is up.

    Args:
        system: this process's Aegis.
        claimed: the request's run.
        kept: its people, as they were before.
        ground: tells whose a row is, of these people.
        so_far: what an earlier slice found.
        deadline: of `time.monotonic`; at least one stretch is read.

    Returns:
        What was found of the request's own people, and the runs of others that can go on at once.

    Raises:
        AegisError: something cannot be read; that is no zero.

    """
    with _taken_along(system, claimed, kept, so_far.mark) as others:
        people: list[KeptPerson] = [*kept.everybody]
        whose: list[_Other | None] = [None] * len(people)
        for other in others:
            other.first = len(people)
            people += other.kept.everybody
            whose += [other] * len(other.kept.everybody)
        found = search(
            system,
            claimed.run["datasource"],
            people,
            _Judge(ground, whose),
            so_far=Searched(mark=so_far.mark),
            deadline=deadline,
            on_stretch=_Renewal(system, claimed, others),
        )
        so_far.take(found, 0, len(kept.everybody))
        for other in others:
            other.so_far.take(found, other.first, len(other.kept.everybody))
    return so_far, [other.claim.id for other in others if other.so_far.whole and not other.lost]


@dataclass(kw_only=True)
class _Other:
    """Another request that is searched for in the same pass."""

    system: System = field(repr=False)
    claim: Claim
    kept: Kept = field(repr=False)
    known: Known = field(repr=False)
    subject: str
    so_far: Searched
    #: The number of its first person in the pass.
    first: int = 0
    #: Whether it goes its own way, because it cannot be followed or somebody else has it.
    lost: bool = False
    _ground: Ground | None = None

    def judge(self, person: int, label: str, row: Mapping[str, str]) -> Standing:
        """Return whose a row is; its rows are followed when the first of them has to be judged."""
        if self._ground is None and not self.lost:
            try:
                self._ground = self._look()
            except AegisError:
                self.lost = True
        return Standing.OTHER if self._ground is None else self._ground.judge(person, label, row)

    def _look(self) -> Ground:
        run = self.claim.run
        with looking(
            self.system,
            self.kept.keys,
            subject=self.subject,
            datasource=run["datasource"],
            tenant=run["tenant"],
            known=self.known,
        ) as trace:
            return Ground(trace)

    def renew(self) -> None:
        """Keep it for another lease."""
        if not self.lost:
            try:
                claims.renew(self.system, self.claim, progress=False)
            except AegisError:
                self.lost = True

    def give_back(self) -> None:
        """Let go of it, with what was found; a lost one is as it was before.

        One that has not come to its end waits for whoever leads the pass, and not for long.
        """
        reported = Reported.read(self.claim.run["report"]).plain()
        found: dict[str, Any] = {"search": self.so_far.plain(), **reported}
        report: dict[str, Any] = {} if self.lost else {"report": found}
        wait = 0.0 if self.lost or self.so_far.whole else GATHER_SECONDS
        # Whoever does not let itself be given back is another's by now, or free when its lease ends.
        with suppress(AegisError):
            claims.settle(self.system, self.claim, State.VERIFYING, wait=wait, **report)


class _Judge:
    """Asks of each row the one whose person it may be."""

    def __init__(self, ground: Judge, whose: Sequence[_Other | None]) -> None:
        self._ground, self._whose = ground, whose

    def judge(self, person: int, label: str, row: Mapping[str, str]) -> Standing:
        """Return whose a row is."""
        return (self._whose[person] or self._ground).judge(person, label, row)


class _Renewal:
    """Renews the leases of all, now and then."""

    def __init__(self, system: System, claimed: Claim, others: Sequence[_Other]) -> None:
        self._system, self._claim, self._others = system, claimed, others
        self._every = system.settings.operations.lease_seconds / 4
        self._due = time.monotonic() + self._every

    def __call__(self) -> None:
        """Renew them if it is time."""
        if time.monotonic() >= self._due:
            claims.renew(self._system, self._claim, progress=False)
            for other in self._others:
                other.renew()
            self._due = time.monotonic() + self._every


@contextmanager
def _taken_along(system: System, claimed: Claim, kept: Kept, mark: Mark | None) -> Iterator[list[_Other]]:
    """Claim the others for the block, whatever ends it."""
    others: list[_Other] = []
    try:
        if any(person.identifiers for person in kept.everybody):
            _gather(system, claimed, len(kept.everybody), mark, others)
        yield others
    finally:
        for other in others:
            other.give_back()


def _gather(system: System, claimed: Claim, people: int, mark: Mark | None, others: list[_Other]) -> None:
    """Claim the others that stand at a mark, as many as there is room for, the oldest first."""
    patience = system.settings.operations.max_attempts // 2
    if claimed.run["attempts"] > patience + 1:
        # Its tries end without a word: it may be what kills the worker, and takes nobody along.
        return
    room = PEOPLE - people
    for run in _ready(system, claimed, patience):
        so_far = Searched.read((run["report"] or {}).get("search"))
        size = persons.count(system, run["id"])
        if so_far.whole or so_far.mark != mark or size > room:
            continue
        with suppress(AegisError):
            others.append(_claimed(system, run, so_far))
            room -= size
        if len(others) == REQUESTS - 1:
            return


def _others(claimed: Claim) -> sa.Select[Any]:
    """Return the query for the other erasures of a source."""
    query = sa.select(Run.id, Run.attempts, Run.report).join(Request, Request.request_id == Run.request_id)
    mine = Run.datasource == claimed.run["datasource"]
    return query.where(mine, Run.policy_id.is_(None), Run.id != claimed.id)


def _ready(system: System, claimed: Claim, patience: int) -> list[Mapping[str, Any]]:
    """Return the runs whose rows are changed and that nobody works on, nor waits for in a process of its own.

    What some wait for does not matter: they let this one go first, or met a fault or stop that is over.
    """
    with reading(system.databases.control, CONTROL) as connection:
        query = _others(claimed).where(
            Run.origin == "task",
            Run.state.in_(sorted(CLAIMABLE - {State.RUNNING})),
            sa.or_(Run.waits_for.is_(None), Run.waits_for == Wait.HOLD),
            sa.or_(Run.lease_until.is_(None), Run.lease_until < dialects.now(connection)),
            Run.attempts <= patience,
            Request.executed_at.is_not(None),
        )
        return [dict(row) for row in connection.execute(query.order_by(Run.created_at)).mappings()]


def _claimed(system: System, run: Mapping[str, Any], so_far: Searched) -> _Other:
    """Claim a run for the pass; that is no try of its own.

    Raises:
        AegisError: somebody else has it, or who it is about cannot be read.

    """
    with writing(system.databases.control, CONTROL) as connection:
        free = Run.lease_until.is_(None) | (Run.lease_until < dialects.now(connection))
        connection.execute(sa.update(Run).where(Run.id == run["id"], free).values(not_before=None))
    claim = claims.claim(system, run["id"])
    try:
        claims.note(system, claim, state=State.VERIFYING, attempts=run["attempts"])
        request, kept = asking.fetch(system, claim.run["request_id"]), persons.read(system, claim.id)
        return _Other(
            system=system,
            claim=claim,
            kept=kept,
            known=kept.known(request["arguments"]),
            subject=str(request["arguments"]["subject"]),
            so_far=so_far,
        )
    except AegisError:
        claims.settle(system, claim, State.VERIFYING, wait=0.0)
        raise
