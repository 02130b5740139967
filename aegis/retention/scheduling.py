"""What beat plans with, and the rows that its instants become."""

import datetime as dt
import logging
from dataclasses import dataclass

import sqlalchemy as sa

from aegis.audit.actions import Action, Outcome
from aegis.audit.events import stamp
from aegis.audit.recorder import Note, store
from aegis.db.engines import CONTROL, reading, writing
from aegis.db.tables import DataRetentionPolicy
from aegis.errors import AegisError
from aegis.operations import runs
from aegis.operations.states import PolicyState
from aegis.operations.system import System
from aegis.retention import policies
from aegis.retention.enforcement import order

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """A policy that beat runs."""

    policy_id: str
    policy: str
    cron: str
    zone: str
    #: Nothing at or before this instant is planned: the approval, or the newest planned instant.
    since: dt.datetime


def scheduled(system: System) -> list[Scheduled]:
    """Return the policies that may run by themselves; one that needs a tenant may not."""
    table = DataRetentionPolicy
    states = [PolicyState.APPROVED]
    if system.settings.approval == "off":
        states.append(PolicyState.PENDING)
    since = sa.func.coalesce(table.planned_until, table.created_at, type_=table.created_at.type)
    query = sa.select(table.id, table.name, table.cron, table.cron_zone, since.label("since")).where(
        table.tenant_session.is_(None)
    )
    with reading(system.databases.control, CONTROL) as connection:
        rows = connection.execute(query.where(table.state.in_(states)).order_by(table.name)).all()
    return [
        Scheduled(policy_id=row.id, policy=row.name, cron=row.cron, zone=row.cron_zone, since=row.since)
        for row in rows
    ]


def create(system: System, policy_id: str, instant: dt.datetime) -> str | None:
    """Create the run of an instant, once however many beats try; return its id when it is new."""
    policy = policies.by_id(system, policy_id)
    plain = order(policy, tenant=None, actor="schedule", origin="schedule")
    wanted = runs.Order(**vars(plain) | {"scheduled_for": instant})
    actor_ref = system.recorder.actor_ref(wanted.actor)
    try:
        system.relay.register(policy.datasource)
    except AegisError as fault:
        # The instant becomes a run all the same: it waits for its source, or says why it may not.
        log.warning("Policy %s is due and its data source is not ready: %s", policy.name, fault)
    with writing(system.databases.control, CONTROL) as connection:
        run_id = runs.create(connection, wanted, actor_ref)
        _planned(connection, policy_id, instant)
    return run_id


def missed(system: System, policy_id: str, first: dt.datetime, last: dt.datetime, count: int) -> None:
    """Leave an event for instants that nobody made up, once."""
    policy = policies.by_id(system, policy_id)
    details = {
        "first": stamp(first),
        "last": stamp(last),
        "count": count,
        "reason": "older than catch_up_seconds",
    }
    note = Note(
        action=Action.RETENTION_MISSED,
        actor="schedule",
        target_type="policy",
        target_id=policy.name,
        outcome=Outcome.FAILURE,
        details=details,
    )
    event = system.recorder.prepare(note)
    with writing(system.databases.control, CONTROL) as connection:
        if _planned(connection, policy_id, last, missed=count):
            store(connection, event)


def _planned(connection: sa.Connection, policy_id: str, instant: dt.datetime, *, missed: int = 0) -> bool:
    table = DataRetentionPolicy
    earlier = sa.or_(table.planned_until.is_(None), table.planned_until < instant)
    values = {"planned_until": instant, "instants_missed": table.instants_missed + missed}
    update = sa.update(table).where(table.id == policy_id, earlier)
    return connection.execute(update.values(**values)).rowcount == 1
