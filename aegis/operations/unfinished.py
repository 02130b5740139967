"""What is not finished, in numbers: runs by state, and requests that somebody waits for by their clock."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import Request, Run
from aegis.operations.states import FINAL, State, Wait
from aegis.operations.system import System

#: The states that work, or a person, follows.
OPEN: Final = tuple(sorted(set(State) - FINAL))


@dataclass(frozen=True, kw_only=True)
class Runs:
    """The unfinished runs."""

    #: Every state that is not final → how many.
    by_state: Mapping[State, int]
    #: (policy, what it waits for) → how many.
    waiting: Mapping[tuple[str, str], int]


@dataclass(frozen=True, kw_only=True)
class Requests:
    """The open requests of one operation that somebody waits for."""

    operation: str
    open: int
    #: Seconds since the oldest of them was received.
    oldest_seconds: float
    #: How many are past the date by which they are due.
    overdue: int


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A request that had a date by which it was due, and ended."""

    operation: str
    #: From its receipt to its end.
    seconds: float


def runs(system: System) -> Runs:
    """Count the unfinished runs, those of erasures too."""
    query = sa.select(Run.state, Run.policy, Run.waits_for, sa.func.count())
    query = query.where(Run.state.in_(OPEN)).group_by(Run.state, Run.policy, Run.waits_for)
    states, waiting = Counter[State](), Counter[tuple[str, str]]()
    with reading(system.databases.control, CONTROL) as connection:
        for state, policy, reason, count in connection.execute(query):
            states[State(state)] += count
            if state == State.WAITING and reason:
                waiting[policy, reason] += count
    return Runs(by_state={State(state): states[State(state)] for state in OPEN}, waiting=waiting)


def requests(system: System) -> list[Requests]:
    """Count the open requests that are due by a date; what a law retains for now is due when that ends."""
    retained = sa.exists().where(
        Run.request_id == Request.request_id, Run.state == State.WAITING, Run.waits_for == Wait.REST
    )
    with reading(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        late = sa.case((Request.due_at < moment, 1), else_=0)
        query = sa.select(
            Request.operation,
            sa.func.count().label("open"),
            sa.func.min(Request.received_at, type_=Request.received_at.type).label("oldest"),
            sa.func.sum(late).label("overdue"),
        )
        query = query.where(Request.state.in_(OPEN), Request.due_at.is_not(None), sa.not_(retained))
        return [
            Requests(
                operation=row.operation,
                open=row.open,
                oldest_seconds=(moment - row.oldest).total_seconds(),
                overdue=int(row.overdue),
            )
            for row in connection.execute(query.group_by(Request.operation).order_by(Request.operation))
        ]


def ended(
    system: System, after: dt.datetime | None, settled: dt.timedelta
) -> tuple[dt.datetime, list[Ended]]:
    """Return the requests that ended after an instant, and up to which one that is all of them.

    Args:
        system: this process's Aegis.
        after: what an earlier call returned; None: from the first one on.
        settled: how long a transaction may take between its end's time and its commit.

    """
    query = sa.select(Request.operation, Request.received_at, Request.finished_at)
    with reading(system.databases.control, CONTROL) as connection:
        until = dialects.now(connection) - settled
        query = query.where(Request.finished_at <= until, Request.due_at.is_not(None))
        if after is not None:
            query = query.where(Request.finished_at > after)
        found = [
            Ended(operation=row.operation, seconds=(row.finished_at - row.received_at).total_seconds())
            for row in connection.execute(query)
        ]
    return until, found
