"""Asking for an erasure: what would be done is looked at, and who is meant is kept, before anything else."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.actions import Action
from aegis.audit.events import Event
from aegis.audit.recorder import Note, store
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import Request
from aegis.erasure import persons
from aegis.erasure.denials import denials_recorded
from aegis.erasure.groups import Members
from aegis.erasure.people import Key
from aegis.erasure.persons import KeptPerson
from aegis.erasure.plan import reference
from aegis.erasure.portions import in_portions
from aegis.erasure.surveying import Survey, survey
from aegis.erasure.tracing import Find
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
    with denials_recorded(system, actor=wish.actor, tenant=wish.tenant, asked=OPERATION):
        home = look(system, wish)
    for each in (home, *home.elsewhere):
        system.relay.register(each.datasource)
    return _accept(system, wish, request_id, home)


def look(system: System, wish: Wish) -> Survey:
    """Look at everything that would be done, and change nothing.

    Raises:
        AegisError: as `ask`.

    """
    return survey(
        system,
        wish.whom(system),
        subject=wish.subject,
        datasource=wish.datasource,
        tenant=wish.tenant,
    )


def fetch(system: System, request_id: str) -> Mapping[str, Any]:
    """Return the row of a request for an erasure; `result` is the id of its run.

    Raises:
        UnknownName: there is no such request.

    """
    query = sa.select(table_of(Request)).where(
        Request.request_id == request_id, Request.operation == OPERATION
    )
    with reading(system.databases.control, CONTROL) as connection:
        row = connection.execute(query).mappings().one_or_none()
    if row is None:
        message = f"there is no erasure request {request_id}; `aegis erasure status` lists those there are"
        raise UnknownName(message)
    return dict(row)


def _known(system: System, wish: Wish, request_id: str) -> str:
    """Return the run of a request that was accepted before, if any: by now its people may be gone."""
    with reading(system.databases.control, CONTROL) as connection:
        known = requests.earlier(system, connection, request_id, OPERATION, wish.told)
    return str(known or "")


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What is asked of one data source: a request with its run."""

    survey: Survey
    request: str
    run: str
    events: Sequence[Event]


def _accept(system: System, wish: Wish, request_id: str, home: Survey) -> str:
    moment = _now(system)
    due = moment + dt.timedelta(days=system.settings.erasure.due_days)
    actor_ref = system.recorder.actor_ref(wish.actor)
    first = _part(system, wish, home, request_id, due)
    others = [_part(system, wish, each, events.uuid7(), due) for each in home.elsewhere]

    def work(connection: sa.Connection) -> str:
        for part in others:
            requests.also(
                system,
                connection,
                request_id=part.request,
                operation=OPERATION,
                arguments={**wish.told, "part_of": request_id},
                actor_ref=actor_ref,
                datasource=part.survey.datasource,
                due_at=due,
                plan_digest=part.survey.plan.digest,
                planned_at=moment,
                kept=_kept(part.survey) | {"part_of": request_id},
                result=part.run,
            )
            _begin(system, connection, wish, part, actor_ref)
        _begin(system, connection, wish, first, actor_ref)
        return first.run

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
            plan_digest=home.joint.digest,
            planned_at=moment,
            kept=_kept(home) | {"parts": {part.survey.plan.place: part.request for part in others}},
        )
    )


def _kept(survey: Survey) -> dict[str, Any]:
    """Return what a later slice needs; the people themselves are kept sealed."""
    plan = survey.plan
    return {"subject": survey.subject, "plan": plan.digest, "rows": plan.rows, "persons": len(survey.people)}


def _part(system: System, wish: Wish, survey: Survey, request: str, due: dt.datetime) -> _Part:
    run = events.uuid7()
    details = {
        "datasource": survey.datasource,
        "run": run,
        "digest": survey.joint.digest,
        "rows": survey.plan.rows,
        "kept": survey.plan.kept,
        "persons": len(survey.people),
        "due_at": events.stamp(due),
        **({} if wish.group is None else {"group": wish.group}),
    }
    told = tuple(_events(system, wish, survey, details))
    return _Part(survey=survey, request=request, run=run, events=told)


def _begin(system: System, connection: sa.Connection, wish: Wish, part: _Part, actor_ref: str) -> None:
    """Create the run of one data source, in the transaction that accepts the request."""
    survey = part.survey
    order = Order(
        policy_id=None,
        policy=ERASURE,
        datasource=survey.datasource,
        table=survey.root,
        action=survey.action,
        tenant=wish.tenant,
        origin=wish.origin,
        actor=wish.actor,
        request_id=part.request,
    )
    people = [*survey.people, *survey.members]
    begin(system, connection, part.run, order, actor_ref, subject=survey.subject, people=people)
    store(connection, *part.events)


def begin(
    system: System,
    connection: sa.Connection,
    run: str,
    order: Order,
    actor_ref: str,
    *,
    subject: str,
    people: Sequence[KeptPerson],
) -> None:
    """Create a run, and keep sealed whom it is about, in the transaction that accepts its request.

    Args:
        system: this process's Aegis.
        connection: the control database.
        run: the id it gets.
        order: what it does.
        actor_ref: who asked for it.
        subject: the kind of those of them who are meant.
        people: they, and who goes along.

    """
    runs.create(connection, order, actor_ref, run)
    references = [reference(system, person.subject or subject, person.key) for person in people]
    persons.keep(system, connection, run, people, references)


def _events(system: System, wish: Wish, survey: Survey, details: Mapping[str, Any]) -> Iterator[Event]:
    for some in in_portions(survey.people, _TOGETHER):
        owners = [(person.tenant or "", survey.subject, person.reference) for person in some]
        system.keystore.make_missing("subject", owners)
        yield from (_event(system, wish, survey.subject, person, details) for person in some)


def _event(system: System, wish: Wish, subject: str, person: KeptPerson, details: Mapping[str, Any]) -> Event:
    note = Note(
        action=Action.ERASURE_REQUEST,
        actor=wish.actor,
        target_type=subject,
        target_id=person.reference,
        tenant=person.tenant,
        details=details,
        correlation_id=details["run"],
    )
    return system.recorder.prepare(note)


def _now(system: System) -> dt.datetime:
    with reading(system.databases.control, CONTROL) as connection:
        return dialects.now(connection)
