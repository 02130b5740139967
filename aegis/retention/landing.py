"""Soft landing: what beat runs of a new policy begins late and small, so that a mistake is seen early.

The first scheduled run of a policy's version waits, does one portion, and waits again until somebody
confirms it or the time is over. What a person runs does not wait.
"""

import datetime as dt
from typing import Final

import sqlalchemy as sa

from aegis.audit.actions import Action
from aegis.audit.recorder import Note, store
from aegis.db import dialects
from aegis.db.engines import CONTROL, reading, writing
from aegis.db.tables import DataRetentionPolicy, Run
from aegis.errors import Refused
from aegis.operations import claims, runs
from aegis.operations.claims import Claim
from aegis.operations.states import State, Wait, Waits
from aegis.operations.system import System
from aegis.retention import policies

SCHEDULE: Final = "schedule"


class Landing:
    """How far a run may go in this slice."""

    def __init__(self, system: System, policy: DataRetentionPolicy, claimed: Claim) -> None:
        self._system = system
        self._policy = policy
        self._claim = claimed
        #: Rows of the first portion that may still go; none: no limit.
        self._left: int | None = None

    def begin(self) -> None:
        """Let the run go on, with its first portion or without a limit.

        Raises:
            Waits: the policy is too new, or nobody has confirmed its first portion.

        """
        settings, policy = self._system.settings.retention, self._policy
        if self._claim.run["origin"] != SCHEDULE or not settings.soft_landing_hours or policy.confirmed_at:
            return
        delay = dt.timedelta(hours=settings.soft_landing_hours)
        with reading(self._system.databases.control, CONTROL) as connection:
            moment, done = dialects.now(connection), first_portion(connection, policy)
        begins = (policy.approved_at or policy.created_at) + delay
        if done is None and moment < begins:
            why = f"policy {policy.name} is new: a first portion of {settings.canary_rows:,} rows goes at"
            raise Waits(Wait.LANDING, f"{why} {_shown(begins)}")
        if done is not None and moment < done + delay:
            raise Waits(Wait.LANDING, self._waiting(done + delay))
        if done is None:
            self._left = settings.canary_rows - runs.rows_gone(self._system, self._claim.run)
            self.took(0)

    @property
    def limited(self) -> bool:
        """Whether only a first portion may go."""
        return self._left is not None

    def most(self, rows: int | None) -> int | None:
        """Return how many rows the next batch may take, where something else lets it take `rows`."""
        return min((left for left in (rows, self._left) if left is not None), default=None)

    def took(self, rows: int) -> None:
        """Note what a batch took.

        Raises:
            Waits: that was the first portion.

        """
        if self._left is None:
            return
        self._left -= rows
        if self._left <= 0:
            with reading(self._system.databases.control, CONTROL) as connection:
                moment = dialects.now(connection)
            claims.note(self._system, self._claim, canary_at=moment)
            hours = self._system.settings.retention.soft_landing_hours
            raise Waits(Wait.LANDING, self._waiting(moment + dt.timedelta(hours=hours)))

    def _waiting(self, until: dt.datetime) -> str:
        rows = runs.rows_gone(self._system, self._claim.run)
        return (
            f"canary done: {rows:,} rows; confirm with `aegis policy confirm {self._policy.name} "
            f"--actor NAME`, or it goes on at {_shown(until)}"
        )


def first_portion(connection: sa.Connection, policy: DataRetentionPolicy) -> dt.datetime | None:
    """Return when a scheduled run of this version had done its first portion, or all that was due."""
    whole = sa.and_(Run.state == State.DONE, Run.rows > 0)
    when = sa.func.coalesce(Run.canary_at, Run.finished_at, type_=Run.canary_at.type)
    query = sa.select(sa.func.min(when, type_=Run.canary_at.type)).where(
        Run.policy_id == policy.id, Run.origin == SCHEDULE, sa.or_(Run.canary_at.is_not(None), whole)
    )
    return connection.scalar(query)


def confirm(system: System, name: str, *, actor: str) -> DataRetentionPolicy:
    """Confirm what the first portion of a policy took; its runs go on at once.

    Raises:
        UnknownName: there is no such policy.
        Refused: there is nothing to confirm.

    """
    policy = policies.find(system, name)
    if policy.confirmed_at is not None:
        return policy
    with reading(system.databases.control, CONTROL) as connection:
        done = first_portion(connection, policy)
    if done is None or not policies.permitted(system, policy):
        message = (
            f"policy {name} version {policy.version} ({policy.state}) has done no first portion that could "
            f"be confirmed; to run it now: aegis retention run --policy {name} --execute"
        )
        raise Refused(message)
    note = Note(
        action=Action.POLICY_CONFIRM,
        actor=actor,
        target_type="policy",
        target_id=name,
        details={"version": policy.version},
    )
    event = system.recorder.prepare(note)
    with writing(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        version = sa.update(DataRetentionPolicy).where(DataRetentionPolicy.id == policy.id)
        connection.execute(version.values(confirmed_at=moment))
        waiting = sa.and_(
            Run.policy_id == policy.id, Run.state == State.WAITING, Run.waits_for == Wait.LANDING
        )
        connection.execute(sa.update(Run).where(waiting).values(not_before=moment))
        store(connection, event)
    return policies.find(system, name)


def _shown(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
