"""Asking for an erasure: what would be done is looked at, and who is meant is kept, before anything else."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.actions import Action
from aegis.audit.events import Event
from aegis.audit.recorder import Note, store
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import reading
from aegis.db.tables import Request
from aegis.erasure import persons, plan
from aegis.erasure.groups import Members
from aegis.erasure.people import Key
from aegis.erasure.persons import KeptPerson
from aegis.erasure.plan import Plan, reference
from aegis.erasure.tracing import Find, Trace, traced
from aegis.errors import UnknownName, UsageError
from aegis.operations import requests, runs
from aegis.operations.runs import ERASURE, Order
from aegis.operations.system import System

OPERATION = "erasure"
#: People whose keys are made together.
_TOGETHER = 500


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked for."""

    keys: Sequence[Key]
    subject: str
    datasource: str
    tenant: str | None
    actor: str
    #: cli, call, task or replay
    origin: str
    #: The group of the data map that is meant, where nobody is named; and how many people of it at most.
    group: str | None = None
    limit: int | None = None

    @property
    def told(self) -> Mapping[str, Any]:
        """What tells it from another wish under the same id; only a keyed digest of it is stored.

        Of a group it is not who is in it: that changes every day.
        """
        keys = [[str(value) for value in key] for key in self.keys]
        whom = {"group": self.group} if self.group is not None else {"keys": keys}
        return {**whom, "subject": self.subject, "datasource": self.datasource, "tenant": self.tenant}

    def whom(self, system: System) -> Sequence[Key] | Find:
        """Return the keys of those who are meant, or what finds them."""
        if self.group is None:
            return self.keys
        return Members(
            system=system, datasource=self.datasource, group=self.group, tenant=self.tenant, limit=self.limit
        )


@dataclass(frozen=True, kw_only=True)
class _Looked:
    """What is there of the people who are asked about."""

    plan: Plan
    people: Sequence[KeptPerson]
    root: str
    #: What happens to their own rows.
    action: str


def ask(system: System, wish: Wish, request_id: str | None = None) -> str:
    """Accept a request for an erasure, once for its id; return the id of its run.

    Args:
        system: this process's Aegis.
        wish: what is asked for.
        request_id: the producer's id; none: a new one.

    Raises:
        UnknownName: one of the people is not there, or nobody is in the group; nothing was accepted.
        Denied: one is of another tenant.
        Refused: the data map leaves something open.
        Conflict: the id was used for something else.

    """
    request_id = request_id or events.uuid7()
    if not wish.keys and wish.group is None:
        message = "an erasure names at least one person"
        raise UsageError(message)
    if known := _known(system, wish, request_id):
        return known
    looked = _look(system, wish)
    system.relay.register(wish.datasource)
    return _accept(system, wish, request_id, looked)


@contextmanager
def looked_up(system: System, wish: Wish) -> Iterator[Trace]:
    """Find those who are meant, and their rows; the snapshot is open until the end.

    Raises:
        AegisError: as `traced`.

    """
    with traced(
        system, wish.whom(system), subject=wish.subject, datasource=wish.datasource, tenant=wish.tenant
    ) as trace:
        yield trace


def _look(system: System, wish: Wish) -> _Looked:
    with looked_up(system, wish) as trace:
        root = trace.who.table.label
        entry = trace.coverage.tables[root].entry
        return _Looked(
            plan=plan.of(system, trace, wish.datasource),
            people=persons.found(system, trace),
            root=root,
            action="delete" if entry is not None and entry.action == "delete" else "anonymize",
        )


def fetch(system: System, request_id: str) -> Mapping[str, Any]:
    """Return the row of a request for an erasure; `result` is the id of its run.

    Raises:
        UnknownName: there is no such request.

    """
    query = sa.select(table_of(Request)).where(
        Request.request_id == request_id, Request.operation == OPERATION
    )
    with reading(system.databases.control, "control database") as connection:
        row = connection.execute(query).mappings().one_or_none()
    if row is None:
        message = f"there is no erasure request {request_id}"
        raise UnknownName(message)
    return dict(row)


def _known(system: System, wish: Wish, request_id: str) -> str:
    """Return the run of a request that was accepted before, if any: by now its people may be gone."""
    with reading(system.databases.control, "control database") as connection:
        known = requests.earlier(system, connection, request_id, OPERATION, wish.told)
    return str(known or "")


def _accept(system: System, wish: Wish, request_id: str, looked: _Looked) -> str:
    run, moment = events.uuid7(), _now(system)
    due = moment + dt.timedelta(days=system.settings.erasure.due_days)
    actor_ref = system.recorder.actor_ref(wish.actor)
    references = [reference(system, wish.subject, person.key) for person in looked.people]
    details = {
        "datasource": wish.datasource,
        "run": run,
        "digest": looked.plan.digest,
        "rows": looked.plan.rows,
        "kept": looked.plan.kept,
        "persons": len(looked.people),
        "due_at": events.stamp(due),
        **({} if wish.group is None else {"group": wish.group}),
    }
    told = list(_events(system, wish, looked.people, details))
    order = Order(
        policy_id=None,
        policy=ERASURE,
        datasource=wish.datasource,
        table=looked.root,
        action=looked.action,
        tenant=wish.tenant,
        origin=wish.origin,
        actor=wish.actor,
        request_id=request_id,
    )

    def work(connection: sa.Connection) -> str:
        runs.create(connection, order, actor_ref, run)
        persons.keep(system, connection, run, looked.people, references)
        store(connection, *told)
        return run

    return str(
        requests.once(
            system,
            request_id=request_id,
            operation=OPERATION,
            arguments=wish.told,
            work=work,
            actor_ref=actor_ref,
            open_end=True,
            datasource=wish.datasource,
            due_at=due,
            plan_digest=looked.plan.digest,
            planned_at=moment,
            # What a later slice needs; the people themselves are kept sealed.
            kept={"subject": wish.subject},
        )
    )


def _events(
    system: System, wish: Wish, people: Sequence[KeptPerson], details: Mapping[str, Any]
) -> Iterator[Event]:
    for start in range(0, len(people), _TOGETHER):
        some = people[start : start + _TOGETHER]
        owners = [(person.tenant or "", wish.subject, person.reference) for person in some]
        system.keystore.make_missing("subject", owners)
        yield from (_event(system, wish, person, details) for person in some)


def _event(system: System, wish: Wish, person: KeptPerson, details: Mapping[str, Any]) -> Event:
    note = Note(
        action=Action.ERASURE_REQUEST,
        actor=wish.actor,
        target_type=wish.subject,
        target_id=person.reference,
        tenant=person.tenant,
        details=details,
        correlation_id=details["run"],
    )
    return system.recorder.prepare(note)


def _now(system: System) -> dt.datetime:
    with reading(system.databases.control, "control database") as connection:
        return dialects.now(connection)
